"""The method `static` for the registry. Light to import: no torch."""

from __future__ import annotations

from pathlib import Path

from pipeline.avatars.method import Method
from pipeline.avatars.static.settings import InitSettings, StaticTrainSettings
from pipeline.contract.stages import IMAGES

METHOD = Method(
    name="static",
    about="a scene of splats that nothing moves, from photographs of one instant",
    versions={"init": 1, "train": 1},
    settings={"init": InitSettings, "train": StaticTrainSettings},
    presets=Path(__file__).with_name("presets.yaml"),
    entry="pipeline.avatars.static.entry",
    outputs={"avatar_ply": "avatar.ply"},
    reads=IMAGES,
)
