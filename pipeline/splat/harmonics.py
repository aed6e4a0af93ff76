"""Real spherical harmonics up to degree 3 in the order and signs that 3D Gaussian Splatting files use."""

from __future__ import annotations

import math

import torch

SH_C0 = 0.5 / math.sqrt(math.pi)
MAX_DEGREE = 3


def degree_of(coefficients: int) -> int:
    """The degree whose basis has this many functions. Raises ValueError if none of 0..3 has."""
    degree = math.isqrt(coefficients) - 1
    if not 0 <= degree <= MAX_DEGREE or (degree + 1) ** 2 != coefficients:
        raise ValueError(f"{coefficients} SH coefficients; expected 1, 4, 9 or 16")
    return degree


def sh_basis(directions: torch.Tensor, degree: int) -> torch.Tensor:
    """Basis functions [..., (degree + 1)^2] at unit vectors [..., 3].

    Real spherical harmonics with the Condon-Shortley phase, orthonormal over the sphere, ordered by l, then m = -l..l.
    """
    x, y, z = directions.unbind(-1)
    xx, yy, zz = x * x, y * y, z * z
    basis = [torch.full_like(x, SH_C0)]
    if degree > 0:
        c = 0.4886025119029199
        basis += [-c * y, c * z, -c * x]
    if degree > 1:
        c = 1.0925484305920792
        basis += [c * x * y, -c * y * z, 0.31539156525252005 * (2 * zz - xx - yy), -c * x * z, 0.5 * c * (xx - yy)]
    if degree > 2:
        basis += [
            -0.5900435899266435 * y * (3 * xx - yy),
            2.890611442640554 * x * y * z,
            -0.4570457994644658 * y * (4 * zz - xx - yy),
            0.3731763325901154 * z * (2 * zz - 3 * xx - 3 * yy),
            -0.4570457994644658 * x * (4 * zz - xx - yy),
            1.445305721320277 * z * (xx - yy),
            -0.5900435899266435 * x * (xx - 3 * yy),
        ]
    return torch.stack(basis, dim=-1)


def view_sh(means: torch.Tensor, sh: torch.Tensor, centre: torch.Tensor, degree: int | None = None) -> torch.Tensor:
    """Colours [N, C] = max(SH(direction) + 0.5, 0) of splats as a camera sees them.

    Args:
        means: [N, 3] world, metres. sh: [N, K, C]. centre: [3] camera centre, world, metres.
        degree: use only the coefficients up to this degree; None = all there are.
    """
    degree = degree_of(sh.shape[1]) if degree is None else degree
    directions = torch.nn.functional.normalize(means - centre, dim=-1)
    basis = sh_basis(directions, degree)
    return (torch.einsum("nk,nkc->nc", basis, sh[:, : basis.shape[-1]]) + 0.5).clamp_min(0)
