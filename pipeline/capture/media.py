"""A camera's footage: one video file, or one folder of numbered images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipeline.io import video
from pipeline.io.errors import InputError
from pipeline.io.files import sha256
from pipeline.io.packed import read_image

VIDEO_ENDINGS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v")
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class Media:
    """What decoding some footage to its end showed; `timestamps` in seconds, empty where images have none, `fps` then 0."""

    path: Path
    size: int
    sha256: str
    width: int
    height: int
    frames: int
    fps: float
    timestamps: tuple[float, ...]


def is_video(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in VIDEO_ENDINGS and not path.name.startswith(".")


def images_in(folder: Path) -> list[Path]:
    """The images of a folder, sorted by name."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_ENDINGS and p.is_file() and not p.name.startswith(".")) if folder.is_dir() else []


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) of the first picture, without decoding the rest. Raises InputError where there is none."""
    if path.is_file():
        return video.image_size(path)
    images = images_in(path)
    if not images:
        raise InputError("no such video, or a folder without images", file=path)
    image = read_image(images[0])
    return image.shape[1], image.shape[0]


def inspect(path: Path) -> Media:
    """Decode everything and hash the bytes. Raises InputError where something cannot be decoded or sizes change."""
    if path.is_file():
        info = video.probe(path)
        return Media(path, path.stat().st_size, sha256(path), info.width, info.height, info.frames, info.fps, info.timestamps)
    images, size, whole = images_in(path), picture_size(path), hashlib.sha256()
    for file in images:
        data = file.read_bytes()
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
        if found is None or found.shape[1::-1] != size:
            raise InputError(
                "cannot be decoded as the others of its folder",
                file=file,
                found="no picture" if found is None else found.shape[1::-1],
                expected=f"{size[0]}x{size[1]} pixels",
            )
        whole.update(file.name.encode() + b"\0" + hashlib.sha256(data).digest())
    return Media(path, sum(file.stat().st_size for file in images), whole.hexdigest(), *size, len(images), 0.0, ())


def read_frames(path: Path, indices: Iterable[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (index, RGB uint8 [H, W, 3]) of the wanted frames in ascending order.

    Videos are decoded by FFmpeg through PyAV: an ffmpeg process with a raw pipe was measured and is no faster (1080x1920 H.264: 6.9 against 6.7
    ms a frame), and either is a small part of a frame's cost beside resampling and PNG.
    """
    if path.is_file():
        yield from video.decode(path, indices)
        return
    images = images_in(path)
    for index in sorted(set(indices)):
        if index >= len(images):
            raise InputError(f"holds no image number {index}", file=path, found=f"{len(images)} images")
        yield index, read_image(images[index])
