"""L1 and D-SSIM with their gradient in two passes over the image (numba, one thread per row).

Per row: the vertical half of the Gaussian window into row buffers that stay in the first-level cache, then the horizontal half. No filtered image is
ever written, only the three maps that the gradient filters once more.
"""

from __future__ import annotations

import numpy as np
from numba import float32 as f4
from numba import prange

from pipeline.splat.cpu.jit import helper, kernel
from pipeline.splat.ssim import C1, C2, RADIUS


@helper
def _filter_row(padded, taps, step, out):
    """Horizontal half of the window over one row of interleaved channels: padded [n + 2 RADIUS step] -> out [n]."""
    size = np.uint64(len(out))
    for p in range(size):
        out[p] = 0
    for k in range(2 * RADIUS + 1):
        tap, shift = taps[k], np.uint64(k * step)
        for p in range(size):
            out[p] += tap * padded[p + shift]


@kernel
def ssim_maps(image, target, taps, step, maps, absolute, dissimilar):
    """Sums over each row of |image - target| and of 1 - SSIM, and SSIM's derivatives.

    image, target: [H, n], n = W * step with interleaved channels. maps: [3, H, n] derivatives of SSIM by the window means of x, x^2 and x y.
    absolute, dissimilar: [H]. Zero padding outside of the image.
    """
    height, n = image.shape
    size, edge = np.uint64(n), np.uint64(RADIUS * step)
    for y in prange(height):
        rows, means = np.zeros((5, n + 2 * RADIUS * step), np.float32), np.empty((5, n), np.float32)
        sx, sy, sxx, syy, sxy = rows[0], rows[1], rows[2], rows[3], rows[4]
        for k in range(max(0, y - RADIUS), min(height, y + RADIUS + 1)):
            tap, a, b = taps[k - y + RADIUS], image[k], target[k]
            for p in range(size):
                u, v, q = a[p], b[p], p + edge
                sx[q] += tap * u
                sy[q] += tap * v
                sxx[q] += tap * u * u
                syy[q] += tap * v * v
                sxy[q] += tap * u * v
        for k in range(5):
            _filter_row(rows[k], taps, step, means[k])
        absolute[y], dissimilar[y] = _ssim_row(image[y], target[y], means, maps[0, y], maps[1, y], maps[2, y])


@helper
def _ssim_row(x, y, means, by_x, by_xx, by_xy):
    """Sum of |x - y| and of 1 - SSIM (Wang et al. 2004, eq. 13) over one row; means [5, n] of x, y, x^2, y^2, x y; fills the derivatives [n]."""
    one, two = f4(1), f4(2)
    absolute = dissimilar = f4(0)
    for p in range(np.uint64(len(x))):
        mx, my = means[0, p], means[1, p]
        a1, a2 = two * mx * my + f4(C1), two * (means[4, p] - mx * my) + f4(C2)
        b1, b2 = mx * mx + my * my + f4(C1), means[2, p] - mx * mx + means[3, p] - my * my + f4(C2)
        inverse = one / (b1 * b2)
        value = a1 * a2 * inverse
        by_xx[p] = -value * inverse * b1
        by_xy[p] = two * a1 * inverse
        by_x[p] = two * my * (a2 - a1) * inverse + two * mx * value * inverse * (b1 - b2)
        absolute += abs(x[p] - y[p])
        dissimilar += one - value
    return absolute, dissimilar


@kernel
def ssim_backward(image, target, taps, step, maps, l1_scale, dssim_scale, out):
    """out [H, n] = gradient of l1_scale * sum |x - y| + dssim_scale * sum (1 - SSIM) by the image; arguments as in `ssim_maps`."""
    height, n = image.shape
    size, edge = np.uint64(n), np.uint64(RADIUS * step)
    for y in prange(height):
        rows, sums = np.zeros((3, n + 2 * RADIUS * step), np.float32), np.empty((3, n), np.float32)
        r0, r1, r2 = rows[0], rows[1], rows[2]
        for k in range(max(0, y - RADIUS), min(height, y + RADIUS + 1)):
            tap, m0, m1, m2 = taps[k - y + RADIUS], maps[0, k], maps[1, k], maps[2, k]
            for p in range(size):
                q = p + edge
                r0[q] += tap * m0[p]
                r1[q] += tap * m1[p]
                r2[q] += tap * m2[p]
        for k in range(3):
            _filter_row(rows[k], taps, step, sums[k])
        a, b, gradient, s0, s1, s2 = image[y], target[y], out[y], sums[0], sums[1], sums[2]
        for p in range(size):
            d = a[p] - b[p]
            sign = f4(1) if d > 0 else (f4(-1) if d < 0 else f4(0))
            gradient[p] = l1_scale * sign - dssim_scale * (s0[p] + f4(2) * a[p] * s1[p] + b[p] * s2[p])
