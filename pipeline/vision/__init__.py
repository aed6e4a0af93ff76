"""Images to alpha (`matting`) and to 2D keypoints (`keypoints`), with several backends each."""
