"""SH colour of one splat and its gradient, for the numba kernels in splats.py; the formulas are those of `harmonics`."""

from __future__ import annotations

import math
from functools import partial

from numba import float32 as f4

from pipeline.splat.cpu.jit import MATH, helper
from pipeline.splat.harmonics import SH_C0


@partial(helper, fastmath=MATH)
def _fill_basis(x, y, z, count, basis):
    """Write the first `count` functions of `harmonics.sh_basis` at the unit vector (x, y, z) into basis [>= count]."""
    basis[0] = f4(SH_C0)
    if count > 1:
        c = f4(0.4886025119029199)
        basis[1], basis[2], basis[3] = -c * y, c * z, -c * x
    xx, yy, zz, two, three, four = x * x, y * y, z * z, f4(2), f4(3), f4(4)
    if count > 4:
        c = f4(1.0925484305920792)
        basis[4], basis[5], basis[6] = c * x * y, -c * y * z, f4(0.31539156525252005) * (two * zz - xx - yy)
        basis[7], basis[8] = -c * x * z, f4(0.5) * c * (xx - yy)
    if count > 9:
        a, b, d = f4(-0.5900435899266435), f4(-0.4570457994644658), f4(1.445305721320277)
        basis[9], basis[10], basis[11] = a * y * (three * xx - yy), two * d * x * y * z, b * y * (four * zz - xx - yy)
        basis[12], basis[13] = f4(0.3731763325901154) * z * (two * zz - three * xx - three * yy), b * x * (four * zz - xx - yy)
        basis[14], basis[15] = d * z * (xx - yy), a * x * (xx - three * yy)


@partial(helper, fastmath=MATH)
def _basis_backward(x, y, z, count, g):
    """Gradient (gx, gy, gz) of sum_k g[k] basis_k(x, y, z), differentiating the polynomials of `_fill_basis` without the constraint of a unit vector."""
    gx = gy = gz = f4(0)
    two, three, four, six = f4(2), f4(3), f4(4), f4(6)
    if count > 1:
        c = f4(0.4886025119029199)
        gx, gy, gz = -c * g[3], -c * g[1], c * g[2]
    if count > 4:
        c, e = f4(1.0925484305920792), f4(0.31539156525252005)
        gx += c * (y * g[4] - z * g[7] + x * g[8]) - two * e * x * g[6]
        gy += c * (x * g[4] - z * g[5] - y * g[8]) - two * e * y * g[6]
        gz += c * (-y * g[5] - x * g[7]) + four * e * z * g[6]
    if count > 9:
        xx, yy, zz = x * x, y * y, z * z
        a, b, d, e = f4(-0.5900435899266435), f4(-0.4570457994644658), f4(1.445305721320277), f4(0.3731763325901154)
        gx += a * (six * x * y * g[9] + three * (xx - yy) * g[15]) + two * d * (y * z * g[10] + x * z * g[14])
        gx += b * (-two * x * y * g[11] + (four * zz - three * xx - yy) * g[13]) - six * e * x * z * g[12]
        gy += a * (three * (xx - yy) * g[9] - six * x * y * g[15]) + two * d * (x * z * g[10] - y * z * g[14])
        gy += b * ((four * zz - xx - three * yy) * g[11] - two * x * y * g[13]) - six * e * y * z * g[12]
        gz += two * d * x * y * g[10] + four * two * b * (y * z * g[11] + x * z * g[13])
        gz += e * (six * zz - three * xx - three * yy) * g[12] + d * (xx - yy) * g[14]
    return gx, gy, gz


@partial(helper, fastmath=MATH)
def _direction(camera, x, y, z):
    x, y, z = x - camera[24], y - camera[25], z - camera[26]
    inverse = f4(1) / max(math.sqrt(x * x + y * y + z * z), f4(1e-12))
    return x * inverse, y * inverse, z * inverse, inverse


@partial(helper, fastmath=MATH)
def shade_splat(camera, mean, sh, active, basis, colour):
    """Fill colour [>= 3] with max(SH + 0.5, 0) from the first `active` coefficients of sh [K, 3]; basis [16] is scratch."""
    x, y, z, _ = _direction(camera, mean[0], mean[1], mean[2])
    _fill_basis(x, y, z, active, basis)
    r = g = b = f4(0.5)
    for k in range(active):
        r += basis[k] * sh[k, 0]
        g += basis[k] * sh[k, 1]
        b += basis[k] * sh[k, 2]
    colour[0], colour[1], colour[2] = max(r, f4(0)), max(g, f4(0)), max(b, f4(0))


@partial(helper, fastmath=MATH)
def shade_splat_backward(camera, mean, sh, active, basis, weight, colour, d_colour, d_sh, d_mean, d_centre):
    """Gradients of `shade_splat`: fills the first `active` of d_sh [K, 3], adds to d_mean [3] and d_centre [3] (camera centre).

    basis and weight [16] are scratch.
    """
    r = d_colour[0] if colour[0] > 0 else f4(0)
    g = d_colour[1] if colour[1] > 0 else f4(0)
    b = d_colour[2] if colour[2] > 0 else f4(0)
    x, y, z, inverse = _direction(camera, mean[0], mean[1], mean[2])
    _fill_basis(x, y, z, active, basis)
    for k in range(active):
        weight[k] = r * sh[k, 0] + g * sh[k, 1] + b * sh[k, 2]
        d_sh[k, 0], d_sh[k, 1], d_sh[k, 2] = basis[k] * r, basis[k] * g, basis[k] * b
    gx, gy, gz = _basis_backward(x, y, z, active, weight)
    radial = gx * x + gy * y + gz * z
    gx, gy, gz = (gx - radial * x) * inverse, (gy - radial * y) * inverse, (gz - radial * z) * inverse
    d_mean[0] += gx
    d_mean[1] += gy
    d_mean[2] += gz
    d_centre[0] -= gx
    d_centre[1] -= gy
    d_centre[2] -= gz
