"""The rasteriser in plain PyTorch: slow, differentiable by autograd in everything, any dtype and device. Every other backend is tested against it."""

from __future__ import annotations

from typing import NamedTuple

import torch

from pipeline.geometry.rotations import quat_to_matrix
from pipeline.splat.harmonics import view_sh
from pipeline.splat.rules import FRUSTUM_MARGIN, LOW_PASS, MAX_ALPHA, MIN_ALPHA, MIN_COMPENSATION, MIN_DEPTH_ALPHA, MIN_TRANSMITTANCE
from pipeline.splat.splats import Splats

PAIRS_AT_ONCE = 2**22  # splats x pixels held in memory together


class Projected(NamedTuple):
    """Splats on the screen.

    mean: [N, 2] px. conic: [N, 3] xx, xy, yy of the inverse covariance. depth, opacity, radius: [N]. screen: the argument, or [N, 0].
    """

    mean: torch.Tensor
    conic: torch.Tensor
    depth: torch.Tensor
    opacity: torch.Tensor
    radius: torch.Tensor
    screen: torch.Tensor


def frustum_limits(K: torch.Tensor, width: int, height: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Lower and upper bounds [2] of x/z, y/z in the Jacobian; 1.3 tan(fov / 2) on each side when the principal point is central."""
    size = torch.tensor([width, height], dtype=K.dtype, device=K.device)
    focal, principal = K.diagonal()[:2], K[:2, 2]
    margin = FRUSTUM_MARGIN * 0.5 * size
    return (-principal - margin) / focal, (size - principal + margin) / focal


def project(splats: Splats, K: torch.Tensor, R: torch.Tensor, t: torch.Tensor, width: int, height: int, near: float, screen: torch.Tensor | None,
            antialias: bool = False) -> Projected:  # fmt: skip
    """EWA projection (Zwicker et al. 2001, eq. 26 to 31): covariance J R S R^T J^T + low-pass, J the projection's derivative at the mean.

    antialias: scale opacity so that the low-pass does not brighten splats smaller than a pixel (Yu et al. 2024, Mip-Splatting, eq. 9).
    """
    points = splats.means @ R.T + t
    depth = points[:, 2]
    in_front = depth > near
    z = torch.where(in_front, depth, torch.ones_like(depth))
    tangent = points[:, :2] / z[:, None]
    focal = K.diagonal()[:2]
    mean = tangent * focal + K[:2, 2]
    screen = mean.new_empty(len(mean), 0) if screen is None else screen
    if screen.shape[1]:
        mean = mean + (screen if screen.shape[1] == 2 else screen[:, :2].detach())
    low, high = frustum_limits(K, width, height)
    derivative = torch.cat([torch.diag_embed(focal / z[:, None]), (-focal * tangent.clamp(low, high) / z[:, None])[..., None]], dim=-1)
    half = derivative @ R @ (quat_to_matrix(splats.quats) * splats.log_scales.exp()[:, None, :])
    p, q = half[:, 0], half[:, 1]
    xx, xy, yy = (p * p).sum(-1), (p * q).sum(-1), (q * q).sum(-1)
    # Lagrange's identity in place of xx yy - xy^2, which cancels for thin splats
    sharp = torch.linalg.cross(p, q).square().sum(-1)
    determinant = sharp + LOW_PASS * (xx + yy) + LOW_PASS**2
    conic = torch.stack([yy + LOW_PASS, -xy, xx + LOW_PASS], dim=-1) / determinant[:, None]
    opacity = splats.opacities.sigmoid()
    if antialias:
        opacity = opacity * (sharp / determinant).clamp_min(MIN_COMPENSATION**2).sqrt()
    with torch.no_grad():
        extent = torch.stack([xx + LOW_PASS, yy + LOW_PASS], dim=-1).mul(2 * (opacity / MIN_ALPHA).log().clamp_min(0)[:, None]).sqrt()
        size = torch.tensor([width, height], dtype=K.dtype, device=K.device)
        visible = in_front & (opacity >= MIN_ALPHA) & ((mean + extent > 0) & (mean - extent < size)).all(-1) & extent.isfinite().all(-1)
        radius = extent.amax(-1) * visible
    return Projected(mean, conic, depth, opacity, radius, screen)


class _PixelShifts(torch.autograd.Function):
    """Zeros [N, P, 2], shifts of each splat for each pixel; screen [N, 4] receives the sums over the pixels of their gradients, and of the absolute values."""

    @staticmethod
    def forward(ctx, screen, pixels):
        return screen.new_zeros(len(screen), pixels, 2)

    @staticmethod
    def backward(ctx, gradient):
        return torch.cat([gradient.sum(1), gradient.abs().sum(1)], dim=1), None


def splat_alphas(projected: Projected, pixels: torch.Tensor) -> torch.Tensor:
    """Alpha [N, P] of each splat on pixel centres [P, 2], before faint and hidden ones are left out."""
    delta = projected.mean[:, None] - pixels
    if projected.screen.shape[1] == 4:
        delta = delta + _PixelShifts.apply(projected.screen, len(pixels))
    xx, xy, yy = (projected.conic[:, i, None] for i in range(3))
    power = 0.5 * (xx * delta[..., 0] ** 2 + yy * delta[..., 1] ** 2) + xy * delta[..., 0] * delta[..., 1]
    return (projected.opacity[:, None] * torch.exp(-power.clamp_min(0))).clamp_max(MAX_ALPHA)


def composite(projected: Projected, colours: torch.Tensor, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Front-to-back compositing of splats sorted by depth: weighted sums of colours [P, C] and transmittance [P] (Kerbl et al. 2023, eq. 2, 3)."""
    alpha = splat_alphas(projected, pixels)
    alpha = torch.where(alpha >= MIN_ALPHA, alpha, 0)
    before = torch.cat([torch.ones_like(alpha[:1]), (1 - alpha).cumprod(0)])
    drawn = before[:-1] > MIN_TRANSMITTANCE
    weights = torch.where(drawn, alpha * before[:-1], 0)
    transmittance = torch.where(drawn, 1 - alpha, 1).prod(0)
    return weights.T @ colours, transmittance


def rasterise_view(splats: Splats, K: torch.Tensor, R: torch.Tensor, t: torch.Tensor, width: int, height: int, background: torch.Tensor, *,
                   sh_degree: int | None, near: float, screen: torch.Tensor | None, antialias: bool = False) -> tuple[torch.Tensor, ...]:  # fmt: skip
    """One view of unbatched splats: image [H, W, C], alpha and depth [H, W], radii [N].

    Args: K: [3, 3]. R: [3, 3]. t: [3]. background: [1 or H, 1 or W, 1 or C]. screen: [N, 2] or [N, 4].
    """
    projected = project(splats, K, R, t, width, height, near, screen, antialias)
    colours = splats.colours if splats.sh is None else view_sh(splats.means, splats.sh, -R.T @ t, sh_degree)
    colours = torch.cat([colours, projected.depth[:, None]], dim=1)
    visible = projected.radius.nonzero()[:, 0]
    order = visible[projected.depth.detach()[visible].argsort(stable=True)]
    ordered, colours = Projected(*(x[order] for x in projected)), colours[order]
    ys, xs = torch.meshgrid(torch.arange(height, device=K.device), torch.arange(width, device=K.device), indexing="ij")
    pixels = (torch.stack([xs, ys], dim=-1).reshape(-1, 2).to(K) + 0.5).split(max(1, PAIRS_AT_ONCE // max(1, len(order))))
    parts = [composite(ordered, colours, part) for part in pixels]
    sums = torch.cat([part[0] for part in parts]).reshape(height, width, -1)
    alpha = 1 - torch.cat([part[1] for part in parts]).reshape(height, width)
    image = sums[..., :-1] + (1 - alpha)[..., None] * background
    return image, alpha, sums[..., -1] / alpha.clamp_min(MIN_DEPTH_ALPHA), projected.radius
