"""First kernel of the GPU rasteriser: projection, colours, and how many splats each tile draws.

The formulas are those of `reference.project`. A projected splat is a record of RECORD floats: mean x y, -a, r, -k, log2 opacity, depth, opacity, colours, and
depth once more, beside the colours that are summed like it.
The falloff is 2^-(a (dx + r dy)^2 + k dy^2), a = yy / 2 det, r = -xy / yy, k = 1 / 2 yy of the screen covariance [[xx, xy], [xy, yy]], a and k over ln 2;
against the usual inverse covariance this sum of squares loses no digits on long thin splats.
"""

from __future__ import annotations

import triton
import triton.language as tl

from pipeline.geometry.triton_vector import cross, dot, times_matrix
from pipeline.splat.gpu.ellipse import count_tiles, ellipse_reach
from pipeline.splat.gpu.shade import SH_0, sh_basis, view_direction
from pipeline.splat.rules import FRUSTUM_MARGIN, LOW_PASS, MIN_ALPHA, MIN_COMPENSATION

UNSPECIALISED = ("N", "tiles", "capacity", "blocks", "instances")  # numbers that change while an avatar is trained: not compiled for
LN2 = tl.constexpr(0.6931471805599453)
COLOURS = tl.constexpr(8)  # column where a record's colours begin
_LOW_PASS, _MIN_ALPHA, _MARGIN, _MIN_COMPENSATION = (tl.constexpr(x) for x in (LOW_PASS, MIN_ALPHA, FRUSTUM_MARGIN, MIN_COMPENSATION))


@triton.jit
def to_camera(R, t, x, y, z):
    return (
        tl.load(R) * x + tl.load(R + 1) * y + tl.load(R + 2) * z + tl.load(t),
        tl.load(R + 3) * x + tl.load(R + 4) * y + tl.load(R + 5) * z + tl.load(t + 1),
        tl.load(R + 6) * x + tl.load(R + 7) * y + tl.load(R + 8) * z + tl.load(t + 2),
    )


@triton.jit
def unit_quaternion(quats, at, mask):
    """w, x, y, z and the inverse length of the quaternions of splats `at`."""
    w, x = tl.load(quats + 4 * at, mask, 1.0), tl.load(quats + 4 * at + 1, mask, 0.0)
    y, z = tl.load(quats + 4 * at + 2, mask, 0.0), tl.load(quats + 4 * at + 3, mask, 0.0)
    inverse = 1.0 / tl.maximum(tl.sqrt(w * w + x * x + y * y + z * z), 1e-12)
    return w * inverse, x * inverse, y * inverse, z * inverse, inverse


@triton.jit
def scaled_rotation(w, x, y, z, log_scales, at, mask):
    """The nine entries, row-major, of rotation * scales."""
    sx = tl.exp(tl.load(log_scales + 3 * at, mask, 0.0))
    sy = tl.exp(tl.load(log_scales + 3 * at + 1, mask, 0.0))
    sz = tl.exp(tl.load(log_scales + 3 * at + 2, mask, 0.0))
    return (
        (1 - 2 * (y * y + z * z)) * sx, 2 * (x * y - w * z) * sy, 2 * (x * z + w * y) * sz,
        2 * (x * y + w * z) * sx, (1 - 2 * (x * x + z * z)) * sy, 2 * (y * z - w * x) * sz,
        2 * (x * z - w * y) * sx, 2 * (y * z + w * x) * sy, (1 - 2 * (x * x + y * y)) * sz,
    )  # fmt: skip


@triton.jit
def clamped_tangents(K, px, py, iz, width, height):
    """x/z and y/z clamped to the image widened by the margin, for the Jacobian."""
    fx, fy, cx, cy = tl.load(K), tl.load(K + 4), tl.load(K + 2), tl.load(K + 5)
    wide, high = width * (0.5 * _MARGIN), height * (0.5 * _MARGIN)
    tangent_x = tl.minimum(tl.maximum(px * iz, (-cx - wide) / fx), (width - cx + wide) / fx)
    tangent_y = tl.minimum(tl.maximum(py * iz, (-cy - high) / fy), (height - cy + high) / fy)
    return tangent_x, tangent_y


@triton.jit
def screen_axes(K, R, tangent_x, tangent_y, iz):
    """Rows u, v of J R, J the derivative of the projection."""
    fx, fy = tl.load(K), tl.load(K + 4)
    a0, a2, b1, b2 = fx * iz, -fx * tangent_x * iz, fy * iz, -fy * tangent_y * iz
    R6, R7, R8 = tl.load(R + 6), tl.load(R + 7), tl.load(R + 8)
    u = a0 * tl.load(R) + a2 * R6, a0 * tl.load(R + 1) + a2 * R7, a0 * tl.load(R + 2) + a2 * R8
    v = b1 * tl.load(R + 3) + b2 * R6, b1 * tl.load(R + 4) + b2 * R7, b1 * tl.load(R + 5) + b2 * R8
    return u, v


@triton.jit
def store_four(at, a, b, c, d, mask):
    """Store four columns [S] at pointers `at` on 16 bytes, each lane its four in one piece."""
    tl.store(at[:, None] + tl.arange(0, 4)[None, :], tl.reshape(tl.join(tl.join(a, c), tl.join(b, d)), [a.shape[0], 4]), mask[:, None])


@triton.jit
def load_four(at, mask):
    """Four columns [S] behind pointers `at` on 16 bytes, each lane its four in one piece; 0 outside the mask."""
    even, odd = tl.split(tl.reshape(tl.load(at[:, None] + tl.arange(0, 4)[None, :], mask[:, None], 0.0), [at.shape[0], 2, 2]))
    first, third = tl.split(even)
    second, fourth = tl.split(odd)
    return first, second, third, fourth


@triton.jit
def _store_colours(colour, source, out, R, t, x, y, z, depth, drawn, ACTIVE: tl.constexpr, STORED: tl.constexpr, CHANNELS: tl.constexpr, PADDED: tl.constexpr):
    """A record's colours, and the depth beside them: features, or SH as the camera sees it."""
    if ACTIVE == 0:
        channel = tl.arange(0, PADDED)[None, :]
        mask = drawn[:, None] & (channel < CHANNELS)
        values = tl.load(colour + source[:, None] * CHANNELS + channel, mask, 0.0)
        tl.store(out[:, None] + channel, values, mask)
        tl.store(out + CHANNELS, depth, drawn)
    else:
        if ACTIVE == 1:
            colour += source * (3 * STORED)
            red, green, blue = tl.load(colour, drawn, 0.0), tl.load(colour + 1, drawn, 0.0), tl.load(colour + 2, drawn, 0.0)
            red, green, blue = red * SH_0, green * SH_0, blue * SH_0
        else:
            dx, dy, dz, _ = view_direction(R, t, x, y, z)
            index = tl.arange(0, 16)[None, :]
            basis = sh_basis(dx[:, None], dy[:, None], dz[:, None], index, ACTIVE)
            sh, used = colour + source[:, None] * (3 * STORED) + 3 * index, drawn[:, None] & (index < ACTIVE)
            red, green = tl.sum(basis * tl.load(sh, used, 0.0), 1), tl.sum(basis * tl.load(sh + 1, used, 0.0), 1)
            blue = tl.sum(basis * tl.load(sh + 2, used, 0.0), 1)
        store_four(out, tl.maximum(red + 0.5, 0.0), tl.maximum(green + 0.5, 0.0), tl.maximum(blue + 0.5, 0.0), depth, drawn)


@triton.jit(do_not_specialize=("N",))
def project(means, quats, log_scales, opacities, colour, K, R, t, screen, projected, radii, first_slot, counts, tile_counts, totals,
            N, width, height, columns, tile_rows, near,
            SHARED: tl.constexpr, ACTIVE: tl.constexpr, STORED: tl.constexpr, CHANNELS: tl.constexpr, RECORD: tl.constexpr, PADDED: tl.constexpr,
            SCREEN: tl.constexpr, ANTIALIAS: tl.constexpr, TX: tl.constexpr, TY: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Grid (splat blocks, views). Fills projected [B, N, RECORD], radii, first_slot and counts [B, N]; adds to tile_counts [B, tiles] and totals [1], pairs."""
    view = tl.program_id(1)
    splat = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = splat < N
    at = view * N + splat
    source = splat if SHARED else at
    K += 9 * view
    R += 9 * view
    t += 3 * view
    x, y, z = tl.load(means + 3 * source, mask, 0.0), tl.load(means + 3 * source + 1, mask, 0.0), tl.load(means + 3 * source + 2, mask, 0.0)
    px, py, pz = to_camera(R, t, x, y, z)
    in_front = mask & (pz > near)
    iz = 1.0 / tl.where(in_front, pz, 1.0)
    qw, qx, qy, qz, _ = unit_quaternion(quats, source, mask)
    m = scaled_rotation(qw, qx, qy, qz, log_scales, source, mask)
    tangent_x, tangent_y = clamped_tangents(K, px, py, iz, width, height)
    u, v = screen_axes(K, R, tangent_x, tangent_y, iz)
    p, q = times_matrix(u, m), times_matrix(v, m)
    c = cross(p, q)
    xx, xy, yy, sharp = dot(p, p), dot(p, q), dot(q, q), dot(c, c)
    determinant = sharp + (xx + yy) * _LOW_PASS + _LOW_PASS * _LOW_PASS
    opacity = 1.0 / (1.0 + tl.exp(-tl.load(opacities + source, mask, -30.0)))
    if ANTIALIAS:
        opacity *= tl.maximum(tl.sqrt(sharp / determinant), _MIN_COMPENSATION)
    xx += _LOW_PASS
    yy += _LOW_PASS
    mx, my = tl.load(K) * px * iz + tl.load(K + 2), tl.load(K + 4) * py * iz + tl.load(K + 5)
    if SCREEN:
        mx += tl.load(screen + at * SCREEN, mask, 0.0)
        my += tl.load(screen + at * SCREEN + 1, mask, 0.0)
    fade = 2 * tl.log(tl.maximum(opacity / _MIN_ALPHA, 1.0))
    extent_x, extent_y = tl.sqrt(fade * xx), tl.sqrt(fade * yy)
    extent = tl.maximum(extent_x, extent_y)
    drawn = in_front & (opacity >= _MIN_ALPHA) & (extent_x < float("inf")) & (extent_y < float("inf"))
    drawn = drawn & (mx + extent_x > 0) & (mx - extent_x < width) & (my + extent_y > 0) & (my - extent_y < height)
    tl.store(radii + at, tl.where(drawn, extent, 0.0), mask)
    a, r, k = tl.maximum(yy / determinant * (0.5 / LN2), 1e-30), -xy / yy, tl.maximum(1.0 / yy * (0.5 / LN2), 1e-30)
    at_splat = projected + at * RECORD
    store_four(at_splat, mx, my, -a, r, drawn)
    store_four(at_splat + 4, -k, tl.log2(tl.maximum(opacity, _MIN_ALPHA)), pz, opacity, drawn)
    _store_colours(colour, source, at_splat + COLOURS, R, t, x, y, z, pz, drawn, ACTIVE, STORED, CHANNELS, PADDED)
    count = count_tiles(tile_counts, view * columns * tile_rows, mx, my, a, r, k, ellipse_reach(opacity), extent_x, drawn, columns, tile_rows, TX, TY, BLOCK)
    # the slots of a splat's pairs follow each other; which splat's come first varies from run to run and changes no result
    first = tl.atomic_add(totals, tl.sum(count, 0), sem="relaxed") + tl.cumsum(count, 0) - count
    tl.store(first_slot + at, first, mask)
    tl.store(counts + at, count, mask)
