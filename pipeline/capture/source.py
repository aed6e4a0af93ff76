"""A raw capture as it lies on disk: what every dataset reader returns, before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.capture.color import ColorCalibration
from pipeline.capture.media import picture_size
from pipeline.io.errors import InputError
from pipeline.io.packed import read_image


@dataclass(frozen=True)
class Source:
    """Footage, cameras and what belongs to them.

    Attributes:
        calibration: the file the cameras come from. footage: {sequence: {camera: video or image folder}}.
        plates: {camera: clean picture or None}. timestamps: {sequence: csv}, where there is one.
        notes: what the reader decided on its own, in words.
    """

    calibration: Path
    cameras: tuple[Camera, ...]
    footage: dict[str, dict[str, Path]]
    plates: dict[str, Path | None]
    timestamps: dict[str, Path] = field(default_factory=dict)
    color: dict[str, ColorCalibration] = field(default_factory=dict)
    truth: Path | None = None
    notes: tuple[str, ...] = ()


def pick_sequences(found: dict[str, dict[str, Path]], wanted: tuple[str, ...], root: Path) -> dict[str, dict[str, Path]]:
    """The wanted sequences (all where none is named), sorted by name. Raises InputError where one is not there."""
    for name in wanted:
        if name not in found:
            raise InputError(
                f"there is no sequence '{name}'", file=root, found=", ".join(sorted(found)) or "none", expected="the names of the column 'sequences' to exist"
            )
    chosen = {name: found[name] for name in sorted(wanted or found)}
    if not chosen:
        raise InputError("no footage found", file=root, expected="videos or image folders, one per camera")
    return chosen


def check_complete(source: Source) -> None:
    """Every camera has footage in every sequence. Raises InputError naming the first that has not."""
    for sequence, videos in source.footage.items():
        for camera in source.cameras:
            path = videos.get(camera.name)
            if path is None or not path.exists():
                where = path or next(iter(videos.values()), source.calibration).parent
                raise InputError(
                    f"camera '{camera.name}' has no footage in sequence '{sequence}'",
                    file=where,
                    found=", ".join(sorted(videos)) or "none",
                    expected=f"one video for each of {len(source.cameras)} cameras of {source.calibration}",
                    remedy="add the video, or take the camera out of the calibration",
                )


def check_sizes(source: Source) -> Source:
    """Pictures are as big as their calibration says; cameras without a size get the footage's. Reads headers only.

    Raises InputError naming both sizes.
    """
    cameras = []
    for camera in source.cameras:
        for videos in source.footage.values():
            width, height = picture_size(videos[camera.name])
            if not camera.width:
                camera = replace(camera, width=width, height=height)
            if (width, height) != (camera.width, camera.height):
                raise InputError(
                    f"the picture of camera '{camera.name}' has another size than its calibration",
                    file=videos[camera.name],
                    found=f"{width}x{height}",
                    expected=f"{camera.width}x{camera.height} as in {source.calibration}",
                    remedy="give the calibration made for this size, or scale K by the ratio of the sizes",
                )
        if not (0 < camera.K[0, 2] < camera.width and 0 < camera.K[1, 2] < camera.height):
            raise InputError(
                f"camera '{camera.name}': K belongs to a picture of another size",
                file=source.calibration,
                found=f"principal point {camera.K[:2, 2].tolist()}",
                expected=f"inside of {camera.width}x{camera.height}",
                remedy="give the K made for this size, or scale it by the ratio of the sizes",
            )
        cameras.append(camera)
    return replace(source, cameras=tuple(cameras))


def check_plates(source: Source) -> None:
    """Every given plate can be read, has its camera's size and shows something. Raises InputError naming the first that does not."""
    for camera in source.cameras:
        path = source.plates[camera.name]
        if path is None:
            continue
        image = read_image(path)
        remedy = "photograph the empty scene again, or write `none` in the column 'plates'"
        if int(np.ptp(image)) < 4:
            raise InputError(
                f"the plate of camera '{camera.name}' is empty",
                file=path,
                found=f"every pixel is {image[0, 0].tolist()}",
                expected="a picture of the scene without the person",
                remedy=remedy,
            )
        if image.shape[1::-1] != (camera.width, camera.height):
            raise InputError(
                f"the plate of camera '{camera.name}' has another size than its video",
                file=path,
                found=f"{image.shape[1]}x{image.shape[0]}",
                expected=f"{camera.width}x{camera.height}",
                remedy=remedy,
            )
