"""Renders of the avatar before training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from pipeline.avatars.registry import method_of
from pipeline.avatars.render import render_views
from pipeline.capture.camera import Camera
from pipeline.contract.layout import Layout


def render_untrained(layout: Layout, cameras: Sequence[Camera], frame: str, subject: int = 0) -> list[np.ndarray]:
    """The avatar of init.npz at a frame of a subject, over white, uint8 [H, W, 3] per camera.

    Raises InputError where a file is missing or invalid.
    """
    method = method_of(layout.method)
    avatar = method.function("build")(method.settings["train"](), layout.subjects, layout.init, torch.device("cpu"))
    avatar.eval()
    frames = list(avatar.subjects.values())[subject]
    return [image[..., :3] for image in render_views(avatar, frames.index(frame), list(cameras), subject=subject)]
