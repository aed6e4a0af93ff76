"""What an optimiser is given: named groups of parameters, each with its own rate, schedule and rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

Schedule = Callable[[int], float]  # step (0-based) -> factor of the learning rate


def constant(step: int) -> float:
    """The same rate at every step."""
    return 1.0


def exponential(end: float, steps: int, start: int = 0) -> Schedule:
    """A factor of 1 up to the step `start`, then log-linear to `end` at the last of `steps` steps."""

    def factor(step: int) -> float:
        return end ** (min(max(step - start, 0) / max(steps - 1 - start, 1), 1.0))

    return factor


@dataclass(frozen=True, eq=False)
class ParameterGroup:
    """Parameters that are optimised alike (Adam, Kingma and Ba 2015).

    Attributes:
        name: unique in a training. tensors: leaf parameters; of kind "rows" one table [F, ...], of which a step moves the rows it used.
        lr: first learning rate; 0 freezes the group. schedule: factor of it by step.
        kind: "splats" has one tensor, which may change its number of rows (`Optimiser.replace`); "dense" has the weights of a network;
            "rows" has a table whose rows each keep their own moments and count of steps.
        weight_decay: decoupled (AdamW); "dense" only. max_norm: gradients of the group are clipped to this norm; "dense" only.
    """

    name: str
    tensors: tuple[Tensor, ...]
    lr: float
    schedule: Schedule = constant
    kind: Literal["splats", "dense", "rows"] = "dense"
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    max_norm: float | None = None
