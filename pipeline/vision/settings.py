"""What a user can set about matting and keypoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class MatteSettings:
    __pydantic_config__ = {"extra": "forbid"}
    backend: Literal["auto", "plate", "selfie", "bgm2"] = "auto"  # auto: plate where the camera has a clean plate, else selfie; bgm2: BackgroundMattingV2 with your checkpoint
    subject_only: bool = True  # keep the largest thing that stands out and its surroundings; false keeps bystanders too
    checkpoint: str = ""  # bgm2: path of a BackgroundMattingV2 TorchScript file
    backbone_scale: float = 0.25  # bgm2: share of the picture's size at which the coarse pass works; 0.25 for 1 to 2 megapixels, 0.125 for 4K
    refine_pixels: int = 80000  # bgm2: pixels refined at full size; 80000 for 1 to 2 megapixels, 320000 for 4K or much hair


@dataclass(frozen=True)
class KeypointsSettings:
    __pydantic_config__ = {"extra": "forbid"}
    backend: Literal["mediapipe", "face_alignment"] = "mediapipe"  # face_alignment adds 68 face points with your weights (package face-alignment); MediaPipe's are found in any case
    weights: str = ""  # face_alignment: path of its 2D network, a TorchScript file
    gate: float = 0.04  # a face or body point that is off the other cameras' triangulation by more than this share of the picture's longer side is dropped; 0 keeps all
    minimum_score: float = 0.5  # detection confidence that MediaPipe asks for; 0 to 1
    pose_stride: int = 4  # head captures: the body pose is looked for in every n-th frame and where no face was found; at least 1
