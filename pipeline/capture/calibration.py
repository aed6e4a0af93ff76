"""Calibration files: reads and writes `cameras.json`, reads the formats of `calibration_formats` and of `forms/`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.capture import calibration_formats as formats
from pipeline.capture.camera import Camera
from pipeline.capture.camera_checks import check_cameras
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

CONVENTION = "OpenCV: x_cam = R x_world + t, x right, y down, z forward; K in pixels, pixel centres at +0.5; dist = k1 k2 p1 p2 (k3); metres"

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
            remedy="convert it, or state it, in the column 'convention' of captures.tsv or by --convention: one of " + ", ".join(READINGS),
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
