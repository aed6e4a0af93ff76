"""The frame of a triangle, in which bound splats live, and the few quaternion rules that go with it (wxyz)."""

from __future__ import annotations

import torch
from torch import Tensor

_TINY = 1e-20  # lower limit of a squared length: a collapsed triangle gives a finite frame


def triangle_frames(vertices: Tensor, faces: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Origin, rotation and size of every triangle (GaussianAvatars, arXiv 2312.02069, eqs. 3-5).

    Columns of the rotation: a0 along the first edge, a1 the normal, a2 = a0 x a1 in the plane. The size is the mean of the first edge and the height over it.

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


def multiply(p: Tensor, q: Tensor) -> Tensor:
    """Hamilton product p q of quaternions [..., 4] wxyz: the rotation q first, then p."""
    pw, px, py, pz = p.unbind(-1)
    qw, qx, qy, qz = q.unbind(-1)
    return torch.stack(
        [
            pw * qw - px * qx - py * qy - pz * qz,
            pw * qx + px * qw + py * qz - pz * qy,
            pw * qy - px * qz + py * qw + pz * qx,
            pw * qz + px * qy - py * qx + pz * qw,
        ],
        dim=-1,
    )


def quaternion_of_matrix(R: Tensor) -> Tensor:
    """Unit quaternions [..., 4] wxyz of rotation matrices [..., 3, 3].

    Each row of the symmetric matrix 4 q q^T is read off R; the row with the largest diagonal is the best conditioned one (Bar-Itzhack, 2000, in its exact case).
    """
    (a, b, c), (d, e, f), (g, h, i) = (row.unbind(-1) for row in R.unbind(-2))
    rows = torch.stack(
        [
            torch.stack([1 + a + e + i, h - f, c - g, d - b], -1),
            torch.stack([h - f, 1 + a - e - i, b + d, c + g], -1),
            torch.stack([c - g, b + d, 1 - a + e - i, f + h], -1),
            torch.stack([d - b, c + g, f + h, 1 - a - e + i], -1),
        ],
        dim=-2,
    )
    best = rows.diagonal(dim1=-2, dim2=-1).argmax(-1)
    row = torch.take_along_dim(rows, best[..., None, None], dim=-2).squeeze(-2)
    return torch.nn.functional.normalize(row, dim=-1)


def rotate(q: Tensor, v: Tensor) -> Tensor:
    """Vectors v [..., 3] turned by unit quaternions q [..., 4]."""
    w, u = q[..., :1], q[..., 1:]
    cross = torch.linalg.cross(u, v)
    return v + 2 * (w * cross + torch.linalg.cross(u, cross))


def _norm(v: Tensor) -> Tensor:
    return (v * v).sum(-1, keepdim=True).clamp_min(_TINY).sqrt()
