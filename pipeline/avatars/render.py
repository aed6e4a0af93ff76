"""Images of any avatar, as files and evaluation want them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline.body.body_pose import BodyPose
from pipeline.capture.camera import Camera
from pipeline.io.arrays import Integers, Numbers, Text, load_npz
from pipeline.splat.splats import Views
from pipeline.training.camera_color import as_taken_by
from pipeline.training.contract import Avatar


@torch.no_grad()
def render_views(
    avatar: Avatar,
    frame: int | BodyPose,
    cameras: Sequence[Camera],
    device: torch.device | str = "cpu",
    colors: Mapping[str, np.ndarray] | None = None,
    subject: int = 0,
) -> list[np.ndarray]:
    """An avatar, posed once, from cameras of any sizes.

    Args:
        frame: index into the subject's frames, or any pose. cameras: pinhole (see `Camera.without_distortion`).
        colors: [3, 4] maps by camera name (see `camera_colors`): the image as that camera would have taken it. Cameras without one show the avatar as it is.

    Returns:
        uint8 [H, W, 4] of each camera: RGB over white, and alpha.
    """
    state, images = avatar.pose(frame, subject), []
    for camera in cameras:
        drawn = avatar.draw(state, Views.from_cameras([camera], device))
        color = (colors or {}).get(camera.name)
        image = as_taken_by(drawn.image[0], drawn.alpha[0], None if color is None else torch.as_tensor(color).to(drawn.image))
        images.append(as_bytes(image, drawn.alpha[0]))
    return images


def as_bytes(image: Tensor, alpha: Tensor, background: Tensor | float = 1.0) -> np.ndarray:
    """uint8 [H, W, 4], RGB over a background [3] (white, if left out) and alpha, of colours [H, W, 3] over black and alpha [H, W]."""
    return on_host(bytes_of(image, alpha, background))[0]


def bytes_of(image: Tensor, alpha: Tensor, background: Tensor | float = 1.0) -> Tensor:
    """The same on the device."""
    values = torch.cat([image + background - background * alpha[..., None], alpha[..., None]], dim=-1)
    return values.clamp(0, 1).mul(255).round().to(torch.uint8)


def on_host(*tensors: Tensor) -> list[np.ndarray]:
    """The values of tensors of one device; of a GPU's through pinned memory, which is several times as fast as pageable memory, and with one wait for all."""
    if not tensors[0].is_cuda:
        return [tensor.numpy() for tensor in tensors]
    hosts = [torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True) for tensor in tensors]
    for host, tensor in zip(hosts, tensors):
        host.copy_(tensor, non_blocking=True)
    torch.cuda.current_stream(tensors[0].device).synchronize()
    return [host.numpy() for host in hosts]


def camera_colors(path: str | Path, subject: int = 0) -> dict[str, np.ndarray]:
    """Colour maps [3, 4] of the cameras that a subject was trained with, by name: c' = A c + b."""
    arrays = load_npz(path, {"cameras": Text(("cameras",)), "camera_subject": Integers(("cameras",)), "camera_color": Numbers(("cameras", 3, 4))})
    own = arrays["camera_subject"] == subject
    return dict(zip(map(str, arrays["cameras"][own]), arrays["camera_color"][own]))
