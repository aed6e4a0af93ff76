"""The method `rigged` for the registry: what it is called, its stages, settings and outputs. Light to import: no torch."""

from __future__ import annotations

from pathlib import Path

from pipeline.avatars.method import Method
from pipeline.avatars.rigged.settings import InitSettings
from pipeline.training.settings import TrainSettings

METHOD = Method(
    name="rigged",
    about="splats bound to the triangles of a parametric mesh",
    versions={"init": 1, "train": 1},
    settings={"init": InitSettings, "train": TrainSettings},
    presets=Path(__file__).with_name("presets.yaml"),
    entry="pipeline.avatars.rigged.entry",
    outputs={"avatar_ply": "avatar.ply"},
)
