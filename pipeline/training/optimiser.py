"""Adam for parameters that grow, shrink, or belong to one frame only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

_BETAS = (0.9, 0.999)
_EPSILON = 1e-15  # as in 3DGS: gradients of single splats are tiny


class Optimiser:
    """Adam over named parameters (every step) and over named per-frame tables (the rows of the frame that was drawn).

    A row that was not drawn keeps still: it has its own moments and its own count of steps, where dense Adam would go on pushing it with old momentum.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], tables: Mapping[str, Tensor], rates: Mapping[str, float]):
        self._rates = {name: rates[name] for name in (*parameters, *tables)}
        for name, parameter in parameters.items():
            parameter.requires_grad_(rates[name] > 0)
        groups = [{"params": [p], "lr": rates[name], "name": name} for name, p in parameters.items() if rates[name] > 0]
        self._adam = torch.optim.Adam(groups, betas=_BETAS, eps=_EPSILON, fused=True)
        self._rows = {name: _RowMoments(table) for name, table in tables.items() if rates[name] > 0}
        self._factor = 1.0

    def set_factor(self, factor: float) -> None:
        """Set every learning rate to this part of its first value."""
        self._factor = factor
        for group in self._adam.param_groups:
            group["lr"] = factor * self._rates[group["name"]]

    def step(self, frame: int, tables: Mapping[str, Tensor], rows: Mapping[str, Tensor]) -> None:
        """Update all parameters, and row `frame` of every table from the gradient of its leaf in `rows`; then forget the gradients."""
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)
        for name, moments in self._rows.items():
            if name in rows and rows[name].grad is not None:
                moments.step(frame, tables[name], rows[name].grad, self._factor * self._rates[name])

    def replace(self, name: str, parameter: nn.Parameter, sources: Tensor) -> None:
        """Let `parameter` take the place of the one called `name`.

        Args:
            sources: int64 [N] old row that each new row continues, -1 for a new one, which starts without momentum.
        """
        for group in self._adam.param_groups:
            if group["name"] == name:
                state = self._adam.state.pop(group["params"][0], {})
                group["params"] = [parameter]
                if state:
                    self._adam.state[parameter] = {key: _continued(value, sources) if value.ndim else value for key, value in state.items()}

    def adopt(self, name: str, parameter: nn.Parameter) -> None:
        """Let `parameter` be the one called `name`, without moments (they are loaded next)."""
        for group in self._adam.param_groups:
            if group["name"] == name:
                self._adam.state.pop(group["params"][0], None)
                group["params"] = [parameter]

    def forget(self, name: str) -> None:
        """Drop the moments of a parameter whose values were set by hand."""
        for group in self._adam.param_groups:
            if group["name"] == name:
                self._adam.state.pop(group["params"][0], None)

    def state(self) -> dict[str, Any]:
        """Everything needed to go on exactly, as tensors and plain values."""
        moments = {group["name"]: dict(self._adam.state.get(group["params"][0], {})) for group in self._adam.param_groups}
        return {"dense": moments, "rows": {name: rows.state() for name, rows in self._rows.items()}}

    def load(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state`; the parameters must already have their saved shapes."""
        for group in self._adam.param_groups:
            parameter, saved = group["params"][0], state["dense"][group["name"]]
            if saved:
                self._adam.state[parameter] = {key: value.to(parameter.device) for key, value in saved.items()}
        for name, rows in self._rows.items():
            rows.load(state["rows"][name])


class _RowMoments:
    """Adam's moments of one table [F, ...], kept per row."""

    def __init__(self, table: Tensor):
        self.first, self.second = torch.zeros_like(table), torch.zeros_like(table)
        self.steps = [0] * len(table)

    def step(self, row: int, table: Tensor, gradient: Tensor, rate: float) -> None:
        self.steps[row] += 1
        first, second = self.first[row], self.second[row]
        first.lerp_(gradient, 1 - _BETAS[0])
        second.mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
        correction1, correction2 = (1 - beta ** self.steps[row] for beta in _BETAS)
        table[row].addcdiv_(first, (second / correction2).sqrt_().add_(_EPSILON), value=-rate / correction1)

    def state(self) -> dict[str, Any]:
        return {"first": self.first, "second": self.second, "steps": self.steps}

    def load(self, state: Mapping[str, Any]) -> None:
        self.first.copy_(state["first"])
        self.second.copy_(state["second"])
        self.steps = list(state["steps"])


def _continued(value: Tensor, sources: Tensor) -> Tensor:
    kept = value[sources.clamp_min(0)]
    kept[sources < 0] = 0
    return kept
