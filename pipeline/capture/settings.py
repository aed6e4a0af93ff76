"""Settings of `ingest`, `frames` and `sample`."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.io.validation import LARGEST_SEED, LARGEST_SIDE, CheckedSettings, check, number


@dataclass(frozen=True)
class IngestSettings(CheckedSettings):
    __pydantic_config__ = {"extra": "forbid"}
    exclude: tuple[str, ...] = ("tongue", "GLASSES", "FREE", "BACKGROUND")  # NeRSemble sequences with one of these words, unless captures.tsv names them


@dataclass(frozen=True)
class FramesSettings(CheckedSettings):
    __pydantic_config__ = {"extra": "forbid"}
    max_rate: float = number(30.0, 0, 10_000, above=True)  # frames per second: faster videos are subsampled to at most this, unless captures.tsv gives a stride
    longest_side: int = number(960, 16, 16_384)  # pixels: larger images are shrunk to this length of their longer side, unless captures.tsv gives a size
    trim: int = number(
        3, 0, 1000
    )  # cameras without time stamps whose numbers of frames differ by at most this are cut to the shortest, with a warning; 0: an error
    crop: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)  # camera (or "all"): left, top, width, height in the undistorted image

    def __post_init__(self) -> None:
        super().__post_init__()
        for camera, window in self.crop.items():
            inside = max(map(abs, window)) <= LARGEST_SIDE and min(window[2:]) >= 16
            check(inside, f"crop.{ascii(camera)[1:-1]}", window, f"left, top, width, height, the last two 16 to {LARGEST_SIDE}")


@dataclass(frozen=True)
class SampleSettings(CheckedSettings):
    __pydantic_config__ = {"extra": "forbid"}
    stride: int = number(1, 1, 100_000)  # every n-th processed frame is kept
    most_frames: int = number(300, 2, 100_000)  # maximum number of frames; longer captures are subsampled evenly
    blur: float = number(0.5, 0, 0.99)  # a training frame whose sharpness is below this share of its neighbours' is dropped; 0 keeps all
    drop_unsynced: bool = True  # drop frames whose cameras are more than half a frame apart in time
    test_share: float = number(0.2, 0, 0.9)  # without a test sequence: this last share of the frames is for test
    seed: int = number(0, 0, LARGEST_SEED)  # seed of the draw
