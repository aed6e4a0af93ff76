"""Settings of the `static` method. Defaults are those of 3DGS (Kerbl et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.avatars.splats.settings import SplatTrainSettings
from pipeline.io.validation import LARGEST_SEED, CheckedSettings, number


@dataclass(frozen=True)
class InitSettings(CheckedSettings):
    """The `init` stage: where the first splats are."""

    __pydantic_config__ = {"extra": "forbid"}

    most_points: int = number(1_000_000, 1, 10_000_000)  # of a point cloud, at most this many points, drawn at random
    random_points: int = number(100_000, 1, 10_000_000)  # without a point cloud: splats at random places
    box: float = number(
        1.3, 0, 1e4, above=True
    )  # half the side of their cube about the origin, in captures of kind blender; in others the cameras' box is used
    opacity: float = number(0.1, 0.001, 0.999)  # initial opacity of every splat, 0 to 1
    seed: int = number(0, 0, LARGEST_SEED)  # of the draw


@dataclass(frozen=True)
class StaticTrainSettings(SplatTrainSettings):
    """The `train` stage. Lengths count in world units; the scene's extent is 1.1 times the largest distance of a training camera from the cameras' mean."""

    __pydantic_config__ = {"extra": "forbid"}

    iterations: int = number(30_000, 1, 10_000_000)  # training steps
    lambda_alpha: float = number(0.0, 0, 1000)  # weight of the difference between rendered alpha and matte
    lr_camera_color: float = number(0.0, 0, 10)  # colour correction of each camera (3x4); 0 switches it off
    lr_end: float = number(0.01, 0, 1, above=True)  # the rate of the means falls exponentially to this part of itself; the others stay

    lr_means: float = number(1.6e-4, 0, 10)  # times the extent; falls to lr_means x lr_end
    lr_quats: float = number(0.001, 0, 10)
    lr_log_scales: float = number(0.005, 0, 10)
    lr_opacities: float = number(0.05, 0, 10)
    lr_sh_dc: float = number(0.0025, 0, 10)  # base colour
    lr_sh_rest: float = number(0.000125, 0, 10)  # view-dependent colour
    sh_degree: int = number(3, 0, 3)  # view-dependence of colour: 0 (none) to 3
    sh_every: int = number(1000, 0, 10_000_000)  # steps between one degree and the next

    densify_from: int = number(600, 0, 10_000_000)  # first step that may add or remove splats
    densify_until: int = number(15_000, 0, 10_000_000)  # last such step
    densify_every: int = number(100, 1, 10_000_000)  # steps in between
    densify_gradient: float = number(0.0002, 0, 1e6)  # mean gradient of a splat's place on the screen (per half image) from which it is split or cloned
    densify_scale: float = number(0.01, 0, 1e6, above=True)  # splats larger than this part of the extent are split, smaller ones cloned
    max_splats: int = number(1_000_000, 1, 10_000_000)  # splats are added up to this number, evenly over the density steps
    prune_opacity: float = number(0.005, 0, 1)  # fainter splats are removed
    prune_scale: float = number(0.1, 0, 1e6, above=True)  # after the first lowering of opacities: larger splats are removed, in parts of the extent
    opacity_reset_every: int = number(3000, 0, 10_000_000)  # steps between lowering all opacities to reset_opacity; 0 = never
    reset_opacity: float = number(0.01, 0, 1, above=True)
