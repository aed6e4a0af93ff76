"""`bind` on a GPU (Triton), with the derivative written by hand: one kernel forward, three backward.

As in `binding_cpu`, the derivative of a triangle's frame is a force on its origin, a torque on its rotation and the derivative by its size. Sums over the
splats of a face and over the corners of a vertex run in a fixed order, so that results are the same each time.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from pipeline.avatars.rigged.csr_index import inverse_index
from pipeline.geometry.triton_vector import cross, load_vector, store_vector

_TINY = tl.constexpr(1e-20)
_SPLATS, _VERTICES = 128, 64  # per program
_FACES, _LANES = 16, 16  # per program and per face


class BindOnGpu(torch.autograd.Function):
    """Autograd node around the kernels below; arguments and results as in `pipeline.avatars.rigged.binding.bind`."""

    @staticmethod
    def forward(ctx, vertices, faces, binding, means, quats, log_scales):
        inputs = [x.detach().contiguous() for x in (vertices, faces, binding, means, quats, log_scales)]
        out = [torch.empty_like(x) for x in inputs[3:]]
        _bind[(triton.cdiv(len(means), _SPLATS),)](*inputs, *out, len(means), BLOCK=_SPLATS)
        ctx.save_for_backward(*inputs[:5])
        ctx.owners = faces, binding  # the tensors themselves: their inverse indices are cached by them
        return tuple(out)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_means, d_quats, d_log_scales):
        vertices, faces, binding, means, quats = ctx.saved_tensors
        upstream = [x.contiguous() for x in (d_means, d_quats, d_log_scales)]
        d_local_means, d_local_quats, frame_gradients = torch.empty_like(means), torch.empty_like(quats), means.new_empty(len(means), 8)
        grid = (triton.cdiv(len(means), _SPLATS),)
        _bind_backward[grid](vertices, faces, binding, means, quats, *upstream, d_local_means, d_local_quats, frame_gradients, len(means), BLOCK=_SPLATS)
        d_vertices = _to_vertices(vertices, faces, frame_gradients, *ctx.owners) if ctx.needs_input_grad[0] else None
        return d_vertices, None, None, d_local_means, d_local_quats, upstream[2]


def _to_vertices(vertices: Tensor, faces: Tensor, frame_gradients: Tensor, faces_key: Tensor, binding: Tensor) -> Tensor:
    """Gradient of the vertices from the gradients [N, 8] by the frame of each splat's face."""
    splats, corners = inverse_index(binding, len(faces)), inverse_index(faces_key, len(vertices))
    by_corner, d_vertices = vertices.new_empty(len(faces), 9), torch.empty_like(vertices)
    _sum_faces[(triton.cdiv(len(faces), _FACES),)](
        vertices, faces, frame_gradients, splats.members, splats.starts, by_corner, len(faces), FACES=_FACES, LANES=_LANES
    )
    _sum_vertices[(triton.cdiv(len(vertices), _VERTICES),)](by_corner, corners.members, corners.starts, d_vertices, len(vertices), BLOCK=_VERTICES, num_warps=2)
    return d_vertices


@triton.jit
def _frame(vertices, faces, face, on):
    """Frame of a triangle (`triangle_frames`): axes a0 a1 a2 as 9 values; centroid (3); length of the first edge, height over it, foot of the height."""
    i, j, k = load_vector(faces + 3 * face, on)
    ix, iy, iz = load_vector(vertices + 3 * i.to(tl.int64), on)
    jx, jy, jz = load_vector(vertices + 3 * j.to(tl.int64), on)
    kx, ky, kz = load_vector(vertices + 3 * k.to(tl.int64), on)
    ex, ey, ez = jx - ix, jy - iy, jz - iz
    ox, oy, oz = kx - ix, ky - iy, kz - iz
    length = tl.sqrt(tl.maximum(ex * ex + ey * ey + ez * ez, _TINY))
    ex, ey, ez = ex / length, ey / length, ez / length
    nx, ny, nz = cross((ex, ey, ez), (ox, oy, oz))
    height = tl.sqrt(tl.maximum(nx * nx + ny * ny + nz * nz, _TINY))
    nx, ny, nz = nx / height, ny / height, nz / height
    px, py, pz = cross((ex, ey, ez), (nx, ny, nz))
    third: tl.constexpr = 1 / 3
    center = ((ix + jx + kx) * third, (iy + jy + ky) * third, (iz + jz + kz) * third)
    return (ex, ey, ez, nx, ny, nz, px, py, pz), center, length, height, ex * ox + ey * oy + ez * oz


@triton.jit
def _quaternion(axes):
    """Unit quaternion wxyz of the rotation with these columns; see `matrix_to_quat`."""
    a, d, g, b, e, h, c, f, i = axes
    ww, xx, yy, zz = 1 + a + e + i, 1 + a - e - i, 1 - a + e - i, 1 - a - e + i
    by_w = (ww >= xx) & (ww >= yy) & (ww >= zz)
    by_x = (xx >= yy) & (xx >= zz)
    by_y = yy >= zz
    w = tl.where(by_w, ww, tl.where(by_x, h - f, tl.where(by_y, c - g, d - b)))
    x = tl.where(by_w, h - f, tl.where(by_x, xx, tl.where(by_y, b + d, c + g)))
    y = tl.where(by_w, c - g, tl.where(by_x, b + d, tl.where(by_y, yy, f + h)))
    z = tl.where(by_w, d - b, tl.where(by_x, c + g, tl.where(by_y, f + h, zz)))
    n = tl.sqrt(w * w + x * x + y * y + z * z)
    return w / n, x / n, y / n, z / n


@triton.jit
def _product(pw, px, py, pz, w, x, y, z):
    return pw * w - px * x - py * y - pz * z, pw * x + px * w + py * z - pz * y, pw * y - px * z + py * w + pz * x, pw * z + px * y - py * x + pz * w


@triton.jit
def _four(rows, at, on):
    place = rows + 4 * at
    w, x = tl.load(place, mask=on, other=0.0), tl.load(place + 1, mask=on, other=0.0)
    return w, x, tl.load(place + 2, mask=on, other=0.0), tl.load(place + 3, mask=on, other=0.0)


@triton.jit
def _put_four(rows, at, values, on):
    place = rows + 4 * at
    for k in tl.static_range(4):
        tl.store(place + k, values[k], mask=on)


@triton.jit(do_not_specialize=["count"])
def _bind(vertices, faces, binding, means, quats, log_scales, out_means, out_quats, out_log_scales, count, BLOCK: tl.constexpr):
    """One splat per lane: s R mu + T, q_triangle q, log scale + log s."""
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    on = n < count
    axes, center, length, height, foot = _frame(vertices, faces, tl.load(binding + n, mask=on, other=0), on)
    ex, ey, ez, nx, ny, nz, px, py, pz = axes
    size = 0.5 * (length + height)
    x, y, z = load_vector(means + 3 * n, on)
    mean_x, mean_y, mean_z = ex * x + nx * y + px * z, ey * x + ny * y + py * z, ez * x + nz * y + pz * z
    store_vector(out_means + 3 * n, (size * mean_x + center[0], size * mean_y + center[1], size * mean_z + center[2]), on)
    w, x, y, z = _quaternion(axes)
    qw, qx, qy, qz = _four(quats, n, on)
    _put_four(out_quats, n, _product(w, x, y, z, qw, qx, qy, qz), on)
    x, y, z = load_vector(log_scales + 3 * n, on)
    grown = tl.log(size)
    store_vector(out_log_scales + 3 * n, (x + grown, y + grown, z + grown), on)


@triton.jit(do_not_specialize=["count"])
def _bind_backward(
    vertices, faces, binding, means, quats, d_means, d_quats, d_log_scales, d_local_means, d_local_quats, frame_gradients, count, BLOCK: tl.constexpr
):  # fmt: skip
    """One splat per lane: gradients of the local values, and frame_gradients [N, 8]: force (3), torque (3) and derivative by the size of its face's frame."""
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    on = n < count
    axes, center, length, height, foot = _frame(vertices, faces, tl.load(binding + n, mask=on, other=0), on)
    ex, ey, ez, nx, ny, nz, px, py, pz = axes
    size = 0.5 * (length + height)
    x, y, z = load_vector(means + 3 * n, on)
    rx, ry, rz = ex * x + nx * y + px * z, ey * x + ny * y + py * z, ez * x + nz * y + pz * z
    gx, gy, gz = load_vector(d_means + 3 * n, on)
    store_vector(d_local_means + 3 * n, (size * (ex * gx + ey * gy + ez * gz), size * (nx * gx + ny * gy + nz * gz), size * (px * gx + py * gy + pz * gz)), on)
    w, x, y, z = _quaternion(axes)
    qw, qx, qy, qz = _four(quats, n, on)
    hw, hx, hy, hz = _four(d_quats, n, on)
    _put_four(d_local_quats, n, _product(w, -x, -y, -z, hw, hx, hy, hz), on)
    uw, ux, uy, uz = _product(w, x, y, z, qw, qx, qy, qz)
    tx, ty, tz = cross((rx, ry, rz), (gx, gy, gz))
    sx, sy, sz = load_vector(d_log_scales + 3 * n, on)
    row = frame_gradients + 8 * n
    store_vector(row, (gx, gy, gz), on)
    # a small turn v of the frame changes the world quaternion u by (0, v) u / 2
    turn_x = size * tx + 0.5 * (-ux * hw + uw * hx - uz * hy + uy * hz)
    turn_y = size * ty + 0.5 * (-uy * hw + uz * hx + uw * hy - ux * hz)
    turn_z = size * tz + 0.5 * (-uz * hw - uy * hx + ux * hy + uw * hz)
    store_vector(row + 3, (turn_x, turn_y, turn_z), on)
    tl.store(row + 6, rx * gx + ry * gy + rz * gz + (sx + sy + sz) / size, mask=on)


@triton.jit(do_not_specialize=["count"])
def _sum_faces(vertices, faces, frame_gradients, members, starts, by_corner, count, FACES: tl.constexpr, LANES: tl.constexpr):
    """by_corner [F, 3, 3]: gradient of each corner of a face, of all its splats."""
    face = tl.program_id(0) * FACES + tl.arange(0, FACES)
    on = face < count
    start, end = tl.load(starts + face, mask=on, other=0), tl.load(starts + face + 1, mask=on, other=0)
    zero = tl.zeros([FACES, LANES], tl.float32)
    fx, fy, fz, tx, ty, tz, d_size = zero, zero, zero, zero, zero, zero, zero
    for first in range(0, tl.max(end - start), LANES):
        at = start[:, None] + first + tl.arange(0, LANES)[None, :]
        here = at < end[:, None]
        row = frame_gradients + 8 * tl.load(members + at, mask=here, other=0)
        fx += tl.load(row, mask=here, other=0.0)
        fy += tl.load(row + 1, mask=here, other=0.0)
        fz += tl.load(row + 2, mask=here, other=0.0)
        tx += tl.load(row + 3, mask=here, other=0.0)
        ty += tl.load(row + 4, mask=here, other=0.0)
        tz += tl.load(row + 5, mask=here, other=0.0)
        d_size += tl.load(row + 6, mask=here, other=0.0)
    tx, ty, tz = tl.sum(tx, 1), tl.sum(ty, 1), tl.sum(tz, 1)
    third: tl.constexpr = 1 / 3
    fx, fy, fz, half = tl.sum(fx, 1) * third, tl.sum(fy, 1) * third, tl.sum(fz, 1) * third, 0.5 * tl.sum(d_size, 1)
    axes, center, length, height, foot = _frame(vertices, faces, face, on)
    ex, ey, ez, nx, ny, nz, px, py, pz = axes
    along, turn, spin = tx * ex + ty * ey + tz * ez, tx * nx + ty * ny + tz * nz, tx * px + ty * py + tz * pz
    ratio = foot / length
    u, v, w = half, spin / length - along * ratio / height, half * ratio - turn / length  # gradient of the first edge along a0, a1, a2
    jx, jy, jz = u * ex + v * nx + w * px, u * ey + v * ny + w * py, u * ez + v * nz + w * pz
    v = along / height  # and of the other edge, along a1; half along -a2
    kx, ky, kz = v * nx - half * px, v * ny - half * py, v * nz - half * pz
    store_vector(by_corner + 9 * face, (fx - jx - kx, fy - jy - ky, fz - jz - kz), on)
    store_vector(by_corner + 9 * face + 3, (fx + jx, fy + jy, fz + jz), on)
    store_vector(by_corner + 9 * face + 6, (fx + kx, fy + ky, fz + kz), on)


@triton.jit(do_not_specialize=["count"])
def _sum_vertices(by_corner, members, starts, d_vertices, count, BLOCK: tl.constexpr):
    """d_vertices [V, 3]: the sum over the corners of triangles that meet in a vertex."""
    vertex = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    on = vertex < count
    start, end = tl.load(starts + vertex, mask=on, other=0), tl.load(starts + vertex + 1, mask=on, other=0)
    x, y, z = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32)
    for k in tl.range(0, tl.max(end - start), loop_unroll_factor=4):
        here = start + k < end
        cx, cy, cz = load_vector(by_corner + 3 * tl.load(members + start + k, mask=here, other=0), here)
        x, y, z = x + cx, y + cy, z + cz
    store_vector(d_vertices + 3 * vertex, (x, y, z), on)
