"""How far a rendered view is from its picture."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.avatars.protocol import Avatar
from pipeline.splat.losses import l1_dssim
from pipeline.splat.rasterise import rasterise
from pipeline.splat.splats import Views
from pipeline.training.camera_color import CameraColor
from pipeline.training.data import Cut
from pipeline.training.settings import TrainSettings


class Objective:
    """(1 - l) L1 + l (1 - SSIM) + alpha term + the avatar's own terms (arXiv 2312.02069, eq. 10, with an alpha term)."""

    def __init__(self, settings: TrainSettings, device: torch.device):
        self._settings = settings
        self._generator = torch.Generator().manual_seed(settings.seed)
        self._white, self._black = torch.ones(3, device=device), torch.zeros(3, device=device)

    def __call__(self, avatar: Avatar, color: CameraColor, cut: Cut, views: Views, sh_degree: int) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Weighted terms by name, the zeros [1, N, 2] that will hold the gradient of the splats' places on the screen, and their radii [N]."""
        settings = self._settings
        background = self._white if settings.background == "white" else torch.rand(3, generator=self._generator).to(self._white)
        truth, truth_alpha = cut.over(background)
        splats = avatar.splats(cut.frame)
        screen = torch.zeros(1, len(splats.opacities), 2, device=truth.device, requires_grad=True)
        rendered = rasterise(splats, views, self._black, sh_degree=sh_degree, screen=screen)
        image, alpha, radii = rendered.image[0], rendered.alpha[0], rendered.radii[0]
        if settings.lr_camera_color > 0:
            image = color.apply_to(image, alpha, cut.camera)
        image = image + (1 - alpha)[..., None] * background
        terms = {"photometric": l1_dssim(image, truth, settings.lambda_dssim)}
        if settings.lambda_alpha > 0:
            terms["alpha"] = settings.lambda_alpha * (alpha - truth_alpha).abs().mean()
        if settings.lr_camera_color > 0 and settings.lambda_camera_color > 0:
            terms["camera_color"] = settings.lambda_camera_color * color.penalty()
        terms |= avatar.regularise(settings.weights(), settings.thresholds(), radii > 0)
        self.last = image.detach(), truth
        return terms, screen, radii

    def psnr(self) -> float:
        """PSNR in dB of the view drawn last, inside its window."""
        image, truth = self.last
        return float(-10 * torch.log10((image.clamp(0, 1) - truth).square().mean().clamp_min(1e-10)))

    def state(self) -> dict[str, Tensor]:
        return {"generator": self._generator.get_state()}

    def load(self, state: dict[str, Tensor]) -> None:
        self._generator.set_state(state["generator"].cpu())
