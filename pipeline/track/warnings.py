"""What the figures of a fit say about the calibration."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from pipeline.geometry.camera_readings import CHECK_CAMERA

SCALE = 1.2  # the subject's size times or divided by this is no variation among people: `initial_pose` takes less as metres
WORSE = 3.0  # times the median residual of the other cameras
LEAST_PX = 1.5  # a smaller residual is no disagreement, whatever the others have
OFTEN = 0.5  # share of the frames in which a camera faces the subject and yet has no point


def scale_warnings(scale: float, kind: str) -> list[str]:
    """A warning where the model had to be scaled. scale: world units per metre. kind: "head" or "body"."""
    if abs(math.log(scale)) <= math.log(SCALE):
        return []
    if 300 < scale < 3000:
        advice = "the translations are probably in millimetres: set the column 'units' of captures.tsv to mm"
    elif 30 < scale < 300:
        advice = "the translations are probably in centimetres: set the column 'units' of captures.tsv to cm"
    else:
        advice = "check the focal lengths, that K belongs to images of this size, and the unit of the translations"
    times = f"{scale:,.0f}" if scale >= 10 else f"{scale:.2f}"
    return [f"calibration units: the {kind} comes out at {times} times its real size, expected 1 (metres); {advice}"]


def camera_warnings(residuals: Mapping[str, float], facing: Mapping[str, float]) -> list[str]:
    """A warning for every camera that disagrees with the others.

    Args:
        residuals: camera -> median reprojection error, px; nan where no point of it was used.
        facing: camera -> share of the frames in which it should see the points, by the fit.
    """
    texts = []
    for camera, residual in residuals.items():
        others = [value for name, value in residuals.items() if name != camera and np.isfinite(value)]
        if not others:
            continue
        if not np.isfinite(residual) and facing[camera] > OFTEN:
            found = f"none of its points fits, though it faces the subject in {facing[camera]:.0%} of the frames"
        elif residual > max(WORSE * float(np.median(others)), LEAST_PX):
            found = f"its points are off by {residual:.1f} px, those of the others by {np.median(others):.1f} px (median)"
        else:
            continue
        texts.append(f"camera {camera} disagrees with the others: {found}. {CHECK_CAMERA.capitalize()}")
    return texts
