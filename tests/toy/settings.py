"""Settings of the toy method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pipeline.io.validation import LARGEST_SEED, CheckedSettings, number
from pipeline.training.settings import TrainSettings


@dataclass(frozen=True)
class ToyInitSettings(CheckedSettings):
    """The `init` stage."""

    __pydantic_config__ = {"extra": "forbid"}

    splats: int = number(600, 1, 100_000)  # splats of each subject
    radius: float = number(0.006, 0, 1, above=True)  # of a splat, metres
    seed: int = number(0, 0, LARGEST_SEED)  # of the choice of vertices and of the first features


@dataclass(frozen=True)
class ToyTrainSettings(TrainSettings):
    """The `train` stage."""

    __pydantic_config__ = {"extra": "forbid"}
    STEPS: ClassVar[tuple[str, ...]] = (*TrainSettings.STEPS, "refine_from")

    lr_splats: float = number(0.01, 0, 10)
    lr_network: float = number(2e-3, 0, 10)
    lr_refiner: float = number(2e-3, 0, 10)
    lr_latent: float = number(0.01, 0, 10)
    refine_from: int = number(20, 0, 10_000_000)  # step at which the refiner is switched on
    weight_decay: float = number(1e-4, 0, 1000)  # of the networks
    lambda_latent: float = number(1e-3, 0, 1e6)  # keeps latent codes small
