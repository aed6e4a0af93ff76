"""Images and videos of any avatar: poses, cameras and options in, files out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.avatars.view import PosedView, depth_range
from pipeline.avatars.view_options import ViewOptions
from pipeline.body.body_pose import BodyPose
from pipeline.capture.camera import Camera
from pipeline.io.files import write_bytes
from pipeline.io.packed import encode_png
from pipeline.io.progress import log, progress
from pipeline.io.video import write_video
from pipeline.training.contract import Avatar

Beside = Callable[[str, str], np.ndarray]
"""The image uint8 [H, W, 3] that belongs beside that of a shot's name and an instant's name."""


@dataclass(frozen=True, eq=False)
class Instant:
    """One image. name: of its file. frame: index of a tracked frame, or any pose. camera: pinhole."""

    name: str
    frame: int | BodyPose
    camera: Camera


@dataclass(frozen=True, eq=False)
class Shot:
    """The images of one camera, which may move. color: [3, 4] as of `camera_colors`; None = the avatar's own colours."""

    name: str
    instants: Sequence[Instant]
    color: np.ndarray | None = None


@dataclass(frozen=True)
class Output:
    """Where the images go.

    Attributes:
        folder: for <shot>/<instant>.png, RGB. alpha: there also <instant>_alpha.png, 8 bits. depth: also <instant>_depth.png, 16 bits: millimetres along the
            camera's axis, 0 where nothing is.
        video: MP4 file; of several shots one each, <stem>_<shot>.mp4. fps: images per second.
    """

    folder: Path | None = None
    video: Path | None = None
    alpha: bool = False
    depth: bool = False
    fps: float = 25.0


def forth_and_back(items: Sequence[Any], count: int) -> list[Any]:
    """`count` of the items: to the last one, back to the first, and again."""
    cycle = [*items, *items[-2:0:-1]]
    return [cycle[i % len(cycle)] for i in range(count)]


def write_shots(
    avatar: Avatar, shots: Sequence[Shot], options: ViewOptions, output: Output, subject: int = 0, device: torch.device | str = "cpu", beside: Beside | None = None
) -> list[Path]:  # fmt: skip
    """Draw the shots and write them; returns the videos and the folders of images.

    Args:
        subject: its number in the avatar. device: where the avatar is. beside: what is shown on the left of every image.

    Raises:
        InputError: the avatar lacks what the options ask for, see `view_image`.
    """
    written = []
    for shot in shots:
        images = _images(avatar, shot, options, output, subject, device, beside)
        if output.video:
            path = output.video if len(shots) == 1 else output.video.with_stem(f"{output.video.stem}_{shot.name}")
            write_video(path, images, output.fps)
            written.append(path)
        else:
            for _ in images:
                pass
        written += [output.folder / shot.name] if output.folder else []
    return written


def _images(
    avatar: Avatar, shot: Shot, options: ViewOptions, output: Output, subject: int, device: torch.device | str, beside: Beside | None
) -> Iterator[np.ndarray]:
    """The images of one shot in turn, uint8 [H, W, 3], written on the way."""
    for instant in progress(shot.instants, f"{shot.name}: frames"):
        view = PosedView(avatar, instant.frame, options, subject, device)
        if options.splats == "depth" and options.depth_range is None:  # one range for all images of the shot
            near, far = depth_range(view.depth(instant.camera))
            options = replace(options, depth_range=(near, far))
            view = PosedView(avatar, instant.frame, options, subject, device)
            log(f"{shot.name}: depth from {near:.3f} m (first colour) to {far:.3f} m (last colour)")
        image = view.image(instant.camera, shot.color)
        shown = image[..., :3] if beside is None else np.concatenate([beside(shot.name, instant.name), image[..., :3]], axis=1)
        if output.folder:
            files = {"": shown} | ({"_alpha": image[..., 3]} if output.alpha else {})
            if output.depth:
                files["_depth"] = np.rint(view.depth(instant.camera) * 1000).clip(0, 65535).astype(np.uint16)
            for ending, pixels in files.items():
                write_bytes(output.folder / shot.name / f"{instant.name}{ending}.png", encode_png(pixels))
        yield shown
