"""The json of AnimatableGaussians and its data sets: by camera K and R with 9 numbers, T with 3, imgSize and distCoeff; OpenCV, world to camera, metres."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.io.errors import MALFORMED, InputError
from pipeline.io.files import write_json


def is_animatable_gaussians(record: Any) -> bool:
    """Whether a JSON value has this form."""
    return isinstance(record, dict) and bool(record) and all(isinstance(entry, dict) and {"K", "R", "T"} <= entry.keys() for entry in record.values())


def animatable_gaussians_cameras(path: Path, record: dict[str, Any]) -> list[Camera]:
    """The cameras; width and height are 0 where imgSize is left out. Raises InputError."""
    cameras = []
    for name, entry in record.items():
        try:
            K, R, t, dist = (np.array(entry.get(key, ()), np.float64).ravel() for key in ("K", "R", "T", "distCoeff"))
            width, height = map(int, entry.get("imgSize", (0, 0)))
            terms = tuple(dist.tolist()) if dist.any() else ()
            cameras.append(Camera(name, width, height, K.reshape(3, 3), R.reshape(3, 3), t.reshape(3), terms))
        except MALFORMED as error:
            raise InputError(f"camera '{name}' is incomplete", file=path, found=repr(error), expected="K, R (9 numbers each), T (3), imgSize (2)") from None
    return cameras


def write_animatable_gaussians(path: Path, cameras: Sequence[Camera]) -> None:
    """Write the cameras."""
    record = {}
    for camera in cameras:
        numbers = {"K": camera.K.ravel().tolist(), "R": camera.R.ravel().tolist(), "T": camera.t.tolist(), "imgSize": [camera.width, camera.height]}
        record[camera.name] = numbers | {"distCoeff": list(camera.five_terms)}
    write_json(path, record)
