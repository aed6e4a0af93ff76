"""COLMAP's sparse models (cameras, images and points3D) as cameras and points, and back.

Poses are world to camera with OpenCV's axes; the centre of the first pixel is (0.5, 0.5): as here. Units are those of the model.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.capture.forms.colmap_files import MODELS, Lens, read_lenses, read_points, read_poses
from pipeline.capture.forms.names import camera_names
from pipeline.io.errors import InputError
from pipeline.io.files import write_bytes, write_text

_ENDINGS = (".bin", ".txt")


@dataclass(frozen=True)
class Model:
    """Where the files of a sparse model lie. points: None where there are none."""

    cameras: Path
    images: Path
    points: Path | None

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them."""
        return (self.cameras, self.images, *([self.points] if self.points else []))


def find_model(folder: Path) -> Model | None:
    """The sparse model in a folder, binary before text; None where there is none."""
    for ending in _ENDINGS:
        cameras, images, points = (folder / f"{name}{ending}" for name in ("cameras", "images", "points3D"))
        if cameras.is_file() and images.is_file():
            return Model(cameras, images, points if points.is_file() else None)
    return None


def colmap_cameras(model: Model) -> tuple[list[Camera], list[str]]:
    """A camera for each registered image, and the image's name, sorted by that. Raises InputError for models that OpenCV's distortion cannot express."""
    from scipy.spatial.transform import Rotation  # slow to import, and most captures have another calibration

    lenses = read_lenses(model.cameras)
    poses = sorted(read_poses(model.images), key=lambda pose: pose[0])
    images = [image for image, *_ in poses]
    cameras = []
    for name, (image, quat, t, key) in zip(camera_names(images, model.images), poses):
        if key not in lenses:
            raise InputError(f"image '{image}' names no camera of the model", file=model.images, found=key, expected=f"a camera of {model.cameras.name}")
        kind, width, height, parameters = lenses[key]
        K, dist = _intrinsics(kind, parameters, model.cameras)
        if not (np.isfinite(quat).all() and 0.99 < np.linalg.norm(quat) < 1.01):
            raise InputError(f"image '{image}' has no rotation", file=model.images, found=quat.tolist(), expected="a unit quaternion")
        cameras.append(Camera(name, width, height, K, Rotation.from_quat(quat, scalar_first=True).as_matrix(), t, dist))
    return cameras, images


def colmap_points(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The points of a model: xyz float64 [N, 3], rgb uint8 [N, 3]. Raises InputError."""
    rows = read_points(path)
    table = np.array(rows, np.float64).reshape(-1, 6)
    if not (np.abs(table) < 1e9).all() or not ((table[:, 3:] >= 0) & (table[:, 3:] <= 255)).all():
        raise InputError("holds points that are not finite, or colours that are none", file=path, expected="x, y, z, and colours 0 to 255")
    return table[:, :3], table[:, 3:].astype(np.uint8)


def write_colmap(folder: Path, cameras: Sequence[Camera], *, binary: bool = False) -> None:
    """Write a model without points: a camera (with a size, without skew) and an image <name>.png each."""
    from scipy.spatial.transform import Rotation

    lenses = [_lens(camera) for camera in cameras]
    poses = [(*Rotation.from_matrix(camera.R).as_quat(scalar_first=True).tolist(), *camera.t.tolist()) for camera in cameras]
    if binary:
        numbers = {name: number for number, (name, _) in MODELS.items()}
        body = [struct.pack("<iiQQ", i, numbers[model], w, h) + struct.pack(f"<{len(p)}d", *p) for i, (model, w, h, p) in enumerate(lenses, 1)]
        views = [
            struct.pack("<i7di", i, *pose, i) + f"{c.name}.png".encode() + b"\0" + struct.pack("<Q", 0) for i, (c, pose) in enumerate(zip(cameras, poses), 1)
        ]
        for name, parts in (("cameras", body), ("images", views), ("points3D", [])):
            write_bytes(folder / f"{name}.bin", struct.pack("<Q", len(parts)) + b"".join(parts))
        return
    rows = [" ".join(map(repr, (i, *lens[1:3], *lens[3]))).replace(" ", f" {lens[0]} ", 1) for i, lens in enumerate(lenses, 1)]
    write_text(folder / "cameras.txt", "# CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]\n" + "\n".join(rows) + "\n")
    rows = [" ".join(map(repr, (i, *pose, i))) + f" {camera.name}.png\n" for i, (camera, pose) in enumerate(zip(cameras, poses), 1)]
    write_text(folder / "images.txt", "# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME; then a line of POINTS2D[]\n" + "\n".join(rows) + "\n")
    write_text(folder / "points3D.txt", "# POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[]\n")


def _intrinsics(model: str, p: Sequence[float], file: Path) -> tuple[np.ndarray, tuple[float, ...]]:
    """K and OpenCV's distortion of a camera model."""
    match model:
        case "SIMPLE_PINHOLE" | "SIMPLE_RADIAL" | "RADIAL":
            (fx, cx, cy), fy, dist = p[:3], p[0], (*p[3:], 0.0, 0.0, 0.0, 0.0)[:4]
        case "PINHOLE" | "OPENCV":
            (fx, fy, cx, cy), dist = p[:4], tuple(p[4:])
        case "FULL_OPENCV" if not any(p[9:]):
            (fx, fy, cx, cy), dist = p[:4], tuple(p[4:9])
        case _:
            expected = "SIMPLE_PINHOLE, PINHOLE, SIMPLE_RADIAL, RADIAL, OPENCV, or FULL_OPENCV with k4 = k5 = k6 = 0"
            raise InputError(
                "the camera model is not supported", file=file, found=model, expected=expected, remedy="undistort the images: colmap image_undistorter"
            )
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float64), dist if any(dist) else ()


def _lens(camera: Camera) -> Lens:
    K, dist = camera.K, camera.five_terms
    model, tail = ("FULL_OPENCV", (*dist, 0.0, 0.0, 0.0)) if dist[4] else ("OPENCV", dist[:4]) if any(dist) else ("PINHOLE", ())
    return model, camera.width, camera.height, tuple(map(float, (K[0, 0], K[1, 1], K[0, 2], K[1, 2], *tail)))
