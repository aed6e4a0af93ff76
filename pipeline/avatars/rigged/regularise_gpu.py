"""The splats' own loss terms on a GPU (Triton): one pass for the values, one for the gradients."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import triton
import triton.language as tl
from torch import Tensor

from pipeline.avatars.rigged.settings import SPLAT_TERMS
from pipeline.geometry.triton_vector import load_vector, store_vector

_BLOCK = 512


def splat_terms(local: Mapping[str, Tensor], weights: Mapping[str, float], thresholds: Mapping[str, float], visible: Tensor) -> Tensor:
    """The weighted terms of `regularise.splat_terms`, [4] in the order of SPLAT_TERMS, differentiable in `means`, `log_scales` and `opacities` of `local`."""
    factors, margins = (tuple(float(numbers.get(name, 0)) for name in SPLAT_TERMS) for numbers in (weights, thresholds))
    return SplatTerms.apply(local["means"], local["log_scales"], local["opacities"], visible, factors, margins)


class SplatTerms(torch.autograd.Function):
    """(means [N, 3], log_scales [N, 3], opacities [N], visible bool [N], weights and margins of the SPLAT_TERMS) -> [4]."""

    @staticmethod
    def forward(ctx, means, log_scales, opacities, visible, weights, margins):
        inputs = [x.detach().contiguous() for x in (means, log_scales, opacities, visible)]
        programs = triton.cdiv(len(means), _BLOCK)
        sums, terms, shares = means.new_empty(5, programs), means.new_empty(4), means.new_empty(2)
        _sum_terms[(programs,)](*inputs, sums, len(means), WEIGHTS=weights, MARGINS=margins, BLOCK=_BLOCK)
        _means[(1,)](sums, terms, shares, programs, len(means), WEIGHTS=weights, BLOCK=1024)
        ctx.save_for_backward(*inputs, shares)
        ctx.settings = {"WEIGHTS": weights, "MARGINS": margins, "BLOCK": _BLOCK}
        return terms

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_terms):
        *inputs, shares = ctx.saved_tensors
        out = [torch.empty_like(x) for x in inputs[:3]]
        grid = (triton.cdiv(len(inputs[0]), _BLOCK),)
        _gradients[grid](*inputs, shares, d_terms, d_terms.stride(0), *out, len(inputs[0]), **ctx.settings)
        return *out, None, None, None


@triton.jit
def _long_and_middle(x, y, z):
    """The largest and the second of three values."""
    return tl.maximum(tl.maximum(x, y), z), tl.maximum(tl.minimum(x, y), tl.minimum(tl.maximum(x, y), z))


@triton.jit(do_not_specialize=["count"])
def _sum_terms(means, log_scales, opacities, visible, sums, count, WEIGHTS: tl.constexpr, MARGINS: tl.constexpr, BLOCK: tl.constexpr):
    """sums [5, programs]: the four terms before their means are taken, and how many splats are visible."""
    n, programs, program = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.num_programs(0), tl.program_id(0)
    on = n < count
    live = tl.load(visible + n, mask=on, other=0).to(tl.float32)
    x, y, z = load_vector(log_scales + 3 * n, on)
    if WEIGHTS[0] > 0:
        a, b, c = load_vector(means + 3 * n, on)
        tl.store(sums + program, tl.sum(live * tl.maximum(tl.sqrt(a * a + b * b + c * c) - MARGINS[0], 0.0)))
    if WEIGHTS[1] > 0:
        a, b, c = tl.maximum(tl.exp(x) - MARGINS[1], 0.0), tl.maximum(tl.exp(y) - MARGINS[1], 0.0), tl.maximum(tl.exp(z) - MARGINS[1], 0.0)
        tl.store(sums + programs + program, tl.sum(live * tl.sqrt(a * a + b * b + c * c + 1e-12)))
    if WEIGHTS[2] > 0:
        opacity = tl.sigmoid(tl.load(opacities + n, mask=on, other=0.0))
        tl.store(sums + 2 * programs + program, tl.sum(tl.where(on, opacity * (1 - opacity), 0.0)))
    if WEIGHTS[3] > 0:
        longest, middle = _long_and_middle(x, y, z)
        tl.store(sums + 3 * programs + program, tl.sum(live * tl.maximum(tl.exp(longest - middle) - MARGINS[3], 0.0)))
    tl.store(sums + 4 * programs + program, tl.sum(live))


@triton.jit
def _total(row, programs, BLOCK: tl.constexpr):
    lanes, total = tl.arange(0, BLOCK), tl.zeros([BLOCK], tl.float32)
    for start in range(0, programs, BLOCK):
        total += tl.load(row + start + lanes, mask=start + lanes < programs, other=0.0)
    return tl.sum(total)


@triton.jit(do_not_specialize=["programs", "count"])
def _means(sums, terms, shares, programs, count, WEIGHTS: tl.constexpr, BLOCK: tl.constexpr):
    """terms [4] weighted means; shares [2]: 1 / number of visible splats, 1 / number of splats."""
    of_visible, of_all = 1 / tl.maximum(_total(sums + 4 * programs, programs, BLOCK), 1.0), 1 / tl.maximum(count.to(tl.float32), 1.0)
    tl.store(shares, of_visible)
    tl.store(shares + 1, of_all)
    for k in tl.static_range(4):
        if WEIGHTS[k] > 0:
            tl.store(terms + k, WEIGHTS[k] * _total(sums + k * programs, programs, BLOCK) * (of_all if k == 2 else of_visible))
        else:
            tl.store(terms + k, 0.0)


@triton.jit(do_not_specialize=["stride", "count"])
def _gradients(
    means, log_scales, opacities, visible, shares, d_terms, stride, d_means, d_log_scales, d_opacities, count,
    WEIGHTS: tl.constexpr, MARGINS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One splat per lane."""
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    on = n < count
    share = tl.load(visible + n, mask=on, other=0).to(tl.float32) * tl.load(shares)
    zero = tl.zeros([BLOCK], tl.float32)
    x, y, z = load_vector(log_scales + 3 * n, on)
    dx, dy, dz, da, db, dc, d_opacity = zero, zero, zero, zero, zero, zero, zero
    if WEIGHTS[0] > 0:
        a, b, c = load_vector(means + 3 * n, on)
        length = tl.sqrt(a * a + b * b + c * c)
        factor = tl.where(length > MARGINS[0], WEIGHTS[0] * tl.load(d_terms) * share / tl.maximum(length, 1e-30), 0.0)
        da, db, dc = factor * a, factor * b, factor * c
    if WEIGHTS[1] > 0:
        a, b, c = tl.exp(x), tl.exp(y), tl.exp(z)
        u, v, w = tl.maximum(a - MARGINS[1], 0.0), tl.maximum(b - MARGINS[1], 0.0), tl.maximum(c - MARGINS[1], 0.0)
        factor = WEIGHTS[1] * tl.load(d_terms + stride) * share / tl.sqrt(u * u + v * v + w * w + 1e-12)
        dx, dy, dz = factor * u * a, factor * v * b, factor * w * c
    if WEIGHTS[2] > 0:
        opacity = tl.sigmoid(tl.load(opacities + n, mask=on, other=0.0))
        d_opacity = WEIGHTS[2] * tl.load(d_terms + 2 * stride) * tl.load(shares + 1) * opacity * (1 - opacity) * (1 - 2 * opacity)
    if WEIGHTS[3] > 0:
        longest, middle = _long_and_middle(x, y, z)
        ratio = tl.exp(longest - middle)
        factor = tl.where(ratio > MARGINS[3], WEIGHTS[3] * tl.load(d_terms + 3 * stride) * share * ratio, 0.0)
        dx += tl.where(x == longest, factor, tl.where(x == middle, -factor, 0.0))
        dy += tl.where(y == longest, factor, tl.where(y == middle, -factor, 0.0))
        dz += tl.where(z == longest, factor, tl.where(z == middle, -factor, 0.0))
    store_vector(d_means + 3 * n, (da, db, dc), on)
    store_vector(d_log_scales + 3 * n, (dx, dy, dz), on)
    tl.store(d_opacities + n, d_opacity, mask=on)
