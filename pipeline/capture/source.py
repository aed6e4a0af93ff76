"""A raw capture on disk, as every dataset reader returns it, and the checks that need no decoding of videos."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.capture.color import ColorCalibration
from pipeline.capture.media import image_size, is_there, listed_at
from pipeline.io.errors import InputError
from pipeline.io.files import portable
from pipeline.io.fingerprints import fingerprint, folders
from pipeline.io.packed import read_image

Footage = dict[str, dict[str, Path]]  # sequence -> camera -> video or image folder
BLANK_RANGE = 4  # grey levels: an image whose values span less counts as blank


@dataclass(frozen=True)
class HeldOut:
    """What a dataset itself holds out, and why. cameras: for validation. frames: {sequence: indices} for test; None: it says nothing about them."""

    cameras: tuple[str, ...]
    why: str
    frames: dict[str, tuple[int, ...]] | None = None


@dataclass(frozen=True)
class Tracking:
    """Model parameters that a dataset brings for a sequence. files: one per frame. shift: [3] metres, to subtract from their positions."""

    files: tuple[Path, ...]
    shift: tuple[float, ...]


@dataclass(frozen=True)
class Source:
    """Files and cameras of a raw capture.

    Attributes:
        calibration: the file of the cameras. footage: {sequence: {camera: video, image folder or image}}.
        plates: {camera: image of the empty scene, or None}. timestamps: {sequence: csv}, where there is one.
        mattes: as footage, the cameras whose mattes the user gives.
        color: {camera: colour correction}. truth: folder of a synthetic capture's ground truth.
        read: files whose content it has: calibration, time stamps, colours. looked: what would be used if it were there.
        growing: folders and patterns in which a new folder is a new sequence.
        held_out: None where the dataset says nothing about it. points: a sparse model's points of the scene.
        whole: images without mattes are wholly the subject.
        tracking: by sequence, where it is tracked. rate: images per second of image folders, where it is known.
        notes: choices that the reader made by default, for capture.json.
    """

    calibration: Path
    cameras: tuple[Camera, ...]
    footage: Footage
    plates: dict[str, Path | None]
    timestamps: dict[str, Path] = field(default_factory=dict)
    color: dict[str, ColorCalibration] = field(default_factory=dict)
    truth: Path | None = None
    mattes: Footage = field(default_factory=dict)
    read: tuple[Path, ...] = ()
    looked: tuple[Path, ...] = ()
    growing: tuple[tuple[Path, str], ...] = ()
    tracking: dict[str, Tracking] = field(default_factory=dict)
    rate: float | None = None
    notes: tuple[str, ...] = ()
    held_out: HeldOut | None = None
    points: Path | None = None
    whole: bool = False

    def fingerprints(self) -> dict[str, Any]:
        """Of every file that the capture is made of, and of what would be used if it were there, by `portable` path."""
        media = dict.fromkeys(listed_at(path) for videos in (*self.footage.values(), *self.mattes.values()) for path in videos.values())
        plates = [path for path in self.plates.values() if path]
        return {
            **{portable(path): folders(path, pattern) for path, pattern in self.growing},
            **{portable(path): fingerprint(path) for path in (*self.looked, *plates, *media)},
            **{portable(path): fingerprint(path, content=True) for path in self.read},
        }


def pick_sequences(
    footage: Footage,
    requested: tuple[str, ...],
    root: Path,
) -> Footage:
    """The requested sequences (default: all), sorted by name. Raises InputError if one does not exist."""
    for name in requested:
        if name not in footage:
            raise InputError(
                f"no sequence '{name}'",
                file=root,
                found=", ".join(sorted(footage)) or "no sequences",
                expected="the sequences that captures.tsv names",
                remedy="correct the column 'sequences' of captures.tsv",
            )
    sequences = {name: footage[name] for name in sorted(requested or footage)}
    if not sequences:
        raise InputError(
            "no footage found",
            file=root,
            expected="videos or image folders, one per camera",
            remedy="correct the column 'path' of captures.tsv",
        )
    return sequences


def check_complete(source: Source) -> None:
    """Check that every camera has footage in every sequence. Raises InputError for the first that has not."""
    for sequence, videos in source.footage.items():
        for camera in source.cameras:
            path = videos.get(camera.name)
            if path is None or not is_there(path):
                where = path or next(iter(videos.values()), source.calibration).parent
                raise InputError(
                    f"camera '{camera.name}' has no footage in sequence '{sequence}'",
                    file=where,
                    found=", ".join(sorted(videos)) or "no footage",
                    expected=f"one video for each of {len(source.cameras)} cameras of {source.calibration}",
                    remedy="add the video, or remove the camera from the calibration",
                )


def check_sizes(source: Source) -> Source:
    """Check that videos have the size of their calibration; cameras without a size get the videos'. Reads headers only.

    Raises InputError with both sizes.
    """
    cameras = []
    for camera in source.cameras:
        for videos in source.footage.values():
            width, height = image_size(videos[camera.name])
            if not camera.width:
                camera = replace(camera, width=width, height=height)
            if (width, height) != (camera.width, camera.height):
                turned = (height, width) == (camera.width, camera.height)
                raise InputError(
                    f"the size of camera '{camera.name}' differs from its calibration",
                    file=videos[camera.name],
                    found=f"{width}x{height}",
                    expected=f"{camera.width}x{camera.height} as in {source.calibration}",
                    remedy="the images are turned by 90 degrees: turn the video as it was for the calibration; "
                    "or, if width and height are exchanged in the calibration alone, correct them"
                    if turned
                    else "use the calibration of this size, or scale K by the ratio of the sizes",
                )
        if not (0 < camera.K[0, 2] < camera.width and 0 < camera.K[1, 2] < camera.height):
            raise InputError(
                f"camera '{camera.name}': K belongs to an image of another size",
                file=source.calibration,
                found=f"principal point {camera.K[:2, 2].tolist()}",
                expected=f"inside {camera.width}x{camera.height} pixels",
                remedy="use the K of this size, or scale it by the ratio of the sizes",
            )
        cameras.append(camera)
    return replace(source, cameras=tuple(cameras))


def check_plates(source: Source) -> None:
    """Check that every plate is readable, not blank and has its camera's size. Raises InputError for the first failure."""
    for camera in source.cameras:
        path = source.plates[camera.name]
        if path is None:
            continue
        image = read_image(path)
        remedy = "record the empty scene again, or write `none` in the column 'plates' of captures.tsv"
        if int(np.ptp(image)) < BLANK_RANGE:
            raise InputError(
                f"the plate of camera '{camera.name}' is blank",
                file=path,
                found=f"every pixel is {image[0, 0].tolist()}",
                expected="an image of the scene without the subject",
                remedy=remedy,
            )
        if image.shape[1::-1] != (camera.width, camera.height):
            raise InputError(
                f"the plate of camera '{camera.name}' has a different size than its video",
                file=path,
                found=f"{image.shape[1]}x{image.shape[0]}",
                expected=f"{camera.width}x{camera.height}",
                remedy=remedy,
            )
