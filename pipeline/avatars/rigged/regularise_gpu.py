"""The splats' own terms of the loss on a GPU (Triton): one pass for the values, one for the gradients."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import triton
import triton.language as tl
from torch import Tensor

TERMS = ("position", "scale", "opacity", "anisotropy")
_BLOCK = 512


def splat_terms(local: Mapping[str, Tensor], weights: Mapping[str, float], thresholds: Mapping[str, float], visible: Tensor) -> Tensor:
    """The weighted terms of `RiggedAvatar.regularise` named in TERMS, [4], differentiable in `means`, `log_scales` and `opacities` of `local`."""
    chosen = tuple(float(weights.get(name, 0)) for name in TERMS)
    free = tuple(float(thresholds.get(name, 0)) for name in TERMS)
    return SplatTerms.apply(local["means"], local["log_scales"], local["opacities"], visible, chosen, free)


class SplatTerms(torch.autograd.Function):
    """(means [N, 3], log_scales [N, 3], opacities [N], visible bool [N], weights and thresholds of the TERMS) -> [4]."""

    @staticmethod
    def forward(ctx, means, log_scales, opacities, visible, weights, free):  # noqa: ANN001, ANN205
        given = [x.detach().contiguous() for x in (means, log_scales, opacities, visible)]
        programs = triton.cdiv(len(means), _BLOCK)
        sums, terms, counted = means.new_empty(5, programs), means.new_empty(4), means.new_empty(2)
        _sum_terms[(programs,)](*given, sums, len(means), WEIGHTS=weights, FREE=free, BLOCK=_BLOCK)
        _finish[(1,)](sums, terms, counted, programs, len(means), WEIGHTS=weights, BLOCK=1024)
        ctx.save_for_backward(*given, counted)
        ctx.settings = {"WEIGHTS": weights, "FREE": free, "BLOCK": _BLOCK}
        return terms

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_terms):  # noqa: ANN001, ANN205
        *given, counted = ctx.saved_tensors
        out = [torch.empty_like(x) for x in given[:3]]
        grid = (triton.cdiv(len(given[0]), _BLOCK),)
        _slopes[grid](*given, counted, d_terms, d_terms.stride(0), *out, len(given[0]), **ctx.settings)
        return *out, None, None, None


@triton.jit
def _three(rows, at, on):
    place = rows + 3 * at
    return tl.load(place, mask=on, other=0.0), tl.load(place + 1, mask=on, other=0.0), tl.load(place + 2, mask=on, other=0.0)


@triton.jit
def _put_three(rows, at, values, on):
    place = rows + 3 * at
    for k in tl.static_range(3):
        tl.store(place + k, values[k], mask=on)


@triton.jit
def _long_and_middle(x, y, z):
    """The largest and the second of three values."""
    return tl.maximum(tl.maximum(x, y), z), tl.maximum(tl.minimum(x, y), tl.minimum(tl.maximum(x, y), z))


@triton.jit(do_not_specialize=["count"])
def _sum_terms(means, log_scales, opacities, visible, sums, count, WEIGHTS: tl.constexpr, FREE: tl.constexpr, BLOCK: tl.constexpr):
    """sums [5, programs]: the four terms before their means are taken, and how many splats are visible."""
    n, programs, program = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.num_programs(0), tl.program_id(0)
    on = n < count
    seen = tl.load(visible + n, mask=on, other=0).to(tl.float32)
    x, y, z = _three(log_scales, n, on)
    if WEIGHTS[0] > 0:
        a, b, c = _three(means, n, on)
        tl.store(sums + program, tl.sum(seen * tl.maximum(tl.sqrt(a * a + b * b + c * c) - FREE[0], 0.0)))
    if WEIGHTS[1] > 0:
        a, b, c = tl.maximum(tl.exp(x) - FREE[1], 0.0), tl.maximum(tl.exp(y) - FREE[1], 0.0), tl.maximum(tl.exp(z) - FREE[1], 0.0)
        tl.store(sums + programs + program, tl.sum(seen * tl.sqrt(a * a + b * b + c * c + 1e-12)))
    if WEIGHTS[2] > 0:
        opacity = tl.sigmoid(tl.load(opacities + n, mask=on, other=0.0))
        tl.store(sums + 2 * programs + program, tl.sum(tl.where(on, opacity * (1 - opacity), 0.0)))
    if WEIGHTS[3] > 0:
        longest, middle = _long_and_middle(x, y, z)
        tl.store(sums + 3 * programs + program, tl.sum(seen * tl.maximum(tl.exp(longest - middle) - FREE[3], 0.0)))
    tl.store(sums + 4 * programs + program, tl.sum(seen))


@triton.jit
def _total(row, programs, BLOCK: tl.constexpr):
    lanes, total = tl.arange(0, BLOCK), tl.zeros([BLOCK], tl.float32)
    for start in range(0, programs, BLOCK):
        total += tl.load(row + start + lanes, mask=start + lanes < programs, other=0.0)
    return tl.sum(total)


@triton.jit(do_not_specialize=["programs", "count"])
def _finish(sums, terms, counted, programs, count, WEIGHTS: tl.constexpr, BLOCK: tl.constexpr):
    """terms [4] weighted means; counted [2]: 1 / number of visible splats, 1 / number of splats."""
    by_seen, by_all = 1 / tl.maximum(_total(sums + 4 * programs, programs, BLOCK), 1.0), 1 / tl.maximum(count.to(tl.float32), 1.0)
    tl.store(counted, by_seen)
    tl.store(counted + 1, by_all)
    for k in tl.static_range(4):
        if WEIGHTS[k] > 0:
            tl.store(terms + k, WEIGHTS[k] * _total(sums + k * programs, programs, BLOCK) * (by_all if k == 2 else by_seen))
        else:
            tl.store(terms + k, 0.0)


@triton.jit(do_not_specialize=["stride", "count"])
def _slopes(
    means, log_scales, opacities, visible, counted, d_terms, stride, d_means, d_log_scales, d_opacities, count,
    WEIGHTS: tl.constexpr, FREE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One splat per lane."""
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    on = n < count
    seen = tl.load(visible + n, mask=on, other=0).to(tl.float32) * tl.load(counted)
    zero = tl.zeros([BLOCK], tl.float32)
    x, y, z = _three(log_scales, n, on)
    dx, dy, dz, da, db, dc, d_opacity = zero, zero, zero, zero, zero, zero, zero
    if WEIGHTS[0] > 0:
        a, b, c = _three(means, n, on)
        length = tl.sqrt(a * a + b * b + c * c)
        slope = tl.where(length > FREE[0], WEIGHTS[0] * tl.load(d_terms) * seen / tl.maximum(length, 1e-30), 0.0)
        da, db, dc = slope * a, slope * b, slope * c
    if WEIGHTS[1] > 0:
        a, b, c = tl.exp(x), tl.exp(y), tl.exp(z)
        u, v, w = tl.maximum(a - FREE[1], 0.0), tl.maximum(b - FREE[1], 0.0), tl.maximum(c - FREE[1], 0.0)
        slope = WEIGHTS[1] * tl.load(d_terms + stride) * seen / tl.sqrt(u * u + v * v + w * w + 1e-12)
        dx, dy, dz = slope * u * a, slope * v * b, slope * w * c
    if WEIGHTS[2] > 0:
        opacity = tl.sigmoid(tl.load(opacities + n, mask=on, other=0.0))
        d_opacity = WEIGHTS[2] * tl.load(d_terms + 2 * stride) * tl.load(counted + 1) * opacity * (1 - opacity) * (1 - 2 * opacity)
    if WEIGHTS[3] > 0:
        longest, middle = _long_and_middle(x, y, z)
        ratio = tl.exp(longest - middle)
        slope = tl.where(ratio > FREE[3], WEIGHTS[3] * tl.load(d_terms + 3 * stride) * seen * ratio, 0.0)
        dx += tl.where(x == longest, slope, tl.where(x == middle, -slope, 0.0))
        dy += tl.where(y == longest, slope, tl.where(y == middle, -slope, 0.0))
        dz += tl.where(z == longest, slope, tl.where(z == middle, -slope, 0.0))
    _put_three(d_means, n, (da, db, dc), on)
    _put_three(d_log_scales, n, (dx, dy, dz), on)
    tl.store(d_opacities + n, d_opacity, mask=on)
