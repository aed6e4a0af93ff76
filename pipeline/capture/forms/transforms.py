"""transforms.json of Blender (NeRF), instant-ngp and nerfstudio: camera to world with OpenGL's axes; intrinsics of all frames or of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
            cameras.append(_camera(name, {**record, **frame}, size))
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
        R, t = as_stored("opengl_c2w", camera.R, camera.t)
        K, matrix = camera.K, np.block([[R, t[:, None]], [np.zeros(3), np.ones(1)]])
        lens = {"fl_x": K[0, 0], "fl_y": K[1, 1], "cx": K[0, 2], "cy": K[1, 2]} | dict(zip(_TERMS, (*camera.dist, *(0.0,) * 5)))
        frame = {"file_path": f"images/{camera.name}.png", "w": camera.width, "h": camera.height, **{name: float(value) for name, value in lens.items()}}
        frames.append(frame | {"transform_matrix": matrix.tolist()})
    write_json(path, {"camera_model": "OPENCV", "frames": frames})


def _camera(name: str, frame: dict[str, Any], size: Size) -> Camera:
    model = str(frame.get("camera_model", ""))
    if model not in SUPPORTED or frame.get("is_fisheye"):
        raise ValueError(f"the camera model {model or 'fisheye'}; undistort the images first")
    stated = all(side in frame for side in "wh")
    width, height = (round(float(frame[side])) for side in "wh") if stated else size(str(frame["file_path"]))
    fx = float(frame["fl_x"]) if "fl_x" in frame else _focal(width, frame["camera_angle_x"])
    fy = float(frame["fl_y"]) if "fl_y" in frame else _focal(height, frame["camera_angle_y"]) if "camera_angle_y" in frame else fx
    K = np.array([[fx, 0, float(frame.get("cx", width / 2))], [0, fy, float(frame.get("cy", height / 2))], [0, 0, 1]])
    dist = tuple(float(frame.get(term, 0.0)) for term in _TERMS)
    if frame.get("k4"):
        raise ValueError(f"k4 = {frame['k4']}; distortion of OpenCV's five terms alone is supported")
    matrix = np.array(frame["transform_matrix"], np.float64)
    if matrix.shape not in ((4, 4), (3, 4)):
        raise ValueError(f"a transform_matrix of shape {matrix.shape}")
    R, t = READINGS["opengl_c2w"](matrix[:3, :3], matrix[:3, 3])
    return Camera(name, width, height, K, R, t, dist if any(dist) else ())


def _focal(side: int, angle: Any) -> float:
    """Pixels, of a field of view in radians."""
    if not 0 < float(angle) < math.pi:
        raise ValueError(f"an angle of view of {angle} radians")
    return 0.5 * side / math.tan(0.5 * float(angle))
