"""Gradients of one view's projection, by the chain rule; the formulas are those of `project`."""

from __future__ import annotations

import triton
import triton.language as tl

from pipeline.geometry.triton_vector import cross, dot, times_matrix, transposed
from pipeline.splat.gpu.project import clamped_tangents, screen_axes, to_camera
from pipeline.splat.rules import LOW_PASS, MIN_COMPENSATION

_LOW_PASS, _MIN_COMPENSATION = tl.constexpr(LOW_PASS), tl.constexpr(MIN_COMPENSATION)


@triton.jit
def quaternion_gradient(w, x, y, z, inverse, r0, r1, r2, r3, r4, r5, r6, r7, r8):
    """Gradient of the unnormalised quaternion from that of its rotation matrix (row-major)."""
    gw = 2 * (x * (r7 - r5) + y * (r2 - r6) + z * (r3 - r1))
    gx = 2 * (y * (r1 + r3) + z * (r2 + r6) + w * (r7 - r5) - 2 * x * (r4 + r8))
    gy = 2 * (x * (r1 + r3) + z * (r5 + r7) + w * (r2 - r6) - 2 * y * (r0 + r8))
    gz = 2 * (x * (r2 + r6) + y * (r5 + r7) + w * (r3 - r1) - 2 * z * (r0 + r4))
    radial = gw * w + gx * x + gy * y + gz * z
    return (gw - radial * w) * inverse, (gx - radial * x) * inverse, (gy - radial * y) * inverse, (gz - radial * z) * inverse


@triton.jit
def _compensation_gradient(d_factor, p, q):
    """Anti-aliasing's factor sqrt(sharp / determinant), sharp = |p x q|^2, and from its gradient those of both variances, of p and of q."""
    c = cross(p, q)
    sharp = dot(c, c)
    determinant = sharp + (dot(p, p) + dot(q, q)) * _LOW_PASS + _LOW_PASS * _LOW_PASS
    root = tl.sqrt(sharp / determinant)
    factor = tl.maximum(root, _MIN_COMPENSATION)
    d_ratio = tl.where(root > _MIN_COMPENSATION, 0.5 * d_factor / factor, 0.0) / determinant
    d_sharp = 2 * d_ratio * (1 - root * root)
    e, f = cross(q, c), cross(c, p)
    return factor, -d_ratio * root * root * _LOW_PASS, (d_sharp * e[0], d_sharp * e[1], d_sharp * e[2]), (d_sharp * f[0], d_sharp * f[1], d_sharp * f[2])


@triton.jit
def _shape_gradient(a, r, k, d_a, d_r, d_k, d_opacity, logistic, p, q, ANTIALIAS: tl.constexpr):
    """Anti-aliasing's factor, and the gradients of p and q from those of a, r, k and of the drawn opacity."""
    scaled = 2 * a * a * d_a
    d_xx, d_xy, d_yy = -scaled, -2 * (scaled * r + k * d_r), -(scaled * r * r + 2 * k * (r * d_r + k * d_k))
    zero = 0.0 * a
    factor, dp, dq = zero + 1.0, (zero, zero, zero), (zero, zero, zero)
    if ANTIALIAS:
        factor, d_trace, dp, dq = _compensation_gradient(d_opacity * logistic, p, q)
        d_xx += d_trace
        d_yy += d_trace
    dp = dp[0] + 2 * d_xx * p[0] + d_xy * q[0], dp[1] + 2 * d_xx * p[1] + d_xy * q[1], dp[2] + 2 * d_xx * p[2] + d_xy * q[2]
    dq = dq[0] + 2 * d_yy * q[0] + d_xy * p[0], dq[1] + 2 * d_yy * q[1] + d_xy * p[1], dq[2] + 2 * d_yy * q[2] + d_xy * p[2]
    return factor, dp, dq


@triton.jit
def _point_gradient(K, R, px, py, iz, bound_x, bound_y, d_mx, d_my, d_depth, du, dv, drawn):
    """Gradient of the point in camera axes from those of its screen position, of its depth and of the rows u, v of J R."""
    fx, fy = tl.load(K), tl.load(K + 4)
    R6, R7, R8 = tl.load(R + 6), tl.load(R + 7), tl.load(R + 8)
    d_a0, d_a2 = du[0] * tl.load(R) + du[1] * tl.load(R + 1) + du[2] * tl.load(R + 2), du[0] * R6 + du[1] * R7 + du[2] * R8
    d_b1, d_b2 = dv[0] * tl.load(R + 3) + dv[1] * tl.load(R + 4) + dv[2] * tl.load(R + 5), dv[0] * R6 + dv[1] * R7 + dv[2] * R8
    d_iz = fx * (d_a0 - bound_x * d_a2) + fy * (d_b1 - bound_y * d_b2)
    d_tangent_x = fx * d_mx - tl.where(bound_x == px * iz, fx * iz * d_a2, 0.0)
    d_tangent_y = fy * d_my - tl.where(bound_y == py * iz, fy * iz * d_b2, 0.0)
    d_iz += d_tangent_x * px + d_tangent_y * py
    d_px, d_py, d_pz = d_tangent_x * iz, d_tangent_y * iz, d_depth - d_iz * iz * iz
    return tl.where(drawn, d_px, 0.0), tl.where(drawn, d_py, 0.0), tl.where(drawn, d_pz, 0.0)


@triton.jit
def projection_gradient(K, R, t, x, y, z, m, a, r, k, logistic, d_mx, d_my, d_a, d_r, d_k, d_depth, d_opacity, d_centre, drawn, width, height, pose,
                        WITH_POSE: tl.constexpr, ANTIALIAS: tl.constexpr):  # fmt: skip
    """Gradients of the mean (3), of rotation * scales (9), and of the opacity's logit, of one view; fills the view's pose gradient."""
    px, py, pz = to_camera(R, t, x, y, z)
    iz = 1.0 / tl.where(drawn, pz, 1.0)
    bound_x, bound_y = clamped_tangents(K, px, py, iz, width, height)
    u, v = screen_axes(K, R, bound_x, bound_y, iz)
    p, q = times_matrix(u, m), times_matrix(v, m)
    factor, dp, dq = _shape_gradient(a, r, k, d_a, d_r, d_k, d_opacity, logistic, p, q, ANTIALIAS)
    du, dv = times_matrix(dp, transposed(m)), times_matrix(dq, transposed(m))
    d_px, d_py, d_pz = _point_gradient(K, R, px, py, iz, bound_x, bound_y, d_mx, d_my, d_depth, du, dv, drawn)
    if WITH_POSE:
        fx, fy = tl.load(K), tl.load(K + 4)
        a0, a2, b1, b2 = fx * iz, -fx * bound_x * iz, fy * iz, -fy * bound_y * iz
        _store_pose_row(pose, a0 * du[0], a0 * du[1], a0 * du[2], d_px, x, y, z, drawn)
        _store_pose_row(pose + 3, b1 * dv[0], b1 * dv[1], b1 * dv[2], d_py, x, y, z, drawn)
        _store_pose_row(pose + 6, a2 * du[0] + b2 * dv[0], a2 * du[1] + b2 * dv[1], a2 * du[2] + b2 * dv[2], d_pz, x, y, z, drawn)
        _store_sums(pose + 9, d_px, d_py, d_pz)
        _store_sums(pose + 12, d_centre[0], d_centre[1], d_centre[2])
    d_mean = (
        tl.load(R) * d_px + tl.load(R + 3) * d_py + tl.load(R + 6) * d_pz - d_centre[0],
        tl.load(R + 1) * d_px + tl.load(R + 4) * d_py + tl.load(R + 7) * d_pz - d_centre[1],
        tl.load(R + 2) * d_px + tl.load(R + 5) * d_py + tl.load(R + 8) * d_pz - d_centre[2],
    )
    d_matrix = (
        tl.where(drawn, u[0] * dp[0] + v[0] * dq[0], 0.0), tl.where(drawn, u[0] * dp[1] + v[0] * dq[1], 0.0), tl.where(drawn, u[0] * dp[2] + v[0] * dq[2], 0.0),
        tl.where(drawn, u[1] * dp[0] + v[1] * dq[0], 0.0), tl.where(drawn, u[1] * dp[1] + v[1] * dq[1], 0.0), tl.where(drawn, u[1] * dp[2] + v[1] * dq[2], 0.0),
        tl.where(drawn, u[2] * dp[0] + v[2] * dq[0], 0.0), tl.where(drawn, u[2] * dp[1] + v[2] * dq[1], 0.0), tl.where(drawn, u[2] * dp[2] + v[2] * dq[2], 0.0),
    )  # fmt: skip
    return d_mean, d_matrix, tl.where(drawn, d_opacity * factor * logistic * (1 - logistic), 0.0)


@triton.jit
def _store_sums(out, a, b, c):
    tl.store(out, tl.sum(a, 0))
    tl.store(out + 1, tl.sum(b, 0))
    tl.store(out + 2, tl.sum(c, 0))


@triton.jit
def _store_pose_row(out, v0, v1, v2, d, x, y, z, drawn):
    """A row of the gradient of R: through the Jacobian, v, and through the point in camera axes, d times the point x, y, z."""
    _store_sums(out, tl.where(drawn, v0 + d * x, 0.0), tl.where(drawn, v1 + d * y, 0.0), tl.where(drawn, v2 + d * z, 0.0))
