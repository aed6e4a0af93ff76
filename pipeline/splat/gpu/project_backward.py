"""Last stage of the GPU rasteriser: the sums of each splat's pair gradients, back through colours and projection."""

from __future__ import annotations

import triton
import triton.language as tl

from pipeline.geometry.triton_vector import store_vector
from pipeline.splat.gpu.gather import gather, gather_absolute
from pipeline.splat.gpu.project import COLOURS, LN2, UNSPECIALISED, load_four, scaled_rotation, unit_quaternion
from pipeline.splat.gpu.projection_gradient import projection_gradient, quaternion_gradient
from pipeline.splat.gpu.shade import SH_0, sh_basis, sh_gradient_x, sh_gradient_y, sh_gradient_z, view_direction

POSE = tl.constexpr(16)  # columns of a pose gradient: R row-major, t, camera centre, (unused)


@triton.jit
def _direction_gradient(weight, dx, dy, dz, inverse, drawn, index, ACTIVE: tl.constexpr):
    """Gradient of the camera centre from the basis functions' gradients, weight [S, 16]; that of the mean is its opposite."""
    x, y, z = dx[:, None], dy[:, None], dz[:, None]
    tx = tl.sum(weight * sh_gradient_x(x, y, z, index, ACTIVE), 1)
    ty = tl.sum(weight * sh_gradient_y(x, y, z, index, ACTIVE), 1)
    tz = tl.sum(weight * sh_gradient_z(x, y, z, index, ACTIVE), 1)
    radial = tx * dx + ty * dy + tz * dz
    scale = tl.where(drawn, inverse, 0.0)
    return (radial * dx - tx) * scale, (radial * dy - ty) * scale, (radial * dz - tz) * scale


@triton.jit
def _sh_gradient(colour, source, R, t, x, y, z, d_red, d_green, d_blue, drawn, ACTIVE: tl.constexpr, STORED: tl.constexpr):
    """Basis [S, 16] of the splats' directions, and the gradient of the camera centre, that of the mean with the other sign."""
    index = tl.arange(0, 16)[None, :]
    dx, dy, dz, inverse = view_direction(R, t, x, y, z)
    basis = sh_basis(dx[:, None], dy[:, None], dz[:, None], index, ACTIVE)
    sh_at = colour + source[:, None] * (3 * STORED) + 3 * index
    used = drawn[:, None] & (index < ACTIVE)
    weight = d_red[:, None] * tl.load(sh_at, used, 0.0) + d_green[:, None] * tl.load(sh_at + 1, used, 0.0)
    weight += d_blue[:, None] * tl.load(sh_at + 2, used, 0.0)
    return basis, _direction_gradient(weight, dx, dy, dz, inverse, drawn, index, ACTIVE)


@triton.jit
def _features_gradient(d_pairs, first, count, capacity, CHANNELS: tl.constexpr, RECORD: tl.constexpr, PADDED: tl.constexpr):
    """Sums [S, PADDED] of the channels' gradients over each splat's pairs, in order."""
    channel, total = tl.arange(0, PADDED)[None, :], tl.zeros([first.shape[0], PADDED], tl.float32)
    for i in range(0, tl.max(count, 0)):
        pair = d_pairs + (first + i).to(tl.int64) * RECORD
        here = tl.load(pair + 6, (i < count) & (first + i < capacity), -1.0)[:, None] >= 0
        total += tl.load(pair[:, None] + COLOURS + channel, here & (channel < CHANNELS), 0.0)
    return total


@triton.jit
def _store_screen(d_screen, at, mask, d_mx, d_my, d_absolute, first, count, capacity, SCREEN: tl.constexpr, BLOCK: tl.constexpr):
    """The gradient of `screen` [B, N, SCREEN]; with four columns also the absolute one."""
    tl.store(d_screen + at * SCREEN, d_mx, mask)
    tl.store(d_screen + at * SCREEN + 1, d_my, mask)
    if SCREEN == 4:
        absolute_x, absolute_y = gather_absolute(d_absolute, first, count, capacity, 0.0 * d_mx, BLOCK)
        tl.store(d_screen + at * SCREEN + 2, absolute_x * (2 * LN2), mask)
        tl.store(d_screen + at * SCREEN + 3, absolute_y * (2 * LN2), mask)


@triton.jit
def _store_shape(d_quats, d_log_scales, log_scales, source, mask, q, m, g):
    """Gradients of the quaternion q (w, x, y, z, inverse length) and of the logarithms of the scales from g [9], that of m = rotation * scales."""
    d_log_scale = g[0] * m[0] + g[3] * m[3] + g[6] * m[6], g[1] * m[1] + g[4] * m[4] + g[7] * m[7], g[2] * m[2] + g[5] * m[5] + g[8] * m[8]
    store_vector(d_log_scales + 3 * source, d_log_scale, mask)
    sx = tl.exp(tl.load(log_scales + 3 * source, mask, 0.0))
    sy = tl.exp(tl.load(log_scales + 3 * source + 1, mask, 0.0))
    sz = tl.exp(tl.load(log_scales + 3 * source + 2, mask, 0.0))
    hw, hx, hy, hz = quaternion_gradient(
        q[0], q[1], q[2], q[3], q[4], g[0] * sx, g[1] * sy, g[2] * sz, g[3] * sx, g[4] * sy, g[5] * sz, g[6] * sx, g[7] * sy, g[8] * sz
    )
    tl.store(d_quats + 4 * source, hw, mask)
    tl.store(d_quats + 4 * source + 1, hx, mask)
    tl.store(d_quats + 4 * source + 2, hy, mask)
    tl.store(d_quats + 4 * source + 3, hz, mask)


@triton.jit
def _store_sh(d_colour, source, mask, red, green, blue, ACTIVE: tl.constexpr, STORED: tl.constexpr, BLOCK: tl.constexpr):
    """Gradients of SH [N, STORED, 3], zero beyond the coefficients in use: red, green, blue [S], or with several in use [S, 16]."""
    if ACTIVE == 1:
        if STORED > 1:
            column = tl.arange(0, 64)[None, :]
            tl.store(
                d_colour + source[:, None] * (3 * STORED) + column, tl.zeros([BLOCK, 64], tl.float32), mask[:, None] & (column >= 3) & (column < 3 * STORED)
            )
        store_vector(d_colour + source * (3 * STORED), (red, green, blue), mask)
    else:
        index = tl.arange(0, 16)[None, :]
        out = d_colour + source[:, None] * (3 * STORED) + 3 * index
        stored = mask[:, None] & (index < STORED)
        tl.store(out, red, stored)
        tl.store(out + 1, green, stored)
        tl.store(out + 2, blue, stored)


@triton.jit(do_not_specialize=UNSPECIALISED)
def project_backward(means, quats, log_scales, opacities, colour, K, R, t, projected, first_slot, counts, totals, d_pairs, d_absolute,
                     d_means, d_quats, d_log_scales, d_opacities, d_colour, d_screen, d_pose,
                     N, views, width, height, capacity,
                     SHARED: tl.constexpr, ACTIVE: tl.constexpr, STORED: tl.constexpr, CHANNELS: tl.constexpr, RECORD: tl.constexpr, PADDED: tl.constexpr,
                     SCREEN: tl.constexpr, WITH_POSE: tl.constexpr, DEPTH: tl.constexpr, ANTIALIAS: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Grid (splat blocks, sets of splats). Fills the gradients of the splats, of screen [B, N, SCREEN] and d_pose [B, splat blocks, POSE]; shared splats go
    through all views.

    totals [1]: number of pairs; where it exceeds the capacity all gradients are zero.
    """
    block = tl.program_id(0)
    splat = block * BLOCK + tl.arange(0, BLOCK)
    mask = splat < N
    first_view = tl.program_id(1)
    source = splat if SHARED else first_view * N + splat
    x, y, z = tl.load(means + 3 * source, mask, 0.0), tl.load(means + 3 * source + 1, mask, 0.0), tl.load(means + 3 * source + 2, mask, 0.0)
    q = unit_quaternion(quats, source, mask)
    m = scaled_rotation(q[0], q[1], q[2], q[3], log_scales, source, mask)
    logistic = 1.0 / (1.0 + tl.exp(-tl.load(opacities + source, mask, 0.0)))
    zero, fits = x * 0.0, tl.load(totals) <= capacity
    g_mean, g_logit = (zero, zero, zero), zero
    g_matrix = (zero, zero, zero, zero, zero, zero, zero, zero, zero)
    if ACTIVE == 0:
        g_features = tl.zeros([BLOCK, PADDED], tl.float32)
    elif ACTIVE == 1:
        g_red, g_green, g_blue = zero, zero, zero
    else:
        g_red, g_green, g_blue = tl.zeros([BLOCK, 16], tl.float32), tl.zeros([BLOCK, 16], tl.float32), tl.zeros([BLOCK, 16], tl.float32)
    for number in range(0, views if SHARED else 1):
        view = number if SHARED else first_view
        at = view * N + splat
        Kv, Rv, tv = K + 9 * view, R + 9 * view, t + 3 * view
        count, first = tl.load(counts + at, mask & fits, 0), tl.load(first_slot + at, mask, 0)
        drawn = count > 0
        at_splat = projected + at * RECORD
        mx, my, a, r = load_four(at_splat, drawn)
        k, _, _, opacity = load_four(at_splat + 4, drawn)
        a, k, opacity = a * -LN2, k * -LN2, tl.where(drawn, opacity, 1.0)
        g, gu, gdy, guu, guy, gyy, d_depth, d_red, d_green, d_blue = gather(
            d_pairs, first, count, mx, my, r, capacity, CHANNELS, RECORD, DEPTH, ACTIVE > 0, BLOCK
        )
        d_mx = 2 * a * gu
        d_my = r * d_mx + 2 * k * gdy
        if SCREEN:
            _store_screen(d_screen, at, mask, d_mx, d_my, d_absolute, first, count, capacity, SCREEN, BLOCK)
        d_centre = (zero, zero, zero)
        if ACTIVE == 0:
            g_features += _features_gradient(d_pairs, first, count, capacity, CHANNELS, RECORD, PADDED)
        else:
            red, green, blue, _ = load_four(at_splat + COLOURS, drawn)
            d_red, d_green, d_blue = tl.where(red > 0, d_red, 0.0), tl.where(green > 0, d_green, 0.0), tl.where(blue > 0, d_blue, 0.0)
            if ACTIVE == 1:
                g_red, g_green, g_blue = g_red + SH_0 * d_red, g_green + SH_0 * d_green, g_blue + SH_0 * d_blue
            else:
                basis, d_centre = _sh_gradient(colour, source, Rv, tv, x, y, z, d_red, d_green, d_blue, drawn, ACTIVE, STORED)
                g_red, g_green, g_blue = g_red + basis * d_red[:, None], g_green + basis * d_green[:, None], g_blue + basis * d_blue[:, None]
        pose = d_pose + (view * tl.num_programs(0) + block) * POSE
        d_mean, d_m, d_logit = projection_gradient(Kv, Rv, tv, x, y, z, m, a, r, k, logistic, d_mx, d_my, guu, 2 * a * guy, gyy, d_depth, -g / opacity,
                                                   d_centre, drawn, width, height, pose, WITH_POSE, ANTIALIAS)  # fmt: skip
        g_mean = (g_mean[0] + d_mean[0], g_mean[1] + d_mean[1], g_mean[2] + d_mean[2])
        g_matrix = (
            g_matrix[0] + d_m[0], g_matrix[1] + d_m[1], g_matrix[2] + d_m[2], g_matrix[3] + d_m[3], g_matrix[4] + d_m[4],
            g_matrix[5] + d_m[5], g_matrix[6] + d_m[6], g_matrix[7] + d_m[7], g_matrix[8] + d_m[8],
        )  # fmt: skip
        g_logit += d_logit
    store_vector(d_means + 3 * source, g_mean, mask)
    _store_shape(d_quats, d_log_scales, log_scales, source, mask, q, m, g_matrix)
    tl.store(d_opacities + source, g_logit, mask)
    if ACTIVE == 0:
        channel = tl.arange(0, PADDED)[None, :]
        tl.store(d_colour + source[:, None] * CHANNELS + channel, g_features, mask[:, None] & (channel < CHANNELS))
    else:
        _store_sh(d_colour, source, mask, g_red, g_green, g_blue, ACTIVE, STORED, BLOCK)


@triton.jit(do_not_specialize=UNSPECIALISED)
def pose_backward(d_pose, R, t, d_R, d_t, blocks, ROWS: tl.constexpr):
    """d_R [B, 3, 3] and d_t [B, 3], one view per program: sum its pose gradients in order; the camera centre is -R^T t."""
    view = tl.program_id(0)
    column, lane = tl.arange(0, POSE)[None, :], tl.arange(0, ROWS)[:, None]
    total = tl.zeros([ROWS, POSE], tl.float32)
    for i in range(0, blocks, ROWS):
        total += tl.load(d_pose + (view * blocks + i + lane) * POSE + column, (i + lane < blocks) & (column < 15), 0.0)
    sums = tl.sum(total, 0)[None, :]
    row, axis = tl.arange(0, 4)[:, None], tl.arange(0, 4)[:, None]
    inside = row < 3
    tr = tl.load(t + 3 * view + row, inside, 0.0)
    # columns 0..8 of row i hold R[i]; the centre's gradient is in columns 12..14
    cx, cy, cz = tl.sum(tl.where(column == 12, sums, 0.0), 1), tl.sum(tl.where(column == 13, sums, 0.0), 1), tl.sum(tl.where(column == 14, sums, 0.0), 1)
    for j in tl.static_range(3):
        centre = cx if j == 0 else (cy if j == 1 else cz)
        value = tl.sum(tl.where(column == 3 * row + j, sums, 0.0), 1)[:, None] - tr * centre[:, None]
        tl.store(d_R + 9 * view + 3 * row + j, value, inside)
    turned = tl.load(R + 9 * view + 3 * axis, inside, 0.0) * cx[:, None]
    turned += tl.load(R + 9 * view + 3 * axis + 1, inside, 0.0) * cy[:, None] + tl.load(R + 9 * view + 3 * axis + 2, inside, 0.0) * cz[:, None]
    shift = tl.sum(tl.where(column == 9 + row, sums, 0.0), 1)[:, None]
    tl.store(d_t + 3 * view + row, shift - turned, inside)
