"""Adam for all parameters in one launch (Triton), with rate, factor and skipping on the device.

Torch's own fused Adam takes one launch per learning rate, and gives each block of threads 65,536 values: measured at 0.25 to 0.32 ms for the ten parameters of
30,000 to 100,000 splats, where the bytes to be moved ask for a tenth of that (docs/kernels.md).
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

    Attributes:
        factor: float32 [], of all rates. found_inf: float32 [], not 0 = change nothing.
    """

    def __init__(self, groups: Sequence[dict], betas: tuple[float, float], epsilon: float, factor: Tensor, found_inf: Tensor):
        super().__init__(groups, {"lr": 0.0})
        self.factor, self.found_inf = factor, found_inf
        self._constants = {"BETA1": betas[0], "BETA2": betas[1], "EPSILON": epsilon}
        self._sizes: list[int] = []
        self._rates = torch.tensor([group["lr"] for group in self.param_groups], device=factor.device)

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update every parameter; all must have gradients."""
        values = [group["params"][0] for group in self.param_groups]
        for value in values:
            if not self.state[value]:
                zero = torch.zeros((), device=value.device)
                self.state[value] |= {"step": zero, "exp_avg": torch.zeros_like(value), "exp_avg_sq": torch.zeros_like(value)}
        steps, firsts, seconds = (tuple(self.state[value][name] for value in values) for name in ("step", "exp_avg", "exp_avg_sq"))
        gradients = tuple(value.grad.contiguous() for value in values)
        sizes = [value.numel() for value in values]
        if sizes != self._sizes:  # never while a graph is captured: the first step with new sizes runs eagerly
            self._sizes, blocks = sizes, torch.tensor([0, *(triton.cdiv(size, BLOCK) for size in sizes)]).cumsum(0)
            self._blocks, self._starts = int(blocks[-1]), blocks.to(self.factor.device, torch.int32)
            self._counts = torch.tensor(sizes, device=self.factor.device)
        _count[(1,)](steps, self.found_inf)
        _update[(self._blocks,)](
            tuple(values),
            gradients,
            firsts,
            seconds,
            steps,
            self._starts,
            self._counts,
            self._rates,
            self.factor,
            self.found_inf,
            **self._constants,
            BLOCK=BLOCK,
        )


@triton.jit
def adam_rate(rate, done, BETA1: tl.constexpr, BETA2: tl.constexpr):
    """After `done` steps: the rate over the first moment's correction, and the root of the second's. In double precision: 1 - beta^t of the first steps loses
    three digits in single."""
    correction1 = 1 - tl.exp(done.to(tl.float64) * tl.log(tl.full([], BETA1, tl.float64)))
    correction2 = 1 - tl.exp(done.to(tl.float64) * tl.log(tl.full([], BETA2, tl.float64)))
    return rate / correction1.to(tl.float32), tl.sqrt(correction2).to(tl.float32)


@triton.jit
def adam_update(value, first, second, g, rate, shrink, on, BETA1: tl.constexpr, BETA2: tl.constexpr, EPSILON: tl.constexpr):
    """Move the values behind pointers [BLOCK] against gradients g; rate, shrink: of `adam_rate`."""
    m = BETA1 * tl.load(first, mask=on, other=0.0) + (1 - BETA1) * g
    v = BETA2 * tl.load(second, mask=on, other=0.0) + (1 - BETA2) * g * g
    tl.store(first, m, mask=on)
    tl.store(second, v, mask=on)
    tl.store(value, tl.load(value, mask=on, other=0.0) - rate * m / (tl.sqrt(v) / shrink + EPSILON), mask=on)


@triton.jit
def _count(steps, skip):
    """One more step of each, unless it is skipped."""
    if tl.load(skip) == 0:
        for k in tl.static_range(len(steps)):
            tl.store(steps[k], tl.load(steps[k]) + 1)


@triton.jit
def _update(values, gradients, firsts, seconds, steps, starts, counts, rates, factor, skip,
            BETA1: tl.constexpr, BETA2: tl.constexpr, EPSILON: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Each program has BLOCK values of one parameter."""
    program = tl.program_id(0)
    if tl.load(skip) == 0:
        for k in tl.static_range(len(values)):
            start = tl.load(starts + k)
            if (program >= start) & (program < tl.load(starts + k + 1)):
                rate, shrink = adam_rate(tl.load(rates + k) * tl.load(factor), tl.load(steps[k]), BETA1, BETA2)
                at = (program - start) * BLOCK + tl.arange(0, BLOCK)
                on = at < tl.load(counts + k)
                g = tl.load(gradients[k] + at, mask=on, other=0.0)
                adam_update(values[k] + at, firsts[k] + at, seconds[k] + at, g, rate, shrink, on, BETA1, BETA2, EPSILON)
