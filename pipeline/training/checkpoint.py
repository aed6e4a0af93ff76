"""Checkpoints: all a training needs to go on as if it had never stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from pipeline.io.files import atomic_path
from pipeline.io.progress import log

KEPT = 2  # the newest, and one before it in case the newest is damaged


def save_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write `state` (tensors and plain values) as the checkpoint of `step`, atomically; older ones than the last two are removed, and later ones too:
    they are of another training, and would count as newer."""
    path = folder / f"checkpoint-{step:07d}.pt"
    with atomic_path(path) as temporary:
        torch.save(state, temporary)
    found = _checkpoints(folder)
    own = found[: found.index(path) + 1]
    for other in {*found} - {*own[-KEPT:]}:
        other.unlink()
    return path


def load_checkpoint(folder: Path, key: str, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """The newest readable checkpoint in `folder` whose `state["key"]` is `key`, or None.

    The key is the digest of settings and inputs: a checkpoint of another training is never gone on with.
    """
    for path in reversed(_checkpoints(folder)):
        try:
            state = torch.load(path, map_location=device, weights_only=True)
        except Exception as error:  # torch raises many kinds for a damaged file; the one before it is as good
            log(f"{path.name} cannot be read ({type(error).__name__}): passed over")
            continue
        if state.get("key") == key:
            return state
    return None


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*.pt"))
