"""What a finished training leaves: the avatar in its own and in the standard form, the curve, and facts."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.contract.layout import Layout
from pipeline.io.arrays import save_npz
from pipeline.io.files import atomic_path, digest, sha256
from pipeline.splat.formats.ply import write_ply
from pipeline.training.checkpoint import Keys
from pipeline.training.loop import Training
from pipeline.training.monitor import CURVE
from pipeline.training.settings import TrainSettings


def training_keys(settings: TrainSettings, layout: Layout, version: int) -> Keys:
    """Digests of everything the result depends on: the stage's version, its settings and the bytes of all inputs."""
    inputs = {path.name: sha256(path) for path in (layout.init, layout.fit, layout.sample, layout.alpha_json)}
    every = asdict(settings)
    others = {name: value for name, value in every.items() if name not in ("iterations", "lengthen")}
    return Keys(*(digest({"version": version, "settings": chosen, "inputs": inputs}) for chosen in (every, others)))


def save_avatar(training: Training, cameras: Sequence[str], folder: Path, layout: Layout) -> dict[str, Any]:
    """Write avatar.npz, avatar.ply and train.csv; returns facts on the colours of the cameras and on what training changed in the rig."""
    avatar, maps = training.avatar, training.color.maps().detach().cpu().numpy()
    arrays = {"method": np.array(layout.method), **avatar.export(), "cameras": np.array(list(cameras)), "camera_color": maps}
    save_npz(layout.avatar, arrays, compress=False)
    with torch.no_grad():
        write_ply(layout.avatar_ply, avatar.splats(0))
    with atomic_path(layout.train_log) as temporary:
        shutil.copyfile(folder / CURVE, temporary)
    gains = {name: [round(float(x), 4) for x in np.diagonal(m[:, :3])] for name, m in zip(cameras, maps)}
    return {"camera_gain": gains, **avatar.changes()}
