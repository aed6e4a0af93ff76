"""Last stage of the GPU rasteriser: pull the sums of each splat's pair gradients back through colours and projection.

The formulas are those of `gpu_project` by the chain rule.
"""

from __future__ import annotations

import triton
import triton.language as tl

from pipeline.splat.gpu.gather import gather, gather_pulls
from pipeline.splat.gpu.project import (
    COLOURS,
    LN2,
    UNSPECIALISED,
    bounded_slopes,
    cross,
    scaled_rotation,
    screen_axes,
    take_four,
    times,
    to_camera,
    unit_quaternion,
)
from pipeline.splat.gpu.shade import SH_0, sh_basis, sh_slope_x, sh_slope_y, sh_slope_z, view_direction
from pipeline.splat.rules import LOW_PASS, MIN_COMPENSATION

POSE = tl.constexpr(16)  # columns of a pose gradient: R row-major, t, camera centre, (free)
_LOW_PASS, _MIN_COMPENSATION = tl.constexpr(LOW_PASS), tl.constexpr(MIN_COMPENSATION)


@triton.jit
def _quaternion_gradient(w, x, y, z, inverse, r0, r1, r2, r3, r4, r5, r6, r7, r8):
    """Gradient of the unnormalised quaternion from that of its rotation matrix (row-major)."""
    gw = 2 * (x * (r7 - r5) + y * (r2 - r6) + z * (r3 - r1))
    gx = 2 * (y * (r1 + r3) + z * (r2 + r6) + w * (r7 - r5) - 2 * x * (r4 + r8))
    gy = 2 * (x * (r1 + r3) + z * (r5 + r7) + w * (r2 - r6) - 2 * y * (r0 + r8))
    gz = 2 * (x * (r2 + r6) + y * (r5 + r7) + w * (r3 - r1) - 2 * z * (r0 + r4))
    along = gw * w + gx * x + gy * y + gz * z
    return (gw - along * w) * inverse, (gx - along * x) * inverse, (gy - along * y) * inverse, (gz - along * z) * inverse


@triton.jit
def _compensation_gradient(d_factor, p0, p1, p2, q0, q1, q2):
    """Anti-aliasing's factor sqrt(sharp / determinant), sharp = |p x q|^2, and from its gradient those of both variances, of p and of q."""
    c0, c1, c2 = cross(p0, p1, p2, q0, q1, q2)
    sharp = c0 * c0 + c1 * c1 + c2 * c2
    determinant = sharp + (p0 * p0 + p1 * p1 + p2 * p2 + q0 * q0 + q1 * q1 + q2 * q2) * _LOW_PASS + _LOW_PASS * _LOW_PASS
    root = tl.sqrt(sharp / determinant)
    factor = tl.maximum(root, _MIN_COMPENSATION)
    d_ratio = tl.where(root > _MIN_COMPENSATION, 0.5 * d_factor / factor, 0.0) / determinant
    d_sharp = 2 * d_ratio * (1 - root * root)
    e0, e1, e2 = cross(q0, q1, q2, c0, c1, c2)
    f0, f1, f2 = cross(c0, c1, c2, p0, p1, p2)
    return factor, -d_ratio * root * root * _LOW_PASS, d_sharp * e0, d_sharp * e1, d_sharp * e2, d_sharp * f0, d_sharp * f1, d_sharp * f2


@triton.jit
def _direction_gradient(weight, dx, dy, dz, inverse, drawn, index, ACTIVE: tl.constexpr):
    """Gradient of the camera centre from the basis functions' gradients, weight [S, 16]; that of the mean is its opposite."""
    x, y, z = dx[:, None], dy[:, None], dz[:, None]
    tx = tl.sum(weight * sh_slope_x(x, y, z, index, ACTIVE), 1)
    ty = tl.sum(weight * sh_slope_y(x, y, z, index, ACTIVE), 1)
    tz = tl.sum(weight * sh_slope_z(x, y, z, index, ACTIVE), 1)
    along = tx * dx + ty * dy + tz * dz
    scale = tl.where(drawn, inverse, 0.0)
    return (along * dx - tx) * scale, (along * dy - ty) * scale, (along * dz - tz) * scale


@triton.jit
def _shape_gradient(a, r, k, d_a, d_r, d_k, d_opacity, logistic, p, q, ANTIALIAS: tl.constexpr):
    """Anti-aliasing's factor, and the gradients of p and q (see `gpu_project`) from those of a, r, k and of the drawn opacity."""
    scaled = 2 * a * a * d_a
    d_xx, d_xy, d_yy = -scaled, -2 * (scaled * r + k * d_r), -(scaled * r * r + 2 * k * (r * d_r + k * d_k))
    zero = 0.0 * a
    factor, dp0, dp1, dp2, dq0, dq1, dq2 = zero + 1.0, zero, zero, zero, zero, zero, zero
    if ANTIALIAS:
        factor, d_trace, dp0, dp1, dp2, dq0, dq1, dq2 = _compensation_gradient(d_opacity * logistic, p[0], p[1], p[2], q[0], q[1], q[2])
        d_xx += d_trace
        d_yy += d_trace
    dp0, dp1, dp2 = dp0 + 2 * d_xx * p[0] + d_xy * q[0], dp1 + 2 * d_xx * p[1] + d_xy * q[1], dp2 + 2 * d_xx * p[2] + d_xy * q[2]
    dq0, dq1, dq2 = dq0 + 2 * d_yy * q[0] + d_xy * p[0], dq1 + 2 * d_yy * q[1] + d_xy * p[1], dq2 + 2 * d_yy * q[2] + d_xy * p[2]
    return factor, dp0, dp1, dp2, dq0, dq1, dq2


@triton.jit
def _point_gradient(K, R, px, py, iz, bound_x, bound_y, d_mx, d_my, d_depth, du, dv, drawn):
    """Gradient of the point in camera axes from those of its place on the screen, of its depth and of the rows u, v of J R."""
    fx, fy = tl.load(K), tl.load(K + 4)
    R6, R7, R8 = tl.load(R + 6), tl.load(R + 7), tl.load(R + 8)
    d_a0, d_a2 = du[0] * tl.load(R) + du[1] * tl.load(R + 1) + du[2] * tl.load(R + 2), du[0] * R6 + du[1] * R7 + du[2] * R8
    d_b1, d_b2 = dv[0] * tl.load(R + 3) + dv[1] * tl.load(R + 4) + dv[2] * tl.load(R + 5), dv[0] * R6 + dv[1] * R7 + dv[2] * R8
    d_iz = fx * (d_a0 - bound_x * d_a2) + fy * (d_b1 - bound_y * d_b2)
    d_slope_x = fx * d_mx - tl.where(bound_x == px * iz, fx * iz * d_a2, 0.0)
    d_slope_y = fy * d_my - tl.where(bound_y == py * iz, fy * iz * d_b2, 0.0)
    d_iz += d_slope_x * px + d_slope_y * py
    d_px, d_py, d_pz = d_slope_x * iz, d_slope_y * iz, d_depth - d_iz * iz * iz
    return tl.where(drawn, d_px, 0.0), tl.where(drawn, d_py, 0.0), tl.where(drawn, d_pz, 0.0)


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
    cx, cy, cz = _direction_gradient(weight, dx, dy, dz, inverse, drawn, index, ACTIVE)
    return basis, cx, cy, cz


@triton.jit
def _features_gradient(d_rows, first, count, capacity, CHANNELS: tl.constexpr, WIDTH: tl.constexpr, PADDED: tl.constexpr):
    """Sums [S, PADDED] of the channels' gradients over each splat's pairs, in order."""
    channel, total = tl.arange(0, PADDED)[None, :], tl.zeros([first.shape[0], PADDED], tl.float32)
    for i in range(0, tl.max(count, 0)):
        pair = d_rows + (first + i).to(tl.int64) * WIDTH
        here = tl.load(pair + 6, (i < count) & (first + i < capacity), -1.0)[:, None] >= 0
        total += tl.load(pair[:, None] + COLOURS + channel, here & (channel < CHANNELS), 0.0)
    return total


@triton.jit
def _through_projection(K, R, t, x, y, z, m, a, r, k, logistic, d_mx, d_my, d_a, d_r, d_k, d_depth, d_opacity, d_centre, drawn, width, height, pose,
                        WITH_POSE: tl.constexpr, ANTIALIAS: tl.constexpr):  # fmt: skip
    """Gradients of the mean, of the nine entries of rotation * scales, and of the opacity's logit, of one view; fills the view's pose gradient."""
    px, py, pz = to_camera(R, t, x, y, z)
    iz = 1.0 / tl.where(drawn, pz, 1.0)
    bound_x, bound_y = bounded_slopes(K, px, py, iz, width, height)
    u0, u1, u2, v0, v1, v2 = screen_axes(K, R, bound_x, bound_y, iz)
    p = times(u0, u1, u2, m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7], m[8])
    q = times(v0, v1, v2, m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7], m[8])
    factor, dp0, dp1, dp2, dq0, dq1, dq2 = _shape_gradient(a, r, k, d_a, d_r, d_k, d_opacity, logistic, p, q, ANTIALIAS)
    du = times(dp0, dp1, dp2, m[0], m[3], m[6], m[1], m[4], m[7], m[2], m[5], m[8])
    dv = times(dq0, dq1, dq2, m[0], m[3], m[6], m[1], m[4], m[7], m[2], m[5], m[8])
    d_px, d_py, d_pz = _point_gradient(K, R, px, py, iz, bound_x, bound_y, d_mx, d_my, d_depth, du, dv, drawn)
    if WITH_POSE:
        fx, fy = tl.load(K), tl.load(K + 4)
        a0, a2, b1, b2 = fx * iz, -fx * bound_x * iz, fy * iz, -fy * bound_y * iz
        _store_pose_row(pose, a0 * du[0], a0 * du[1], a0 * du[2], d_px, x, y, z, drawn)
        _store_pose_row(pose + 3, b1 * dv[0], b1 * dv[1], b1 * dv[2], d_py, x, y, z, drawn)
        _store_pose_row(pose + 6, a2 * du[0] + b2 * dv[0], a2 * du[1] + b2 * dv[1], a2 * du[2] + b2 * dv[2], d_pz, x, y, z, drawn)
        _store_sums(pose + 9, d_px, d_py, d_pz)
        _store_sums(pose + 12, d_centre[0], d_centre[1], d_centre[2])
    return (
        tl.load(R) * d_px + tl.load(R + 3) * d_py + tl.load(R + 6) * d_pz - d_centre[0],
        tl.load(R + 1) * d_px + tl.load(R + 4) * d_py + tl.load(R + 7) * d_pz - d_centre[1],
        tl.load(R + 2) * d_px + tl.load(R + 5) * d_py + tl.load(R + 8) * d_pz - d_centre[2],
        tl.where(drawn, u0 * dp0 + v0 * dq0, 0.0), tl.where(drawn, u0 * dp1 + v0 * dq1, 0.0), tl.where(drawn, u0 * dp2 + v0 * dq2, 0.0),
        tl.where(drawn, u1 * dp0 + v1 * dq0, 0.0), tl.where(drawn, u1 * dp1 + v1 * dq1, 0.0), tl.where(drawn, u1 * dp2 + v1 * dq2, 0.0),
        tl.where(drawn, u2 * dp0 + v2 * dq0, 0.0), tl.where(drawn, u2 * dp1 + v2 * dq1, 0.0), tl.where(drawn, u2 * dp2 + v2 * dq2, 0.0),
        tl.where(drawn, d_opacity * factor * logistic * (1 - logistic), 0.0),
    )  # fmt: skip


@triton.jit
def _store_sums(out, a, b, c):
    tl.store(out, tl.sum(a, 0))
    tl.store(out + 1, tl.sum(b, 0))
    tl.store(out + 2, tl.sum(c, 0))


@triton.jit
def _store_pose_row(out, v0, v1, v2, d, x, y, z, drawn):
    """A row of the gradient of R: through the Jacobian, v, and through the point in camera axes, d times the point x, y, z."""
    _store_sums(out, tl.where(drawn, v0 + d * x, 0.0), tl.where(drawn, v1 + d * y, 0.0), tl.where(drawn, v2 + d * z, 0.0))


@triton.jit
def _store_block(out, at, mask, WIDTH: tl.constexpr, v0, v1, v2):
    tl.store(out + at * WIDTH, v0, mask)
    tl.store(out + at * WIDTH + 1, v1, mask)
    tl.store(out + at * WIDTH + 2, v2, mask)


@triton.jit
def _store_screen(d_screen, at, mask, d_mx, d_my, d_pulls, first, count, capacity, SCREEN: tl.constexpr, BLOCK: tl.constexpr):
    """The gradient of `screen` [B, N, SCREEN]; with four columns also the absolute one."""
    tl.store(d_screen + at * SCREEN, d_mx, mask)
    tl.store(d_screen + at * SCREEN + 1, d_my, mask)
    if SCREEN == 4:
        pull_x, pull_y = gather_pulls(d_pulls, first, count, capacity, 0.0 * d_mx, BLOCK)
        tl.store(d_screen + at * SCREEN + 2, pull_x * (2 * LN2), mask)
        tl.store(d_screen + at * SCREEN + 3, pull_y * (2 * LN2), mask)


@triton.jit
def _store_shape(d_quats, d_log_scales, log_scales, source, mask, q, m, g):
    """Gradients of the quaternion q (w, x, y, z, inverse length) and of the logarithms of the scales from g [9], that of m = rotation * scales."""
    _store_block(d_log_scales, source, mask, 3, g[0] * m[0] + g[3] * m[3] + g[6] * m[6], g[1] * m[1] + g[4] * m[4] + g[7] * m[7],
                 g[2] * m[2] + g[5] * m[5] + g[8] * m[8])  # fmt: skip
    sx = tl.exp(tl.load(log_scales + 3 * source, mask, 0.0))
    sy = tl.exp(tl.load(log_scales + 3 * source + 1, mask, 0.0))
    sz = tl.exp(tl.load(log_scales + 3 * source + 2, mask, 0.0))
    hw, hx, hy, hz = _quaternion_gradient(
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
            rest = tl.arange(0, 64)[None, :]
            tl.store(d_colour + source[:, None] * (3 * STORED) + rest, tl.zeros([BLOCK, 64], tl.float32), mask[:, None] & (rest >= 3) & (rest < 3 * STORED))
        _store_block(d_colour, source, mask, 3 * STORED, red, green, blue)
    else:
        index = tl.arange(0, 16)[None, :]
        out = d_colour + source[:, None] * (3 * STORED) + 3 * index
        stored = mask[:, None] & (index < STORED)
        tl.store(out, red, stored)
        tl.store(out + 1, green, stored)
        tl.store(out + 2, blue, stored)


@triton.jit(do_not_specialize=UNSPECIALISED)
def finish(means, quats, log_scales, opacities, colour, K, R, t, rows, first_slot, counts, totals, d_rows, d_pulls,
           d_means, d_quats, d_log_scales, d_opacities, d_colour, d_screen, d_pose,
           N, views, width, height, capacity,
           SHARED: tl.constexpr, ACTIVE: tl.constexpr, STORED: tl.constexpr, CHANNELS: tl.constexpr, WIDTH: tl.constexpr, PADDED: tl.constexpr,
           SCREEN: tl.constexpr, WITH_POSE: tl.constexpr, DEPTH: tl.constexpr, ANTIALIAS: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Grid (splat blocks, sets of splats). Fills the gradients of splats, screen [B, N, 2] and d_pose [B, splat blocks, POSE]; shared splats go through all views.

    totals [1]: pairs; where they had no room all gradients are zero.
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
    zero, roomy = x * 0.0, tl.load(totals) <= capacity
    gx, gy, gz, g_logit = zero, zero, zero, zero
    g0, g1, g2, g3, g4, g5, g6, g7, g8 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    if ACTIVE == 0:
        g_features = tl.zeros([BLOCK, PADDED], tl.float32)
    elif ACTIVE == 1:
        g_red, g_green, g_blue = zero, zero, zero
    else:
        g_red, g_green, g_blue = tl.zeros([BLOCK, 16], tl.float32), tl.zeros([BLOCK, 16], tl.float32), tl.zeros([BLOCK, 16], tl.float32)
    for turn in range(0, views if SHARED else 1):
        view = turn if SHARED else first_view
        at = view * N + splat
        Kv, Rv, tv = K + 9 * view, R + 9 * view, t + 3 * view
        count, first = tl.load(counts + at, mask & roomy, 0), tl.load(first_slot + at, mask, 0)
        drawn = count > 0
        row_at = rows + at * WIDTH
        mx, my, a, r = take_four(row_at, drawn)
        k, _, _, opacity = take_four(row_at + 4, drawn)
        a, k, opacity = a * -LN2, k * -LN2, tl.where(drawn, opacity, 1.0)
        g, gu, gdy, guu, guy, gyy, d_depth, d_red, d_green, d_blue = gather(
            d_rows, first, count, mx, my, r, capacity, CHANNELS, WIDTH, DEPTH, ACTIVE > 0, BLOCK
        )
        d_mx = 2 * a * gu
        d_my = r * d_mx + 2 * k * gdy
        if SCREEN:
            _store_screen(d_screen, at, mask, d_mx, d_my, d_pulls, first, count, capacity, SCREEN, BLOCK)
        cx, cy, cz = zero, zero, zero
        if ACTIVE == 0:
            g_features += _features_gradient(d_rows, first, count, capacity, CHANNELS, WIDTH, PADDED)
        else:
            red, green, blue, _ = take_four(row_at + COLOURS, drawn)
            d_red, d_green, d_blue = tl.where(red > 0, d_red, 0.0), tl.where(green > 0, d_green, 0.0), tl.where(blue > 0, d_blue, 0.0)
            if ACTIVE == 1:
                g_red, g_green, g_blue = g_red + SH_0 * d_red, g_green + SH_0 * d_green, g_blue + SH_0 * d_blue
            else:
                basis, cx, cy, cz = _sh_gradient(colour, source, Rv, tv, x, y, z, d_red, d_green, d_blue, drawn, ACTIVE, STORED)
                g_red, g_green, g_blue = g_red + basis * d_red[:, None], g_green + basis * d_green[:, None], g_blue + basis * d_blue[:, None]
        pose = d_pose + (view * tl.num_programs(0) + block) * POSE
        part = _through_projection(Kv, Rv, tv, x, y, z, m, a, r, k, logistic, d_mx, d_my, guu, 2 * a * guy, gyy, d_depth, -g / opacity, (cx, cy, cz),
                                   drawn, width, height, pose, WITH_POSE, ANTIALIAS)  # fmt: skip
        gx, gy, gz = gx + part[0], gy + part[1], gz + part[2]
        g0, g1, g2, g3, g4, g5 = g0 + part[3], g1 + part[4], g2 + part[5], g3 + part[6], g4 + part[7], g5 + part[8]
        g6, g7, g8, g_logit = g6 + part[9], g7 + part[10], g8 + part[11], g_logit + part[12]
    _store_block(d_means, source, mask, 3, gx, gy, gz)
    _store_shape(d_quats, d_log_scales, log_scales, source, mask, q, m, (g0, g1, g2, g3, g4, g5, g6, g7, g8))
    tl.store(d_opacities + source, g_logit, mask)
    if ACTIVE == 0:
        channel = tl.arange(0, PADDED)[None, :]
        tl.store(d_colour + source[:, None] * CHANNELS + channel, g_features, mask[:, None] & (channel < CHANNELS))
    else:
        _store_sh(d_colour, source, mask, g_red, g_green, g_blue, ACTIVE, STORED, BLOCK)


@triton.jit(do_not_specialize=UNSPECIALISED)
def finish_pose(d_pose, R, t, d_R, d_t, blocks, ROWS: tl.constexpr):
    """One program per view: sum its pose gradients in order; the camera centre is -R^T t."""
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
