"""Alpha and foreground colour of a subject: from a clean plate, a selfie segmentation or BackgroundMattingV2."""
