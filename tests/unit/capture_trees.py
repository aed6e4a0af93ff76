"""Small raw captures on disk for the tests of reading."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.capture.calibration import write_calibration
from pipeline.capture.camera import Camera
from pipeline.io.video import write_video

SHARED = Path(os.environ.get("C2A_TEST_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data"))
SIZE = (64, 48)


def real_data(name: str) -> Path:
    """A folder of the shared real data, or skip."""
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"real data absent: {folder} (set C2A_TEST_DATA)")
    return folder


def look_at(name: str, angle: float, size: tuple[int, int] = SIZE, dist: tuple[float, ...] = ()) -> Camera:
    """A camera 1.5 m from the origin, `angle` radians around the y axis, looking at it."""
    forward = np.array([np.sin(angle), 0.0, np.cos(angle)])
    R = np.stack([np.cross([0.0, 1.0, 0.0], forward), [0.0, 1.0, 0.0], forward])
    K = np.array([[80.0, 0, size[0] / 2 + 1.25], [0, 81.0, size[1] / 2 - 0.5], [0, 0, 1]])
    return Camera(name, *size, K, R, np.array([0, 0, 1.5]), dist)


def pictures(count: int, shade: int, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    """Frames whose left half tells the frame number: brightness 20 + 8 n."""
    frames = []
    for n in range(count):
        image = np.full((size[1], size[0], 3), shade, np.uint8)
        image[:, : size[0] // 2] = 20 + 8 * n
        frames.append(image)
    return frames


def make_rig(root: Path, cameras: list[Camera], frames: int = 6, fps: float = 24.0) -> Path:
    """A flat rig with videos, cameras.json and plates."""
    for index, camera in enumerate(cameras):
        write_video(root / f"{camera.name}.mp4", pictures(frames, 60 + 10 * index, (camera.width, camera.height)), fps)
        plate = np.full((camera.height, camera.width, 3), 60 + 10 * index, np.uint8)
        plate[:4] = 200
        (root / "background").mkdir(exist_ok=True)
        cv2.imwrite(str(root / "background" / f"{camera.name}_plate.png"), plate)
        cv2.imwrite(str(root / "background" / f"{camera.name}_source.png"), plate * 0)
    write_calibration(root / "cameras.json", cameras)
    return root


def make_nersemble(root: Path, serials: list[str], sequences: list[str], *, participant: str = "018", version: int = 1, frames: int = 4) -> Path:
    """The raw tree of one participant, version 1 or 2, with `height` and `width` beside K."""
    cameras = [look_at(serial, 0.3 * index) for index, serial in enumerate(serials)]
    record = {"world_2_cam": {}, "intrinsics": cameras[0].K.tolist(), "width": SIZE[0], "height": SIZE[1]}
    for camera in cameras:
        record["world_2_cam"][camera.name] = np.vstack([np.column_stack([camera.R, camera.t]), [0, 0, 0, 1]]).tolist()
    base = root / "raw" / "camera_params" / participant if version == 1 else root / participant / "calibration"
    base.mkdir(parents=True)
    (base / "camera_params.json").write_text(json.dumps(record))
    for name in [*sequences, "BACKGROUND"]:
        folder = root / "raw" / f"sequence_{name}_part-1" / participant / name if version == 1 else root / participant / "sequences" / name
        folder.mkdir(parents=True)
        for index, serial in enumerate(serials):
            if name == "BACKGROUND":
                plate = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
                plate[:5] = 30
                cv2.imwrite(str(folder / f"image_{serial}.jpg"), plate)
            else:
                write_video((folder if version == 1 else folder / "images") / f"cam_{serial}.mp4", pictures(frames, 60 + 10 * index), 24)
    return root
