"""The one way to draw splats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pipeline.machine.backend import backend_of
from pipeline.splat import reference
from pipeline.splat.cpu import rasterise as cpu
from pipeline.splat.harmonics import degree_of
from pipeline.splat.rules import NEAR
from pipeline.splat.splats import Rendered, Splats, Views

if TYPE_CHECKING:
    from pipeline.splat.gpu.workspace import Workspace

BY_VIEW = {"reference": reference.rasterise_view, "cpu": cpu.rasterise_view}
BACKENDS = [*BY_VIEW, "gpu"]


def rasterise(splats: Splats, views: Views, background: torch.Tensor, *, sh_degree: int | None = None, screen: torch.Tensor | None = None,
              backend: str | None = None, near: float = NEAR, antialias: bool = False, workspace: Workspace | None = None) -> Rendered:  # fmt: skip
    """Draw splats into every view; differentiable in the splats, the background, R and t (backend "reference": K too).

    Args:
        splats: N splats, or one set per view when batched.
        views: B views of W x H pixels.
        background: anything that broadcasts to [B, H, W, C], such as [C].
        sh_degree: use SH only up to this degree; None = all coefficients there are.
        screen: [B, N, 2] pixels, added to the projected means; zeros with requires_grad receive dL/d(screen mean) for density control. Of zeros [B, N, 4] the
            last two columns receive the sum over the pixels of its absolute values (Ye et al. 2024, AbsGS, arXiv 2404.10484): opposite gradients then add up.
        backend: "gpu" (Triton, float32), "cpu" (numba, float32) or "reference" (torch, anything); None = as `backend_of` says.
        near: metres, splats nearer than this are not drawn.
        antialias: scale down the opacity of splats smaller than a pixel (Mip-Splatting's compensation).
        workspace: "gpu" only, for CUDA graphs; see `gpu.workspace.Workspace`.

    Returns:
        Rendered with image [B, H, W, C], alpha [B, H, W], depth [B, H, W], radii [B, N] (no gradient).

    Raises:
        ValueError: batch sizes differ, an unknown backend, or an SH degree that the splats do not have.
    """
    _check(splats, views, sh_degree, screen)
    backend = backend or backend_of(splats.means, "rasterise")
    if backend not in BACKENDS:
        raise ValueError(f"rasteriser backend {backend!r}; expected one of {sorted(BACKENDS)}")
    if backend == "gpu":
        from pipeline.splat.gpu import rasterise as gpu

        return gpu.rasterise_views(splats, views, background, sh_degree=sh_degree, near=near, screen=screen, antialias=antialias, workspace=workspace)
    rendered = [
        BY_VIEW[backend](splats.of_view(b), views.K[b], views.R[b], views.t[b], views.width, views.height, _background_of_view(background.to(splats.means), b),
                         sh_degree=sh_degree, near=near, screen=None if screen is None else screen[b], antialias=antialias)
        for b in range(len(views))
    ]  # fmt: skip
    return Rendered(*(part[0][None] if len(part) == 1 else torch.stack(part) for part in zip(*rendered)))


def _background_of_view(background: torch.Tensor, view: int) -> torch.Tensor:
    """What broadcasts to a view's background [H, W, C], with as many axes."""
    own = background if background.dim() < 4 else background[view if len(background) > 1 else 0]
    return own.reshape((1,) * (3 - own.dim()) + own.shape)


def _check(splats: Splats, views: Views, sh_degree: int | None, screen: torch.Tensor | None) -> None:
    if splats.batched and len(splats.means) != len(views):
        raise ValueError(f"{len(splats.means)} sets of splats for {len(views)} views")
    if splats.sh is not None:
        stored = degree_of(splats.sh.shape[-2])
        if sh_degree is not None and not 0 <= sh_degree <= stored:
            raise ValueError(f"sh_degree {sh_degree}; these splats have degree 0 to {stored}")
    if screen is not None and tuple(screen.shape) not in [(len(views), len(splats), columns) for columns in (2, 4)]:
        raise ValueError(f"screen has shape {tuple(screen.shape)}; expected {(len(views), len(splats), 2)} or 4 columns")
