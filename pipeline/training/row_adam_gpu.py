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
        names: the tables that move (rate > 0), which `rates` and `nonfinite` follow. first, second: moments like the tables. steps: int64 [F], by table name.
        rates: float32 [K] on the device; see `set_rates`. nonfinite: int32 [K], as in `adam_gpu.Adam`.
    """

    def __init__(self, tables: Mapping[str, Tensor], rates: Mapping[str, float], betas: tuple[float, float], epsilon: float):
        self.names = tuple(name for name in tables if rates[name] > 0)
        device = next(iter(tables.values())).device if tables else torch.device("cpu")
        self.rates = torch.tensor([float(rates[name]) for name in self.names], device=device)
        self.nonfinite = torch.zeros(len(self.names), dtype=torch.int32, device=device)
        self._settings = {"BETA1": betas[0], "BETA2": betas[1], "EPSILON": epsilon}
        self.first, self.second = ({name: torch.zeros_like(tables[name]) for name in self.names} for _ in range(2))
        self.steps = {name: torch.zeros(len(tables[name]), dtype=torch.int64, device=device) for name in self.names}

    def set_rates(self, rates: Mapping[str, float]) -> None:
        """The learning rates of the next steps by table name. Does not wait for the device."""
        self.rates.copy_(torch.tensor([float(rates[name]) for name in self.names]), non_blocking=True)

    def step(self, frame: Tensor, tables: Mapping[str, Tensor], gradients: Mapping[str, Tensor], skip: Tensor) -> None:
        """Update row `frame` of every table that has a gradient, in one launch.

        Args:
            frame: int64 []. gradients: of the rows, like tables[name][0]. skip: float32 [], not 0 = do nothing (PyTorch's `found_inf`).
        """
        groups = tuple(k for k, name in enumerate(self.names) if name in gradients)
        if not groups:
            return
        parts = [tuple(part[self.names[k]] for k in groups) for part in (tables, self.first, self.second, self.steps)]
        row_gradients = tuple(gradients[self.names[k]].contiguous() for k in groups)
        sizes = tuple(gradient.numel() for gradient in row_gradients)
        _step[(len(groups),)](
            *parts, row_gradients, frame, self.rates, skip, self.nonfinite, GROUPS=groups, SIZES=sizes, **self._settings, BLOCK=BLOCK
        )

    def state(self) -> dict[str, Any]:
        """As the optimiser on the CPU gives it; reads the counts back."""
        return {name: {"first": self.first[name], "second": self.second[name], "steps": self.steps[name].tolist()} for name in self.names}

    def load(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state`."""
        for name in self.names:
            self.first[name].copy_(state[name]["first"])
            self.second[name].copy_(state[name]["second"])
            self.steps[name].copy_(torch.tensor(state[name]["steps"]))


@triton.jit
def _step(
    tables, firsts, seconds, counts, gradients, frame, rates, skip, nonfinite,
    GROUPS: tl.constexpr, SIZES: tl.constexpr, BETA1: tl.constexpr, BETA2: tl.constexpr, EPSILON: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One table per program."""
    row = tl.load(frame)
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
                    adam_update(*places, nonfinite + GROUPS[k], rate, root, on, BETA1, BETA2, EPSILON)
