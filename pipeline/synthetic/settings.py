"""Options of a made-up capture; imports nothing heavy, since config.yaml and the command line are made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SynthesiseSettings:
    """The demo: a head before 8 cameras. Frames, cameras and size are what the time depends on."""

    __pydantic_config__ = {"extra": "forbid"}

    subject: Literal["head", "body"] = (
        "head"  # head and shoulders with moving expressions, or a whole person walking and turning; in a run the model column of captures.tsv decides
    )
    width: int = 256  # pixels of a picture, even, at least 32
    height: int = 374  # pixels of a picture, even, at least 32
    cameras: int = 8  # cameras of the rig, 1 to 16; the truth has one more that the pipeline never sees
    sequences: tuple[str, ...] = ()  # names of the sequences; empty = the subject's own three
    frames: int = 24  # frames of every sequence
    fps: int = 24  # frames per second
    seed: int = 0  # who it is, where the cameras stand and what happens; the capture's id counts as well
    variety: float = 0.7  # how far from the average person, in standard deviations of the population
    supersample: int = 2  # samples per pixel along each side, 1 to 4
    noise: float = 1.0  # sensor noise, 1 = a good studio camera (about 1.5 of 255 in the mid tones)
