"""What the detections say about the calibration: cameras that contradict the others, and another way to read it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.geometry.camera_readings import CHECK_CAMERA, TEXTS
from pipeline.io.errors import InputError
from pipeline.vision.keypoints.multi_camera import Keypoints

SURE = 0.9  # share of the detections that agree under another reading of the calibration from which the present one is wrong
OFTEN = 0.2  # share of the frames from which faces in a camera are no accident


def check_agreement(found: Keypoints, model: str, cameras: Sequence[str], frames: Path) -> None:
    """Check that in some frame two cameras agree, where two have a face ("head") or a person ("body") at all, and that the calibration is not to be read in
    another way. Raises InputError with what would help.
    """
    rejected = found.faces_dropped if model == "head" else found.dropped
    seen = np.isfinite((found.face if model == "head" else found.pose)[..., 0]).any(-1)
    some = (seen.sum(1) > 1).any() or not rejected.any()
    if some and not (found.reading and found.reading[1].share > SURE):
        return
    raise InputError(
        f"the cameras do not agree on where the {'face' if model == 'head' else 'person'} is",
        file=frames,
        found=f"detections in {len(cameras)} cameras that contradict each other in {'most frames' if some else 'every frame'}",
        expected="a calibration that fits the videos",
        remedy=_say(found) or "check the calibration (R, t, K, names of the cameras) and the synchronisation",
    )


def keypoint_warnings(found: Keypoints, cameras: Sequence[str]) -> list[str]:
    """Warnings about cameras whose faces the others contradict, and about a calibration that fits the views if it is read in another way."""
    if found.reading:  # the one cause of all the rest
        return [f"calibration: the views agree on less than half of the detections; {_say(found)}"]
    texts = []
    least = max(2.0, OFTEN * len(found.face))
    for camera, faces, dropped in zip(cameras, found.faces_found, found.faces_dropped):
        if faces >= least and dropped > 0.5 * faces:
            texts.append(
                f"camera {camera} shows a face in {faces} of {len(found.face)} frames, and {dropped} of them were dropped because the other cameras "
                f"contradict them. Expected: they agree within keypoints.face_gate; {CHECK_CAMERA}"
            )
    return texts + [_say_offset(camera, int(frames)) for camera, frames in zip(cameras, found.ahead) if frames]


def _say_offset(camera: str, frames: int) -> str:
    which = "the other videos" if frames > 0 else "its video"
    return (
        f"camera {camera} is about {abs(frames)} frames {'ahead of' if frames > 0 else 'behind'} the others: shifted by that, its points move as theirs. "
        f"Expected: simultaneous frames; remove the first {abs(frames)} frames of {which}, or give time stamps (column 'timestamps' of captures.tsv)"
    )


def _say(found: Keypoints) -> str:
    if found.reading is None:
        return ""
    name, agreement = found.reading
    views = f"the views agree to {agreement.residual_px:.1f} px ({agreement.share:.0%} of the detections)"
    return f"read as {TEXTS[name]} {views}: set the column 'convention' of captures.tsv to {name}"
