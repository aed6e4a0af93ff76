"""Settings of `ingest`, `frames` and `sample`."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.io.validation import check


@dataclass(frozen=True)
class IngestSettings:
    __pydantic_config__ = {"extra": "forbid"}
    exclude: tuple[str, ...] = ("tongue", "GLASSES", "FREE", "BACKGROUND")  # NeRSemble sequences with one of these words, unless captures.tsv names them


@dataclass(frozen=True)
class FramesSettings:
    __pydantic_config__ = {"extra": "forbid"}
    max_rate: float = 30.0  # frames per second: faster videos are subsampled to at most this, unless captures.tsv gives a stride; above 0
    longest_side: int = 960  # pixels: larger images are shrunk to this length of their longer side, unless captures.tsv gives a size; at least 16
    trim: int = 3  # cameras without time stamps whose numbers of frames differ by at most this are cut to the shortest, with a warning; 0: an error
    crop: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)  # camera (or "all"): left, top, width, height in the undistorted image

    def __post_init__(self) -> None:
        check(self.max_rate > 0, "max_rate", self.max_rate, "above 0")
        check(self.longest_side >= 16, "longest_side", self.longest_side, "at least 16")
        check(self.trim >= 0, "trim", self.trim, "0 or more")
        for camera, window in self.crop.items():
            check(min(window[2:]) >= 16, f"crop.{camera}", window, "left, top, width, height, the last two at least 16")


@dataclass(frozen=True)
class SampleSettings:
    __pydantic_config__ = {"extra": "forbid"}
    stride: int = 1  # every n-th processed frame is kept; at least 1
    most_frames: int = 300  # longer captures: this many frames are drawn, evenly spread over time; at least 2
    blur: float = 0.5  # a training frame whose sharpness is below this share of its neighbours' is dropped; 0 keeps all
    drop_unsynced: bool = True  # drop frames whose cameras are more than half a frame apart in time
    test_share: float = 0.2  # without a test sequence: this last share of the frames is for test; 0 to 0.9
    seed: int = 0  # seed of the draw

    def __post_init__(self) -> None:
        check(self.stride >= 1, "stride", self.stride, "at least 1")
        check(self.most_frames >= 2, "most_frames", self.most_frames, "at least 2")
        check(0 <= self.blur < 1, "blur", self.blur, "0 to below 1")
        check(0 <= self.test_share <= 0.9, "test_share", self.test_share, "0 to 0.9")
