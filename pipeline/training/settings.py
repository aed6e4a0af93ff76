"""Every number of the training loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pipeline.io.validation import above, at_least, between


@dataclass(frozen=True)
class TrainSettings:
    """The `train` stage: options, with the meaning a user needs to change them.

    Learning rates are Adam's; those of splats count in units of the triangle a splat is bound to.
    """

    __pydantic_config__ = {"extra": "forbid"}

    RUN_ONLY: ClassVar[tuple[str, ...]] = ("device", "graph", "memory_mb", "log_every", "checkpoint_every", "checkpoint_seconds")  # change no result

    iterations: int = 1600  # training steps
    lengthen: bool = False  # go on from where a shorter training ended whose settings and inputs are otherwise the same; the result then depends on that, too
    views: int = 1  # pictures of one step, 1 or more; learning rates grow with their square root (Zhao et al. 2024, Grendel)
    seed: int = 0  # of the order of pictures and of density control
    device: str = "auto"  # auto (a GPU where there is one), cpu, cuda, cuda:1 ...
    background: Literal["white", "random"] = "white"  # what stands behind the person during training
    crop_margin: float = 0.06  # border around the matte's bounding box that is rendered too, as a part of the picture's longer side; 1 = whole picture
    graph: bool = True  # on a GPU, run the steps as one CUDA graph; the results are the same without
    memory_mb: int = 1500  # pictures kept decoded in memory (on a GPU: at least this, and up to half of what is free); the rest is read again when needed

    lambda_dssim: float = 0.2  # weight of 1 - SSIM; L1 has the rest
    lambda_alpha: float = 0.2  # weight of the difference between rendered and given matte
    lambda_position: float = 0.01  # keeps splats near their triangle: beyond threshold_position
    threshold_position: float = 1.0  # distance from the triangle's centre that is free, in triangle sizes
    lambda_scale: float = 1.0  # keeps splats small: beyond threshold_scale
    threshold_scale: float = 0.6  # size that is free, in triangle sizes
    lambda_opacity: float = 0.0  # pulls opacities to 0 or 1; helps where surfaces look translucent
    lambda_anisotropy: float = 0.0  # keeps splats from becoming needles: beyond threshold_anisotropy
    threshold_anisotropy: float = 8.0  # longest to middle axis that is free
    lambda_laplacian: float = 0.3  # keeps the change of the shared vertex offsets smooth (mean square of its Laplacian, square millimetres)
    lambda_pose: float = 0.01  # pulls fine-tuned poses, expressions and translations to the tracked ones
    lambda_camera_color: float = 0.05  # pulls each camera's colour correction to none

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
    lr_camera_color: float = 1e-3  # colour correction of each camera (3x4); 0 switches it off
    lr_end: float = 0.05  # every rate falls exponentially to this part of itself

    sh_degree: int = 2  # view-dependence of colour: 0 (none) to 3
    sh_every: int = 300  # steps between one degree and the next

    densify_from: int = 300  # first step that may add or remove splats
    densify_until: int = 1200  # last such step
    densify_every: int = 150  # steps in between
    densify_gradient: float = 1e-5  # mean gradient of a splat's place on the screen (per half picture) that makes it worth refining
    densify_absolute: bool = (
        False  # count what pulls a splat to opposite sides, instead of letting it cancel (Ye et al. 2024, AbsGS): finer detail, more splats
    )
    densify_scale: float = 0.5  # splats larger than this many triangle sizes are split, smaller ones doubled
    max_splats: int = 16000  # never more than this; the allowance grows evenly over the density steps
    prune_opacity: float = 0.01  # fainter splats are removed
    opacity_reset_every: int = 0  # steps between lowering all opacities to reset_opacity; 0 = never
    reset_opacity: float = 0.1

    log_every: int = 20  # steps between rows of train.csv
    checkpoint_every: int = 0  # steps between checkpoints, in addition to checkpoint_seconds; 0 = by the clock alone
    checkpoint_seconds: float = 15.0  # seconds between checkpoints

    def __post_init__(self) -> None:
        at_least(self, 1, "iterations", "views", "memory_mb", "densify_every", "max_splats", "log_every")
        at_least(self, 0, "crop_margin", "sh_every", "densify_gradient", "opacity_reset_every", "checkpoint_every")
        at_least(self, 0, *(name for name in self.__dataclass_fields__ if name.startswith(("lambda_", "threshold_", "lr_"))))
        between(self, 0, 3, "sh_degree")
        between(self, 0, 1, "lambda_dssim", "prune_opacity", "reset_opacity", "lr_end")
        above(self, 0, "densify_scale", "checkpoint_seconds", "lr_end", "reset_opacity")

    def weights(self) -> dict[str, float]:
        """Weight of each extra term by its name, as `Avatar.regularise` expects them."""
        names = ("position", "scale", "opacity", "anisotropy", "laplacian", "pose")
        return {name: getattr(self, f"lambda_{name}") for name in names}

    def thresholds(self) -> dict[str, float]:
        """What each term leaves free, by name."""
        return {name: getattr(self, f"threshold_{name}") for name in ("position", "scale", "anisotropy")}

    def trains_rig(self) -> bool:
        """Whether anything but the splats and the cameras' colours is trained."""
        return any(getattr(self, f"lr_{name}") > 0 for name in ("offsets", "pose", "expression", "translation"))

    def learning_rates(self) -> dict[str, float]:
        """First learning rate of each parameter by its name."""
        names = ("means", "quats", "log_scales", "opacities", "sh_dc", "sh_rest", "offsets", "pose", "expression", "translation", "camera_color")
        return {name: getattr(self, f"lr_{name}") for name in names}
