"""Per-splat numba kernels of the CPU rasteriser: projection and SH colours, and their gradients.

The formulas are those of `reference.project` and `harmonics.view_sh`; gradients are written out by the chain rule.
A `camera` is a float32 vector [26]: R row-major (0:9), t (9:12), fx fy cx cy (12:16), lower and upper slope limits (16:20),
width, height, near (20:23), camera centre (23:26).
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numba import float32 as f4
from numba import prange

from pipeline.splat.cpu_jit import inlined, kernel
from pipeline.splat.cpu_math import fill_sh_basis, sh_basis_pullback
from pipeline.splat.rules import LOW_PASS, MIN_ALPHA

BLOCK = 256  # splats handled together by one thread; sums over splats are made per block, so they do not depend on the number of threads
SPLAT = 9  # columns of a projected splat: mean x y, conic xx xy yy, opacity, depth, half extent x y
MATH = {"contract", "reassoc", "nsz", "arcp"}  # fastmath that still knows infinities and NaN


@partial(inlined, fastmath=MATH)
def _rotation(w, x, y, z):
    one, two = f4(1), f4(2)
    return (
        one - two * (y * y + z * z), two * (x * y - w * z), two * (x * z + w * y),
        two * (x * y + w * z), one - two * (x * x + z * z), two * (y * z - w * x),
        two * (x * z - w * y), two * (y * z + w * x), one - two * (x * x + y * y),
    )  # fmt: skip


@partial(inlined, fastmath=MATH)
def _screen_axes(camera, px, py, iz, m):
    """Rows u, v of J R and p, q = u M, v M, with M = rotation * scales; the screen covariance is [[p.p, p.q], [p.q, q.q]] + low-pass."""
    slope_x, slope_y = min(max(px * iz, camera[16]), camera[18]), min(max(py * iz, camera[17]), camera[19])
    a0, a2, b1, b2 = camera[12] * iz, -camera[12] * slope_x * iz, camera[13] * iz, -camera[13] * slope_y * iz
    u = (a0 * camera[0] + a2 * camera[6], a0 * camera[1] + a2 * camera[7], a0 * camera[2] + a2 * camera[8])
    v = (b1 * camera[3] + b2 * camera[6], b1 * camera[4] + b2 * camera[7], b1 * camera[5] + b2 * camera[8])
    p = (u[0] * m[0] + u[1] * m[3] + u[2] * m[6], u[0] * m[1] + u[1] * m[4] + u[2] * m[7], u[0] * m[2] + u[1] * m[5] + u[2] * m[8])
    q = (v[0] * m[0] + v[1] * m[3] + v[2] * m[6], v[0] * m[1] + v[1] * m[4] + v[2] * m[7], v[0] * m[2] + v[1] * m[5] + v[2] * m[8])
    return u, v, p, q


@partial(inlined, fastmath=MATH)
def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@partial(inlined, fastmath=MATH)
def _to_camera(camera, x, y, z):
    return (
        camera[0] * x + camera[1] * y + camera[2] * z + camera[9],
        camera[3] * x + camera[4] * y + camera[5] * z + camera[10],
        camera[6] * x + camera[7] * y + camera[8] * z + camera[11],
    )  # fmt: skip


@partial(inlined, fastmath=MATH)
def _unit_quaternion(q):
    inverse = f4(1) / max(math.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]), f4(1e-12))
    return q[0] * inverse, q[1] * inverse, q[2] * inverse, q[3] * inverse, inverse


@partial(inlined, fastmath=MATH)
def _scaled(r, sx, sy, sz):
    return r[0] * sx, r[1] * sy, r[2] * sz, r[3] * sx, r[4] * sy, r[5] * sz, r[6] * sx, r[7] * sy, r[8] * sz


@partial(inlined, fastmath=MATH)
def _direction(camera, x, y, z):
    x, y, z = x - camera[23], y - camera[24], z - camera[25]
    inverse = f4(1) / max(math.sqrt(x * x + y * y + z * z), f4(1e-12))
    return x * inverse, y * inverse, z * inverse, inverse


@partial(kernel, fastmath=MATH)
def project(camera, means, quats, log_scales, opacities, screen, splat, radii):
    """Project splats: fills splat [N, SPLAT] and radii [N] (0 = not drawn, the row of `splat` is then not written). screen: [N, 2] or [0, 2]."""
    count = len(means)
    for i in prange(count):
        radii[i] = 0
        x, y, z = _to_camera(camera, means[i, 0], means[i, 1], means[i, 2])
        opacity = f4(1) / (f4(1) + math.exp(-opacities[i]))
        if not (z > camera[22] and opacity >= f4(MIN_ALPHA)):
            continue
        iz = f4(1) / z
        w, a, b, c, _ = _unit_quaternion(quats[i])
        m = _scaled(_rotation(w, a, b, c), math.exp(log_scales[i, 0]), math.exp(log_scales[i, 1]), math.exp(log_scales[i, 2]))
        _, _, p, q = _screen_axes(camera, x, y, iz, m)
        xx, xy, yy, low = _dot(p, p), _dot(p, q), _dot(q, q), f4(LOW_PASS)
        c0, c1, c2 = p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]
        inverse = f4(1) / (c0 * c0 + c1 * c1 + c2 * c2 + low * (xx + yy) + low * low)
        mean_x, mean_y = camera[12] * x * iz + camera[14], camera[13] * y * iz + camera[15]
        if len(screen):
            mean_x += screen[i, 0]
            mean_y += screen[i, 1]
        reach = max(f4(2) * math.log(opacity / f4(MIN_ALPHA)), f4(0))
        extent_x, extent_y = math.sqrt(reach * (xx + low)), math.sqrt(reach * (yy + low))
        if not (mean_x + extent_x > 0 and mean_x - extent_x < camera[20] and mean_y + extent_y > 0 and mean_y - extent_y < camera[21]):
            continue
        if not (max(extent_x, extent_y) < np.inf):
            continue
        radii[i] = max(extent_x, extent_y)
        s = splat[i]
        s[0], s[1], s[2], s[3], s[4] = mean_x, mean_y, (yy + low) * inverse, -xy * inverse, (xx + low) * inverse
        s[5], s[6], s[7], s[8] = opacity, z, extent_x, extent_y


@partial(kernel, fastmath=MATH)
def shade(camera, means, radii, splat, sh, active, colours):
    """Colours [N, 4] = (max(SH + 0.5, 0), depth) of the splats drawn; the first `active` coefficients of sh [N, K, 3] are used."""
    count = len(means)
    for block in prange((count + BLOCK - 1) // BLOCK):
        basis = np.empty(16, np.float32)
        for i in range(block * BLOCK, min(count, block * BLOCK + BLOCK)):
            if radii[i] == 0:
                continue
            x, y, z, _ = _direction(camera, means[i, 0], means[i, 1], means[i, 2])
            fill_sh_basis(x, y, z, active, basis)
            r = g = b = f4(0.5)
            for k in range(active):
                r += basis[k] * sh[i, k, 0]
                g += basis[k] * sh[i, k, 1]
                b += basis[k] * sh[i, k, 2]
            colours[i, 0], colours[i, 1], colours[i, 2], colours[i, 3] = max(r, f4(0)), max(g, f4(0)), max(b, f4(0)), splat[i, 6]


@partial(kernel, fastmath=MATH)
def shade_backward(camera, means, radii, sh, active, colours, d_colours, d_sh, d_means, d_centre):
    """Gradients of `shade`: fills d_sh [N, K, 3], adds to d_means [N, 3] and fills d_centre [blocks, 3]; d_colours [N, >= 3]."""
    count = len(means)
    for block in prange((count + BLOCK - 1) // BLOCK):
        basis, weight = np.empty(16, np.float32), np.empty(16, np.float32)
        sum_x = sum_y = sum_z = f4(0)
        for i in range(block * BLOCK, min(count, block * BLOCK + BLOCK)):
            if radii[i] == 0:
                d_sh[i] = 0
                continue
            r = d_colours[i, 0] if colours[i, 0] > 0 else f4(0)
            g = d_colours[i, 1] if colours[i, 1] > 0 else f4(0)
            b = d_colours[i, 2] if colours[i, 2] > 0 else f4(0)
            x, y, z, inverse = _direction(camera, means[i, 0], means[i, 1], means[i, 2])
            fill_sh_basis(x, y, z, active, basis)
            for k in range(active):
                weight[k] = r * sh[i, k, 0] + g * sh[i, k, 1] + b * sh[i, k, 2]
                d_sh[i, k, 0], d_sh[i, k, 1], d_sh[i, k, 2] = basis[k] * r, basis[k] * g, basis[k] * b
            d_sh[i, active:] = 0
            gx, gy, gz = sh_basis_pullback(x, y, z, active, weight)
            along = gx * x + gy * y + gz * z
            gx, gy, gz = (gx - along * x) * inverse, (gy - along * y) * inverse, (gz - along * z) * inverse
            d_means[i, 0] += gx
            d_means[i, 1] += gy
            d_means[i, 2] += gz
            sum_x, sum_y, sum_z = sum_x - gx, sum_y - gy, sum_z - gz
        d_centre[block, 0], d_centre[block, 1], d_centre[block, 2] = sum_x, sum_y, sum_z


@partial(inlined, fastmath=MATH)
def _covariance_backward(conic, d, p, q):
    """Gradients of p and q from those of the conic, d = (dxx, dxy, dyy): dV = -V^-1 G V^-1 for the inverse of a symmetric matrix V."""
    a, b, c = conic
    e, f, g = d[0], f4(0.5) * d[1], d[2]
    m00, m01, m10, m11 = e * a + f * b, e * b + f * c, f * a + g * b, f * b + g * c
    xx, xy, yy = -(a * m00 + b * m10), -(a * m01 + b * m11), -(b * m01 + c * m11)
    two = f4(2)
    dp = (two * (xx * p[0] + xy * q[0]), two * (xx * p[1] + xy * q[1]), two * (xx * p[2] + xy * q[2]))
    dq = (two * (yy * q[0] + xy * p[0]), two * (yy * q[1] + xy * p[1]), two * (yy * q[2] + xy * p[2]))
    return dp, dq


@partial(inlined, fastmath=MATH)
def _quaternion_backward(w, x, y, z, inverse, r, out):
    """Gradient of the unnormalised quaternion from that of its rotation matrix r (row-major)."""
    two = f4(2)
    gw = two * (x * (r[7] - r[5]) + y * (r[2] - r[6]) + z * (r[3] - r[1]))
    gx = two * (y * (r[1] + r[3]) + z * (r[2] + r[6]) + w * (r[7] - r[5]) - two * x * (r[4] + r[8]))
    gy = two * (x * (r[1] + r[3]) + z * (r[5] + r[7]) + w * (r[2] - r[6]) - two * y * (r[0] + r[8]))
    gz = two * (x * (r[2] + r[6]) + y * (r[5] + r[7]) + w * (r[3] - r[1]) - two * z * (r[0] + r[4]))
    along = gw * w + gx * x + gy * y + gz * z
    out[0], out[1], out[2], out[3] = (gw - along * w) * inverse, (gx - along * x) * inverse, (gy - along * y) * inverse, (gz - along * z) * inverse


@partial(kernel, fastmath=MATH)
def project_backward(camera, means, quats, log_scales, radii, splat, d_splat, d_depth, d_means, d_quats, d_log_scales, d_opacities, d_pose):
    """Gradients of `project`: fills d_means, d_quats, d_log_scales, d_opacities and d_pose [blocks, 12] (R row-major, t).

    d_splat: [N, >= 6] gradients of mean x y, conic xx xy yy, opacity; d_depth: [N] of the depth.
    """
    count = len(means)
    for block in prange((count + BLOCK - 1) // BLOCK):
        pose = d_pose[block]
        pose[:] = 0
        for i in range(block * BLOCK, min(count, block * BLOCK + BLOCK)):
            if radii[i] == 0:
                d_means[i], d_quats[i], d_log_scales[i], d_opacities[i] = f4(0), f4(0), f4(0), f4(0)
                continue
            x, y, z = _to_camera(camera, means[i, 0], means[i, 1], means[i, 2])
            iz = f4(1) / z
            qw, qx, qy, qz, inverse = _unit_quaternion(quats[i])
            r = _rotation(qw, qx, qy, qz)
            sx, sy, sz = math.exp(log_scales[i, 0]), math.exp(log_scales[i, 1]), math.exp(log_scales[i, 2])
            m = _scaled(r, sx, sy, sz)
            u, v, p, q = _screen_axes(camera, x, y, iz, m)
            g = d_splat[i]
            dp, dq = _covariance_backward((splat[i, 2], splat[i, 3], splat[i, 4]), (g[2], g[3], g[4]), p, q)
            opacity = splat[i, 5]
            d_opacities[i] = g[5] * opacity * (f4(1) - opacity)
            dm = (
                u[0] * dp[0] + v[0] * dq[0], u[0] * dp[1] + v[0] * dq[1], u[0] * dp[2] + v[0] * dq[2],
                u[1] * dp[0] + v[1] * dq[0], u[1] * dp[1] + v[1] * dq[1], u[1] * dp[2] + v[1] * dq[2],
                u[2] * dp[0] + v[2] * dq[0], u[2] * dp[1] + v[2] * dq[1], u[2] * dp[2] + v[2] * dq[2],
            )  # fmt: skip
            d_log_scales[i, 0] = dm[0] * m[0] + dm[3] * m[3] + dm[6] * m[6]
            d_log_scales[i, 1] = dm[1] * m[1] + dm[4] * m[4] + dm[7] * m[7]
            d_log_scales[i, 2] = dm[2] * m[2] + dm[5] * m[5] + dm[8] * m[8]
            _quaternion_backward(qw, qx, qy, qz, inverse, _scaled(dm, sx, sy, sz), d_quats[i])
            du = (_dot(dp, m[0:3]), _dot(dp, m[3:6]), _dot(dp, m[6:9]))
            dv = (_dot(dq, m[0:3]), _dot(dq, m[3:6]), _dot(dq, m[6:9]))
            _pose_backward(camera, means[i], x, y, iz, g, d_depth[i], du, dv, pose, d_means[i])


@partial(inlined, fastmath=MATH)
def _pose_backward(camera, mean, x, y, iz, g, d_depth, du, dv, pose, d_mean):
    """The last step of `project_backward`: through J, R and t to the mean. du, dv: gradients of the rows of J R; adds to pose [12], fills d_mean [3]."""
    fx, fy = camera[12], camera[13]
    slope_x, slope_y = x * iz, y * iz
    bound_x, bound_y = min(max(slope_x, camera[16]), camera[18]), min(max(slope_y, camera[17]), camera[19])
    row0, row1, row2 = (camera[0], camera[1], camera[2]), (camera[3], camera[4], camera[5]), (camera[6], camera[7], camera[8])
    d_a0, d_a2, d_b1, d_b2 = _dot(du, row0), _dot(du, row2), _dot(dv, row1), _dot(dv, row2)
    d_iz = fx * (d_a0 - bound_x * d_a2) + fy * (d_b1 - bound_y * d_b2)
    d_slope_x, d_slope_y = fx * g[0], fy * g[1]
    if bound_x == slope_x:
        d_slope_x -= fx * iz * d_a2
    if bound_y == slope_y:
        d_slope_y -= fy * iz * d_b2
    d_iz += d_slope_x * x + d_slope_y * y
    px, py, pz = d_slope_x * iz, d_slope_y * iz, d_depth - d_iz * iz * iz
    a0, a2, b1, b2 = fx * iz, -fx * bound_x * iz, fy * iz, -fy * bound_y * iz
    for k in range(3):
        pose[k] += a0 * du[k] + px * mean[k]
        pose[3 + k] += b1 * dv[k] + py * mean[k]
        pose[6 + k] += a2 * du[k] + b2 * dv[k] + pz * mean[k]
        d_mean[k] = row0[k] * px + row1[k] * py + row2[k] * pz
    pose[9] += px
    pose[10] += py
    pose[11] += pz
