"""Whether cameras are what a calibration can hold. Light to import: every stage reads cameras."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.io.errors import InputError
from pipeline.io.validation import LARGEST_SIDE, NAME, is_name

MOST_CAMERAS = 1000
LARGEST_VALUE = 1e7  # of K (pixels), t (metres) and dist


def check_cameras(cameras: Sequence[Camera], path: Path, most: int = MOST_CAMERAS) -> tuple[Camera, ...]:
    """The cameras, each checked. Raises InputError where there are none, or too many, or two of one name. path: for the message."""
    if not cameras:
        raise InputError("contains no cameras", file=path, expected="at least one camera")
    if len(cameras) > most:
        raise InputError("contains too many cameras", file=path, found=len(cameras), expected=f"at most {most}")
    name, count = Counter(camera.name for camera in cameras).most_common(1)[0]
    if count > 1:
        found = ", ".join(camera.name for camera in cameras)
        raise InputError(f"two cameras are named '{name}'", file=path, found=found, expected="unique camera names")
    return tuple(check_camera(camera, path) for camera in cameras)


def check_camera(camera: Camera, path: str | Path) -> Camera:
    """The camera, with 0, 4 or 5 distortion terms. Raises InputError if a value is invalid. path: for the message."""

    def invalid(problem: str, found: object, expected: object) -> InputError:
        return InputError(f"camera '{camera.name}': {problem}", file=path, found=found, expected=expected)

    if not is_name(camera.name):
        raise invalid("invalid name", ascii(camera.name), NAME)
    if not all(0 <= side <= LARGEST_SIDE for side in (camera.width, camera.height)):
        raise invalid("invalid size", (camera.width, camera.height), f"pixels, at most {LARGEST_SIDE} each")
    for name, array, shape in (
        ("K", camera.K, (3, 3)),
        ("R", camera.R, (3, 3)),
        ("t", camera.t, (3,)),
        ("dist", np.array(camera.dist, float), (len(camera.dist),)),
    ):
        if array.shape != shape or not (np.abs(array) <= LARGEST_VALUE).all():
            expected = f"{' x '.join(map(str, shape))} finite numbers"
            raise invalid(f"{name} has a wrong shape or is not finite", array.tolist(), f"{expected}, none above {LARGEST_VALUE:g}")
    K, R = camera.K, camera.R
    if not (K[0, 0] > 0 and K[1, 1] > 0 and np.allclose(K[2], [0, 0, 1]) and abs(K[1, 0]) < 1e-9):
        expected = "[[fx, s, cx], [0, fy, cy], [0, 0, 1]] with positive fx, fy"
        raise invalid("K is not an intrinsic matrix in pixels", K.tolist(), expected)
    if not np.allclose(R @ R.T, np.eye(3), atol=1e-4) or np.linalg.det(R) < 0:
        raise invalid(
            "R is not a rotation",
            f"det {np.linalg.det(R):.4f}, |R Rt - 1| up to {np.abs(R @ R.T - np.eye(3)).max():.2g}",
            "an orthonormal matrix with determinant +1",
        )
    if len(camera.dist) > 5 and not any(camera.dist[5:]):
        camera = replace(camera, dist=camera.dist[:5])
    if len(camera.dist) not in (0, 4, 5):
        raise invalid("unsupported distortion model", list(camera.dist), "0, 4 or 5 terms: k1 k2 p1 p2 (k3)")
    return camera
