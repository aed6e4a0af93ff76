"""SH colours in the Triton kernels; the formulas are those of `harmonics`.

The coefficients lie along the second axis, x, y and z are columns: the memory of 32 splats is then read in whole lines.
"""

from __future__ import annotations

import triton
import triton.language as tl

from pipeline.splat.harmonics import SH_C0

SH_0 = tl.constexpr(SH_C0)


@triton.jit
def sh_basis(x, y, z, k, ACTIVE: tl.constexpr):
    """Values [S, 16] of the first ACTIVE functions of `harmonics.sh_basis` at unit vectors x, y, z [S, 1], zero after them; k: [1, 16] = 0..15."""
    value = tl.where(k == 0, SH_0, x * 0.0)
    xx, yy, zz = x * x, y * y, z * z
    if ACTIVE > 1:
        value = tl.where(k == 1, -0.4886025119029199 * y, value)
        value = tl.where(k == 2, 0.4886025119029199 * z, value)
        value = tl.where(k == 3, -0.4886025119029199 * x, value)
    if ACTIVE > 4:
        value = tl.where(k == 4, 1.0925484305920792 * x * y, value)
        value = tl.where(k == 5, -1.0925484305920792 * y * z, value)
        value = tl.where(k == 6, 0.31539156525252005 * (2 * zz - xx - yy), value)
        value = tl.where(k == 7, -1.0925484305920792 * x * z, value)
        value = tl.where(k == 8, 0.5462742152960396 * (xx - yy), value)
    if ACTIVE > 9:
        value = tl.where(k == 9, -0.5900435899266435 * y * (3 * xx - yy), value)
        value = tl.where(k == 10, 2.890611442640554 * x * y * z, value)
        value = tl.where(k == 11, -0.4570457994644658 * y * (4 * zz - xx - yy), value)
        value = tl.where(k == 12, 0.3731763325901154 * z * (2 * zz - 3 * xx - 3 * yy), value)
        value = tl.where(k == 13, -0.4570457994644658 * x * (4 * zz - xx - yy), value)
        value = tl.where(k == 14, 1.445305721320277 * z * (xx - yy), value)
        value = tl.where(k == 15, -0.5900435899266435 * x * (xx - 3 * yy), value)
    return value


@triton.jit
def sh_gradient_x(x, y, z, k, ACTIVE: tl.constexpr):
    """d/dx of the polynomials of `sh_basis`, without the constraint that the vector is a unit vector."""
    value = tl.where(k == 3, -0.4886025119029199, x * 0.0)
    if ACTIVE > 4:
        value = tl.where(k == 4, 1.0925484305920792 * y, value)
        value = tl.where(k == 6, -0.6307831305050401 * x, value)
        value = tl.where(k == 7, -1.0925484305920792 * z, value)
        value = tl.where(k == 8, 1.0925484305920792 * x, value)
    if ACTIVE > 9:
        xx, yy, zz = x * x, y * y, z * z
        value = tl.where(k == 9, -3.540261539559861 * x * y, value)
        value = tl.where(k == 10, 2.890611442640554 * y * z, value)
        value = tl.where(k == 11, 0.9140915989289316 * x * y, value)
        value = tl.where(k == 12, -2.2390579955406924 * x * z, value)
        value = tl.where(k == 13, -0.4570457994644658 * (4 * zz - 3 * xx - yy), value)
        value = tl.where(k == 14, 2.890611442640554 * x * z, value)
        value = tl.where(k == 15, -1.7701307697799305 * (xx - yy), value)
    return value


@triton.jit
def sh_gradient_y(x, y, z, k, ACTIVE: tl.constexpr):
    """d/dy, see `sh_gradient_x`."""
    value = tl.where(k == 1, -0.4886025119029199, x * 0.0)
    if ACTIVE > 4:
        value = tl.where(k == 4, 1.0925484305920792 * x, value)
        value = tl.where(k == 5, -1.0925484305920792 * z, value)
        value = tl.where(k == 6, -0.6307831305050401 * y, value)
        value = tl.where(k == 8, -1.0925484305920792 * y, value)
    if ACTIVE > 9:
        xx, yy, zz = x * x, y * y, z * z
        value = tl.where(k == 9, -1.7701307697799305 * (xx - yy), value)
        value = tl.where(k == 10, 2.890611442640554 * x * z, value)
        value = tl.where(k == 11, -0.4570457994644658 * (4 * zz - xx - 3 * yy), value)
        value = tl.where(k == 12, -2.2390579955406924 * y * z, value)
        value = tl.where(k == 13, 0.9140915989289316 * x * y, value)
        value = tl.where(k == 14, -2.890611442640554 * y * z, value)
        value = tl.where(k == 15, 3.540261539559861 * x * y, value)
    return value


@triton.jit
def sh_gradient_z(x, y, z, k, ACTIVE: tl.constexpr):
    """d/dz, see `sh_gradient_x`."""
    value = tl.where(k == 2, 0.4886025119029199, x * 0.0)
    if ACTIVE > 4:
        value = tl.where(k == 5, -1.0925484305920792 * y, value)
        value = tl.where(k == 6, 1.2615662610100802 * z, value)
        value = tl.where(k == 7, -1.0925484305920792 * x, value)
    if ACTIVE > 9:
        xx, yy, zz = x * x, y * y, z * z
        value = tl.where(k == 10, 2.890611442640554 * x * y, value)
        value = tl.where(k == 11, -3.6563663957157264 * y * z, value)
        value = tl.where(k == 12, 0.3731763325901154 * (6 * zz - 3 * xx - 3 * yy), value)
        value = tl.where(k == 13, -3.6563663957157264 * x * z, value)
        value = tl.where(k == 14, 1.445305721320277 * (xx - yy), value)
    return value


@triton.jit
def view_direction(R, t, x, y, z):
    """Unit vectors from the camera centre -R^T t to points x, y, z [S], and the inverse of their lengths; R, t: pointers."""
    t0, t1, t2 = tl.load(t), tl.load(t + 1), tl.load(t + 2)
    x += tl.load(R) * t0 + tl.load(R + 3) * t1 + tl.load(R + 6) * t2
    y += tl.load(R + 1) * t0 + tl.load(R + 4) * t1 + tl.load(R + 7) * t2
    z += tl.load(R + 2) * t0 + tl.load(R + 5) * t1 + tl.load(R + 8) * t2
    inverse = 1.0 / tl.maximum(tl.sqrt(x * x + y * y + z * z), 1e-12)
    return x * inverse, y * inverse, z * inverse, inverse
