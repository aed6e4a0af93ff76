"""A trained avatar from its file, and pictures of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from pipeline.avatars.rigged.avatar import RiggedAvatar
from pipeline.avatars.rigged.posed_body import Rig
from pipeline.body.model import load_model
from pipeline.capture.camera import Camera
from pipeline.io.arrays import load_npz
from pipeline.io.errors import InputError
from pipeline.splat.rasterise import rasterise
from pipeline.splat.splats import Views
from pipeline.training.contract import Avatar


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
def render_views(
    avatar: Avatar, frame: int, cameras: list[Camera], device: torch.device | str = "cpu", colors: Mapping[str, np.ndarray] | None = None
) -> list[np.ndarray]:
    """As `render`, from several cameras of any sizes; the avatar is posed once.

    Args:
        colors: [3, 4] maps by camera name (see `camera_colors`): the picture as that camera would have taken it. Cameras without one show the avatar as it is.
    """
    splats = avatar.splats(frame)
    pictures = []
    for camera in cameras:
        drawn = rasterise(splats, Views.from_cameras([camera], device), torch.zeros(3, device=device))
        image, alpha = drawn.image[0], drawn.alpha[0, ..., None]
        if colors and camera.name in colors:
            change = torch.as_tensor(colors[camera.name], dtype=image.dtype, device=image.device)
            image = image @ change[:, :3].T + alpha * change[:, 3]
        values = torch.cat([image + 1 - alpha, alpha], dim=-1)
        pictures.append(values.clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy())
    return pictures


def camera_colors(path: str | Path) -> dict[str, np.ndarray]:
    """Colour maps [3, 4] of the cameras that an avatar was trained with, by name: c' = A c + b."""
    arrays = load_npz(path, {"cameras": (None,), "camera_color": (None, 3, 4)})
    return dict(zip(map(str, arrays["cameras"]), arrays["camera_color"]))
