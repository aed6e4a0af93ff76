"""Settings of the toy method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pipeline.io.validation import at_least
from pipeline.training.settings import TrainSettings


@dataclass(frozen=True)
class ToyInitSettings:
    """The `init` stage."""

    __pydantic_config__ = {"extra": "forbid"}

    splats: int = 600  # splats of each subject
    radius: float = 0.006  # of a splat, metres
    seed: int = 0  # of the choice of vertices and of the first features

    def __post_init__(self) -> None:
        at_least(self, 1, "splats")


@dataclass(frozen=True)
class ToyTrainSettings(TrainSettings):
    """The `train` stage."""

    __pydantic_config__ = {"extra": "forbid"}
    STEPS: ClassVar[tuple[str, ...]] = (*TrainSettings.STEPS, "refine_from")

    lr_splats: float = 0.01
    lr_network: float = 2e-3
    lr_refiner: float = 2e-3
    lr_latent: float = 0.01
    refine_from: int = 20  # step at which the refiner is switched on
    weight_decay: float = 1e-4  # of the networks
    lambda_latent: float = 1e-3  # keeps latent codes small
