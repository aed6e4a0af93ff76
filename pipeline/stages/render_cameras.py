"""`./c2a render`: a trained avatar at the tracked frames of its capture, seen by any cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.capture.processed import ImageSet, read_image_set
from pipeline.capture.record import read_capture
from pipeline.capture.sample import read_sample
from pipeline.contract.layout import Layout
from pipeline.io.errors import InputError
from pipeline.stages.shot_cameras import CameraRequest, shots_of

if TYPE_CHECKING:
    import numpy as np
    import torch

    from pipeline.avatars.shots import Output, Shot
    from pipeline.avatars.view_options import ViewOptions
    from pipeline.training.contract import Avatar


@dataclass(frozen=True)
class RenderRequest:
    """What to render, and where to.

    Attributes:
        avatar: its file; None = that of the finished training.
        frames: all, A:B (positions in the list of frames, B excluded), or ids separated by commas; of a split its frames.
        subject: of an avatar of several captures which one; empty = the first.
        beside_truth: the processed image on the left of each. truth: folder for the processed images, under the names of the rendered ones.
        device: as `render.device`.
    """

    cameras: CameraRequest
    view: ViewOptions
    output: Output
    avatar: Path | None = None
    frames: str = "all"
    subject: str = ""
    beside_truth: bool = False
    truth: Path | None = None
    device: str = "auto"


def render_cameras(layout: Layout, request: RenderRequest, threads: int = 2) -> list[Path]:
    """Write what is asked for; returns the videos, and the folders of images.

    Raises:
        InputError: the avatar or the cameras cannot be read, the avatar does not have the subject, or a frame was not tracked.
    """
    import torch

    from pipeline.avatars.render import camera_colors
    from pipeline.avatars.shots import write_shots

    torch.set_num_threads(threads)
    file = request.avatar or layout.avatar
    avatar, number, files, device = open_subject(layout, request.subject, request.device, file)
    every = {frame: index for index, frame in enumerate(list(avatar.subjects.values())[number])}
    chosen = _frames(request, list(every), files)
    centre = avatar.centre(avatar.pose(every[chosen[0]], number))
    shots = shots_of(request.cameras, {frame: every[frame] for frame in chosen}, every, centre, files, camera_colors(file, number))
    truth = CaptureImages(read_image_set(files.alpha_json, files.alpha), request.view.background) if request.beside_truth or request.truth else None
    rate = request.cameras.trajectory.fps if request.cameras.trajectory else None
    output = replace(request.output, fps=rate or read_capture(files.capture).fps)
    written = write_shots(avatar, shots, request.view, output, number, device, truth if request.beside_truth else None)
    return written + (truth.write(shots, request.truth) if truth and request.truth else [])


def open_subject(layout: Layout, subject: str, device: str, file: Path | None = None) -> tuple[Avatar, int, Layout, torch.device]:
    """A trained avatar, the number of one of its subjects (empty = the first), where that subject's files lie, and the device. Raises InputError.

    Args:
        file: of the avatar; None = that of the finished training.
    """
    from pipeline.avatars.avatar_file import open_avatar, subject_number
    from pipeline.machine.device import choose_device

    chosen, file = choose_device(device), file or layout.avatar
    avatar = open_avatar(file, chosen, remedy=f"./c2a run {layout.results.name} --from train")
    number = subject_number(avatar, subject, file)
    return avatar, number, files_of(layout, list(avatar.subjects)[number]), chosen


def files_of(layout: Layout, subject: str) -> Layout:
    """Where the files of one subject of an avatar lie."""
    if layout.capture.is_file():
        return layout
    return replace(layout, results=layout.results.with_name(subject), work=layout.work.with_name(subject))  # of a group


def _frames(request: RenderRequest, tracked: Sequence[str], files: Layout) -> list[str]:
    """The ids of the frames that are asked for, at least one."""
    split, wanted = request.cameras.split, request.frames
    if split:
        sample = read_sample(files.sample)
        own = set(sample.test if split == "test" else sample.train)
        tracked = [frame for frame in tracked if frame in own]
        if not tracked:
            remedy = "choose another split; the column test_sequences of captures.tsv holds frames back"
            raise InputError(f"no frames in the split '{split}'", file=files.sample, found="0 frames", expected="test frames", remedy=remedy)
    ids = [frame.strip() for frame in wanted.split(",")]
    if wanted == "all":
        ids = list(tracked)
    elif len(ids) == 1 and wanted not in tracked and ":" in wanted:
        first, _, end = wanted.partition(":")
        if (first or "0").isdecimal() and (end or "0").isdecimal():
            ids = list(tracked[int(first or 0) : int(end or len(tracked))])
    if unknown := [frame for frame in ids if frame not in tracked] or ([] if ids else [wanted]):
        expected = f"all, positions A:B from 0 to {len(tracked)}, or ids: {tracked[0]} ... {tracked[-1]}"
        raise InputError(f"no such frame: {', '.join(unknown)}", file=files.sample, expected=expected, remedy="correct --frames")
    return ids


class CaptureImages:
    """The processed images over a background: called with the names of a camera and a frame."""

    def __init__(self, images: ImageSet, background: tuple[int, int, int]):
        self._images, self._background = images, background
        self._open: dict[str, Any] = {}

    def __call__(self, camera: str, frame: str) -> np.ndarray:
        from pipeline.io.packed import over_background

        if camera not in self._open:
            self._open = {camera: self._images.open(camera)}
        return over_background(self._open[camera].read(frame), self._background)

    def write(self, shots: Sequence[Shot], folder: Path) -> list[Path]:
        """Write the image of every instant, <camera>/<frame>.png; returns the folders."""
        from pipeline.io.files import write_bytes
        from pipeline.io.packed import encode_png

        for shot in shots:
            for instant in shot.instants:
                write_bytes(folder / shot.name / f"{instant.name}.png", encode_png(self(shot.name, instant.name)))
        return [folder / shot.name for shot in shots]
