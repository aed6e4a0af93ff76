"""The method `rigged` for the registry: what it is called, its stages, settings and outputs. Light to import: no torch."""

from __future__ import annotations

from pathlib import Path

from pipeline.avatars.method import Method
from pipeline.avatars.rigged.settings import InitSettings, RiggedTrainSettings

METHOD = Method(
    name="rigged",
    about="splats bound to the triangles of a parametric mesh",
    versions={"init": 1, "train": 2},
    settings={"init": InitSettings, "train": RiggedTrainSettings},
    presets=Path(__file__).with_name("presets.yaml"),
    entry="pipeline.avatars.rigged.entry",
    outputs={"avatar_ply": "avatar.ply"},
)
