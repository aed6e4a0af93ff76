"""Adam for the rows of the frame that was drawn, on a GPU (Triton): the frame's number, the rates and the counts of steps are all on the device."""

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
    """Adam for named per-frame tables [F, ...]: each row has its own moments and its own count of steps.

    A row moves only in the steps that draw its frame, where dense Adam would keep moving it by old momentum; its bias corrections count its own steps. A table
    without a gradient is left out, and a gradient's element that is not finite changes nothing at its place. The optimiser's rows on the CPU move by the same
    rule, except that nothing skips them and they have no flags.

    Attributes:
        rates: float32 [K], the learning rate of each table, set by the owner. nonfinite: int32 [K], as in `adam_gpu.Adam`.
    """

    def __init__(self, tables: Mapping[str, Tensor], rates: Tensor, betas: tuple[float, float], epsilon: float, mark: Tensor):
        """Args: tables: [F, ...] by name. mark: as in `adam_gpu.Adam`."""
        self._tables, self._names, self.rates, self._mark = dict(tables), tuple(tables), rates, mark
        self.nonfinite = torch.zeros(len(self._names), dtype=torch.int32, device=rates.device)
        self._settings = {"BETA1": betas[0], "BETA2": betas[1], "EPSILON": epsilon}
        self.first, self.second = ({name: torch.zeros_like(table) for name, table in tables.items()} for _ in range(2))
        self.steps = {name: torch.zeros(len(table), dtype=torch.int64, device=rates.device) for name, table in tables.items()}

    def step(self, index: Tensor, gradients: Mapping[str, Tensor], skip: Tensor) -> None:
        """Update row `index` (int64 []) of every table that has a gradient [...], in one launch. skip: float32 [], not 0 = do nothing."""
        groups = tuple(k for k, name in enumerate(self._names) if name in gradients)
        if not groups:
            return
        parts = [tuple(part[self._names[k]] for k in groups) for part in (self._tables, self.first, self.second, self.steps)]
        row_gradients = tuple(gradients[self._names[k]].contiguous() for k in groups)
        sizes = tuple(gradient.numel() for gradient in row_gradients)
        _step[(len(groups),)](
            *parts, row_gradients, index, self.rates, skip, self._mark, self.nonfinite, GROUPS=groups, SIZES=sizes, **self._settings, BLOCK=BLOCK
        )

    def state(self) -> dict[str, Any]:
        """Moments and counts by table."""
        return {name: {"first": self.first[name], "second": self.second[name], "steps": self.steps[name]} for name in self._names}

    def load(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state`."""
        for name in self._names:
            for key, own in (("first", self.first), ("second", self.second), ("steps", self.steps)):
                own[name].copy_(state[name][key])


@triton.jit
def _step(
    tables, firsts, seconds, counts, gradients, index, rates, skip, mark, nonfinite,
    GROUPS: tl.constexpr, SIZES: tl.constexpr, BETA1: tl.constexpr, BETA2: tl.constexpr, EPSILON: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One table per program."""
    row = tl.load(index)
    if tl.load(skip) == 0:
        for k in tl.static_range(len(SIZES)):
            if tl.program_id(0) == k:
                done = tl.load(counts[k] + row) + 1
                tl.store(counts[k] + row, done)
                rate, root = adam_rate(tl.load(rates + GROUPS[k]), done, BETA1, BETA2)
                for start in range(0, SIZES[k], BLOCK):
                    lane = start + tl.arange(0, BLOCK)
                    on, at = lane < SIZES[k], row * SIZES[k] + lane
                    places = tables[k] + at, firsts[k] + at, seconds[k] + at, gradients[k] + lane
                    adam_update(*places, nonfinite + GROUPS[k], tl.load(mark), rate, root, on, BETA1, BETA2, EPSILON)
