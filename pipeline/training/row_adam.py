"""Adam for per-frame tables in plain torch: each row has its own moments and its own count of steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class RowAdam:
    """Adam for the rows of tables [F, ...] that a step used.

    A row that was not used keeps still, where dense Adam would continue to move it with old momentum.

    Attributes:
        rates: float32 [tables], the learning rates, in the order of the tables.
    """

    def __init__(self, tables: Mapping[str, Tensor], rates: Tensor, betas: tuple[float, float], epsilon: float):
        self._tables, self.rates, self._betas, self._epsilon = dict(tables), rates, betas, epsilon
        self._first, self._second = ({name: torch.zeros_like(table) for name, table in tables.items()} for _ in range(2))
        self._steps = {name: torch.zeros(len(table), dtype=torch.int64, device=table.device) for name, table in tables.items()}

    @torch.no_grad()
    def step(self, index: int | Tensor, gradients: Mapping[str, Tensor], skip: Tensor) -> None:
        """Update row `index` of every table that has a gradient [...]. skip: float32 [], not 0 = change nothing."""
        at = torch.as_tensor(index, device=skip.device).view(1)
        for k, (name, table) in enumerate(self._tables.items()):
            if name not in gradients:
                continue
            done = self._steps[name].index_select(0, at) + 1
            gradient, shape = gradients[name][None], (1,) * table.dim()
            first = self._first[name].index_select(0, at).lerp(gradient, 1 - self._betas[0])
            second = self._second[name].index_select(0, at).lerp(gradient.square(), 1 - self._betas[1])
            one, two = (1 - torch.pow(torch.tensor(beta, dtype=torch.float64, device=at.device), done).float().view(shape) for beta in self._betas)
            value = table.index_select(0, at) - self.rates[k] * (first / one) / ((second / two).sqrt() + self._epsilon)
            for whole, part in ((self._steps[name], done), (self._first[name], first), (self._second[name], second), (table, value)):
                whole.index_copy_(0, at, torch.where(skip > 0, whole.index_select(0, at), part))

    def state(self) -> dict[str, Any]:
        """Moments and counts by table."""
        return {name: {"first": self._first[name], "second": self._second[name], "steps": self._steps[name]} for name in self._tables}

    def load(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state`."""
        for name in self._tables:
            for key, own in (("first", self._first), ("second", self._second), ("steps", self._steps)):
                own[name].copy_(state[name][key])
