"""Settings of the stages `render`, `evaluate` and `report`."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.io.validation import at_least, between


@dataclass(frozen=True)
class RenderSettings:
    """Images and videos of the trained avatar."""

    __pydantic_config__ = {"extra": "forbid"}

    train_frames: int = 6  # training frames, evenly spread, at which the training cameras are rendered too; 0 = none
    orbit_frames: int = 72  # length of the orbit video, frames, at least 1
    orbit_degrees: float = 40.0  # amplitude of the orbit to either side, degrees, 0 to 180

    def __post_init__(self) -> None:
        at_least(self, 0, "train_frames")
        at_least(self, 1, "orbit_frames")
        between(self, 0, 180, "orbit_degrees")


@dataclass(frozen=True)
class EvaluateSettings:
    """Comparison of renders with the truth."""

    __pydantic_config__ = {"extra": "forbid"}

    lpips_backbone: str = ""  # your state dict of torchvision's AlexNet or VGG16; empty: no LPIPS
    lpips_linear: str = ""  # your linear layers of LPIPS v0.1 for that network, alex.pth or vgg.pth
    worst: int = 12  # number of worst images to list, 0 to 1000

    def __post_init__(self) -> None:
        between(self, 0, 1000, "worst")


@dataclass(frozen=True)
class ReportSettings:
    """The HTML page of a capture."""

    __pydantic_config__ = {"extra": "forbid"}

    image_width: int = 300  # largest width of an image in the page, pixels, 80 to 2000
    jpeg_quality: int = 85  # quality of JPEG images in the page, 1 to 100
    video_limit_mb: float = 3.0  # videos up to this size are embedded, megabytes; larger ones are listed by name

    def __post_init__(self) -> None:
        between(self, 80, 2000, "image_width")
        between(self, 1, 100, "jpeg_quality")
        at_least(self, 0, "video_limit_mb")
