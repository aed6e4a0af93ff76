"""What the avatar looks like before training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from pipeline.avatars.rig import Rig
from pipeline.avatars.rigged import LOCAL, RiggedAvatar
from pipeline.capture.processed import ImageSet
from pipeline.io.arrays import load_npz
from pipeline.io.layout import Layout
from pipeline.show.pictures import to_bytes
from pipeline.splat.rasterise import rasterise
from pipeline.splat.splats import Views


@torch.no_grad()
def first_state(layout: Layout, images: ImageSet, cameras: Sequence[str], frame: str) -> dict[str, np.ndarray]:
    """The splats of init.npz over white, uint8 [H, W, 3] by camera. Raises InputError where init.npz or fit.npz is missing or lacks the frame's arrays."""
    splats = load_npz(layout.init, dict.fromkeys(("binding", *LOCAL)))
    avatar = RiggedAvatar(Rig.from_fit(layout.fit))
    avatar.initialise(splats)
    posed = avatar.splats(avatar.frames.index(frame))
    views = {name: Views.from_cameras([images.by_name[name]]) for name in cameras}
    return {name: to_bytes(rasterise(posed, view, torch.ones(3)).image[0].numpy()) for name, view in views.items()}
