"""Adam for the rows of the frame that was drawn, on a GPU (Triton): the frame's number, the rate and the counts of steps are all on the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from pipeline.training.adam_gpu import adam_rate, adam_update

BLOCK = 512


class RowAdam:
    """Adam for named per-frame tables [F, ...]: each row has its own moments and its own count of steps. The same update as the optimiser's on the CPU.

    Attributes:
        first, second: moments like the tables. steps: int64 [F], by table name.
    """

    def __init__(self, tables: Mapping[str, Tensor], rates: Mapping[str, float], betas: tuple[float, float], epsilon: float):
        self._names = tuple(name for name in tables if rates[name] > 0)
        self._rates = tuple(float(rates[name]) for name in self._names)
        self._settings = {"BETA1": betas[0], "BETA2": betas[1], "EPSILON": epsilon}
        self.first, self.second = ({name: torch.zeros_like(tables[name]) for name in self._names} for _ in range(2))
        self.steps = {name: torch.zeros(len(tables[name]), dtype=torch.int64, device=tables[name].device) for name in self._names}

    def step(self, frame: Tensor, tables: Mapping[str, Tensor], gradients: Mapping[str, Tensor], factor: Tensor, skip: Tensor) -> None:
        """Update row `frame` of every table, in one launch.

        Args:
            frame: int64 []. gradients: of the rows, like tables[name][0]. factor: float32 [], of all rates. skip: float32 [], not 0 = do nothing (torch's
                `found_inf`).
        """
        if not self._names:
            return
        parts = [tuple(group[name] for name in self._names) for group in (tables, self.first, self.second, self.steps)]
        given = tuple(gradients[name].contiguous() for name in self._names)
        sizes = tuple(gradient.numel() for gradient in given)
        _step[(len(given),)](*parts, given, frame, factor, skip, RATES=self._rates, SIZES=sizes, **self._settings, BLOCK=BLOCK)

    def state(self) -> dict[str, Any]:
        """As the optimiser on the CPU gives it; reads the counts back."""
        return {name: {"first": self.first[name], "second": self.second[name], "steps": self.steps[name].tolist()} for name in self._names}

    def load(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state`."""
        for name in self._names:
            self.first[name].copy_(state[name]["first"])
            self.second[name].copy_(state[name]["second"])
            self.steps[name].copy_(torch.tensor(state[name]["steps"]))


@triton.jit
def _step(
    tables, firsts, seconds, counts, gradients, frame, factor, skip,
    RATES: tl.constexpr, SIZES: tl.constexpr, BETA1: tl.constexpr, BETA2: tl.constexpr, EPSILON: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One table per program."""
    row = tl.load(frame)
    if tl.load(skip) == 0:
        for k in tl.static_range(len(SIZES)):
            if tl.program_id(0) == k:
                done = tl.load(counts[k] + row) + 1
                tl.store(counts[k] + row, done)
                rate, shrink = adam_rate(RATES[k] * tl.load(factor), done, BETA1, BETA2)
                for start in range(0, SIZES[k], BLOCK):
                    lane = start + tl.arange(0, BLOCK)
                    on, at = lane < SIZES[k], row * SIZES[k] + lane
                    g = tl.load(gradients[k] + lane, mask=on, other=0.0)
                    adam_update(tables[k] + at, firsts[k] + at, seconds[k] + at, g, rate, shrink, on, BETA1, BETA2, EPSILON)
