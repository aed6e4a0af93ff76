"""What every avatar is trained for: its images look like the training images. The same on every device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pipeline.training.camera_color import CameraColor
from pipeline.training.contract import Rendering, Terms
from pipeline.training.image_loss import image_terms
from pipeline.training.images import Batch
from pipeline.training.parameters import ParameterGroup, exponential
from pipeline.training.settings import TrainSettings

IMAGE_TERMS = ("l1", "dssim", "alpha")


class ImageObjective:
    """(1 - w) L1 + w (1 - SSIM) (Kerbl et al. 2023, eq. 7) + an alpha term, over the valid pixels of whole images.

    Attributes:
        color: the learned colour correction of each camera. composed, target: the images compared last, [V, H, W, 3].
    """

    def __init__(self, settings: TrainSettings, cameras: int, device: torch.device):
        self._settings = settings
        self.color = CameraColor(cameras).to(device)
        self._generator = torch.Generator().manual_seed(settings.seed)
        self._background = torch.ones(3, device=device)
        self._weights = (1 - settings.lambda_dssim, settings.lambda_dssim, settings.lambda_alpha)

    def parameter_groups(self) -> Sequence[ParameterGroup]:
        """The colour corrections."""
        settings = self._settings
        schedule = exponential(settings.lr_end, settings.iterations)
        return [ParameterGroup("camera_color", (self.color.change,), settings.lr_camera_color, schedule, "splats", epsilon=1e-15)]

    def begin_step(self) -> None:
        """Host decisions of a step: the background."""
        if self._settings.background == "random":
            self._background.copy_(torch.rand(3, generator=self._generator))

    def terms(self, rendering: Rendering, batch: Batch) -> dict[str | tuple[str, ...], Tensor]:
        """Weighted terms of one batch."""
        settings = self._settings
        values, self.composed = image_terms(rendering.image, rendering.alpha, batch.target, self._background, self.color.change, self._weights)
        self._target = batch.target
        terms: dict[str | tuple[str, ...], Tensor] = {IMAGE_TERMS: values}
        if settings.lr_camera_color > 0 and settings.lambda_camera_color > 0:
            terms["camera_color"] = self.color.penalty(settings.lambda_camera_color)
        return terms

    def psnr(self) -> float:
        """PSNR in dB over the valid pixels of the views compared last."""
        target, error = self._target, (self.composed - self._target.over(self._background)[0]).square().mean(-1).sum((1, 2))
        mean = (error * target.weight.index_select(0, target.camera)).mean()
        return float(-10 * torch.log10(mean.clamp_min(1e-10)))

    def state(self) -> dict[str, Any]:
        return {"generator": self.generator_state(), "color": self.color.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        self.load_generator(state["generator"])
        self.color.load_state_dict(state["color"])

    def generator_state(self) -> Tensor:
        return self._generator.get_state()

    def load_generator(self, state: Tensor) -> None:
        self._generator.set_state(state.cpu())


def flat(terms: Terms) -> tuple[tuple[str, ...], Tensor]:
    """Names [K] and values [K] of all terms."""
    names = tuple(name for key in terms for name in ((key,) if isinstance(key, str) else key))
    return names, torch.cat([value.reshape(-1) for value in terms.values()])
