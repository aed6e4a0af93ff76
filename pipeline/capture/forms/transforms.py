"""transforms.json of Blender (NeRF), instant-ngp and nerfstudio: camera to world with OpenGL's axes; intrinsics of all frames or of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.capture.forms.names import camera_names
from pipeline.geometry.camera_readings import READINGS, as_stored
from pipeline.io.errors import MALFORMED, InputError
from pipeline.io.files import read_json, write_json

SUPPORTED = ("PINHOLE", "OPENCV", "SIMPLE_PINHOLE", "")
_TERMS = ("k1", "k2", "p1", "p2", "k3")
Size = Callable[[str], tuple[int, int]]  # width and height of an image, by its `file_path`


def transforms_cameras(path: Path, size: Size) -> tuple[list[Camera], list[str]]:
    """A camera for each frame, and its `file_path`, in the order of the file.

    Width and height of frames that do not state them are asked of `size`. fl_x may be camera_angle_x (radians); fl_y is fl_x where it is left out, the
    principal point the middle of the image. Distortion is OpenCV's k1 k2 p1 p2 k3.

    Raises InputError for another camera model, and for frames that lack something.
    """
    record = read_json(path)
    frames = record.get("frames") if isinstance(record, dict) else None
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise InputError("is not a transforms.json", file=path, expected='{"camera_angle_x" or "fl_x", ..., "frames": [{"file_path", "transform_matrix"}]}')
    cameras, files = [], [str(frame.get("file_path", "")) for frame in frames]
    for number, (name, frame) in enumerate(zip(camera_names(files, path), frames), 1):
        try:
            cameras.append(camera_of_entry({**record, **frame}, name, size))
        except (*MALFORMED, InputError) as error:
            if isinstance(error, InputError):
                raise
            expected = "file_path, transform_matrix (4x4), camera_angle_x or fl_x, of each frame or of all"
            raise InputError(f"frame number {number} cannot be read", file=path, found=repr(error), expected=expected) from None
    return cameras, files


def write_transforms(path: Path, cameras: Sequence[Camera]) -> None:
    """Write cameras (with a size, without skew) as frames with the images images/<name>.png."""
    frames = []
    for camera in cameras:
        lens = dict(zip(_TERMS, camera.five_terms))
        frames.append({"file_path": f"images/{camera.name}.png", **camera_entry(camera), **lens})
    write_json(path, {"camera_model": "OPENCV", "frames": frames})


def camera_entry(camera: Camera) -> dict[str, Any]:
    """The entry of a frame of a pinhole camera; cx and cy count from the upper left corner."""
    R, t = as_stored("opengl_c2w", camera.R, camera.t)
    K, matrix = camera.K, np.block([[R, t[:, None]], [np.zeros(3), np.ones(1)]])
    lens = {"fl_x": K[0, 0], "fl_y": K[1, 1], "cx": K[0, 2], "cy": K[1, 2], "camera_angle_x": 2 * math.atan(camera.width / 2 / K[0, 0])}
    return {"w": camera.width, "h": camera.height, **{name: float(value) for name, value in lens.items()}, "transform_matrix": matrix.tolist()}


def camera_of_entry(entry: Mapping[str, Any], name: str, size: Size | None = None, *, cy_from_below: bool = False) -> Camera:
    """Inverse of `camera_entry`, with distortion where there is some.

    Without a focal length there must be a field of view (`camera_angle_x`, `camera_angle_y`, radians); without a second one pixels are square; without a
    principal point it is the middle.

    Args:
        size: see `transforms_cameras`; None: the entry must state it. cy_from_below: `cy` counts from the lower edge, as GaussianAvatars and VHAP store it.

    Raises:
        KeyError, TypeError, ValueError: something is missing or of another kind. The values are not checked (`calibration.check_camera`).
    """
    model = str(entry.get("camera_model", ""))
    if model not in SUPPORTED or entry.get("is_fisheye"):
        raise ValueError(f"the camera model {model or 'fisheye'}; undistort the images first")
    stated = size is None or all(side in entry for side in "wh")
    width, height = (round(float(entry[side])) for side in "wh") if stated or size is None else size(str(entry["file_path"]))
    focal = [_focal(entry, axis, side) for axis, side in (("x", width), ("y", height))]
    if focal == [None, None]:
        raise KeyError("fl_x")
    fx, fy = (other if own is None else own for own, other in zip(focal, reversed(focal)))
    cx, cy = float(entry.get("cx", width / 2)), float(entry.get("cy", height / 2))
    dist = tuple(float(entry.get(term, 0.0)) for term in _TERMS)
    if entry.get("k4"):
        raise ValueError(f"k4 = {entry['k4']}; distortion of OpenCV's five terms alone is supported")
    matrix = np.array(entry["transform_matrix"], np.float64)
    if matrix.shape not in ((4, 4), (3, 4)):
        raise ValueError(f"a transform_matrix of shape {matrix.shape}")
    R, t = READINGS["opengl_c2w"](matrix[:3, :3], matrix[:3, 3])
    K = np.array([[fx, 0, cx], [0, fy, height - cy if cy_from_below else cy], [0, 0, 1]], np.float64)
    return Camera(name, width, height, K, R, t, dist if any(dist) else ())


def _focal(entry: Mapping[str, Any], axis: str, side: int) -> float | None:
    """Focal length of an axis in pixels; None where nothing states it."""
    if f"fl_{axis}" in entry:
        return float(entry[f"fl_{axis}"])
    if f"camera_angle_{axis}" not in entry:
        return None
    angle = float(entry[f"camera_angle_{axis}"])
    if not 0 < angle < math.pi:
        raise ValueError(f"an angle of view of {angle} radians")
    return 0.5 * side / math.tan(0.5 * angle)
