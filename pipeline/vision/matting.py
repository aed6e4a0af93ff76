"""Mattings behind one interface, and what chooses among them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.io.errors import InputError
from pipeline.io.files import read_json, write_json
from pipeline.io.packed import PackedImages, packed_writer
from pipeline.vision.matte import Matte, Matting
from pipeline.vision.plate_matting import matte_with_plate
from pipeline.vision.settings import MatteSettings


class PlateMatting:
    """Difference to the clean plate (see `plate_matting`)."""

    name = "plate"

    def __init__(self, subject_only: bool):
        self.subject_only = subject_only

    def matte(self, image: np.ndarray, plate: np.ndarray | None, visible: np.ndarray | None = None) -> Matte:
        if plate is None:
            raise ValueError("plate matting needs a plate")
        return matte_with_plate(image, plate, visible, subject=self.subject_only)


def choose_matting(settings: MatteSettings, plate: np.ndarray | None, camera: str) -> Matting:
    """The matting that the settings and the camera call for; with `person: on` a person segmentation corrects those that use a plate.

    Raises:
        InputError: the backend needs a plate and the camera has none, or its checkpoint is missing or unreadable.
    """
    if plate is None and settings.backend in ("plate", "bgm2"):
        raise InputError(
            f"camera {camera} has no clean plate, which matting with '{settings.backend}' needs", found=f"matte.backend: {settings.backend}",
            expected="a plate, or the backend auto or selfie", remedy="give the column 'plates' in captures.tsv, or set matte.backend: auto in config.yaml",
        )  # fmt: skip
    if settings.backend == "bgm2":
        from pipeline.vision.bgm2_matting import BackgroundMatting

        return _corrected(BackgroundMatting(settings), settings)
    if settings.backend == "selfie" or plate is None:
        from pipeline.vision.selfie_matting import SelfieMatting

        return SelfieMatting(settings.subject_only)
    return _corrected(PlateMatting(settings.subject_only), settings)


def _corrected(matting: Matting, settings: MatteSettings) -> Matting:
    if settings.person != "always":
        return matting
    from pipeline.vision.person import PersonMatting

    return PersonMatting(matting)


def matte_camera(settings: MatteSettings, frames: Path, names: Sequence[str], output: Path) -> dict[str, Any]:
    """Matte one camera's packed frames into a packed zip of RGBA pictures, unless that was done before an interruption.

    Args:
        settings: its `person` counts as off unless it is on: what auto means is the stage's to say, which knows the capture.

    Returns:
        facts: backend, mean_alpha, empty (frames in which nothing was found), with a plate gain [3] and noise (medians over the frames),
            and with a person segmentation the number of frames that it corrected.
    """
    cv2.setNumThreads(1)  # cameras are the parallelism
    facts_file = output.with_suffix(".json")
    if output.is_file() and facts_file.is_file():
        return read_json(facts_file)
    images = PackedImages(frames)
    plate = images.read("plate") if "plate" in images else None
    visible = images.read("visible") if "visible" in images else None
    matting = choose_matting(settings, plate, frames.stem)
    coverage, gains, noise, corrected = [], [], [], []
    with packed_writer(output) as writer:
        for name in names:
            matte = matting.matte(images.read(name), plate, visible)
            writer.add(name, matte.rgba)
            coverage.append(float(matte.rgba[..., 3].mean()) / 255)
            if matte.gain is not None:
                gains.append(matte.gain)
                noise.append(matte.sigma)
            if matte.corrected is not None:
                corrected.append(matte.corrected)
    facts: dict[str, Any] = {"backend": matting.name, "mean_alpha": round(float(np.mean(coverage)), 5), "empty": coverage.count(0.0)}
    if gains:
        facts |= {"gain": [round(float(g), 4) for g in np.median(gains, axis=0)], "noise": round(float(np.median(noise)), 2)}
    if corrected:
        facts["corrected"] = sum(corrected)
    write_json(facts_file, facts)
    return facts
