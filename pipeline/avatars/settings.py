"""Settings of the stage `render`."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.io.validation import at_least, between


@dataclass(frozen=True)
class RenderSettings:
    """Images and videos of the trained avatar."""

    __pydantic_config__ = {"extra": "forbid"}

    train_frames: int = 6  # training frames, evenly spread, at which the training cameras are rendered too; 0 = none
    orbit_frames: int = 72  # length of the orbit video, frames, at least 1
    orbit_degrees: float = 40.0  # amplitude of the orbit to either side, degrees, 0 to 180

    def __post_init__(self) -> None:
        at_least(self, 0, "train_frames")
        at_least(self, 1, "orbit_frames")
        between(self, 0, 180, "orbit_degrees")
