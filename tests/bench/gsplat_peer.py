"""gsplat (the package, if installed) drawing this project's scenes, to compare with; it gets scales, opacities and colours ready-made."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable

import torch

from pipeline.splat.splats import Splats, Views


def available() -> bool:
    """Whether gsplat can be imported; $GSPLAT_BINARY may name its compiled extension, so that it need not be built again."""
    binary = os.environ.get("GSPLAT_BINARY")
    if binary and os.path.exists(binary) and "gsplat.csrc" not in sys.modules:
        spec = importlib.util.spec_from_file_location("gsplat_cuda", binary)
        sys.modules["gsplat.csrc"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["gsplat.csrc"])
    return importlib.util.find_spec("gsplat") is not None


def leaves_of(splats: Splats) -> dict[str, torch.Tensor]:
    """gsplat's arguments as leaves that want gradients; SH of degree 0 become plain colours."""
    arguments = {"means": splats.means, "quats": splats.quats, "scales": splats.log_scales.exp(), "opacities": splats.opacities.sigmoid()}
    if splats.sh is None:
        arguments["colors"] = splats.features
    else:
        arguments["colors"] = splats.sh if splats.sh.shape[1] > 1 else (0.28209479177387814 * splats.sh[:, 0] + 0.5).clamp_min(0)
    return {name: value.detach().clone().requires_grad_() for name, value in arguments.items()}


def drawer(splats: Splats, views: Views, background: torch.Tensor, packed: bool = False) -> tuple[Callable, dict[str, torch.Tensor]]:
    """A function that draws all views in one call, image [B, H, W, C], and the leaves it draws from."""
    from gsplat import rasterization

    leaves = leaves_of(splats)
    poses = torch.eye(4, device=splats.means.device).repeat(len(views), 1, 1)
    poses[:, :3, :3], poses[:, :3, 3] = views.R, views.t
    degree = int(leaves["colors"].shape[1] ** 0.5) - 1 if leaves["colors"].dim() == 3 else None
    backgrounds = background.expand(len(views), -1).contiguous()

    def draw() -> torch.Tensor:
        return rasterization(**leaves, viewmats=poses, Ks=views.K, width=views.width, height=views.height, sh_degree=degree, backgrounds=None if packed else backgrounds,
                             packed=packed, near_plane=0.01)[0]  # fmt: skip

    return draw, leaves
