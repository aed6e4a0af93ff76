"""The statistics of density control on a GPU (Triton), in one launch."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 512


def watch(screen_gradient: Tensor, radii: Tensor, size: tuple[int, int], skip: Tensor, pull: Tensor, seen: Tensor) -> None:
    """pull [N] += |last two columns of screen_gradient x size / 2|, seen [N] += radii [N] > 0; see `DensityControl.watch`."""
    grid = (triton.cdiv(len(pull), _BLOCK),)
    _watch[grid](screen_gradient, radii, skip, pull, seen, 0.5 * size[0], 0.5 * size[1], len(pull), COLUMNS=screen_gradient.shape[1], BLOCK=_BLOCK)


@triton.jit(do_not_specialize=["count"])
def _watch(screen_gradient, radii, skip, pull, seen, half_width, half_height, count, COLUMNS: tl.constexpr, BLOCK: tl.constexpr):
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    on = n < tl.where(tl.load(skip) == 0, count, 0)
    last_two = screen_gradient + n * COLUMNS + (COLUMNS - 2)
    x = half_width * tl.load(last_two, mask=on, other=0.0)
    y = half_height * tl.load(last_two + 1, mask=on, other=0.0)
    tl.store(pull + n, tl.load(pull + n, mask=on, other=0.0) + tl.sqrt(x * x + y * y), mask=on)
    tl.store(seen + n, tl.load(seen + n, mask=on, other=0.0) + tl.where(tl.load(radii + n, mask=on, other=0) > 0, 1.0, 0.0), mask=on)
