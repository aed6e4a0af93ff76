"""A trained avatar from its file, and pictures of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from pipeline.avatars.protocol import Avatar
from pipeline.avatars.rig import Rig
from pipeline.avatars.rigged import RiggedAvatar
from pipeline.body.model import load_model
from pipeline.capture.camera import Camera
from pipeline.io.arrays import load_npz
from pipeline.io.errors import InputError
from pipeline.splat.rasterise import rasterise
from pipeline.splat.splats import Views


def load_avatar(path: str | Path, device: torch.device | str = "cpu", *, remedy: str = "") -> Avatar:
    """The avatar of an avatar.npz, ready to show its frames. Raises InputError where the file is missing or holds another method."""
    arrays = load_npz(path, {"method": ()}, remedy=remedy)
    if str(arrays["method"]) != "rigged":
        raise InputError(
            "holds an avatar of a method that this version does not know", file=path, found=str(arrays["method"]), expected="rigged", remedy=remedy
        )
    avatar = RiggedAvatar(Rig(load_model(str(arrays["model"])), arrays))
    avatar.initialise(arrays)
    return avatar.to(device)


@torch.no_grad()
def render(avatar: Avatar, frame: int, camera: Camera, device: torch.device | str = "cpu") -> np.ndarray:
    """One picture of an avatar.

    Args:
        frame: index into `avatar.frames`. camera: pinhole (see `Camera.without_distortion`).

    Returns:
        uint8 [H, W, 4]: RGB over white, and alpha.
    """
    return render_views(avatar, frame, [camera], device)[0]


@torch.no_grad()
def render_views(avatar: Avatar, frame: int, cameras: list[Camera], device: torch.device | str = "cpu") -> list[np.ndarray]:
    """As `render`, from several cameras of any sizes; the avatar is posed once."""
    splats = avatar.splats(frame)
    pictures = []
    for camera in cameras:
        drawn = rasterise(splats, Views.from_cameras([camera], device), torch.ones(3, device=device))
        values = torch.cat([drawn.image[0], drawn.alpha[0, ..., None]], dim=-1)
        pictures.append(values.clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy())
    return pictures
