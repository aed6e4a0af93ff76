"""Every case, reader by reader."""

from __future__ import annotations

from tests.hostile import archives, arrays, avatars, calibrations, configurations, images, motions, names, others, pickles, results, tables, videos
from tests.hostile.case import Case

CASES: tuple[Case, ...] = tuple(
    case
    for part in (archives, arrays, avatars, calibrations, configurations, images, motions, names, others, pickles, results, tables, videos)
    for case in part.CASES
)


def warm_up() -> None:
    """Import what the readers import when they are first used, before any case is timed or watched."""
    import av  # noqa: F401
    import cv2
    import pandas  # noqa: F401
    import scipy.io  # noqa: F401
    import yaml  # noqa: F401
    from pydantic import TypeAdapter  # noqa: F401

    import pipeline.avatars.rigged.entry  # noqa: F401
    import pipeline.evaluation.lpips  # noqa: F401
    import pipeline.io.model_files  # noqa: F401
    import pipeline.motion.read  # noqa: F401
    import pipeline.report.cohort  # noqa: F401
    import pipeline.report.report  # noqa: F401
    import pipeline.training.checkpoint  # noqa: F401
    import pipeline.vision.torchscript  # noqa: F401
    from pipeline.config import parse_config
    from tests.hostile.calibrations import CAMERA

    cv2.setNumThreads(0)
    parse_config({})
    from pipeline.capture.camera import Camera
    from pipeline.report.plots import rig

    rig([Camera.from_json(CAMERA)] * 2, {}, None)
    avatars.base()
