"""What a user can set about matting and keypoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.io.validation import above, at_least, between


@dataclass(frozen=True)
class MatteSettings:
    __pydantic_config__ = {"extra": "forbid"}
    backend: Literal["auto", "plate", "selfie", "bgm2"] = (
        "auto"  # auto: plate where the camera has a clean plate, else selfie; bgm2: BackgroundMattingV2 with your checkpoint
    )
    subject_only: bool = True  # keep the largest thing that stands out and its surroundings; false keeps bystanders too
    person: Literal["auto", "always", "never"] = (
        "auto"  # auto: in body captures a person segmentation fills what looks like the plate and removes what is not the person
    )
    checkpoint: str = ""  # bgm2: path of a BackgroundMattingV2 TorchScript file
    backbone_scale: float = 0.25  # bgm2: share of the picture's size at which the coarse pass works; 0.25 for 1 to 2 megapixels, 0.125 for 4K
    refine_pixels: int = 80000  # bgm2: pixels refined at full size; 80000 for 1 to 2 megapixels, 320000 for 4K or much hair

    def __post_init__(self) -> None:
        above(self, 0, "backbone_scale")
        at_least(self, 0, "refine_pixels")


@dataclass(frozen=True)
class KeypointsSettings:
    __pydantic_config__ = {"extra": "forbid"}
    backend: Literal["mediapipe", "face_alignment"] = "mediapipe"  # face_alignment: 68 face points (array face68) beside MediaPipe's 478, with your weights
    weights: str = ""  # face_alignment: path of a FAN network as TorchScript (2DFAN4 or 3DFAN4, as the package face-alignment keeps it)
    minimum_score: float = 0.5  # confidence from which MediaPipe calls something a face or a person; 0 to 1
    face_gate: float = 0.08  # a face that is off where the other cameras see it by more than this share of its size is dropped: hidden, or another; above 0
    pose_gate: float = 0.04  # a body that is off by more than this share of the picture's longer side is dropped; above 0
    pose_stride: int = 4  # head captures: the body is looked for in every n-th frame, and wherever no face was found at once; at least 1

    def __post_init__(self) -> None:
        between(self, 0, 1, "minimum_score")
        above(self, 0, "face_gate", "pose_gate")
        at_least(self, 1, "pose_stride")
