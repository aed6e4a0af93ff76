"""The statistics of density control on a GPU (Triton), in one launch."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 512


def accumulate(screen_gradient: Tensor, radii: Tensor, size: tuple[int, int], skip: Tensor, grad_accum: Tensor, visible_count: Tensor) -> None:
    """grad_accum [N] += over the views, |last two columns of screen_gradient [V, N, 2 or 4] x size / 2|; visible_count [N] += radii [V, N] > 0.

    See `DensityControl.accumulate`. Views are added in order, so that results are equal to the bit from run to run.
    """
    views, count, columns = screen_gradient.shape
    grid = (triton.cdiv(count, _BLOCK),)
    _accumulate[grid](
        screen_gradient.contiguous(), radii.contiguous(), skip, grad_accum, visible_count, 0.5 * size[0], 0.5 * size[1], views, count,
        COLUMNS=columns, BLOCK=_BLOCK,
    )  # fmt: skip


@triton.jit(do_not_specialize=["views", "count"])
def _accumulate(
    screen_gradient, radii, skip, grad_accum, visible_count, half_width, half_height, views, count, COLUMNS: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """One splat per lane."""
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    on = n < tl.where(tl.load(skip) == 0, count, 0)
    gradient, visible = tl.load(grad_accum + n, mask=on, other=0.0), tl.load(visible_count + n, mask=on, other=0.0)
    for view in range(views):
        last_two = screen_gradient + (view * count + n) * COLUMNS + (COLUMNS - 2)
        x, y = half_width * tl.load(last_two, mask=on, other=0.0), half_height * tl.load(last_two + 1, mask=on, other=0.0)
        gradient += tl.sqrt(x * x + y * y)
        visible += tl.where(tl.load(radii + view * count + n, mask=on, other=0) > 0, 1.0, 0.0)
    tl.store(grad_accum + n, gradient, mask=on)
    tl.store(visible_count + n, visible, mask=on)
