"""Writers of the forms that `calibration_formats` reads: Pose2Sim, Caliscope, OpenCV."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.capture.camera import Camera
from pipeline.io.errors import InputError
from pipeline.io.files import write_text


def write_pose2sim(path: Path, cameras: Sequence[Camera]) -> None:
    """Pose2Sim's Calib.toml."""
    tables = [f'[cam_{i}]\nname = "{camera.name}"\n{_toml(camera)}fisheye = false\n' for i, camera in enumerate(cameras)]
    write_text(path, "\n".join([*tables, "[metadata]\nadjusted = false\nerror = 0.0\n"]))


def write_caliscope(path: Path, cameras: Sequence[Camera]) -> None:
    """Caliscope's camera_array.toml, whose cameras have numbers. Raises InputError for names that are none: cam_<n> or port_<n>."""
    tables = []
    for camera in cameras:
        match = re.fullmatch(r"(cam|port)_(0|[1-9][0-9]{0,5})", camera.name)
        if match is None:
            raise InputError(
                f"camera '{camera.name}' cannot be written as Caliscope's", file=path, expected="names cam_<number>", remedy="use another --format"
            )
        key = "port" if match[1] == "port" else "cam_id"
        tables.append(f"[cameras.{match[2]}]\n{key} = {match[2]}\n{_toml(camera)}")
    write_text(path, "\n".join(tables))


def write_opencv(path: Path, cameras: Sequence[Camera]) -> None:
    """EasyMocap's pair intri.yml and extri.yml in a folder; path: the folder or one of the two. Raises InputError for names that OpenCV does not take."""
    folder = path.parent if path.suffix.lower() in (".yml", ".yaml") else path
    texts = {}
    for part in ("intri", "extri"):
        storage = cv2.FileStorage(".yml", cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY)
        storage.startWriteStruct("names", cv2.FileNode_SEQ)
        for camera in cameras:
            storage.write("", camera.name)
        storage.endWriteStruct()
        for camera in cameras:
            for key, value in (_intrinsics(camera) if part == "intri" else {"Rot": camera.R, "T": camera.t.reshape(3, 1)}).items():
                try:
                    storage.write(f"{key}_{camera.name}", value)
                except cv2.error:
                    expected = "names of letters, digits, - and _"
                    raise InputError(
                        f"camera '{camera.name}' cannot be written as OpenCV's", file=folder, expected=expected, remedy="use another --format"
                    ) from None
        texts[part] = storage.releaseAndGetString()
    for part, text in texts.items():
        write_text(folder / f"{part}.yml", text)


def _intrinsics(camera: Camera) -> dict[str, Any]:
    entries: dict[str, Any] = {"K": camera.K, "dist": np.array([camera.five_terms])}
    return entries | ({"W": camera.width, "H": camera.height} if camera.width else {})


def _toml(camera: Camera) -> str:
    rotation = cv2.Rodrigues(camera.R)[0].ravel().tolist()
    values = {"size": [camera.width, camera.height], "matrix": camera.K.tolist(), "distortions": list(camera.five_terms)}
    return "".join(f"{key} = {value!r}\n" for key, value in (values | {"rotation": rotation, "translation": camera.t.tolist()}).items())
