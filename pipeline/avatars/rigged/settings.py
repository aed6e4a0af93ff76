"""Settings of the `rigged` method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.avatars.splats.settings import SplatTrainSettings
from pipeline.io.validation import LARGEST_SEED, CheckedSettings, number

SPLAT_TERMS = ("position", "scale", "opacity", "anisotropy")  # loss terms of the splats themselves


@dataclass(frozen=True)
class InitSettings(CheckedSettings):
    """The `init` stage: how many splats are placed where, and what colour they have before training."""

    __pydantic_config__ = {"extra": "forbid"}

    placement: Literal["even", "one"] = "even"  # one: in the middle of each triangle one round splat of the triangle's size, as GaussianAvatars begins
    splats: int = number(12000, 1, 10_000_000)  # splats at the start (placement: even); every triangle has at least one, large ones more
    opacity: float = number(0.6, 0.001, 0.999)  # initial opacity of every splat, 0 to 1
    size: float = number(0.8, 0, 100, above=True)  # radius of a splat, as a fraction of the distance to its neighbours
    thickness: float = number(0.3, 0, 100, above=True)  # across the surface, as a fraction of its radius
    color_frames: int = number(10, 0, 10_000)  # training frames, evenly spread, whose images give the first colours; 0 = grey
    seed: int = number(0, 0, LARGEST_SEED)  # fixes where in its triangle a splat is placed


@dataclass(frozen=True)
class RiggedTrainSettings(SplatTrainSettings):
    """The `train` stage. Learning rates are Adam's; those of splats count in units of the triangle a splat is bound to."""

    __pydantic_config__ = {"extra": "forbid"}
    lambda_position: float = number(0.01, 0, 1e6)  # penalises distances to the parent triangle above threshold_position
    threshold_position: float = number(1.0, 0, 1e6)  # distance from the triangle's centre without penalty, in triangle sizes
    lambda_scale: float = number(1.0, 0, 1e6)  # penalises sizes above threshold_scale
    threshold_scale: float = number(0.6, 0, 1e6)  # size without penalty, in triangle sizes
    lambda_opacity: float = number(0.0, 0, 1e6)  # drives opacities to 0 or 1; helps where surfaces look translucent
    lambda_anisotropy: float = number(0.0, 0, 1e6)  # keeps splats from becoming needles: beyond threshold_anisotropy
    metric_position: bool = False  # measure distances in metres, for threshold_position too
    metric_scale: bool = False  # measure sizes in metres, for threshold_scale too
    threshold_anisotropy: float = number(8.0, 0, 1e6)  # ratio of the longest to the middle axis without penalty
    lambda_laplacian: float = number(0.3, 0, 1e6)  # keeps the change of the shared vertex offsets smooth (mean square of its Laplacian, square millimetres)
    lambda_pose: float = number(0.01, 0, 1e6)  # keeps fine-tuned poses, expressions and translations near the tracked ones

    lr_decay: Literal["all", "means"] = "all"  # which rates fall to x lr_end in the end: all, or that of the means alone
    lr_offsets: float = number(3e-5, 0, 10)  # shared vertex offsets, metres; 0 leaves them as tracked
    lr_pose: float = number(3e-4, 0, 10)  # joint rotations of a frame, radians; 0 leaves them as tracked
    lr_expression: float = number(3e-3, 0, 10)  # expression weights of a frame
    lr_translation: float = number(3e-5, 0, 10)  # translation of a frame, metres

    densify_scale: float = number(0.5, 0, 1e6, above=True)  # splats larger than this many triangle sizes are split, smaller ones cloned
    max_splats: int = number(
        16000, 1, 10_000_000
    )  # splats are added up to this number, evenly over the density steps; the first ones, at least one per triangle, may be more

    scene_units: bool = (
        False  # lr_means, densify_scale and prune_scale count in the scene's extent, as in 3DGS: 1.1 times the largest distance of a camera from their mean
    )
    prune_scale: float = number(0.0, 0, 1e6)  # after the first lowering of opacities larger splats are removed, with scene_units; 0 = none

    def weights(self) -> dict[str, float]:
        """Weight of each of the avatar's own terms by name."""
        return {name: getattr(self, f"lambda_{name}") for name in (*SPLAT_TERMS, "laplacian", "pose")}

    def metric_terms(self) -> tuple[str, ...]:
        """The terms that count in metres in place of triangle sizes."""
        return tuple(name for name in ("position", "scale") if getattr(self, f"metric_{name}") and getattr(self, f"lambda_{name}") > 0)

    def thresholds(self) -> dict[str, float]:
        """What the terms do not penalise, by name."""
        return {name: getattr(self, f"threshold_{name}") for name in ("position", "scale", "anisotropy")}

    def trains_body(self) -> bool:
        """Whether anything but the splats and the cameras' colours is trained."""
        return any(getattr(self, f"lr_{name}") > 0 for name in ("offsets", "pose", "expression", "translation"))
