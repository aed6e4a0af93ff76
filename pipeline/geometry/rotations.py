"""Rotations and their forms: rotation vectors (axis times angle, radians), matrices and quaternions (wxyz).

Function names give the mapping. Functions on numpy arrays compute in float64; functions on torch tensors keep dtype
and device and are differentiable. Both forms take any batch shape.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def skew(v: np.ndarray) -> np.ndarray:
    """Matrices [..., 3, 3] with `skew(v) @ x = v x x` for vectors v [..., 3]."""
    zero = np.zeros_like(v[..., 0])
    x, y, z = v[..., 0], v[..., 1], v[..., 2]
    return np.stack([np.stack([zero, -z, y], -1), np.stack([z, zero, -x], -1), np.stack([-y, x, zero], -1)], -2)


def rotvec_to_matrix(rotvec: np.ndarray) -> np.ndarray:
    """Matrices [..., 3, 3] of rotation vectors [..., 3] (Rodrigues' formula), in numpy."""
    rotvec = np.asarray(rotvec, np.float64)
    angle = np.linalg.norm(rotvec, axis=-1)[..., None, None]
    safe = np.maximum(angle, 1e-8)
    K = skew(rotvec)
    return np.eye(3) + np.sin(safe) / safe * K + (1 - np.cos(safe)) / safe**2 * (K @ K)


def rotvec_to_matrix_torch(rotvec: Tensor) -> Tensor:
    """Matrices [..., 3, 3] of rotation vectors [..., 3] (Rodrigues' formula), in torch; differentiable at 0 too."""
    square = rotvec.square().sum(-1)
    angle = torch.sqrt(square + 1e-12)  # the derivative of sqrt is infinite at 0
    half = torch.sin(angle / 2) / angle
    first, second = (torch.sin(angle) / angle)[..., None, None], (2 * half.square())[..., None, None]
    x, y, z = rotvec.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    return torch.eye(3, dtype=rotvec.dtype, device=rotvec.device) + first * cross + second * (cross @ cross)


def matrix_to_rotvec(R: np.ndarray) -> np.ndarray:
    """Rotation vectors [..., 3] of matrices [..., 3, 3], angle in [0, pi], in numpy."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(R.reshape(-1, 3, 3)).as_rotvec().reshape(*R.shape[:-2], 3)


def matrix_to_quat(R: Tensor) -> Tensor:
    """Unit quaternions [..., 4] of rotation matrices [..., 3, 3], in torch.

    Each row of the symmetric matrix 4 q q^T is a linear function of R. The row with the largest diagonal entry is the
    best conditioned one (Bar-Itzhack 2000, the case of an exact rotation).
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


def quat_to_matrix(quats: Tensor) -> Tensor:
    """Rotation matrices [..., 3, 3] of quaternions [..., 4] of any length except zero, in torch."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def quat_multiply(p: Tensor, q: Tensor) -> Tensor:
    """Hamilton products p q [..., 4]: the rotation q first, then p; in torch."""
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


def quat_rotate(q: Tensor, v: Tensor) -> Tensor:
    """Vectors v [..., 3] rotated by unit quaternions q [..., 4], in torch."""
    w, u = q[..., :1], q[..., 1:]
    cross = torch.linalg.cross(u, v)
    return v + 2 * (w * cross + torch.linalg.cross(u, cross))


def between(first: np.ndarray, second: np.ndarray, share: np.ndarray | float) -> np.ndarray:
    """Matrices [..., 3, 3] at a share [...] of the shortest way from `first` to `second` [..., 3, 3] (slerp), in numpy."""
    turn = matrix_to_rotvec(np.swapaxes(first, -1, -2) @ second)
    return first @ rotvec_to_matrix(turn * np.asarray(share)[..., None])


def mean_rotation(R: np.ndarray) -> np.ndarray:
    """The rotation [..., 3, 3] with the smallest squared distance to matrices [T, ..., 3, 3] (chordal mean), in numpy."""
    return nearest_rotation(R.mean(0))


def nearest_rotation(M: np.ndarray) -> np.ndarray:
    """The rotations with the smallest squared distance to matrices [..., 3, 3] (orthogonal Procrustes), in numpy."""
    U, _, Vt = np.linalg.svd(M)
    Vt[..., 2, :] *= np.sign(np.linalg.det(U @ Vt))[..., None]
    return U @ Vt


def aligning(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The smallest rotations [..., 3, 3] that turn directions [..., 3] to others; half a turn about any axis for opposite ones, in numpy."""
    a, b = (v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12) for v in (source, target))
    axis, cosine = np.cross(a, b), (a * b).sum(-1)
    sine = np.linalg.norm(axis, axis=-1)
    opposite = (sine < 1e-9) & (cosine < 0)
    axis = np.where(opposite[..., None], np.cross(a, np.eye(3)[np.abs(a).argmin(-1)]), axis)
    return rotvec_to_matrix(axis * (np.arctan2(sine, cosine) / np.maximum(np.linalg.norm(axis, axis=-1), 1e-12))[..., None])
