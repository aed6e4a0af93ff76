"""Settings of the `rigged` method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pipeline.io.validation import above, at_least, between
from pipeline.training.settings import TrainSettings


@dataclass(frozen=True)
class InitSettings:
    """The `init` stage: how many splats are placed where, and what colour they have before training."""

    __pydantic_config__ = {"extra": "forbid"}

    splats: int = 12000  # splats at the start; every triangle has at least one, large ones more; at least 1
    opacity: float = 0.6  # of every splat at the start, between 0 and 1
    size: float = 0.8  # radius of a splat, as a part of the distance to its neighbours; above 0
    thickness: float = 0.3  # across the surface, as a part of its radius; above 0
    color_frames: int = 10  # training frames, evenly spread, whose images give the first colours; at least 1
    seed: int = 0  # fixes where in its triangle a splat is placed

    def __post_init__(self) -> None:
        at_least(self, 1, "splats", "color_frames")
        between(self, 0, 1, "opacity")
        above(self, 0, "size", "thickness")


@dataclass(frozen=True)
class RiggedTrainSettings(TrainSettings):
    """The `train` stage. Learning rates are Adam's; those of splats count in units of the triangle a splat is bound to."""

    __pydantic_config__ = {"extra": "forbid"}
    STEPS: ClassVar[tuple[str, ...]] = (*TrainSettings.STEPS, "sh_every", "densify_from", "densify_until", "densify_every", "opacity_reset_every")

    lambda_position: float = 0.01  # keeps splats near their triangle: beyond threshold_position
    threshold_position: float = 1.0  # distance from the triangle's centre without penalty, in triangle sizes
    lambda_scale: float = 1.0  # keeps splats small: beyond threshold_scale
    threshold_scale: float = 0.6  # size without penalty, in triangle sizes
    lambda_opacity: float = 0.0  # drives opacities to 0 or 1; helps where surfaces look translucent
    lambda_anisotropy: float = 0.0  # keeps splats from becoming needles: beyond threshold_anisotropy
    threshold_anisotropy: float = 8.0  # ratio of the longest to the middle axis without penalty
    lambda_laplacian: float = 0.3  # keeps the change of the shared vertex offsets smooth (mean square of its Laplacian, square millimetres)
    lambda_pose: float = 0.01  # keeps fine-tuned poses, expressions and translations near the tracked ones

    lr_means: float = 0.01  # at the first step; falls to lr_means x lr_end
    lr_quats: float = 0.004
    lr_log_scales: float = 0.015
    lr_opacities: float = 0.05
    lr_sh_dc: float = 0.008  # base colour
    lr_sh_rest: float = 0.0008  # view-dependent colour
    lr_offsets: float = 3e-5  # shared vertex offsets, metres; 0 leaves them as tracked
    lr_pose: float = 3e-4  # joint rotations of a frame, radians; 0 leaves them as tracked
    lr_expression: float = 3e-3  # expression weights of a frame
    lr_translation: float = 3e-5  # translation of a frame, metres

    sh_degree: int = 2  # view-dependence of colour: 0 (none) to 3
    sh_every: int = 300  # steps between one degree and the next

    densify_from: int = 300  # first step that may add or remove splats
    densify_until: int = 1200  # last such step
    densify_every: int = 150  # steps in between
    densify_gradient: float = 1e-5  # mean gradient of a splat's place on the screen (per half image) from which it is split or cloned
    densify_absolute: bool = False  # use absolute gradients, which do not cancel (Ye et al. 2024, AbsGS): finer detail, more splats
    densify_scale: float = 0.5  # splats larger than this many triangle sizes are split, smaller ones cloned
    max_splats: int = 16000  # never more than this; the allowance grows evenly over the density steps
    prune_opacity: float = 0.01  # fainter splats are removed
    opacity_reset_every: int = 0  # steps between lowering all opacities to reset_opacity; 0 = never
    reset_opacity: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "densify_every", "max_splats")
        at_least(self, 0, "sh_every", "densify_gradient", "opacity_reset_every")
        between(self, 0, 3, "sh_degree")
        between(self, 0, 1, "prune_opacity", "reset_opacity")
        above(self, 0, "densify_scale", "reset_opacity")

    def weights(self) -> dict[str, float]:
        """Weight of each of the avatar's own terms by name."""
        return {name: getattr(self, f"lambda_{name}") for name in ("position", "scale", "opacity", "anisotropy", "laplacian", "pose")}

    def thresholds(self) -> dict[str, float]:
        """What the terms do not penalise, by name."""
        return {name: getattr(self, f"threshold_{name}") for name in ("position", "scale", "anisotropy")}

    def trains_body(self) -> bool:
        """Whether anything but the splats and the cameras' colours is trained."""
        return any(getattr(self, f"lr_{name}") > 0 for name in ("offsets", "pose", "expression", "translation"))
