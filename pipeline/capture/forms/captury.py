"""Captury's `.calibration`: a block of lines per camera; world to camera, OpenCV's axes, translation in mm, no distortion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.io.errors import MALFORMED, InputError
from pipeline.io.files import write_text

UNITS = "mm"
HEADER = "Skeletool Camera Calibration File V1.0"
MOST_BYTES = 8 << 20


def captury_cameras(path: Path) -> list[Camera]:
    """The cameras, t in mm. Lines used: name, size W H, intrinsic (4x4, row by row), extrinsic (4x4), radial (must be 0). Raises InputError."""
    blocks: list[dict[str, list[str]]] = []
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise ValueError(f"{size} bytes, more than {MOST_BYTES}")
        for line in path.read_text("utf-8").splitlines():
            key, *values = line.split() or [""]
            if key == "name":
                blocks.append({})
            if blocks and key:
                blocks[-1][key] = values
        return [_camera(str(block["name"][0]) if block["name"] else str(i), block) for i, block in enumerate(blocks)]
    except (*MALFORMED, OSError) as error:
        expected = "for each camera lines name, size W H, intrinsic and extrinsic with 16 numbers each"
        raise InputError("is not a Captury calibration", file=path, found=repr(error)[:200], expected=expected) from None


def write_captury(path: Path, cameras: Sequence[Camera]) -> None:
    """Write cameras without distortion, t in mm."""
    lines = [HEADER]
    for camera in cameras:
        K, pose = np.eye(4), np.eye(4)
        K[:3, :3], pose[:3, :3], pose[:3, 3] = camera.K, camera.R, 1000 * camera.t
        rows: dict[str, list[Any]] = {"name": [camera.name], "size": [camera.width, camera.height], "animated": [0], "intrinsic": K.ravel().tolist()}
        rows |= {"extrinsic": pose.ravel().tolist(), "radial": [0]}
        lines += [f"{'' if key == 'name' else '  '}{key:<12}{' '.join(map(str, values))}" for key, values in rows.items()]
    write_text(path, "\n".join(lines) + "\n")


def _camera(name: str, block: dict[str, list[str]]) -> Camera:
    if any(float(value) for value in block.get("radial", ())):
        raise ValueError(f"camera {name} has radial distortion {' '.join(block['radial'])}, which is not supported")
    width, height = map(int, block["size"])
    K, pose = (np.array([float(x) for x in block[key]]).reshape(4, 4) for key in ("intrinsic", "extrinsic"))
    return Camera(name, width, height, K[:3, :3], pose[:3, :3], pose[:3, 3])
