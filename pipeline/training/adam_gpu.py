"""Adam for all parameters of a step in one launch (Triton), with rates, step counts and skipping on the device.

PyTorch's own fused Adam takes one launch per learning rate, and gives each block of threads 65,536 values: measured at 0.25 to 0.32 ms for the ten parameters
of 30,000 to 100,000 splats, where the bytes to be moved need a tenth of that (docs/kernels.md). For large networks its own is as good.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024


class Adam(torch.optim.Optimizer):
    """As `torch.optim.Adam` (Kingma and Ba 2015, algorithm 1), its state under the same names; one parameter per group.

    Parameters without a gradient are left out; a CUDA graph keeps leaving out those that had none when it was captured. An element of a gradient that is not
    finite changes neither its value nor its moments.

    Attributes:
        rates: float32 [K], the learning rate of each group, set by the owner. found_inf: float32 [], not 0 = change nothing.
        nonfinite: int32 [K], not 0 where a gradient of the group has had an element that is not finite: the value of `mark` at the first such step.
    """

    def __init__(self, groups: Sequence[dict], betas: tuple[float, float], epsilon: float, rates: Tensor, found_inf: Tensor, mark: Tensor):
        """Args: mark: float32 [], a number other than 0 that tells the step."""
        super().__init__(groups, {"lr": 0.0})
        self.rates, self.found_inf, self._mark = rates, found_inf, mark
        self.nonfinite = torch.zeros(len(self.param_groups), dtype=torch.int32, device=found_inf.device)
        self._constants = {"BETA1": betas[0], "BETA2": betas[1], "EPSILON": epsilon}
        self._layout: tuple[list[int], list[int]] = [], []

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        parameters = [group["params"][0] for group in self.param_groups]
        active = [k for k, parameter in enumerate(parameters) if parameter.grad is not None]
        if not active:
            return
        values = tuple(parameters[k] for k in active)
        for value in values:
            if not self.state[value]:
                zero = torch.zeros((), device=value.device)
                self.state[value] |= {"step": zero, "exp_avg": torch.zeros_like(value), "exp_avg_sq": torch.zeros_like(value)}
        steps, firsts, seconds = (tuple(self.state[value][name] for value in values) for name in ("step", "exp_avg", "exp_avg_sq"))
        gradients = tuple(value.grad.contiguous() for value in values)
        self._lay_out(active, [value.numel() for value in values])
        _count[(1,)](steps, self.found_inf)
        _update[(self._blocks,)](
            values, gradients, firsts, seconds, steps, self._table, self.rates, self.found_inf, self._mark, self.nonfinite, **self._constants, BLOCK=BLOCK
        )

    def _lay_out(self, active: list[int], sizes: list[int]) -> None:
        """Which blocks belong to which parameter. Uploads only what changed, never while a graph is captured: the first step of a new kind runs eagerly."""
        if (active, sizes) != self._layout:
            self._layout = active, sizes
            blocks = [triton.cdiv(size, BLOCK) for size in sizes]
            starts = [sum(blocks[:k]) for k in range(len(blocks))]
            self._blocks = sum(blocks)
            self._table = torch.tensor([starts, sizes, active], dtype=torch.int32, device=self.rates.device)


@triton.jit
def adam_rate(rate, done, BETA1: tl.constexpr, BETA2: tl.constexpr):
    """After `done` steps: the rate over the first moment's correction, and the root of the second's. In double precision: 1 - beta^t of the first steps loses
    three digits in single."""
    correction1 = 1 - tl.exp(done.to(tl.float64) * tl.log(tl.full([], BETA1, tl.float64)))
    correction2 = 1 - tl.exp(done.to(tl.float64) * tl.log(tl.full([], BETA2, tl.float64)))
    return rate / correction1.to(tl.float32), tl.sqrt(correction2).to(tl.float32)


@triton.jit
def adam_update(value, first, second, gradient, nonfinite, mark, rate, root, on, BETA1: tl.constexpr, BETA2: tl.constexpr, EPSILON: tl.constexpr):
    """Move the values behind pointers [BLOCK] against the gradients behind others; rate, root: of `adam_rate`.

    What is not finite is left alone, and the first step that met it sets `nonfinite` to `mark`: several threads may store the same number.
    """
    g, old = tl.load(gradient, mask=on, other=0.0), tl.load(value, mask=on, other=0.0)
    old_m, old_v = tl.load(first, mask=on, other=0.0), tl.load(second, mask=on, other=0.0)
    finite = tl.abs(g) < float("inf")
    g = tl.where(finite, g, 0.0)
    m, v = BETA1 * old_m + (1 - BETA1) * g, BETA2 * old_v + (1 - BETA2) * g * g
    tl.store(first, tl.where(finite, m, old_m), mask=on)
    tl.store(second, tl.where(finite, v, old_v), mask=on)
    tl.store(value, tl.where(finite, old - rate * m / (tl.sqrt(v) / root + EPSILON), old), mask=on)
    flag = tl.load(nonfinite)
    tl.store(nonfinite + tl.zeros(g.shape, tl.int32), mark.to(tl.int32), mask=on & (finite == 0) & (flag == 0))


@triton.jit
def _count(steps, skip):
    """One more step of each, unless it is skipped."""
    if tl.load(skip) == 0:
        for k in tl.static_range(len(steps)):
            tl.store(steps[k], tl.load(steps[k]) + 1)


@triton.jit
def _update(values, gradients, firsts, seconds, steps, table, rates, skip, mark, nonfinite,
            BETA1: tl.constexpr, BETA2: tl.constexpr, EPSILON: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Each program has BLOCK values of one parameter; table [3, P]: first program, size and group of each.

    Only the choice of the parameter is unrolled, so that dozens of them compile as fast as ten.
    """
    program = tl.program_id(0)
    count: tl.constexpr = len(values)
    if tl.load(skip) == 0:
        value, gradient, first, second, step, which = values[0], gradients[0], firsts[0], seconds[0], steps[0], 0
        for k in tl.static_range(1, count):
            here = program >= tl.load(table + k)
            value, gradient = tl.where(here, values[k], value), tl.where(here, gradients[k], gradient)
            first, second = tl.where(here, firsts[k], first), tl.where(here, seconds[k], second)
            step, which = tl.where(here, steps[k], step), tl.where(here, k, which)
        group = tl.load(table + 2 * count + which)
        rate, root = adam_rate(tl.load(rates + group), tl.load(step), BETA1, BETA2)
        offset, size = (program - tl.load(table + which)) * BLOCK, tl.load(table + count + which)
        at = offset + tl.arange(0, BLOCK)
        value, first, second, gradient, nonfinite = value + at, first + at, second + at, gradient + at, nonfinite + group
        if offset + BLOCK <= size:  # nothing to mask: wide loads and stores
            adam_update(value, first, second, gradient, nonfinite, tl.load(mark), rate, root, tl.full([BLOCK], 1, tl.int1), BETA1, BETA2, EPSILON)
        else:
            adam_update(value, first, second, gradient, nonfinite, tl.load(mark), rate, root, at < size, BETA1, BETA2, EPSILON)
