"""`StepGuard.record` on a GPU (Triton), in one launch."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor


def record(values: Tensor, overflowed: Tensor, state: Tensor, sums: Tensor) -> None:
    """See `guard.record_reference`."""
    _record[(1,)](values, overflowed, state, sums, len(values), len(sums), BLOCK=triton.next_power_of_2(len(values)))


@triton.jit
def _record(values, overflowed, state, sums, count, summed, BLOCK: tl.constexpr):
    k = tl.arange(0, BLOCK)
    value = tl.load(values + k, mask=k < count, other=0.0)
    bad = tl.max(tl.where(value - value == 0.0, 0.0, 1.0), axis=0)  # infinity and NaN minus themselves are NaN
    before = tl.load(state)
    nonfinite = tl.maximum(tl.load(state + 1), bad * (1.0 - before))
    invalid = tl.maximum(tl.maximum(before, nonfinite), tl.load(overflowed).to(tl.float32))
    total = tl.load(sums + k, mask=k < summed, other=0.0)
    tl.store(sums + k, tl.where(invalid > 0.0, total, total + value), mask=k < summed)
    tl.store(state, invalid)
    tl.store(state + 1, nonfinite)
    tl.store(state + 2, tl.load(state + 2) + 1.0 - invalid)
