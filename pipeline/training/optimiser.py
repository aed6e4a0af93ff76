"""Adam for parameters that grow, shrink, or belong to one frame only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.machine.backend import backend_of

_BETAS = (0.9, 0.999)
_EPSILON = 1e-15  # as in 3DGS: gradients of single splats are tiny


class Optimiser:
    """Adam over named parameters (every step) and over named per-frame tables (the rows of the frame that was drawn).

    A row that was not drawn keeps still: it has its own moments and its own count of steps, where dense Adam would go on pushing it with old momentum.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], tables: Mapping[str, Tensor], rates: Mapping[str, float], views: int = 1):
        """Args:
        views: pictures in a step; with B of them rates are multiplied by sqrt(B) and both betas raised to the power B (Zhao et al. 2024, Grendel, section 3.2).
        """
        self._rates = {name: rates[name] * (views**0.5 if name in parameters else 1) for name in (*parameters, *tables)}
        for name, parameter in parameters.items():
            parameter.requires_grad_(rates[name] > 0)
        groups = [{"params": [p], "lr": self._rates[name], "name": name} for name, p in parameters.items() if rates[name] > 0]
        self._device = next(iter(parameters.values())).device
        betas = tuple(b**views for b in _BETAS)
        self._skip = torch.zeros((), device=self._device)
        if backend_of(next(iter(parameters.values())), "adam") == "gpu":  # a captured step reads its learning rates from the device
            from pipeline.training import adam_gpu, row_adam_gpu

            self._adam = adam_gpu.Adam(groups, betas, _EPSILON, self._skip)
            self._rows = row_adam_gpu.RowAdam(tables, rates, _BETAS, _EPSILON)
        else:
            self._adam = torch.optim.Adam(groups, betas=betas, eps=_EPSILON, fused=True)
            self._rows = _RowAdam(tables, rates)

    def set_factor(self, factor: float) -> None:
        """Set every learning rate to this part of its first value."""
        rates = {name: factor * rate for name, rate in self._rates.items()}
        self._rows.set_rates(rates)
        if not isinstance(self._rows, _RowAdam):
            self._adam.set_rates([rates[group["name"]] for group in self._adam.param_groups])
            return
        for group in self._adam.param_groups:
            group["lr"] = rates[group["name"]]

    def skip_where(self, flag: Tensor) -> None:
        """From now on, a step changes nothing where this number on the device is 1 instead of 0."""
        self._skip = flag
        if flag.is_cuda:
            self._adam.found_inf = flag

    def step_rows(self, frame: int | Tensor, tables: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> None:
        """Update row `frame` of every table that has a gradient [...] for it."""
        self._rows.step(frame, tables, gradients, self._skip)

    def step(self) -> None:
        """Update all parameters; then forget the gradients."""
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)

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
        return {"dense": moments, "rows": self._rows.state()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state`; the parameters must already have their saved shapes."""
        for group in self._adam.param_groups:
            parameter, saved = group["params"][0], state["dense"][group["name"]]
            if saved:
                self._adam.state[parameter] = {key: value.to(parameter.device) for key, value in saved.items()}
        self._rows.load(state["rows"])


class _RowAdam:
    """Adam for named per-frame tables [F, ...]: each row has its own moments and its own count of steps."""

    def __init__(self, tables: Mapping[str, Tensor], rates: Mapping[str, float]):
        self._rates = {name: rates[name] for name in tables if rates[name] > 0}
        self._first, self._second = ({name: torch.zeros_like(tables[name]) for name in self._rates} for _ in range(2))
        self._steps = {name: [0] * len(tables[name]) for name in self._rates}

    def set_rates(self, rates: Mapping[str, float]) -> None:
        self._rates = {name: rates[name] for name in self._rates}

    def step(self, row: int, tables: Mapping[str, Tensor], gradients: Mapping[str, Tensor], skip: Tensor) -> None:
        for name, rate in self._rates.items():
            if name not in gradients:
                continue
            self._steps[name][row] += 1
            first, second, gradient = self._first[name][row], self._second[name][row], gradients[name]
            first.lerp_(gradient, 1 - _BETAS[0])
            second.mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
            correction1, correction2 = (1 - beta ** self._steps[name][row] for beta in _BETAS)
            tables[name][row].addcdiv_(first, (second / correction2).sqrt_().add_(_EPSILON), value=-rate / correction1)

    def state(self) -> dict[str, Any]:
        return {name: {"first": self._first[name], "second": self._second[name], "steps": self._steps[name]} for name in self._rates}

    def load(self, state: Mapping[str, Any]) -> None:
        for name in self._rates:
            self._first[name].copy_(state[name]["first"])
            self._second[name].copy_(state[name]["second"])
            self._steps[name] = list(state[name]["steps"])


def _continued(value: Tensor, sources: Tensor) -> Tensor:
    kept = value[sources.clamp_min(0)]
    kept[sources < 0] = 0
    return kept
