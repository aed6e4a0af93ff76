"""Readers of other programs' calibration files, all in OpenCV's conventions: Pose2Sim, Caliscope, OpenCV, EasyMocap."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.capture.camera import Camera
from pipeline.io.errors import MALFORMED, InputError

_CAMERA_KEYS = {
    "K": ("K", "camera_matrix", "cameraMatrix", "intrinsic_matrix"),
    "dist": ("dist", "D", "distortion_coefficients", "dist_coeffs", "distCoeffs"),
    "R": ("Rot", "R", "rotation", "rvec"),
    "t": ("T", "t", "translation", "tvec"),
    "width": ("W", "width", "image_width", "img_width"),
    "height": ("H", "height", "image_height", "img_height"),
}
_MOST_BYTES, _MOST_DEPTH, _MOST_ITEMS = 8 << 20, 50, 10_000


def _rotation_matrix(rotation: Any) -> np.ndarray:
    """[3, 3] from an entry that is either a rotation matrix or a rotation vector (axis times angle, radians)."""
    array = np.array(rotation, np.float64)
    return cv2.Rodrigues(array.reshape(3, 1))[0] if array.size == 3 else array


def pose2sim_cameras(path: Path, table: dict[str, Any]) -> list[Camera]:
    """Pose2Sim's Calib.toml: one table per camera; `rotation` (vector) and `translation` (metres), world to camera."""
    entries = {key: entry for key, entry in table.items() if isinstance(entry, dict) and key != "metadata"}
    return [_camera(path, str(entry.get("name", key)), entry) for key, entry in entries.items()]


def caliscope_cameras(path: Path, table: dict[str, Any]) -> list[Camera]:
    """Caliscope's camera_array.toml: `[cameras.<n>]` with `cam_id` (older: `port`); rotation as a matrix or a vector.

    Cameras get the names of Caliscope's videos, cam_<id> (older: port_<id>). Cameras with `ignore` are left out.
    """
    cameras = []
    entries = table["cameras"]
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise InputError("'cameras' holds no tables", file=path, found=repr(entries), expected="[cameras.<n>], as Caliscope writes them")
    for key, entry in entries.items():
        if entry.get("ignore"):
            continue
        name = f"port_{entry['port']}" if "port" in entry else f"cam_{entry.get('cam_id', key)}"
        cameras.append(_camera(path, name, entry))
    return cameras


def _camera(path: Path, name: str, entry: dict[str, Any]) -> Camera:
    if entry.get("fisheye"):
        raise InputError(
            f"camera '{name}' has a fisheye model",
            file=path,
            expected="OpenCV's pinhole model",
            remedy="undistort its videos and calibrate them as pinhole images",
        )
    try:
        width, height = (round(side) for side in entry["size"])
        return Camera(
            name,
            width,
            height,
            K=np.array(entry["matrix"], np.float64),
            R=_rotation_matrix(entry["rotation"]),
            t=np.array(entry["translation"], np.float64).reshape(-1),
            dist=tuple(map(float, entry["distortions"])),
        )
    except (*MALFORMED, cv2.error) as error:
        expected = "size, matrix, distortions, rotation, translation"
        raise InputError(f"camera '{name}' is incomplete", file=path, found=repr(error), expected=expected) from None


def opencv_cameras(path: Path) -> list[Camera]:
    """OpenCV's FileStorage (yaml, xml) in the usual layouts:

    - EasyMocap's `intri.yml` and `extri.yml` in one folder (pass either file or the folder), or both in one file: a
      list `names`, then for each name K_<name>, dist_<name> (or D_), Rot_<name> (matrix) or R_<name> (rotation vector),
      T_<name>, optional W_<name>, H_<name>;
    - a folder with one file per camera, named after the camera: camera_matrix (K), distortion_coefficients (D, dist), R
      or rvec, T or tvec, image_width, image_height.

    Raises InputError if a file or entry is missing.
    """
    if path.is_file() and path.stem not in ("intri", "extri"):
        return _named_cameras([path])
    folder = path if path.is_dir() else path.parent
    for ending in ("yml", "yaml", "xml"):
        if (folder / f"intri.{ending}").is_file():
            return _named_cameras([folder / f"intri.{ending}", folder / f"extri.{ending}"])
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    files = [file for file in entries if file.suffix.lower() in (".yml", ".yaml", ".xml")]
    if not files:
        raise InputError("contains no calibration", file=path, expected="intri.yml and extri.yml, or one yml per camera")
    return [_assemble(file, file.stem, _nodes(file), "") for file in files]


def _named_cameras(files: list[Path]) -> list[Camera]:
    nodes: dict[str, Any] = {}
    for file in files:
        nodes.update(_nodes(file))
    names = nodes.get("names") or sorted(key[2:] for key in nodes if key.startswith("K_"))
    if not names or not isinstance(names, list):
        expected = "names, K_<name>, dist_<name>, R_<name>, T_<name>"
        raise InputError("contains no list of cameras", file=files[0], found=", ".join(nodes), expected=expected)
    return [_assemble(files[-1], str(name), nodes, f"_{name}") for name in names]


def _assemble(file: Path, name: str, nodes: dict[str, Any], suffix: str) -> Camera:
    """The camera from the entries of a file, whose keys end in `suffix`."""

    def pick(key: str, default: Any = None) -> Any:
        for spelling in _CAMERA_KEYS[key]:
            if nodes.get(spelling + suffix) is not None:
                return nodes[spelling + suffix]
        if default is None:
            expected = " or ".join(spelling + suffix for spelling in _CAMERA_KEYS[key])
            raise InputError(f"camera '{name}' lacks {key}", file=file, found=", ".join(nodes), expected=expected)
        return default

    try:
        return Camera(
            name,
            width=int(pick("width", 0)),
            height=int(pick("height", 0)),
            K=np.array(pick("K"), float),
            R=_rotation_matrix(pick("R")),
            t=np.ravel(pick("t")).astype(float),
            dist=tuple(float(term) for term in np.ravel(pick("dist", ()))),
        )
    except (*MALFORMED, cv2.error) as error:
        expected = "numbers and matrices of numbers"
        raise InputError(f"camera '{name}' has a malformed entry", file=file, found=repr(error), expected=expected) from None


def _nodes(file: Path) -> dict[str, Any]:
    """All top-level entries of a FileStorage file."""
    if not file.is_file():
        raise InputError("no such calibration file", file=file)
    expected = "a file of cv2.FileStorage, which starts with %YAML:1.0"
    if (size := file.stat().st_size) > _MOST_BYTES:
        raise InputError("is too large", file=file, found=f"{size} bytes", expected=f"at most {_MOST_BYTES} bytes")
    text = file.read_bytes().decode("utf-8", "replace")
    if _depth(text) > _MOST_DEPTH:
        raise InputError("is nested too deep", file=file, expected=expected)
    try:
        storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
        root = storage.root()
        return {key: _value(root.getNode(key)) for key in root.keys()}
    except (cv2.error, SystemError, *MALFORMED) as error:
        raise InputError("cannot be read by OpenCV", file=file, found=str(error).strip().splitlines()[-1:], expected=expected) from None


def _depth(text: str) -> int:
    """How deep a FileStorage text may be nested, as YAML, XML or JSON: its reader recurses until the stack ends."""
    depth = deepest = 0
    for mark in re.findall(r"\n[ -]*|[\[{]|[\]}]|</?", text):
        depth += {"<": 1, "[": 1, "{": 1}.get(mark, 0) - {"</": 1, "]": 1, "}": 1}.get(mark, 0)
        deepest = max(deepest, depth, len(mark) // 4)
    return deepest


def _value(node: Any) -> Any:
    if node.isSeq():
        if node.size() > _MOST_ITEMS:
            raise ValueError(f"a list of {node.size()} items")
        return [_value(node.at(index)) for index in range(node.size())]
    if node.isString():
        return node.string()
    return node.real() if node.isReal() or node.isInt() else node.mat()
