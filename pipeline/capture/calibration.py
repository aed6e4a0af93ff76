"""Calibration files: reads and writes `cameras.json`, reads the formats of `calibration_formats` and of `forms/`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.capture import calibration_formats as formats
from pipeline.capture.camera import Camera
from pipeline.capture.forms.animatable_gaussians import animatable_gaussians_cameras, is_animatable_gaussians
from pipeline.capture.forms.captury import UNITS as CAPTURY_UNITS
from pipeline.capture.forms.captury import captury_cameras
from pipeline.capture.forms.colmap import Model, colmap_cameras, find_model
from pipeline.capture.forms.transforms import transforms_cameras
from pipeline.capture.media import image_size
from pipeline.geometry.camera_readings import READINGS, UNITS
from pipeline.io.documents import parse_toml, read_document
from pipeline.io.errors import MALFORMED, InputError
from pipeline.io.files import read_json, write_json
from pipeline.io.validation import LARGEST_SIDE, NAME, is_name

CONVENTION = "OpenCV: x_cam = R x_world + t, x right, y down, z forward; K in pixels, pixel centres at +0.5; dist = k1 k2 p1 p2 (k3); metres"

MOST_CAMERAS = 1000
LARGEST_VALUE = 1e7  # of K (pixels), t (metres) and dist


ENDINGS = (".json", ".toml", ".yml", ".yaml", ".xml")


def read_calibration(path: str | Path, *, convention: str = "", units: str = "") -> tuple[Camera, ...]:
    """Read and check the cameras of a calibration file.

    Formats: `.json`: `cameras.json`, transforms.json, AnimatableGaussians'; `.toml`: Pose2Sim or Caliscope; `.yml`, `.yaml`, `.xml` or a folder: OpenCV (see
    `calibration_formats.opencv_cameras`); a folder or file of a sparse model: COLMAP; `.calibration`: Captury. K is used as stored in every format. Width and
    height are 0 if the file does not state them (OpenCV yaml without a size).

    Args:
        convention: what R and t mean, of `camera_readings.READINGS`; empty: OpenCV's world to camera, as a cameras.json must say.
        units: of t, of `camera_readings.UNITS`; empty: metres (Captury: mm).

    Raises:
        InputError: the file is missing, has an unknown format, or contains an invalid camera, which is named.
    """
    path = Path(path)
    if model := _colmap_model(path):
        cameras = colmap_cameras(model)[0]
    elif path.suffix.lower() == ".calibration":
        cameras, units = captury_cameras(path), units or CAPTURY_UNITS
    elif path.is_dir() or path.suffix.lower() in ENDINGS[2:]:
        cameras = formats.opencv_cameras(path)
    elif path.suffix.lower() == ".toml":
        again = "correct the column 'calibration' of captures.tsv"
        table = read_document(path, parse_toml, what="TOML", expected="a Pose2Sim or Caliscope calibration", remedy=again)
        read = formats.caliscope_cameras if "cameras" in table else formats.pose2sim_cameras
        cameras = read(path, table)
    else:
        cameras = _from_json(path, read_json(path, remedy="correct the path of the calibration"), convention)
    return tuple(_as_read(camera, convention or "opencv", UNITS[units or "m"]) for camera in check_cameras(cameras, path))


def calibration_files(path: Path) -> tuple[Path, ...]:
    """The files that `read_calibration` reads."""
    if model := _colmap_model(path):
        return (model.cameras, model.images)
    if not path.is_dir() and path.suffix.lower() not in ENDINGS[2:]:
        return (path,)
    folder = path if path.is_dir() else path.parent
    files = tuple(sorted(file for file in folder.iterdir() if file.suffix.lower() in ENDINGS[2:])) if folder.is_dir() else ()
    return files if path.is_dir() or path.stem in ("intri", "extri") else (path,)


def _as_read(camera: Camera, convention: str, metres: float) -> Camera:
    R, t = READINGS[convention](camera.R, camera.t * metres)
    return replace(camera, R=R, t=t)


def write_calibration(path: str | Path, cameras: Iterable[Camera], **facts: Any) -> None:
    """Write a `cameras.json`. facts: further JSON entries beside the cameras."""
    write_json(path, {"convention": CONVENTION, **facts, "cameras": [camera.to_json() for camera in cameras]})


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


def _colmap_model(path: Path) -> Model | None:
    """The sparse model that a folder, or one of its files, belongs to."""
    return find_model(path) if path.is_dir() else find_model(path.parent) if path.suffix in (".bin", ".txt") else None


def _from_json(path: Path, record: Any, convention: str) -> list[Camera]:
    """Cameras of one of the forms of JSON."""
    if is_animatable_gaussians(record):
        return animatable_gaussians_cameras(path, record)
    if not isinstance(record, dict) or "frames" not in record or "cameras" in record:
        return _from_cameras_json(path, record, convention)
    if convention:
        remedy = "leave the column 'convention' of captures.tsv empty"
        raise InputError("the form itself says what its matrices mean", file=path, found=f"convention {convention}", expected="none", remedy=remedy)

    def size(image: str) -> tuple[int, int]:
        file = path.parent / image
        return image_size(file if file.suffix else file.with_name(file.name + ".png"))

    return transforms_cameras(path, size)[0]


def _from_cameras_json(path: Path, record: Any, convention: str) -> list[Camera]:
    if not isinstance(record, dict) or not isinstance(record.get("cameras"), list):
        raise InputError(
            "is not a cameras.json",
            file=path,
            expected='{"convention": "OpenCV ...", "cameras": [{"name", "width", "height", "K", "dist", "R", "t"}]}',
        )
    if not convention and "opencv" not in str(record.get("convention", "")).lower():
        raise InputError(
            "the convention is not OpenCV's",
            file=path,
            found=repr(record.get("convention")),
            expected=f'"convention": "{CONVENTION}"',
            remedy="convert it, or fill the column 'convention' of captures.tsv with one of " + ", ".join(READINGS),
        )
    cameras = []
    for index, entry in enumerate(record["cameras"]):
        try:
            camera = Camera.from_json(entry)
            dist = tuple(float(term) for term in np.ravel(camera.dist))
            cameras.append(replace(camera, t=camera.t.reshape(-1), dist=dist))
        except MALFORMED as error:
            expected = "name, width, height, K, dist, R, t"
            raise InputError(f"camera number {index + 1} is incomplete", file=path, found=repr(error), expected=expected) from None
        if min(camera.width, camera.height) < 1:
            size = f"{camera.width}x{camera.height}"
            raise InputError(f"camera '{camera.name}': invalid size", file=path, found=size, expected="positive width and height")
    return cameras
