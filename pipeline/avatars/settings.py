"""Settings of the stage `render`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pipeline.io.validation import CheckedSettings, number


@dataclass(frozen=True)
class RenderSettings(CheckedSettings):
    """Images and videos of the trained avatar."""

    __pydantic_config__ = {"extra": "forbid"}
    RUN_ONLY: ClassVar[tuple[str, ...]] = ("device",)

    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto: as train.device
    train_frames: int = number(6, 0, 10_000)  # training frames, evenly spread, at which the training cameras are rendered too; 0 = none
    orbit_frames: int = number(72, 1, 10_000)  # length of the orbit video, frames
    orbit_degrees: float = number(
        40.0, 0, 180
    )  # amplitude of the orbit to either side, degrees; where the cameras stand all around the subject it is a full turn instead
