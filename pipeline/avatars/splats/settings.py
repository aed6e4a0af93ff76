"""Settings that the trainings of splats share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pipeline.io.validation import number
from pipeline.training.settings import TrainSettings


@dataclass(frozen=True)
class SplatTrainSettings(TrainSettings):
    """Learning rates (Adam's) of splats, the schedule of their colours, and density control."""

    STEPS: ClassVar[tuple[str, ...]] = (
        *TrainSettings.STEPS,
        "sh_every",
        "densify_from",
        "densify_until",
        "densify_every",
        "opacity_reset_every",
        "opacity_reset_at",
    )

    lr_means: float = number(0.01, 0, 10)  # at the first step; falls to x lr_end
    lr_quats: float = number(0.004, 0, 10)
    lr_log_scales: float = number(0.015, 0, 10)
    lr_opacities: float = number(0.05, 0, 10)
    lr_sh_dc: float = number(0.008, 0, 10)  # base colour
    lr_sh_rest: float = number(0.0008, 0, 10)  # view-dependent colour

    sh_degree: int = number(2, 0, 3)  # view-dependence of colour: 0 (none) to 3
    sh_every: int = number(300, 0, 10_000_000)  # steps between one degree and the next

    densify_from: int = number(300, 0, 10_000_000)  # first step that may add or remove splats
    densify_until: int = number(1200, 0, 10_000_000)  # last such step
    densify_every: int = number(150, 1, 10_000_000)  # steps in between
    densify_gradient: float = number(1e-5, 0, 1e6)  # mean gradient of a splat's place on the screen (per half image) from which it is split or cloned
    densify_absolute: bool = False  # use absolute gradients, which do not cancel (Ye et al. 2024, AbsGS): finer detail, more splats
    densify_scale: float = number(0.5, 0, 1e6, above=True)  # larger splats are split, smaller ones cloned
    max_splats: int = number(16000, 1, 10_000_000)  # splats are added up to this number, evenly over the density steps
    prune_opacity: float = number(0.01, 0, 1)  # fainter splats are removed
    opacity_reset_every: int = number(0, 0, 10_000_000)  # steps between lowering all opacities to reset_opacity; 0 = never
    opacity_reset_at: int = number(0, 0, 10_000_000)  # one more such step; 0 = none
    reset_opacity: float = number(0.1, 0, 1, above=True)
