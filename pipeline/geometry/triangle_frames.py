"""The local coordinate frame of a triangle, in which splats bound to it are stored."""

from __future__ import annotations

import torch
from torch import Tensor

_TINY = 1e-20  # lower limit of a squared length: a degenerate triangle gives a finite frame


def triangle_frames(vertices: Tensor, faces: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Origin, rotation and size of every triangle (GaussianAvatars, arXiv 2312.02069, eqs. 3-5).

    Columns of the rotation: a0 along the first edge, a1 the normal, a2 = a0 x a1 in the plane. The size is the mean of
    the first edge's length and the height over that edge.

    Args:
        vertices: [V, 3] metres. faces: int64 [F, 3].

    Returns:
        T [F, 3] centroids in metres, R [F, 3, 3] right-handed rotations (local to world), s [F] metres.
    """
    v0, v1, v2 = vertices[faces].unbind(1)
    edge, other = v1 - v0, v2 - v0
    length = _norm(edge)
    a0 = edge / length
    normal = torch.linalg.cross(a0, other)
    a1 = normal / _norm(normal)
    a2 = torch.linalg.cross(a0, a1)
    size = 0.5 * (length[:, 0] + (a2 * other).sum(-1).abs())
    return (v0 + v1 + v2) / 3, torch.stack([a0, a1, a2], dim=-1), size


def _norm(v: Tensor) -> Tensor:
    return (v * v).sum(-1, keepdim=True).clamp_min(_TINY).sqrt()
