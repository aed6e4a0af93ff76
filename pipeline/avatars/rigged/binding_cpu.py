"""`bind` on the CPU (numba): one pass over the faces and one over the splats, with the derivative written by hand.

The derivative of a triangle's frame is three quantities per face: the force on its origin, the torque on its rotation (world axes, from R' = (1 + [w]x) R)
and the derivative by its size. Splats of a face are summed in a fixed order, so that results do not depend on the number of threads.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numba import njit, prange

_TINY = 1e-20


class BindOnCpu(torch.autograd.Function):
    """Autograd node around the kernels below; arguments and results as in `pipeline.avatars.rigged.binding.bind`."""

    @staticmethod
    def forward(ctx, vertices, faces, binding, means, quats, log_scales):
        arrays = [x.detach().contiguous().numpy() for x in (vertices, faces, binding, means, quats, log_scales)]
        frames = np.empty((len(arrays[1]), 20), np.float32)  # a0 a1 a2 (9), centroid (3), quaternion (4), length, height, foot, size
        _frames(arrays[0], arrays[1], frames)
        out = [torch.empty_like(x, memory_format=torch.contiguous_format) for x in (means, quats, log_scales)]
        _forward(frames, *arrays[2:], *(x.numpy() for x in out))
        ctx.save_for_backward(binding, means, quats)
        ctx.faces, ctx.frames, ctx.vertex_count = arrays[1], frames, len(vertices)
        return tuple(out)

    @staticmethod
    def backward(ctx, d_means, d_quats, d_log_scales):
        binding, means, quats = (x.detach().contiguous().numpy() for x in ctx.saved_tensors)
        upstream = [x.contiguous().numpy() for x in (d_means, d_quats, d_log_scales)]
        d_local_means, d_local_quats = np.empty_like(means), np.empty_like(quats)
        frame_gradients, d_vertices = np.empty((len(means), 7), np.float32), np.zeros((ctx.vertex_count, 3), np.float32)
        _backward_splats(ctx.frames, binding, means, quats, *upstream, d_local_means, d_local_quats, frame_gradients)
        if ctx.needs_input_grad[0]:
            _backward_faces(ctx.frames, ctx.faces, binding, frame_gradients, d_vertices)
        return torch.from_numpy(d_vertices), None, None, torch.from_numpy(d_local_means), torch.from_numpy(d_local_quats), d_log_scales


@njit(parallel=True, cache=True)
def _frames(vertices, faces, out):
    for f in prange(faces.shape[0]):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        e0, e1, e2 = vertices[j, 0] - vertices[i, 0], vertices[j, 1] - vertices[i, 1], vertices[j, 2] - vertices[i, 2]
        o0, o1, o2 = vertices[k, 0] - vertices[i, 0], vertices[k, 1] - vertices[i, 1], vertices[k, 2] - vertices[i, 2]
        length = math.sqrt(max(e0 * e0 + e1 * e1 + e2 * e2, _TINY))
        e0, e1, e2 = e0 / length, e1 / length, e2 / length
        n0, n1, n2 = e1 * o2 - e2 * o1, e2 * o0 - e0 * o2, e0 * o1 - e1 * o0
        height = math.sqrt(max(n0 * n0 + n1 * n1 + n2 * n2, _TINY))
        n0, n1, n2 = n0 / height, n1 / height, n2 / height
        p0, p1, p2 = e1 * n2 - e2 * n1, e2 * n0 - e0 * n2, e0 * n1 - e1 * n0
        out[f, 0], out[f, 1], out[f, 2] = e0, e1, e2
        out[f, 3], out[f, 4], out[f, 5] = n0, n1, n2
        out[f, 6], out[f, 7], out[f, 8] = p0, p1, p2
        for c in range(3):
            out[f, 9 + c] = (vertices[i, c] + vertices[j, c] + vertices[k, c]) / 3
        out[f, 12], out[f, 13], out[f, 14], out[f, 15] = _quaternion(e0, n0, p0, e1, n1, p1, e2, n2, p2)
        out[f, 16], out[f, 17], out[f, 18] = length, height, e0 * o0 + e1 * o1 + e2 * o2
        out[f, 19] = 0.5 * (length + height)


@njit(cache=True)
def _quaternion(a, b, c, d, e, f, g, h, i):
    ww, xx, yy, zz = 1 + a + e + i, 1 + a - e - i, 1 - a + e - i, 1 - a - e + i
    if ww >= xx and ww >= yy and ww >= zz:
        w, x, y, z = ww, h - f, c - g, d - b
    elif xx >= yy and xx >= zz:
        w, x, y, z = h - f, xx, b + d, c + g
    elif yy >= zz:
        w, x, y, z = c - g, b + d, yy, f + h
    else:
        w, x, y, z = d - b, c + g, f + h, zz
    n = 1.0 / math.sqrt(w * w + x * x + y * y + z * z)
    return w * n, x * n, y * n, z * n


@njit(parallel=True, cache=True)
def _forward(frames, binding, means, quats, log_scales, out_means, out_quats, out_log_scales):
    for n in prange(binding.shape[0]):
        F = frames[binding[n]]
        s = F[19]
        log_s = math.log(s)
        x, y, z = means[n, 0], means[n, 1], means[n, 2]
        for c in range(3):
            out_means[n, c] = s * (F[c] * x + F[3 + c] * y + F[6 + c] * z) + F[9 + c]
            out_log_scales[n, c] = log_scales[n, c] + log_s
        pw, px, py, pz = F[12], F[13], F[14], F[15]
        w, x, y, z = quats[n, 0], quats[n, 1], quats[n, 2], quats[n, 3]
        out_quats[n, 0] = pw * w - px * x - py * y - pz * z
        out_quats[n, 1] = pw * x + px * w + py * z - pz * y
        out_quats[n, 2] = pw * y - px * z + py * w + pz * x
        out_quats[n, 3] = pw * z + px * y - py * x + pz * w


@njit(parallel=True, cache=True)
def _backward_splats(frames, binding, means, quats, d_means, d_quats, d_log_scales, d_local_means, d_local_quats, frame_gradients):
    """Gradients of the local values, and frame_gradients [N, 7]: force (3), torque (3) and derivative by the size of the frame of its face."""
    for n in prange(binding.shape[0]):
        F = frames[binding[n]]
        s = F[19]
        m0, m1, m2 = means[n, 0], means[n, 1], means[n, 2]
        r0, r1, r2 = F[0] * m0 + F[3] * m1 + F[6] * m2, F[1] * m0 + F[4] * m1 + F[7] * m2, F[2] * m0 + F[5] * m1 + F[8] * m2
        g0, g1, g2 = d_means[n, 0], d_means[n, 1], d_means[n, 2]
        d_local_means[n, 0] = s * (F[0] * g0 + F[1] * g1 + F[2] * g2)
        d_local_means[n, 1] = s * (F[3] * g0 + F[4] * g1 + F[5] * g2)
        d_local_means[n, 2] = s * (F[6] * g0 + F[7] * g1 + F[8] * g2)
        pw, px, py, pz = F[12], F[13], F[14], F[15]
        hw, hx, hy, hz = d_quats[n, 0], d_quats[n, 1], d_quats[n, 2], d_quats[n, 3]
        d_local_quats[n, 0] = pw * hw + px * hx + py * hy + pz * hz
        d_local_quats[n, 1] = -px * hw + pw * hx + pz * hy - py * hz
        d_local_quats[n, 2] = -py * hw - pz * hx + pw * hy + px * hz
        d_local_quats[n, 3] = -pz * hw + py * hx - px * hy + pw * hz
        w, x, y, z = quats[n, 0], quats[n, 1], quats[n, 2], quats[n, 3]
        uw, ux, uy, uz = (
            pw * w - px * x - py * y - pz * z,
            pw * x + px * w + py * z - pz * y,
            pw * y - px * z + py * w + pz * x,
            pw * z + px * y - py * x + pz * w,
        )
        frame_gradients[n, 0], frame_gradients[n, 1], frame_gradients[n, 2] = g0, g1, g2
        # a small turn w of the frame changes the world quaternion u by (0, w) u / 2
        frame_gradients[n, 3] = s * (r1 * g2 - r2 * g1) + 0.5 * (-ux * hw + uw * hx - uz * hy + uy * hz)
        frame_gradients[n, 4] = s * (r2 * g0 - r0 * g2) + 0.5 * (-uy * hw + uz * hx + uw * hy - ux * hz)
        frame_gradients[n, 5] = s * (r0 * g1 - r1 * g0) + 0.5 * (-uz * hw - uy * hx + ux * hy + uw * hz)
        frame_gradients[n, 6] = r0 * g0 + r1 * g1 + r2 * g2 + (d_log_scales[n, 0] + d_log_scales[n, 1] + d_log_scales[n, 2]) / s


@njit(cache=True)
def _backward_faces(frames, faces, binding, frame_gradients, d_vertices):
    """Sum the splats of each face, and add the gradients of its corners to d_vertices [V, 3]."""
    sums = np.zeros((faces.shape[0], 7), np.float32)
    for n in range(binding.shape[0]):
        for c in range(7):
            sums[binding[n], c] += frame_gradients[n, c]
    for f in range(faces.shape[0]):
        F, S = frames[f], sums[f]
        length, height, foot = F[16], F[17], F[18]
        t0 = S[3] * F[0] + S[4] * F[1] + S[5] * F[2]
        t1 = S[3] * F[3] + S[4] * F[4] + S[5] * F[5]
        t2 = S[3] * F[6] + S[4] * F[7] + S[5] * F[8]
        ratio, half = foot / length, 0.5 * S[6]
        for c in range(3):
            a0, a1, a2 = F[c], F[3 + c], F[6 + c]
            edge = (a1 * t2 - a2 * t1) / length - t0 * ratio / height * a1 + half * (a0 + ratio * a2)
            other = t0 / height * a1 - half * a2
            third = S[c] / 3
            d_vertices[faces[f, 0], c] += third - edge - other
            d_vertices[faces[f, 1], c] += third + edge
            d_vertices[faces[f, 2], c] += third + other
