"""Settings of the stage `fit`."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.io.validation import CheckedSettings, number


@dataclass(frozen=True)
class FitSettings(CheckedSettings):
    """Settings of `fit`: keypoints, mattes and cameras -> parameters of a parametric model per frame."""

    __pydantic_config__ = {"extra": "forbid"}
    model: str = "auto"  # parametric model: auto = that of captures.tsv (for head and body: anny_head, anny_body); or a name of ./c2a body list, or a path
    gate: float = number(0.08, 0.01, 0.5)  # largest reprojection error of a detection, as a fraction of the size of the face (or body)
    iterations: int = number(60, 1, 1000)  # maximum number of Gauss-Newton steps per phase (identity, motion); a phase ends sooner when it converges
    identity_frames: int = number(10, 1, 200)  # frames, evenly spread, that determine the identity
    contour_points: int = number(120, 0, 10_000)  # silhouette points used per image; 0 turns silhouettes off
    contour_sigma_mm: float = number(2.3, 0, 1000, above=True)  # standard deviation of a silhouette point, mm on the subject (bodies: 2.5 times that)
    stereo_sigma_mm: float = number(2.0, 0, 1000)  # head captures: standard deviation of a stereo point on neck, trunk or hair, mm; 0 turns stereo off
    landmark_shift_mm: float = number(
        2.0, 0, 1000, above=True
    )  # standard deviation of a landmark offset: a detector's point from its place on the model, constant over time
    smoothness: float = number(1.0, 0, 1e6)  # weight of the change from frame to frame
    offset_rounds: int = number(2, 0, 20)  # rounds of vertex offsets from silhouettes and landmarks; 0 turns them off
    landmark_trust_mm: float = number(1.8, 0, 1000, above=True)  # standard deviation of a landmark for the vertex offsets; larger follows landmarks less
    offset_stiffness: float = number(1.0, 0, 1e6, above=True)  # weight of the smoothness of the vertex offsets
    mask_below_neck: bool = False  # head captures: ignore silhouettes below the neck
