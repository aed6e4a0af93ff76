"""Small functions inlined into the numba kernels."""

from __future__ import annotations

import numba
import numpy as np
from llvmlite import ir
from numba import float32 as f4
from numba.extending import intrinsic

from pipeline.splat.cpu_jit import inlined
from pipeline.splat.harmonics import SH_C0


@intrinsic
def _power_of_two(typing_context, exponent):
    """2^exponent for int32 exponents of normal float32 numbers, by writing the exponent's bits."""

    def codegen(context, builder, signature, args):
        biased = builder.add(args[0], ir.Constant(ir.IntType(32), 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(ir.IntType(32), 23)), ir.FloatType())

    return numba.types.float32(numba.types.int32), codegen


@inlined
def exp_negative(x):
    """exp(x) for x <= 0, relative error 2e-7; a polynomial, because a call into libm would keep the pixel loop from being vectorised.

    x = (k + f) ln 2 with whole k and 0 <= f < 1; 2^f by a least-squares polynomial at Chebyshev nodes.
    """
    y = max(x * f4(1.44269504), f4(-40.0))  # far below every threshold; smaller results times an opacity would be denormal, which is slow
    k = np.floor(y)
    f = y - k
    p = f4(0.99999993) + f * (f4(0.69315297) + f * (f4(0.24015453) + f * (f4(0.0558236) + f * (f4(0.00899258) + f * f4(0.00187623)))))
    return p * _power_of_two(np.int32(k))


@inlined
def fill_sh_basis(x, y, z, count, basis):
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


@inlined
def sh_basis_pullback(x, y, z, count, g):
    """Gradient (gx, gy, gz) of sum_k g[k] basis_k(x, y, z), the polynomials of `fill_sh_basis` differentiated as they stand."""
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
