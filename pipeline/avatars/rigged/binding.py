"""From the frame of a triangle to the world: splats bound to a moving mesh."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.geometry.rotations import matrix_to_quat, quat_multiply
from pipeline.geometry.triangle_frames import triangle_frames
from pipeline.machine.backend import backend_of


def bind(vertices: Tensor, faces: Tensor, binding: Tensor, means: Tensor, quats: Tensor, log_scales: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """World means, quaternions and log scales of splats given in the frames of their triangles; differentiable in all floats.

    mu_w = s R mu + T, q_w = q_triangle q, scale_w = s exp(log scale) (arXiv 2312.02069, eqs. 3-5).

    Args:
        vertices: [V, 3] metres. faces: int64 [F, 3]. binding: int64 [N] face of each splat.
        means: [N, 3] in units of the triangle's size. quats: [N, 4] wxyz, of any length. log_scales: [N, 3], likewise in units of the size.

    Returns:
        means [N, 3] metres, quats [N, 4] (as long as the given ones), log_scales [N, 3] of metres.
    """
    match backend_of(vertices, "bind"):
        case "cpu":
            from pipeline.avatars.rigged.binding_cpu import BindOnCpu

            return BindOnCpu.apply(vertices, faces, binding, means, quats, log_scales)
        case "gpu":
            from pipeline.avatars.rigged.binding_gpu import BindOnGpu

            return BindOnGpu.apply(vertices, faces, binding, means, quats, log_scales)
    return bind_reference(vertices, faces, binding, means, quats, log_scales)


def bind_reference(vertices: Tensor, faces: Tensor, binding: Tensor, means: Tensor, quats: Tensor, log_scales: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`bind` in plain torch: any device, any dtype; the oracle of the compiled one."""
    T, R, s = triangle_frames(vertices, faces)
    q = matrix_to_quat(R)
    T, R, s, q = T[binding], R[binding], s[binding], q[binding]
    world_means = s[:, None] * (R @ means[:, :, None]).squeeze(-1) + T
    return world_means, quat_multiply(q, quats), log_scales + s.log()[:, None]


def kept_after_pruning(opacity: Tensor, binding: Tensor, faces: int, keep: Tensor) -> Tensor:
    """Which splats stay: bool [N]. Those of `keep`, and the least faint one of a triangle that would be left with none."""
    peak = torch.full((faces,), -1.0, device=opacity.device).scatter_reduce(0, binding, torch.where(keep, 2.0, opacity), "amax")
    rows = torch.arange(len(binding), device=opacity.device)
    least_faint = torch.where(opacity == peak[binding], rows, len(rows))  # a triangle that keeps a splat has peak 2, which no opacity reaches
    first = torch.full((faces,), len(rows), device=opacity.device).scatter_reduce(0, binding, least_faint, "amin")
    return keep | (rows == first[binding])
