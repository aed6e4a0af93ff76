"""Settings of the stage `report`."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.io.validation import at_least, between


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
