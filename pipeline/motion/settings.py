"""How a motion is brought to a body."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RetargetOptions:
    """How a motion is brought to a body.

    Attributes:
        absolute: expressions, heads and places as the motion has them; otherwise what differs from the driver's neutral is added to the avatar's own.
        neutral: frame of the motion that is the driver's neutral; None: its median.
        smooth: seconds, standard deviation of a Gaussian over time; 0: as they are.
        guard: keep poses near the tracked ones. feet: keep feet in contact where they are, on the ground. limits: of joint angles.
        expressions: whether the face is driven.
    """

    absolute: bool = False
    neutral: int | None = None
    smooth: float = 0.0
    guard: bool = False
    feet: bool = True
    limits: bool = True
    expressions: bool = True
