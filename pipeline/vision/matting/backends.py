"""The choice of a matting backend."""

from __future__ import annotations

import numpy as np

from pipeline.io.errors import InputError
from pipeline.vision.matting.interface import Matting
from pipeline.vision.matting.plate import PlateMatting
from pipeline.vision.matting.whole import WholeMatting
from pipeline.vision.settings import MatteSettings


def choose_matting(settings: MatteSettings, plate: np.ndarray | None, camera: str) -> Matting:
    """The matting backend for one camera. With `person: always`, a person segmentation corrects the backends that use a plate.

    Raises:
        InputError: the backend needs a plate and the camera has none, or the checkpoint is missing or unreadable.
    """
    if plate is None and settings.backend in ("plate", "bgm2"):
        raise InputError(
            f"camera {camera} has no clean plate, which matting with '{settings.backend}' needs",
            found=f"matte.backend: {settings.backend}",
            expected="a plate, or the backend auto or selfie",
            remedy="give the column 'plates' in captures.tsv, or set matte.backend: auto in config.yaml",
        )
    if settings.backend == "whole":
        return WholeMatting()
    if settings.backend == "bgm2":
        from pipeline.vision.matting.bgm2 import BackgroundMatting

        return _corrected(BackgroundMatting(settings), settings)
    if settings.backend == "selfie" or plate is None:
        from pipeline.vision.matting.selfie import SelfieMatting

        return SelfieMatting(settings.subject_only)
    return _corrected(PlateMatting(settings.subject_only), settings)


def _corrected(matting: Matting, settings: MatteSettings) -> Matting:
    if settings.person != "always":
        return matting
    from pipeline.vision.matting.person_correction import PersonCorrection

    return PersonCorrection(matting)
