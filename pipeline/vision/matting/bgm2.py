"""BackgroundMattingV2 with the user's checkpoint (Lin et al., Real-Time High-Resolution Background Matting, CVPR 2021).

The TorchScript files hold architecture and weights; none of the authors' code is needed.
"""

from __future__ import annotations

import numpy as np
import torch

from pipeline.vision.matting.components import keep_subject
from pipeline.vision.matting.interface import Matte
from pipeline.vision.settings import MatteSettings
from pipeline.vision.torchscript import load_torchscript


class BackgroundMatting:
    """`pha, fgr, ... = model(src, bgr)` on images padded to a multiple of 4 pixels."""

    name = "bgm2"

    def __init__(self, settings: MatteSettings):
        self._subject_only = settings.subject_only
        file = "a TorchScript file of BackgroundMattingV2 (torchscript_*_fp32.pth of its release)"
        remedy = f"set matte.checkpoint in config.yaml to {file}, or matte.backend: auto"
        self._model = load_torchscript(settings.checkpoint, "matte.checkpoint", remedy).float()
        options = {
            "backbone_scale": settings.backbone_scale,
            "refine_mode": "sampling",
            "refine_sample_pixels": settings.refine_pixels,
        }
        for name, value in options.items():
            if hasattr(self._model, name):
                setattr(self._model, name, value)

    @torch.inference_mode()
    def matte(self, image: np.ndarray, plate: np.ndarray | None, visible: np.ndarray | None = None) -> Matte:
        if plate is None:
            raise ValueError("BackgroundMattingV2 needs a plate")
        height, width = image.shape[:2]
        alpha, colour = self._model(_tensor(image), _tensor(plate))[:2]
        alpha = alpha[0, 0, :height, :width].float().clamp(0, 1).numpy()
        colour = colour[0, :, :height, :width].float().clamp(0, 1).permute(1, 2, 0).numpy()
        if visible is not None:
            alpha = np.where(visible > 0, alpha, 0)
        if self._subject_only:
            alpha = np.where(keep_subject(alpha > 0), alpha, 0)
        return Matte((np.concatenate([colour, alpha[..., None]], axis=-1) * 255).round().astype(np.uint8))


def _tensor(image: np.ndarray) -> torch.Tensor:
    """[1, 3, H, W] float32 0..1, the last rows and columns repeated up to a multiple of 4."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((0, -height % 4), (0, -width % 4), (0, 0)), mode="edge")
    return torch.from_numpy(padded.transpose(2, 0, 1)[None].astype(np.float32) / 255)
