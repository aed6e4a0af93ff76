"""The toy method for the registry. Light to import: no torch."""

from __future__ import annotations

from pathlib import Path

from pipeline.avatars.method import Method
from tests.toy.settings import ToyInitSettings, ToyTrainSettings

METHOD = Method(
    name="toy",
    about="8-channel splats, a small network and a 2D refiner, over a group of captures",
    versions={"init": 1, "train": 1},
    settings={"init": ToyInitSettings, "train": ToyTrainSettings},
    presets=Path(__file__).with_name("presets.yaml"),
    entry="tests.toy.entry",
    scope="group",
)
