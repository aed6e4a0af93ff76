"""Mattes of all frames of one camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.io.files import read_json, write_json
from pipeline.io.packed import MATTE, PackedImages, packed_writer
from pipeline.vision.matting.backends import choose_matting
from pipeline.vision.matting.given import given_matte
from pipeline.vision.settings import MatteSettings


def matte_camera(settings: MatteSettings, frames: Path, names: Sequence[str], output: Path, whole: bool = False) -> dict[str, Any]:
    """Matte one camera's packed frames into a packed zip of RGBA images. A complete output is kept.

    Args:
        settings: `person` must be "always" or "never"; the stage resolves "auto", which depends on the capture.
        frames: packed zip of images, with "plate" and "visible" where the camera has them.
        names: the frames to matte. whole: without mattes of the user's everything in the images is the subject.

    Returns:
        facts: backend, mean_alpha, largest_alpha (both 0 to 1), empty (number of frames without foreground); with a plate also gain [3] and noise
        (medians over the frames); with a person segmentation also corrected (number of frames).
    """
    cv2.setNumThreads(1)  # cameras run in parallel processes
    facts_file = output.with_suffix(".json")
    if output.is_file() and facts_file.is_file():
        return read_json(facts_file)
    images = PackedImages(frames)
    plate = images.read("plate") if "plate" in images else None
    visible = images.read("visible") if "visible" in images else None
    given = settings.backend == "auto" and all(f"{MATTE}{name}" in images for name in names)
    matting = None if given else choose_matting(replace(settings, backend="whole") if whole else settings, plate, frames.stem)
    mean_alpha: list[float] = []
    largest = 0
    gains: list[np.ndarray] = []
    sigmas: list[float] = []
    corrected: list[bool] = []
    with packed_writer(output) as writer:
        for name in names:
            image = images.read(name)
            matte = matting.matte(image, plate, visible) if matting else given_matte(image, images.read(f"{MATTE}{name}"), visible)
            writer.add(name, matte.rgba)
            mean_alpha.append(float(matte.rgba[..., 3].mean()) / 255)
            largest = max(largest, int(matte.rgba[..., 3].max()))
            if matte.gain is not None and matte.sigma is not None:
                gains.append(matte.gain)
                sigmas.append(matte.sigma)
            if matte.corrected is not None:
                corrected.append(matte.corrected)
    facts: dict[str, Any] = {
        "backend": matting.name if matting else "given",
        "mean_alpha": round(float(np.mean(mean_alpha)), 5),
        "largest_alpha": round(largest / 255, 3),
        "empty": mean_alpha.count(0.0),
    }
    if gains:
        facts["gain"] = [round(float(g), 4) for g in np.median(gains, axis=0)]
        facts["noise"] = round(float(np.median(sigmas)), 2)
    if corrected:
        facts["corrected"] = sum(corrected)
    write_json(facts_file, facts)
    return facts
