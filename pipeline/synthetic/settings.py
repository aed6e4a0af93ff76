"""Settings of the stage `synthesise`. Imports nothing heavy: config.yaml and the command line are made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.io.validation import LARGEST_SEED, NAME, CheckedSettings, check, is_name, number


@dataclass(frozen=True)
class SynthesiseSettings(CheckedSettings):
    """The demo: a head in front of 8 cameras. The run time depends on frames, cameras and size."""

    __pydantic_config__ = {"extra": "forbid"}

    subject: Literal["head", "body"] = (
        "head"  # head and shoulders with moving expressions, or a whole body that walks and turns; overridden by the model column of captures.tsv
    )
    width: int = number(256, 32, 4096)  # of an image, pixels; even
    height: int = number(374, 32, 4096)  # of an image, pixels; even
    cameras: int = number(8, 1, 16)  # cameras of the rig; the ground truth has one more, which the pipeline never sees
    sequences: tuple[str, ...] = ()  # names of the sequences; empty = the subject's default three
    frames: int = number(24, 1, 100_000)  # frames per sequence
    fps: int = number(24, 1, 240)  # frames per second
    seed: int = number(0, 0, LARGEST_SEED)  # of identity, appearance, cameras and motion, together with the capture's id
    variety: float = number(0.7, 0, 2)  # standard deviation of the identity coefficients; 1 = the population's
    supersample: int = number(2, 1, 4)  # samples per pixel along each side
    noise: float = number(1.0, 0, 20)  # sensor noise, 1 = a good studio camera (about 1.5 of 255 in the mid tones)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.sequences:
            check(is_name(name), "sequences", ascii(name), NAME)
