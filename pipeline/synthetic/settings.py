"""Settings of the stage `synthesise`. Imports nothing heavy: config.yaml and the command line are made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SynthesiseSettings:
    """The demo: a head in front of 8 cameras. The run time depends on frames, cameras and size."""

    __pydantic_config__ = {"extra": "forbid"}

    subject: Literal["head", "body"] = (
        "head"  # head and shoulders with moving expressions, or a whole body that walks and turns; in a run the model column of captures.tsv decides
    )
    width: int = 256  # of an image, pixels; even, at least 32
    height: int = 374  # of an image, pixels; even, at least 32
    cameras: int = 8  # cameras of the rig, 1 to 16; the ground truth has one more, which the pipeline never sees
    sequences: tuple[str, ...] = ()  # names of the sequences; empty = the subject's default three
    frames: int = 24  # frames per sequence
    fps: int = 24  # frames per second
    seed: int = 0  # of identity, appearance, cameras and motion, together with the capture's id
    variety: float = 0.7  # standard deviation of the identity coefficients; 1 = the population's
    supersample: int = 2  # samples per pixel along each side, 1 to 4
    noise: float = 1.0  # sensor noise, 1 = a good studio camera (about 1.5 of 255 in the mid tones)
