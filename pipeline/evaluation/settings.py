"""Settings of the stage `evaluate`."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.io.validation import CheckedSettings, number


@dataclass(frozen=True)
class EvaluateSettings(CheckedSettings):
    """Comparison of renders with the truth."""

    __pydantic_config__ = {"extra": "forbid"}

    lpips_backbone: str = ""  # your state dict of torchvision's AlexNet or VGG16; empty: no LPIPS
    lpips_linear: str = ""  # your linear layers of LPIPS v0.1 for that network, alex.pth or vgg.pth
    worst: int = number(12, 0, 1000)  # number of worst images to list
