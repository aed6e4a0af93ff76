"""Checkpoints: all a training needs to resume as if it had never stopped."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pipeline.io.files import atomic_path, move_file
from pipeline.io.progress import log

KEPT = 2  # the newest, and one before it in case the newest is damaged


@dataclass(frozen=True)
class Keys:
    """Which training a checkpoint is of. exact: digest of settings and inputs; but_length: the same without what only says how long it trains."""

    exact: str
    but_length: str


def save_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write `state` (tensors and plain values) as the checkpoint of `step`, atomically; older ones than the last two are removed, and later ones too:
    they are of another training, and would count as newer."""
    path = folder / f"checkpoint-{step:07d}.pt"
    _write(path, state)
    found = _checkpoints(folder)
    own = found[: found.index(path) + 1]
    for other in {*found} - {*own[-KEPT:]}:
        other.unlink()
    return path


def load_checkpoint(folder: Path, key: str, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """The newest readable checkpoint in `folder` whose `state["key"]` is `key`, or None.

    The key is the digest of settings and inputs: a checkpoint of another training is never resumed from.
    """
    states = (_read(path, device) for path in reversed(_checkpoints(folder)))
    return next((state for state in states if state.get("key") == key), None)


def keep_last(folder: Path, state: dict[str, Any], finished: Path) -> None:
    """Leave the state in which a training ended as the file `finished`; what a kill leaves of it half-written lies in `folder`."""
    _write(folder / finished.name, state)
    move_file(folder / finished.name, finished)


def load_shorter(folder: Path, finished: Path, but_length: str, iterations: int, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """Of the checkpoints in `folder` and of `finished` the one with the most steps whose training differs in its length alone and is not longer than
    `iterations`, or None."""
    states = [_read(path, device) for path in (*_checkpoints(folder), finished) if path.is_file()]
    counted = [state for state in states if all(isinstance(state.get(name), int) for name in ("step", "iterations"))]
    fitting = [state for state in counted if state.get("but_length") == but_length and state["iterations"] <= iterations]
    return max(fitting, key=lambda state: state["step"], default=None)


def _write(path: Path, state: dict[str, Any]) -> None:
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # torch hides why it cannot write
            raise error.__context__ if isinstance(error.__context__, OSError) else error from None


def _read(path: Path, device: torch.device | str) -> dict[str, Any]:
    """A checkpoint; empty where it cannot be read, since another one is as good."""
    try:
        with zipfile.ZipFile(path) as archive:  # torch does not look at the check sums that it writes
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(damaged)
        state = torch.load(path, map_location=device, weights_only=True)
        if not isinstance(state, dict):
            raise TypeError(f"holds a {type(state).__name__}")
        return state
    except Exception as error:  # torch raises many kinds for a damaged file
        log(f"{path.name} cannot be read ({type(error).__name__}): skipped")
        return {}


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*.pt"))
