"""Settings of the first state of an avatar."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.io.validation import above, at_least, between


@dataclass(frozen=True)
class InitSettings:
    """The `init` stage: how many splats stand where, and what colour they have before training."""

    __pydantic_config__ = {"extra": "forbid"}

    splats: int = 12000  # splats at the start; every triangle has at least one, large ones more; at least 1
    opacity: float = 0.6  # of every splat at the start, between 0 and 1
    size: float = 0.8  # radius of a splat, as a part of the distance to its neighbours; above 0
    thickness: float = 0.3  # across the surface, as a part of its radius; above 0
    color_frames: int = 10  # training frames, evenly spread, whose pictures give the first colours; at least 1
    seed: int = 0  # fixes where in its triangle a splat stands

    def __post_init__(self) -> None:
        at_least(self, 1, "splats", "color_frames")
        between(self, 0, 1, "opacity")
        above(self, 0, "size", "thickness")
