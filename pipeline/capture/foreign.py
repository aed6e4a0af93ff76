"""Calibrations of other programs as our cameras; one converter per convention. All of them are OpenCV's underneath."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.capture.camera import Camera
from pipeline.io.errors import InputError

_CAMERA_KEYS = {
    "K": ("K", "camera_matrix", "cameraMatrix", "intrinsic_matrix"),
    "dist": ("dist", "D", "distortion_coefficients", "dist_coeffs", "distCoeffs"),
    "R": ("Rot", "R", "rotation", "rvec"),
    "t": ("T", "t", "translation", "tvec"),
    "width": ("W", "width", "image_width", "img_width"),
    "height": ("H", "height", "image_height", "img_height"),
}


def rotation_matrix(rotation: Any) -> np.ndarray:
    """[3, 3] from a rotation matrix or a Rodrigues vector (axis times angle in radians), whichever is given."""
    array = np.array(rotation, np.float64)
    return cv2.Rodrigues(array.reshape(3, 1))[0] if array.size == 3 else array


def pose2sim_cameras(path: Path, table: dict[str, Any]) -> list[Camera]:
    """Pose2Sim's Calib.toml: one table per camera; `rotation` is a Rodrigues vector, `translation` in metres, world to camera."""
    entries = {key: entry for key, entry in table.items() if isinstance(entry, dict) and key != "metadata"}
    return [_camera(path, str(entry.get("name", key)), entry) for key, entry in entries.items()]


def caliscope_cameras(path: Path, table: dict[str, Any]) -> list[Camera]:
    """Caliscope's camera_array.toml: `[cameras.<n>]` with `cam_id` (older: `port`), rotation as a matrix (or Rodrigues vector).

    Cameras are named as Caliscope names their videos: cam_<id> (port_<id>); those it was told to ignore are left out.
    """
    cameras = []
    for key, entry in table["cameras"].items():
        if entry.get("ignore"):
            continue
        name = f"port_{entry['port']}" if "port" in entry else f"cam_{entry.get('cam_id', key)}"
        cameras.append(_camera(path, name, entry))
    return cameras


def _camera(path: Path, name: str, entry: dict[str, Any]) -> Camera:
    if entry.get("fisheye"):
        raise InputError(f"camera '{name}' is a fisheye", file=path, expected="OpenCV's pinhole model; undistort the videos first")
    try:
        width, height = (round(side) for side in entry["size"])
        K, t = np.array(entry["matrix"], np.float64), np.array(entry["translation"], np.float64).reshape(-1)
        return Camera(name, width, height, K, rotation_matrix(entry["rotation"]), t, tuple(map(float, entry["distortions"])))
    except (KeyError, TypeError, ValueError, cv2.error) as error:
        raise InputError(f"camera '{name}' is incomplete", file=path, found=repr(error), expected="size, matrix, distortions, rotation, translation") from None


def opencv_cameras(path: Path) -> list[Camera]:
    """OpenCV's FileStorage (yaml, xml) in the forms people use:

    - EasyMocap's pair `intri.yml` and `extri.yml` in one folder (give either file or the folder), or both contents in one file: a list
      `names`, then for each name K_<name>, dist_<name> (or D_), Rot_<name> (matrix) or R_<name> (Rodrigues), T_<name>, optional W_<name>, H_<name>;
    - a folder with one file per camera, named as the camera: camera_matrix (K), distortion_coefficients (D, dist), R or rvec, T or tvec,
      image_width, image_height.

    Raises InputError where something needed is absent.
    """
    if path.is_file() and path.stem not in ("intri", "extri"):
        return _named_cameras([path])
    folder = path if path.is_dir() else path.parent
    for ending in ("yml", "yaml", "xml"):
        if (folder / f"intri.{ending}").is_file():
            return _named_cameras([folder / f"intri.{ending}", folder / f"extri.{ending}"])
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in (".yml", ".yaml", ".xml")) if folder.is_dir() else []
    if not files:
        raise InputError("no calibration here", file=path, expected="intri.yml and extri.yml, or one yml per camera")
    return [_assemble(file, file.stem, _nodes(file), "") for file in files]


def _named_cameras(files: list[Path]) -> list[Camera]:
    nodes: dict[str, Any] = {}
    for file in files:
        nodes.update(_nodes(file))
    names = nodes.get("names") or sorted(key[2:] for key in nodes if key.startswith("K_"))
    if not names:
        raise InputError("holds no list of cameras", file=files[0], found=", ".join(nodes), expected="names, K_<name>, dist_<name>, R_<name>, T_<name>")
    return [_assemble(files[-1], str(name), nodes, f"_{name}") for name in names]


def _assemble(file: Path, name: str, nodes: dict[str, Any], suffix: str) -> Camera:
    def pick(key: str, default: Any = None) -> Any:
        for spelling in _CAMERA_KEYS[key]:
            if nodes.get(spelling + suffix) is not None:
                return nodes[spelling + suffix]
        if default is None:
            raise InputError(f"camera '{name}' lacks {key}", file=file, found=", ".join(nodes), expected=" or ".join(s + suffix for s in _CAMERA_KEYS[key]))
        return default

    dist = tuple(float(term) for term in np.ravel(pick("dist", ())))
    return Camera(
        name, int(pick("width", 0)), int(pick("height", 0)), np.array(pick("K"), float), rotation_matrix(pick("R")), np.ravel(pick("t")).astype(float), dist
    )


def _nodes(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise InputError("no such calibration", file=file)
    try:
        storage = cv2.FileStorage(str(file), cv2.FILE_STORAGE_READ)
        root = storage.root()
        return {key: _value(root.getNode(key)) for key in root.keys()}
    except (cv2.error, SystemError) as error:
        raise InputError(
            "OpenCV cannot read it", file=file, found=str(error).strip().splitlines()[-1], expected="a file of cv2.FileStorage, which starts with %YAML:1.0"
        ) from None


def _value(node: Any) -> Any:
    if node.isSeq():
        return [_value(node.at(index)) for index in range(node.size())]
    if node.isString():
        return node.string()
    return node.real() if node.isReal() or node.isInt() else node.mat()
