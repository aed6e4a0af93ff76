"""Settings of the stages `matte` and `keypoints`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.io.validation import above, at_least, between


@dataclass(frozen=True)
class MatteSettings:
    __pydantic_config__ = {"extra": "forbid"}
    backend: Literal["auto", "plate", "selfie", "bgm2"] = (
        "auto"  # auto: your mattes where the capture has them, plate where the camera has a clean plate, else selfie; bgm2: BackgroundMattingV2 with your checkpoint
    )
    subject_only: bool = True  # keep the largest foreground component and its surroundings; false keeps bystanders too
    person: Literal["auto", "always", "never"] = (
        "auto"  # correct mattes by a person segmentation: fill what looks like the plate, remove other objects; auto: in body captures
    )
    checkpoint: str = ""  # bgm2: path of a BackgroundMattingV2 TorchScript file
    backbone_scale: float = 0.25  # bgm2: scale of the coarse pass; 0.25 for images of 1 to 2 megapixels, 0.125 for 4K
    refine_pixels: int = 80000  # bgm2: pixels refined at full size; 80000 for 1 to 2 megapixels, 320000 for 4K or much hair

    def __post_init__(self) -> None:
        above(self, 0, "backbone_scale")
        at_least(self, 0, "refine_pixels")


@dataclass(frozen=True)
class KeypointsSettings:
    __pydantic_config__ = {"extra": "forbid"}
    backend: Literal["mediapipe", "face_alignment"] = "mediapipe"  # face_alignment: 68 face points (array face68) beside MediaPipe's 478, with your weights
    weights: str = ""  # face_alignment: path of a FAN network as TorchScript (2DFAN4 or 3DFAN4, as the package face-alignment keeps it)
    minimum_score: float = 0.5  # detection confidence of MediaPipe; 0 to 1
    face_gate: float = 0.08  # a face is an outlier if it differs from the other cameras' by more than this fraction of its size; above 0
    pose_gate: float = 0.04  # a body is an outlier if it differs by more than this fraction of the image's longer side; above 0
    pose_stride: int = 4  # head captures: the body is detected in every n-th frame, and where the whole image shows no face; at least 1

    def __post_init__(self) -> None:
        between(self, 0, 1, "minimum_score")
        above(self, 0, "face_gate", "pose_gate")
        at_least(self, 1, "pose_stride")
