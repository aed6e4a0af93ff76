"""What the stages call of the toy method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.body.model import load_model
from pipeline.contract.layout import Subject
from pipeline.io.arrays import load_npz, save_npz
from tests.toy.avatar import CHANNELS, SPLATS, ToyAvatar
from tests.toy.settings import ToyInitSettings, ToyTrainSettings


def initialise(settings: ToyInitSettings, subjects: Sequence[Subject], path: Path, threads: int) -> dict[str, Any]:
    """Write init.npz: splats at vertices of each fitted body."""
    rng = np.random.default_rng(settings.seed)
    parts = [_at_vertices(load_npz(subject.layout.fit, {"translation": (None, 3)}), settings.splats, rng) for subject in subjects]
    count, n = len(subjects), settings.splats
    save_npz(
        path,
        {
            "means": np.stack([means for means, _ in parts]).astype(np.float32),
            "translations": np.concatenate([translation for _, translation in parts]),
            "quats": np.tile(np.float32([1, 0, 0, 0]), (count, n, 1)),
            "log_scales": np.full((count, n, 3), np.log(settings.radius), np.float32),
            "opacities": np.ones((count, n), np.float32),
            "features": rng.normal(size=(count, n, CHANNELS)).astype(np.float32),
        },
    )
    return {"splats": count * n}


def build(settings: ToyTrainSettings, subjects: Sequence[Subject], init: Path, device: torch.device) -> ToyAvatar:
    """The avatar of an init.npz, ready to be trained."""
    frames = {subject.name: tuple(load_npz(subject.layout.fit, {"frames": (None,)})["frames"].tolist()) for subject in subjects}
    return ToyAvatar(load_npz(init, dict.fromkeys(("translations", *SPLATS))), frames, settings).to(device)


def open_avatar(path: Path, device: torch.device | str = "cpu", *, remedy: str = "") -> ToyAvatar:
    """The avatar of an avatar.npz, ready to be drawn."""
    arrays = load_npz(path, dict.fromkeys(("subjects", "translations", *SPLATS)), remedy=remedy)
    frames = {str(name): tuple(arrays[f"frames_{i}"].tolist()) for i, name in enumerate(arrays["subjects"])}
    return ToyAvatar(arrays, frames).eval().to(device)


def _at_vertices(fit: dict[str, np.ndarray], count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [count, 3] of the body at its first frame, without its translation; and the translations [F, 3]."""
    model, scale = load_model(str(fit["model"])), float(fit["scale"])
    pose = {name: torch.from_numpy(fit[name][:1]) for name in ("expression", "pose", "translation")}
    posed = model.pose_vertices(torch.from_numpy(fit["identity"]), **pose, scale=scale, offsets=torch.from_numpy(fit["offsets"]))
    vertices = posed.vertices[0].numpy() - fit["translation"][0]
    return vertices[rng.integers(len(vertices), size=count)], fit["translation"].astype(np.float32)
