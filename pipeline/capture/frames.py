"""From raw footage to processed frames: choice of frames, processed cameras, one zip of images per camera."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.capture.media import read_frames, read_mattes
from pipeline.capture.processed import Frame, frame_id
from pipeline.capture.record import Capture
from pipeline.capture.settings import FramesSettings
from pipeline.capture.warp import Window, frame_window, make_warp, window_camera
from pipeline.io.errors import InputError
from pipeline.io.packed import MATTE, packed_writer, read_image


def choose_frames(
    capture: Capture,
    first: int | None,
    last: int | None,
    stride: int | None,
    max_rate: float,
    trim: int = 0,
) -> tuple[tuple[Frame, ...], list[str]]:
    """The frames `first` to `last` (inclusive) of all sequences, sorted by sequence and time; and warnings about what was cut off.

    Without a stride, every n-th frame is used so that the rate is at most `max_rate` frames per second.

    Args:
        trim: cameras without time stamps whose lengths differ by at most this are cut to the shortest.

    Raises InputError if no frame is left, or if cameras without time stamps differ more and frames after the end of the shortest are requested.
    """
    warnings = []
    stride = stride or max(1, math.ceil(capture.fps / max_rate - 1e-3))
    frames = []
    for sequence in sorted(capture.sequences):
        count = capture.sequences[sequence]["frames"]
        if last is None or last >= count:
            warnings += _check_lengths(capture, sequence, trim)
        stop = count if last is None else min(count, last + 1)
        for index in range(first or 0, stop, stride):
            frames.append(Frame(frame_id(sequence, index), sequence, index, capture.time(sequence, index)))
    if not frames:
        lengths = ", ".join(f"{name}: {facts['frames']}" for name, facts in capture.sequences.items())
        raise InputError(
            "no frame is left",
            found=f"first frame {first or 0}; frames per sequence: {lengths}",
            expected="a first frame inside a sequence",
            remedy="correct the column 'frames' of captures.tsv",
        )
    longest = max(facts["frames"] for facts in capture.sequences.values())
    if last is not None and last >= longest:
        warnings.append(f"captures.tsv asks for frames up to {last}, the last one is {longest - 1}; correct the column 'frames'")
    return tuple(frames), warnings


def _check_lengths(capture: Capture, sequence: str, trim: int) -> list[str]:
    """A warning if the cameras have different numbers of frames and no time stamps match them. Raises InputError if they differ by more than `trim`."""
    counts = {camera: video["frames"] for camera, video in capture.sequences[sequence]["videos"].items()}
    if len(set(counts.values())) < 2 or "indices" in capture.sequences[sequence]["sync"]:
        return []
    few, most = min(counts.values()), max(counts.values())
    if most - few > trim:
        raise InputError(
            f"the cameras of sequence '{sequence}' have different numbers of frames",
            file=capture.footage(sequence, min(counts, key=counts.__getitem__)),
            found=", ".join(f"{camera} {n}" for camera, n in counts.items()),
            expected=f"the same number in every camera, or a difference of at most {trim} (frames.trim)",
            remedy="copy the shorter video again, add a csv of time stamps, or set the column 'frames' of captures.tsv",
        )
    longer = ", ".join(f"{camera} {n}" for camera, n in counts.items() if n > few)
    return [
        f"sequence '{sequence}' was cut to {few} frames, the length of the shortest camera ({longer}); it is assumed that all began together: "
        "if one began late, add a csv of time stamps"
    ]


def processed_cameras(
    capture: Capture,
    settings: FramesSettings,
    size: tuple[int, int] | None,
) -> tuple[tuple[Camera, ...], dict[str, Window]]:
    """The cameras after undistortion, crop and resize, and the window of the undistorted image that each one keeps."""
    cameras, windows = [], {}
    for camera in capture.cameras:
        crop = settings.crop.get(camera.name, settings.crop.get("all"))
        windows[camera.name], output = frame_window(camera, crop, size, settings.longest_side)
        cameras.append(window_camera(camera, windows[camera.name], output))
    return tuple(cameras), windows


def pack_camera(capture: Capture, raw: Camera, processed: Camera, frames: tuple[Frame, ...], target: Path) -> None:
    """Write one camera's zip: all frames, the user's mattes of them as `matte/<frame>`, the plate if there is one, and the mask `visible`.

    An existing zip is kept.

    Raises InputError if the footage cannot be read.
    """
    if target.is_file():
        return
    warp, color = make_warp(raw, processed), capture.color.get(raw.name)

    def process(image: np.ndarray) -> np.ndarray:
        image = warp.apply(image)
        if color is None:
            return image
        image = color.apply(image)
        image[warp.visible == 0] = 0
        return image

    with packed_writer(target) as writer:
        for sequence in sorted(capture.sequences):
            ids: dict[int, list[str]] = {}  # index in this camera's footage -> frames that use it
            for frame in frames:
                if frame.sequence == sequence:
                    ids.setdefault(capture.index(sequence, raw.name, frame.frame), []).append(frame.id)
            for index, image in read_frames(capture.footage(sequence, raw.name), ids):
                image = process(image)
                for name in ids[index]:
                    writer.add(name, image)
            mattes = capture.matte(sequence, raw.name)
            for index, alpha in read_mattes(mattes, ids) if mattes else ():
                alpha = warp.apply(alpha)
                for name in ids[index]:
                    writer.add(f"{MATTE}{name}", alpha)
        plate = capture.plates[raw.name]
        if plate is not None:
            writer.add("plate", process(read_image(plate)))
        writer.add("visible", warp.visible)
