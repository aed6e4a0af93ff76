"""What the avatar looks like before training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.avatars.render import render_views
from pipeline.avatars.rigged.avatar import LOCAL, RiggedAvatar
from pipeline.avatars.rigged.posed_body import Rig
from pipeline.capture.camera import Camera
from pipeline.contract.layout import Layout
from pipeline.io.arrays import load_npz


def render_untrained(layout: Layout, cameras: Sequence[Camera], frame: str) -> list[np.ndarray]:
    """The splats of init.npz at a frame, over white, uint8 [H, W, 3] per camera. Raises InputError where init.npz or fit.npz is missing or is something else."""
    splats = load_npz(layout.init, dict.fromkeys(("binding", *LOCAL)))
    avatar = RiggedAvatar(Rig.from_fit(layout.fit))
    avatar.initialise(splats)
    return [image[..., :3] for image in render_views(avatar, avatar.frames.index(frame), list(cameras))]
