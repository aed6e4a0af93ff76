"""What a stage asks of any machine: cores, and whether it works on a GPU. Light to import: the Snakefile loads it.

Memory and time, which only a cluster's scheduler wants to know, stand in the cluster's profile (`set-resources`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Need:
    """cores: the most a stage can use; gpu: it works on a GPU where there is one."""

    cores: int
    gpu: bool = False


NEEDS = {
    "synthesise": Need(16),
    "ingest": Need(8),
    "frames": Need(128),  # a camera each
    "sample": Need(4),
    "matte": Need(128),
    "keypoints": Need(128),
    "fit": Need(8),
    "init": Need(4),
    "train": Need(16, gpu=True),
    "render": Need(8, gpu=True),
    "evaluate": Need(8),
    "report": Need(1),
}


def gpus_of(stage: str, device: str) -> int:
    """How many GPUs a stage holds; device: `train.device`. A run that is told to stay on the CPU holds none."""
    return int(NEEDS[stage].gpu and device != "cpu")


SCATTERED = ("frames", "matte", "keypoints")  # stages in which each camera works for itself, at first or throughout: `scatter` splits that over several jobs
