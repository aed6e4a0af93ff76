"""How far a rendered view is from its picture."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.machine.backend import backend_of
from pipeline.splat.gpu.workspace import Workspace
from pipeline.splat.losses import l1_dssim
from pipeline.splat.rasterise import rasterise
from pipeline.training.camera_color import CameraColor
from pipeline.training.contract import Avatar
from pipeline.training.host_images import Cut
from pipeline.training.settings import TrainSettings


class Objective:
    """(1 - l) L1 + l (1 - SSIM) + alpha term + the avatar's own terms (arXiv 2312.02069, eq. 10, with an alpha term)."""

    def __init__(self, settings: TrainSettings, device: torch.device, workspace: Workspace | None = None):
        """Args: workspace: room for drawing on a GPU, whose owner sees to it that it suffices."""
        self._settings, self._workspace = settings, workspace
        self._generator = torch.Generator().manual_seed(settings.seed)
        self._background, self._black = torch.ones(3, device=device), torch.zeros(3, device=device)

    def draw_background(self) -> None:
        """Choose what stands behind the person in this step."""
        if self._settings.background == "random":
            self._background.copy_(torch.rand(3, generator=self._generator))

    def __call__(self, avatar: Avatar, color: CameraColor, cut: Cut, sh_degree: int) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Weighted terms by name, the zeros [1, N, 2 or 4] that will hold the gradient of the splats' places on the screen, and their radii [N]."""
        settings, background = self._settings, self._background
        truth, truth_alpha = cut.over(background)
        splats = avatar.splats(cut.frame)
        screen = torch.zeros(1, len(splats.opacities), 4 if settings.densify_absolute else 2, device=truth.device, requires_grad=True)
        rendered = rasterise(splats, cut.views, self._black, sh_degree=sh_degree, screen=screen, workspace=self._workspace)
        image, alpha, radii = (x.squeeze(0) for x in (rendered.image, rendered.alpha, rendered.radii))
        image, difference = compare(image, alpha, truth_alpha, background, color, cut.camera)
        terms = {"photometric": l1_dssim(image, truth, settings.lambda_dssim)}
        if settings.lambda_alpha > 0:
            terms["alpha"] = settings.lambda_alpha * difference
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


def compare(image: Tensor, alpha: Tensor, truth_alpha: Tensor, background: Tensor, color: CameraColor, camera: int | Tensor) -> tuple[Tensor, Tensor]:
    """A rendering [H, W, 3] over black with a camera's colours over the background, and the mean difference of the mattes [H, W]."""
    if backend_of(image, "image_loss") == "gpu" and isinstance(camera, Tensor):
        from pipeline.training.image_loss_gpu import as_camera_sees

        return as_camera_sees(image, alpha, truth_alpha, background, color.change, camera)
    return color.apply_to(image, alpha, camera) + (1 - alpha)[..., None] * background, (alpha - truth_alpha).abs().mean()
