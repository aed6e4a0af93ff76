"""An exponential that numba's loops can be vectorised with."""

from __future__ import annotations

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import float32 as f4
from numba.extending import intrinsic

from pipeline.splat.cpu.jit import helper


@intrinsic
def _power_of_two(typing_context, exponent):
    """2^exponent for int32 exponents of normal float32 numbers, by writing the exponent's bits."""

    def codegen(context, builder, signature, args):
        biased = builder.add(args[0], ir.Constant(ir.IntType(32), 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(ir.IntType(32), 23)), ir.FloatType())

    return numba.types.float32(numba.types.int32), codegen


@helper
def exp_negative(x):
    """exp(x) for x <= 0, relative error 2e-7; a polynomial, because a call into libm would keep the pixel loop from being vectorised.

    x = (k + f) ln 2 with whole k and 0 <= f < 1; 2^f by a least-squares polynomial at Chebyshev nodes.
    """
    y = max(x * f4(1.44269504), f4(-40.0))  # far below every threshold; smaller results times an opacity would be denormal, which is slow
    k = np.floor(y)
    f = y - k
    p = f4(0.99999993) + f * (f4(0.69315297) + f * (f4(0.24015453) + f * (f4(0.0558236) + f * (f4(0.00899258) + f * f4(0.00187623)))))
    return p * _power_of_two(np.int32(k))
