"""An avatar.npz: the method that made it, the avatar in it, and which of its subjects is meant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.avatars.method import Method
from pipeline.avatars.registry import method_of
from pipeline.io.arrays import Text, load_npz
from pipeline.io.errors import InputError

if TYPE_CHECKING:
    import torch

    from pipeline.training.contract import Avatar


def method_in(path: Path, remedy: str = "") -> Method:
    """The method that an avatar.npz names. Raises InputError where the file is missing, is something else, or is that of an unknown method."""
    return method_of(str(load_npz(path, {"method": Text(())}, only=["method"], remedy=remedy)["method"]))


def open_avatar(path: Path, device: torch.device | str = "cpu", *, remedy: str = "") -> Avatar:
    """The avatar of an avatar.npz, ready to be drawn. Raises InputError as `method_in`, and where the file is not one of that method."""
    return method_in(path, remedy).function("open_avatar")(path, device, remedy=remedy)


def subject_number(avatar: Avatar, name: str, path: Path) -> int:
    """The number of one of an avatar's subjects; an empty name means the first. Raises InputError naming the subjects."""
    names = list(avatar.subjects)
    if name and name not in names:
        raise InputError(f"no such subject: {name}", file=path, expected="one of " + ", ".join(names), remedy="correct --subject")
    return names.index(name) if name else 0
