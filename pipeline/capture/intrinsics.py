"""Whether K belongs to images of this size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.capture.camera import Camera

LARGEST = 1.3  # a principal point this much (or 1 / this) of the way to the middle, in x and in y alike, is no crop and no lens
ALIKE = 1.1


def principal_point_warnings(cameras: Sequence[Camera]) -> list[str]:
    """A warning where most principal points lie at the same part of the image's middle in x and y: K is then of images of another size."""
    ratios = np.array([[camera.K[0, 2] / camera.width, camera.K[1, 2] / camera.height] for camera in cameras]) * 2
    if not len(ratios) or (ratios <= 0).any():
        return []
    x, y = np.median(np.log(ratios), axis=0)
    share = float(np.exp((x + y) / 2))
    if abs(x - y) > np.log(ALIKE) or abs(np.log(share)) < np.log(LARGEST):
        return []
    first = cameras[0]
    return [
        f"calibration: K seems to belong to images of {share:.2f} times the size: the principal points lie at {share:.0%} of the way to the middle, as that of "
        f"{first.name}, ({first.K[0, 2]:.0f}, {first.K[1, 2]:.0f}) of {first.width}x{first.height} pixels. Expected: near the middle; "
        f"multiply fx, fy, cx and cy by {1 / share:.2g}, or use the videos that were calibrated"
    ]
