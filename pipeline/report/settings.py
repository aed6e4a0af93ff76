"""Settings of the stage `report`."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.io.validation import CheckedSettings, number


@dataclass(frozen=True)
class ReportSettings(CheckedSettings):
    """The HTML page of a capture."""

    __pydantic_config__ = {"extra": "forbid"}

    image_width: int = number(300, 80, 2000)  # largest width of an image in the page, pixels
    jpeg_quality: int = number(85, 1, 100)  # quality of JPEG images in the page
    video_limit_mb: float = number(3.0, 0, 1000)  # videos up to this size are embedded, megabytes; larger ones are listed by name
