"""An avatar as the viewer opens it: from its file, with what lies beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.avatars.avatar_file import open_avatar
from pipeline.avatars.captured import CapturedAvatar
from pipeline.capture.camera import Camera
from pipeline.capture.processed import read_image_set
from pipeline.capture.record import read_capture
from pipeline.io.errors import InputError
from pipeline.training.contract import Avatar

FPS = 25.0  # of an avatar without a capture beside it


@dataclass(frozen=True, eq=False)
class OpenedAvatar:
    """Args: name: for the browser. subject: which one of the avatar's. cameras: the capture's, pinhole; may be none. fps: of the tracked frames.

    captured: draws it.
    """

    name: str
    avatar: Avatar
    subject: int
    cameras: tuple[Camera, ...]
    fps: float
    captured: CapturedAvatar

    @property
    def frames(self) -> tuple[str, ...]:
        """Ids of the tracked frames."""
        return tuple(self.avatar.subjects.values())[self.subject]


def open_file(path: Path, name: str, device: torch.device, captures: Path | None = None, remedy: str = "") -> list[OpenedAvatar]:
    """The avatar of an avatar.npz, once for each of its subjects.

    Args:
        name: that of the capture, where the avatar is made of one. captures: folder of results/<capture>, for cameras and frame rate.

    Raises:
        InputError: the file is missing, damaged, holds numbers that are not finite, or is that of an unknown method.
    """
    if not path.is_file():
        raise InputError("no such avatar", file=path, expected="the avatar.npz of a finished training", remedy=remedy)
    avatar = open_avatar(path, device, remedy=remedy)
    opened = []
    for number, subject in enumerate(avatar.subjects):
        own = captures and captures / (subject or name)
        cameras, fps = _of_capture(own) if own else ((), FPS)
        opened.append(
            OpenedAvatar(name if len(avatar.subjects) == 1 else f"{name}/{subject}", avatar, number, cameras, fps, CapturedAvatar(avatar, number, device))
        )
    return opened


def _of_capture(results: Path) -> tuple[tuple[Camera, ...], float]:
    """Cameras of the processed images, and the frame rate; none, and 25, where they do not lie there."""
    images, capture = results / "alpha.json", results / "capture.json"
    cameras = read_image_set(images, results / "alpha").cameras if images.is_file() else ()
    return tuple(cameras), read_capture(capture).fps if capture.is_file() else FPS
