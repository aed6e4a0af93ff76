"""Vectors of three and matrices of nine numbers in Triton kernels: tuples of columns, one lane per vector."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def load_vector(place, on):
    """Three neighbouring numbers behind pointers `place`; 0 where not `on`."""
    return tl.load(place, mask=on, other=0.0), tl.load(place + 1, mask=on, other=0.0), tl.load(place + 2, mask=on, other=0.0)


@triton.jit
def store_vector(place, vector, on):
    """The inverse of `load_vector`."""
    for k in tl.static_range(3):
        tl.store(place + k, vector[k], mask=on)


@triton.jit
def load_matrix(place, on):
    """Nine neighbouring numbers, a matrix row by row."""
    a, b, c = load_vector(place, on)
    d, e, f = load_vector(place + 3, on)
    g, h, i = load_vector(place + 6, on)
    return a, b, c, d, e, f, g, h, i


@triton.jit
def store_matrix(place, matrix, on):
    """The inverse of `load_matrix`."""
    for k in tl.static_range(9):
        tl.store(place + k, matrix[k], mask=on)


@triton.jit
def dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@triton.jit
def cross(a, b):
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@triton.jit
def matrix_times(m, v):
    """M v."""
    return m[0] * v[0] + m[1] * v[1] + m[2] * v[2], m[3] * v[0] + m[4] * v[1] + m[5] * v[2], m[6] * v[0] + m[7] * v[1] + m[8] * v[2]


@triton.jit
def times_matrix(v, m):
    """v^T M."""
    return v[0] * m[0] + v[1] * m[3] + v[2] * m[6], v[0] * m[1] + v[1] * m[4] + v[2] * m[7], v[0] * m[2] + v[1] * m[5] + v[2] * m[8]


@triton.jit
def transposed(m):
    return m[0], m[3], m[6], m[1], m[4], m[7], m[2], m[5], m[8]
