"""Last stage of the GPU rasteriser: sum each splat's pair gradients in order and pull them back through colours and projection.

The formulas are those of `gpu_project` by the chain rule.
"""

from __future__ import annotations

import triton
import triton.language as tl

from pipeline.splat.gpu_project import (
    COLOURS,
    LARGE,
    LN2,
    UNSPECIALISED,
    bounded_slopes,
    cross,
    picked,
    scaled_rotation,
    screen_axes,
    take_four,
    times,
    to_camera,
    unit_quaternion,
)
from pipeline.splat.gpu_shade import sh_basis, sh_slope_x, sh_slope_y, sh_slope_z, view_direction
from pipeline.splat.rules import LOW_PASS, MIN_COMPENSATION

POSE = tl.constexpr(16)  # columns of a pose gradient: R row-major, t, camera centre, (free)
_LOW_PASS, _MIN_COMPENSATION = tl.constexpr(LOW_PASS), tl.constexpr(MIN_COMPENSATION)


@triton.jit
def _pair(d_rows, slot, here, mx, my, r, CHANNELS: tl.constexpr, WIDTH: tl.constexpr, DEPTH: tl.constexpr, RGB: tl.constexpr):
    """Of the pairs [S] in `slot`: g, g u, g dy, g uu, g u dy, g dy dy and the gradients of depth, red, green, blue.

    g: gradient of the exponent, u = dx + r dy.
    """
    at = d_rows + slot.to(tl.int64) * WIDTH
    m, mx1, my1, mxx = take_four(at, here)
    mxy, myy, centre_x, centre_y = take_four(at + 4, here)
    here = here & (centre_x >= 0)
    m, mx1, my1 = tl.where(here, m, 0.0), tl.where(here, mx1, 0.0), tl.where(here, my1, 0.0)
    mxx, mxy, myy = tl.where(here, mxx, 0.0), tl.where(here, mxy, 0.0), tl.where(here, myy, 0.0)
    y = my - centre_y
    u = mx - centre_x + r * y
    # x + r y of the pixel about the tile's centre, and its products
    mu, muy = mx1 + r * my1, mxy + r * myy
    muu = mxx + r * (mxy + muy)
    zero = m * 0.0
    far, red, green, blue = zero, zero, zero, zero
    if RGB:
        red, green, blue, far = take_four(at + COLOURS, here)
    if DEPTH:
        if not RGB:
            far = tl.load(at + COLOURS + CHANNELS, here, 0.0)
    else:
        far = zero
    gu, gy = u * m - mu, y * m - my1
    return m, gu, gy, u * (gu - mu) + muu, u * gy - y * mu + muy, y * (gy - my1) + myy, far, red, green, blue


@triton.jit
def _gather(
    d_rows, first, count, mx, my, r, capacity, CHANNELS: tl.constexpr, WIDTH: tl.constexpr, DEPTH: tl.constexpr, RGB: tl.constexpr, BLOCK: tl.constexpr
):
    """Sums [BLOCK] over each splat's pairs of what `_pair` gives, in order. Unrolled, because the rows come from far away."""
    zero = mx * 0.0
    g, gu, gy, guu, guy, gyy, far, red, green, blue = zero, zero, zero, zero, zero, zero, zero, zero, zero, zero
    large, lane = count > LARGE, tl.arange(0, BLOCK)
    few = tl.where(large, 0, count)
    for i in tl.range(0, tl.max(few, 0), loop_unroll_factor=4):
        slot = first + i
        p0, p1, p2, p3, p4, p5, p6, p7, p8, p9 = _pair(d_rows, slot, (i < few) & (slot < capacity), mx, my, r, CHANNELS, WIDTH, DEPTH, RGB)
        g, gu, gy, guu, guy, gyy, far, red, green, blue = g + p0, gu + p1, gy + p2, guu + p3, guy + p4, gyy + p5, far + p6, red + p7, green + p8, blue + p9
    while tl.max(large.to(tl.int32), 0) > 0:
        # all lanes together go through the pairs of one splat
        pick = lane == tl.min(tl.where(large, lane, BLOCK), 0)
        large = large & ~pick
        start, its = picked(pick, first), picked(pick, count)
        its_x, its_y, its_r = picked(pick, mx) + zero, picked(pick, my) + zero, picked(pick, r) + zero
        s0, s1, s2, s3, s4, s5, s6, s7, s8, s9 = zero, zero, zero, zero, zero, zero, zero, zero, zero, zero
        for i in range(0, its, BLOCK):
            slot = start + i + lane
            p0, p1, p2, p3, p4, p5, p6, p7, p8, p9 = _pair(d_rows, slot, (i + lane < its) & (slot < capacity), its_x, its_y, its_r, CHANNELS, WIDTH, DEPTH, RGB)
            s0, s1, s2, s3, s4, s5, s6, s7, s8, s9 = s0 + p0, s1 + p1, s2 + p2, s3 + p3, s4 + p4, s5 + p5, s6 + p6, s7 + p7, s8 + p8, s9 + p9
        g, gu, gy, guu = _into(g, pick, s0), _into(gu, pick, s1), _into(gy, pick, s2), _into(guu, pick, s3)
        guy, gyy, far = _into(guy, pick, s4), _into(gyy, pick, s5), _into(far, pick, s6)
        red, green, blue = _into(red, pick, s7), _into(green, pick, s8), _into(blue, pick, s9)
    return g, gu, gy, guu, guy, gyy, far, red, green, blue


@triton.jit
def _into(sums, pick, parts):
    return tl.where(pick, tl.sum(parts, 0), sums)


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


@triton.jit(do_not_specialize=UNSPECIALISED)
def finish(means, quats, log_scales, opacities, colour, K, R, t, rows, first_slot, counts, totals, d_rows,
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
    qw, qx, qy, qz, q_inverse = unit_quaternion(quats, source, mask)
    m0, m1, m2, m3, m4, m5, m6, m7, m8 = scaled_rotation(qw, qx, qy, qz, log_scales, source, mask)
    logistic = 1.0 / (1.0 + tl.exp(-tl.load(opacities + source, mask, 0.0)))
    zero, roomy = x * 0.0, tl.load(totals) <= capacity
    gx, gy, gz, g_logit = zero, zero, zero, zero
    g0, g1, g2, g3, g4, g5, g6, g7, g8 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    index = tl.arange(0, 16)[None, :]
    if ACTIVE > 1:
        g_red = tl.zeros([BLOCK, 16], tl.float32)
        g_green = tl.zeros([BLOCK, 16], tl.float32)
        g_blue = tl.zeros([BLOCK, 16], tl.float32)
    if ACTIVE == 1:
        g_red, g_green, g_blue = zero, zero, zero
    if ACTIVE == 0:
        g_features = tl.zeros([BLOCK, PADDED], tl.float32)
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
        g, gu, gdy, guu, guy, gyy, d_depth, d_red, d_green, d_blue = _gather(
            d_rows, first, count, mx, my, r, capacity, CHANNELS, WIDTH, DEPTH, ACTIVE > 0, BLOCK
        )
        d_mx = 2 * a * gu
        d_my = r * d_mx + 2 * k * gdy
        d_a, d_r, d_k = guu, 2 * a * guy, gyy
        d_opacity = -g / opacity
        if SCREEN:
            tl.store(d_screen + 2 * at, d_mx, mask)
            tl.store(d_screen + 2 * at + 1, d_my, mask)
        # back through the projection
        px, py, pz = to_camera(Rv, tv, x, y, z)
        iz = 1.0 / tl.where(drawn, pz, 1.0)
        bound_x, bound_y = bounded_slopes(Kv, px, py, iz, width, height)
        u0, u1, u2, v0, v1, v2 = screen_axes(Kv, Rv, bound_x, bound_y, iz)
        p0, p1, p2 = times(u0, u1, u2, m0, m1, m2, m3, m4, m5, m6, m7, m8)
        q0, q1, q2 = times(v0, v1, v2, m0, m1, m2, m3, m4, m5, m6, m7, m8)
        scaled = 2 * a * a * d_a
        d_xx, d_xy, d_yy = -scaled, -2 * (scaled * r + k * d_r), -(scaled * r * r + 2 * k * (r * d_r + k * d_k))
        dp0, dp1, dp2 = 0.0 * p0, 0.0 * p0, 0.0 * p0
        dq0, dq1, dq2 = dp0, dp1, dp2
        compensation = 1.0
        if ANTIALIAS:
            compensation, d_trace, dp0, dp1, dp2, dq0, dq1, dq2 = _compensation_gradient(d_opacity * logistic, p0, p1, p2, q0, q1, q2)
            d_xx += d_trace
            d_yy += d_trace
        dp0, dp1, dp2 = dp0 + 2 * d_xx * p0 + d_xy * q0, dp1 + 2 * d_xx * p1 + d_xy * q1, dp2 + 2 * d_xx * p2 + d_xy * q2
        dq0, dq1, dq2 = dq0 + 2 * d_yy * q0 + d_xy * p0, dq1 + 2 * d_yy * q1 + d_xy * p1, dq2 + 2 * d_yy * q2 + d_xy * p2
        du0, du1, du2 = times(dp0, dp1, dp2, m0, m3, m6, m1, m4, m7, m2, m5, m8)
        dv0, dv1, dv2 = times(dq0, dq1, dq2, m0, m3, m6, m1, m4, m7, m2, m5, m8)
        fx, fy = tl.load(Kv), tl.load(Kv + 4)
        R0, R1, R2, R3, R4 = tl.load(Rv), tl.load(Rv + 1), tl.load(Rv + 2), tl.load(Rv + 3), tl.load(Rv + 4)
        R5, R6, R7, R8 = tl.load(Rv + 5), tl.load(Rv + 6), tl.load(Rv + 7), tl.load(Rv + 8)
        d_a0, d_a2 = du0 * R0 + du1 * R1 + du2 * R2, du0 * R6 + du1 * R7 + du2 * R8
        d_b1, d_b2 = dv0 * R3 + dv1 * R4 + dv2 * R5, dv0 * R6 + dv1 * R7 + dv2 * R8
        d_iz = fx * (d_a0 - bound_x * d_a2) + fy * (d_b1 - bound_y * d_b2)
        d_slope_x = fx * d_mx - tl.where(bound_x == px * iz, fx * iz * d_a2, 0.0)
        d_slope_y = fy * d_my - tl.where(bound_y == py * iz, fy * iz * d_b2, 0.0)
        d_iz += d_slope_x * px + d_slope_y * py
        d_px, d_py, d_pz = d_slope_x * iz, d_slope_y * iz, d_depth - d_iz * iz * iz
        d_px, d_py, d_pz = tl.where(drawn, d_px, 0.0), tl.where(drawn, d_py, 0.0), tl.where(drawn, d_pz, 0.0)
        gx += R0 * d_px + R3 * d_py + R6 * d_pz
        gy += R1 * d_px + R4 * d_py + R7 * d_pz
        gz += R2 * d_px + R5 * d_py + R8 * d_pz
        g0 += tl.where(drawn, u0 * dp0 + v0 * dq0, 0.0)
        g1 += tl.where(drawn, u0 * dp1 + v0 * dq1, 0.0)
        g2 += tl.where(drawn, u0 * dp2 + v0 * dq2, 0.0)
        g3 += tl.where(drawn, u1 * dp0 + v1 * dq0, 0.0)
        g4 += tl.where(drawn, u1 * dp1 + v1 * dq1, 0.0)
        g5 += tl.where(drawn, u1 * dp2 + v1 * dq2, 0.0)
        g6 += tl.where(drawn, u2 * dp0 + v2 * dq0, 0.0)
        g7 += tl.where(drawn, u2 * dp1 + v2 * dq1, 0.0)
        g8 += tl.where(drawn, u2 * dp2 + v2 * dq2, 0.0)
        g_logit += tl.where(drawn, d_opacity * compensation * logistic * (1 - logistic), 0.0)
        d_centre_x, d_centre_y, d_centre_z = zero, zero, zero
        # back through the colours
        if ACTIVE == 0:
            channel = tl.arange(0, PADDED)[None, :]
            for i in range(0, tl.max(count, 0)):
                pair = d_rows + (first + i).to(tl.int64) * WIDTH
                here = tl.load(pair + 6, (i < count) & (first + i < capacity), -1.0)[:, None] >= 0
                g_features += tl.load(pair[:, None] + COLOURS + channel, here & (channel < CHANNELS), 0.0)
        else:
            red, green, blue, _ = take_four(row_at + COLOURS, drawn)
            d_red, d_green, d_blue = tl.where(red > 0, d_red, 0.0), tl.where(green > 0, d_green, 0.0), tl.where(blue > 0, d_blue, 0.0)
            if ACTIVE == 1:
                g_red += 0.28209479177387814 * d_red
                g_green += 0.28209479177387814 * d_green
                g_blue += 0.28209479177387814 * d_blue
            else:
                dx, dy, dz, inverse = view_direction(Rv, tv, x, y, z)
                ex, ey, ez = dx[:, None], dy[:, None], dz[:, None]
                basis = sh_basis(ex, ey, ez, index, ACTIVE)
                g_red += basis * d_red[:, None]
                g_green += basis * d_green[:, None]
                g_blue += basis * d_blue[:, None]
                sh_at = colour + source[:, None] * (3 * STORED) + 3 * index
                used = drawn[:, None] & (index < ACTIVE)
                weight = d_red[:, None] * tl.load(sh_at, used, 0.0) + d_green[:, None] * tl.load(sh_at + 1, used, 0.0)
                weight += d_blue[:, None] * tl.load(sh_at + 2, used, 0.0)
                d_centre_x, d_centre_y, d_centre_z = _direction_gradient(weight, dx, dy, dz, inverse, drawn, index, ACTIVE)
                gx -= d_centre_x
                gy -= d_centre_y
                gz -= d_centre_z
        if WITH_POSE:
            a0, a2, b1, b2 = fx * iz, -fx * bound_x * iz, fy * iz, -fy * bound_y * iz
            pose = d_pose + (view * tl.num_programs(0) + block) * POSE
            _store_pose_row(pose, a0 * du0, a0 * du1, a0 * du2, d_px, x, y, z, drawn)
            _store_pose_row(pose + 3, b1 * dv0, b1 * dv1, b1 * dv2, d_py, x, y, z, drawn)
            _store_pose_row(pose + 6, a2 * du0 + b2 * dv0, a2 * du1 + b2 * dv1, a2 * du2 + b2 * dv2, d_pz, x, y, z, drawn)
            _store_sums(pose + 9, d_px, d_py, d_pz)
            _store_sums(pose + 12, d_centre_x, d_centre_y, d_centre_z)
    _store_block(d_means, source, mask, 3, gx, gy, gz)
    _store_block(d_log_scales, source, mask, 3, g0 * m0 + g3 * m3 + g6 * m6, g1 * m1 + g4 * m4 + g7 * m7, g2 * m2 + g5 * m5 + g8 * m8)
    sx, sy, sz = tl.load(log_scales + 3 * source, mask, 0.0), tl.load(log_scales + 3 * source + 1, mask, 0.0), tl.load(log_scales + 3 * source + 2, mask, 0.0)
    sx, sy, sz = tl.exp(sx), tl.exp(sy), tl.exp(sz)
    hw, hx, hy, hz = _quaternion_gradient(qw, qx, qy, qz, q_inverse, g0 * sx, g1 * sy, g2 * sz, g3 * sx, g4 * sy, g5 * sz, g6 * sx, g7 * sy, g8 * sz)
    tl.store(d_quats + 4 * source, hw, mask)
    tl.store(d_quats + 4 * source + 1, hx, mask)
    tl.store(d_quats + 4 * source + 2, hy, mask)
    tl.store(d_quats + 4 * source + 3, hz, mask)
    tl.store(d_opacities + source, g_logit, mask)
    if ACTIVE == 0:
        channel = tl.arange(0, PADDED)[None, :]
        tl.store(d_colour + source[:, None] * CHANNELS + channel, g_features, mask[:, None] & (channel < CHANNELS))
    if ACTIVE == 1:
        if STORED > 1:
            rest = tl.arange(0, 64)[None, :]
            tl.store(d_colour + source[:, None] * (3 * STORED) + rest, tl.zeros([BLOCK, 64], tl.float32), mask[:, None] & (rest >= 3) & (rest < 3 * STORED))
        _store_block(d_colour, source, mask, 3 * STORED, g_red, g_green, g_blue)
    if ACTIVE > 1:
        out = d_colour + source[:, None] * (3 * STORED) + 3 * index
        stored = mask[:, None] & (index < STORED)
        tl.store(out, g_red, stored)
        tl.store(out + 1, g_green, stored)
        tl.store(out + 2, g_blue, stored)


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
