"""Face and body keypoints: detection per camera, outlier rejection across cameras, re-detection in crops."""
