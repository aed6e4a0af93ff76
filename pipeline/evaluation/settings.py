"""Settings of the stage `evaluate`."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.io.validation import between


@dataclass(frozen=True)
class EvaluateSettings:
    """Comparison of renders with the truth."""

    __pydantic_config__ = {"extra": "forbid"}

    lpips_backbone: str = ""  # your state dict of torchvision's AlexNet or VGG16; empty: no LPIPS
    lpips_linear: str = ""  # your linear layers of LPIPS v0.1 for that network, alex.pth or vgg.pth
    worst: int = 12  # number of worst images to list, 0 to 1000

    def __post_init__(self) -> None:
        between(self, 0, 1000, "worst")
