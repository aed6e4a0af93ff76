"""Projection of one splat and its gradient, for the numba kernels in splats.py.

The formulas are those of `reference.project`; gradients are written out by the chain rule.
A `camera` is a float32 vector [27]: R row-major (0:9), t (9:12), fx fy cx cy (12:16), lower and upper limits of x/z, y/z (16:20),
width, height, near (20:23), anti-aliasing 0 or 1 (23), camera centre (24:27).
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numba import float32 as f4

from pipeline.splat.cpu.jit import MATH, helper
from pipeline.splat.rules import LOW_PASS, MIN_ALPHA, MIN_COMPENSATION

SPLAT = 9  # columns of a projected splat: mean x y, a r k, opacity, depth, half extent x y

# The exponent is -(a (dx + r dy)^2 + k dy^2), a = yy / 2 det, r = -xy / yy, k = 1 / 2 yy of the screen covariance [[xx, xy], [xy, yy]].
# Against the usual inverse covariance this sum of squares loses no digits on long thin splats.


@partial(helper, fastmath=MATH)
def _rotation(w, x, y, z):
    one, two = f4(1), f4(2)
    return (
        one - two * (y * y + z * z), two * (x * y - w * z), two * (x * z + w * y),
        two * (x * y + w * z), one - two * (x * x + z * z), two * (y * z - w * x),
        two * (x * z - w * y), two * (y * z + w * x), one - two * (x * x + y * y),
    )  # fmt: skip


@partial(helper, fastmath=MATH)
def _screen_axes(camera, px, py, iz, m):
    """Rows u, v of J R and p, q = u M, v M, with M = rotation * scales; the screen covariance is [[p.p, p.q], [p.q, q.q]] + low-pass."""
    tangent_x, tangent_y = min(max(px * iz, camera[16]), camera[18]), min(max(py * iz, camera[17]), camera[19])
    a0, a2, b1, b2 = camera[12] * iz, -camera[12] * tangent_x * iz, camera[13] * iz, -camera[13] * tangent_y * iz
    u = (a0 * camera[0] + a2 * camera[6], a0 * camera[1] + a2 * camera[7], a0 * camera[2] + a2 * camera[8])
    v = (b1 * camera[3] + b2 * camera[6], b1 * camera[4] + b2 * camera[7], b1 * camera[5] + b2 * camera[8])
    p = (u[0] * m[0] + u[1] * m[3] + u[2] * m[6], u[0] * m[1] + u[1] * m[4] + u[2] * m[7], u[0] * m[2] + u[1] * m[5] + u[2] * m[8])
    q = (v[0] * m[0] + v[1] * m[3] + v[2] * m[6], v[0] * m[1] + v[1] * m[4] + v[2] * m[7], v[0] * m[2] + v[1] * m[5] + v[2] * m[8])
    return u, v, p, q


@partial(helper, fastmath=MATH)
def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@partial(helper, fastmath=MATH)
def _cross(a, b):
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@partial(helper, fastmath=MATH)
def _to_camera(camera, x, y, z):
    return (
        camera[0] * x + camera[1] * y + camera[2] * z + camera[9],
        camera[3] * x + camera[4] * y + camera[5] * z + camera[10],
        camera[6] * x + camera[7] * y + camera[8] * z + camera[11],
    )  # fmt: skip


@partial(helper, fastmath=MATH)
def _unit_quaternion(q):
    inverse = f4(1) / max(math.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]), f4(1e-12))
    return q[0] * inverse, q[1] * inverse, q[2] * inverse, q[3] * inverse, inverse


@partial(helper, fastmath=MATH)
def _scaled(r, sx, sy, sz):
    return r[0] * sx, r[1] * sy, r[2] * sz, r[3] * sx, r[4] * sy, r[5] * sz, r[6] * sx, r[7] * sy, r[8] * sz


@partial(helper, fastmath=MATH)
def project_splat(camera, mean, quat, log_scale, logit, shift_x, shift_y, out):
    """Project one splat, its screen mean shifted by (shift_x, shift_y): fills out [SPLAT] and returns its radius, or returns 0 where it is not drawn."""
    nothing = f4(0)
    x, y, z = _to_camera(camera, mean[0], mean[1], mean[2])
    opacity = f4(1) / (f4(1) + math.exp(-logit))
    if not (z > camera[22] and opacity >= f4(MIN_ALPHA)):
        return nothing
    iz = f4(1) / z
    w, a, b, c, _ = _unit_quaternion(quat)
    m = _scaled(_rotation(w, a, b, c), math.exp(log_scale[0]), math.exp(log_scale[1]), math.exp(log_scale[2]))
    _, _, p, q = _screen_axes(camera, x, y, iz, m)
    xx, xy, yy, low = _dot(p, p), _dot(p, q), _dot(q, q), f4(LOW_PASS)
    c = _cross(p, q)
    sharp = _dot(c, c)
    determinant = sharp + low * (xx + yy) + low * low
    if camera[23] > 0:
        opacity *= max(math.sqrt(sharp / determinant), f4(MIN_COMPENSATION))
        if opacity < f4(MIN_ALPHA):
            return nothing
    mean_x, mean_y = camera[12] * x * iz + camera[14] + shift_x, camera[13] * y * iz + camera[15] + shift_y
    reach = max(f4(2) * math.log(opacity / f4(MIN_ALPHA)), nothing)
    extent_x, extent_y = math.sqrt(reach * (xx + low)), math.sqrt(reach * (yy + low))
    if not (mean_x + extent_x > 0 and mean_x - extent_x < camera[20] and mean_y + extent_y > 0 and mean_y - extent_y < camera[21]):
        return nothing
    if not (max(extent_x, extent_y) < np.inf):
        return nothing
    half = f4(0.5)
    out[0], out[1], out[2], out[3], out[4] = mean_x, mean_y, half * (yy + low) / determinant, -xy / (yy + low), half / (yy + low)
    out[5], out[6], out[7], out[8] = opacity, z, extent_x, extent_y
    return max(extent_x, extent_y)


@partial(helper, fastmath=MATH)
def _covariance_backward(a, r, k, da, dr, dk, p, q):
    """Gradients of p and q (see `_screen_axes`) from those of a, r, k."""
    two = f4(2)
    scaled = two * a * a * da
    xx, xy, yy = -scaled, -two * (scaled * r + k * dr), -(scaled * r * r + two * k * (r * dr + k * dk))
    dp = (two * xx * p[0] + xy * q[0], two * xx * p[1] + xy * q[1], two * xx * p[2] + xy * q[2])
    dq = (two * yy * q[0] + xy * p[0], two * yy * q[1] + xy * p[1], two * yy * q[2] + xy * p[2])
    return dp, dq


@partial(helper, fastmath=MATH)
def _compensation_backward(opacity, d_opacity, p, q, dp, dq):
    """Anti-aliasing scales opacity by sqrt(sharp / determinant), sharp = |p x q|^2: that factor, and dp, dq with its gradients added."""
    c, low, two = _cross(p, q), f4(LOW_PASS), f4(2)
    sharp = _dot(c, c)
    determinant = sharp + low * (_dot(p, p) + _dot(q, q)) + low * low
    ratio = sharp / determinant
    factor = max(math.sqrt(ratio), f4(MIN_COMPENSATION))
    if ratio <= f4(MIN_COMPENSATION**2):
        return factor, dp, dq
    d_ratio = f4(0.5) * d_opacity * opacity / (ratio * determinant)
    d_sharp, d_trace = two * d_ratio * (f4(1) - ratio), -two * d_ratio * ratio * low
    e, f = _cross(q, c), _cross(c, p)
    dp = (dp[0] + d_sharp * e[0] + d_trace * p[0], dp[1] + d_sharp * e[1] + d_trace * p[1], dp[2] + d_sharp * e[2] + d_trace * p[2])
    dq = (dq[0] + d_sharp * f[0] + d_trace * q[0], dq[1] + d_sharp * f[1] + d_trace * q[1], dq[2] + d_sharp * f[2] + d_trace * q[2])
    return factor, dp, dq


@partial(helper, fastmath=MATH)
def _quaternion_backward(w, x, y, z, inverse, r, out):
    """Gradient of the unnormalised quaternion from that of its rotation matrix r (row-major)."""
    two = f4(2)
    gw = two * (x * (r[7] - r[5]) + y * (r[2] - r[6]) + z * (r[3] - r[1]))
    gx = two * (y * (r[1] + r[3]) + z * (r[2] + r[6]) + w * (r[7] - r[5]) - two * x * (r[4] + r[8]))
    gy = two * (x * (r[1] + r[3]) + z * (r[5] + r[7]) + w * (r[2] - r[6]) - two * y * (r[0] + r[8]))
    gz = two * (x * (r[2] + r[6]) + y * (r[5] + r[7]) + w * (r[3] - r[1]) - two * z * (r[0] + r[4]))
    radial = gw * w + gx * x + gy * y + gz * z
    out[0], out[1], out[2], out[3] = (gw - radial * w) * inverse, (gx - radial * x) * inverse, (gy - radial * y) * inverse, (gz - radial * z) * inverse


@partial(helper, fastmath=MATH)
def _pose_backward(camera, mean, x, y, iz, g, d_depth, du, dv, pose, d_mean):
    """The last step of `project_splat_backward`: through J, R and t to the mean. du, dv: gradients of the rows of J R; adds to pose [12], fills d_mean [3]."""
    fx, fy = camera[12], camera[13]
    tangent_x, tangent_y = x * iz, y * iz
    bound_x, bound_y = min(max(tangent_x, camera[16]), camera[18]), min(max(tangent_y, camera[17]), camera[19])
    row0, row1, row2 = (camera[0], camera[1], camera[2]), (camera[3], camera[4], camera[5]), (camera[6], camera[7], camera[8])
    d_a0, d_a2, d_b1, d_b2 = _dot(du, row0), _dot(du, row2), _dot(dv, row1), _dot(dv, row2)
    d_iz = fx * (d_a0 - bound_x * d_a2) + fy * (d_b1 - bound_y * d_b2)
    d_tangent_x, d_tangent_y = fx * g[0], fy * g[1]
    if bound_x == tangent_x:
        d_tangent_x -= fx * iz * d_a2
    if bound_y == tangent_y:
        d_tangent_y -= fy * iz * d_b2
    d_iz += d_tangent_x * x + d_tangent_y * y
    px, py, pz = d_tangent_x * iz, d_tangent_y * iz, d_depth - d_iz * iz * iz
    a0, a2, b1, b2 = fx * iz, -fx * bound_x * iz, fy * iz, -fy * bound_y * iz
    for k in range(3):
        pose[k] += a0 * du[k] + px * mean[k]
        pose[3 + k] += b1 * dv[k] + py * mean[k]
        pose[6 + k] += a2 * du[k] + b2 * dv[k] + pz * mean[k]
        d_mean[k] = row0[k] * px + row1[k] * py + row2[k] * pz
    pose[9] += px
    pose[10] += py
    pose[11] += pz


@partial(helper, fastmath=MATH)
def project_splat_backward(camera, mean, quat, log_scale, splat, g, d_depth, d_mean, d_quat, d_log_scale, pose):
    """Gradients of `project_splat`: fills d_mean [3], d_quat [4], d_log_scale [3], adds to pose [12] (R row-major, t); returns the logit's.

    g: [>= 6] gradients of mean x y, a r k, opacity.
    """
    x, y, z = _to_camera(camera, mean[0], mean[1], mean[2])
    iz = f4(1) / z
    qw, qx, qy, qz, inverse = _unit_quaternion(quat)
    sx, sy, sz = math.exp(log_scale[0]), math.exp(log_scale[1]), math.exp(log_scale[2])
    m = _scaled(_rotation(qw, qx, qy, qz), sx, sy, sz)
    u, v, p, q = _screen_axes(camera, x, y, iz, m)
    dp, dq = _covariance_backward(splat[2], splat[3], splat[4], g[2], g[3], g[4], p, q)
    factor = f4(1)
    if camera[23] > 0:
        factor, dp, dq = _compensation_backward(splat[5], g[5], p, q, dp, dq)
    dm = (
        u[0] * dp[0] + v[0] * dq[0], u[0] * dp[1] + v[0] * dq[1], u[0] * dp[2] + v[0] * dq[2],
        u[1] * dp[0] + v[1] * dq[0], u[1] * dp[1] + v[1] * dq[1], u[1] * dp[2] + v[1] * dq[2],
        u[2] * dp[0] + v[2] * dq[0], u[2] * dp[1] + v[2] * dq[1], u[2] * dp[2] + v[2] * dq[2],
    )  # fmt: skip
    d_log_scale[0] = dm[0] * m[0] + dm[3] * m[3] + dm[6] * m[6]
    d_log_scale[1] = dm[1] * m[1] + dm[4] * m[4] + dm[7] * m[7]
    d_log_scale[2] = dm[2] * m[2] + dm[5] * m[5] + dm[8] * m[8]
    _quaternion_backward(qw, qx, qy, qz, inverse, _scaled(dm, sx, sy, sz), d_quat)
    du = (_dot(dp, m[0:3]), _dot(dp, m[3:6]), _dot(dp, m[6:9]))
    dv = (_dot(dq, m[0:3]), _dot(dq, m[3:6]), _dot(dq, m[6:9]))
    _pose_backward(camera, mean, x, y, iz, g, d_depth, du, dv, pose, d_mean)
    return g[5] * splat[5] * (f4(1) - splat[5] / factor)
