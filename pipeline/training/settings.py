"""The numbers of the training loop that all methods share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

from pipeline.io.validation import LARGEST_SEED, CheckedSettings, check, number


@dataclass(frozen=True)
class TrainSettings(CheckedSettings):
    """The `train` stage. A method's own settings extend these."""

    __pydantic_config__ = {"extra": "forbid"}
    RUN_ONLY: ClassVar[tuple[str, ...]] = (
        "device", "backend", "graph", "memory_mb", "log_every", "checkpoint_every", "checkpoint_seconds", "checkpoint_share", "val_every",
        "val_images", "snapshots",
    )  # fmt: skip
    """Settings that change how a training runs, and not what it computes (but for the last bits)."""
    STEPS: ClassVar[tuple[str, ...]] = ("iterations",)
    """Settings that count steps of the schedule: `for_images` shortens them alike. 0 stays 0."""

    iterations: int = number(1600, 1, 10_000_000)  # training steps
    max_visits: int = number(0, 0, 10_000_000)  # shortens the schedule for few images: none is used more often than this on average; 0 = no limit
    lengthen: bool = False  # resume from where a shorter training with the same settings and inputs ended; the result then depends on that, too
    frames_per_step: int = number(1, 1, 64)  # instants of one step; learning rates grow with the square root of its images (Zhao et al. 2024, Grendel)
    views_per_frame: int = number(1, 1, 256)  # cameras of each instant, drawn together
    seed: int = number(0, 0, LARGEST_SEED)  # of the order of images and of density control
    device: Literal["auto", "cpu", "cuda"] = (
        "auto"  # auto: a GPU where there is one; of several GPUs a free one is taken (CUDA_VISIBLE_DEVICES limits the choice)
    )
    backend: Literal["auto", "reference"] = "auto"  # reference = plain PyTorch in place of every compiled kernel
    graph: bool = True  # on a GPU, run the steps as one CUDA graph; the results are the same without
    memory_mb: int = number(
        1500, 1, 10_000_000
    )  # images kept decoded (on a GPU: at least this, up to half of what is free); the rest is read again when needed

    background: Literal["white", "random"] = "white"  # behind the subject during training
    lambda_dssim: float = number(0.2, 0, 1)  # weight of 1 - SSIM; L1 has the rest
    lambda_alpha: float = number(0.2, 0, 1000)  # weight of the difference between rendered alpha and matte
    lambda_camera_color: float = number(0.05, 0, 1e6)  # penalty on each camera's colour correction
    lr_camera_color: float = number(1e-3, 0, 10)  # colour correction of each camera (3x4); 0 switches it off
    lr_end: float = number(0.05, 0, 1, above=True)  # learning rates fall exponentially to this part of themselves

    log_every: int = number(20, 1, 10_000_000)  # steps between rows of train.csv
    val_every: int = number(0, 0, 10_000_000)  # steps between renders of held-out images, for the curve and the report; 0 = every tenth part of the training
    val_images: int = number(4, 0, 10_000_000)  # how many of held-out cameras and how many of held-out frames are rendered then; 0 = all
    snapshots: tuple[int, ...] = ()  # steps at which the avatar is kept: snapshots/avatar_005000.npz, which render and benchmark take with --snapshot 5000
    checkpoint_every: int = number(0, 0, 10_000_000)  # steps between checkpoints, in addition to checkpoint_seconds; 0 = by the clock alone
    checkpoint_seconds: float = number(15.0, 0, 1e10, above=True)  # least seconds between checkpoints
    checkpoint_share: float = number(0.03, 0, 100, above=True)  # most of the training's time that checkpoints by the clock may take

    def __post_init__(self) -> None:
        super().__post_init__()
        check(all(1 <= step <= 10_000_000 for step in self.snapshots), "snapshots", list(self.snapshots), "steps, each 1 to 10000000")

    def for_images(self, count: int) -> Self:
        """The settings of a training on this many images: its schedule shortened as `max_visits` says."""
        share = self.max_visits * count / (self.iterations * self.frames_per_step * self.views_per_frame)
        if self.max_visits == 0 or share >= 1:
            return self
        return replace(self, **{name: max(round(steps * share), 1) for name in self.STEPS if (steps := getattr(self, name))})
