"""Settings of the stages `matte` and `keypoints`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pipeline.io.validation import CheckedSettings, check, number


@dataclass(frozen=True)
class MatteSettings(CheckedSettings):
    __pydantic_config__ = {"extra": "forbid"}
    RUN_ONLY: ClassVar[tuple[str, ...]] = ("trust_model_files",)
    backend: Literal["auto", "plate", "selfie", "bgm2", "whole"] = (
        "auto"  # auto: your mattes where the capture has them, plate where the camera has a clean plate, else selfie (of colmap and blender: whole); whole: no background, every pixel is the subject; bgm2: BackgroundMattingV2 with your checkpoint
    )
    subject_only: bool = True  # keep the largest foreground component and its surroundings; false keeps bystanders too
    person: Literal["auto", "always", "never"] = (
        "auto"  # correct mattes by a person segmentation: fill what looks like the plate, remove other objects; auto: in body captures
    )
    checkpoint: str = ""  # bgm2: path of a BackgroundMattingV2 TorchScript file
    trust_model_files: bool = False  # the file above is a program: loading it runs its author's code; true if you trust where it comes from
    backbone_scale: float = number(0.25, 0, 1, above=True)  # bgm2: scale of the coarse pass; 0.25 for images of 1 to 2 megapixels, 0.125 for 4K
    refine_pixels: int = number(80000, 0, 100_000_000)  # bgm2: pixels refined at full size; 80000 for 1 to 2 megapixels, 320000 for 4K or much hair

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_trust(self.trust_model_files, self.backend == "bgm2" and self.checkpoint)


@dataclass(frozen=True)
class KeypointsSettings(CheckedSettings):
    __pydantic_config__ = {"extra": "forbid"}
    RUN_ONLY: ClassVar[tuple[str, ...]] = ("trust_model_files",)
    backend: Literal["mediapipe", "face_alignment"] = "mediapipe"  # face_alignment: 68 face points (array face68) beside MediaPipe's 478, with your weights
    weights: str = ""  # face_alignment: path of a FAN network as TorchScript (2DFAN4 or 3DFAN4, as the package face-alignment keeps it)
    trust_model_files: bool = False  # the file above is a program: loading it runs its author's code; true if you trust where it comes from
    minimum_score: float = number(0.5, 0, 1)  # detection confidence of MediaPipe
    face_gate: float = number(0.08, 0, 10, above=True)  # a face is an outlier if it differs from the other cameras' by more than this fraction of its size
    pose_gate: float = number(0.04, 0, 10, above=True)  # a body is an outlier if it differs by more than this fraction of the image's longer side
    pose_stride: int = number(4, 1, 10_000)  # head captures: the body is detected in every n-th frame, and where the whole image shows no face

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_trust(self.trust_model_files, self.backend == "face_alignment" and self.weights)


def _check_trust(trusted: bool, file: str | bool) -> None:
    check(trusted or not file, "trust_model_files", "false", f"true, if you trust who made {file}: it is a program (TorchScript), and loading it runs it")
