"""Settings of the stage `fit`."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.io.validation import above, at_least, between


@dataclass(frozen=True)
class FitSettings:
    """Settings of `fit`: keypoints, mattes and cameras -> parameters of a parametric model per frame."""

    __pydantic_config__ = {"extra": "forbid"}
    model: str = "auto"  # parametric model: auto = anny_head or anny_body, as the capture is; or the path of another baked model
    gate: float = 0.08  # largest reprojection error of a detection, as a fraction of the size of the face (or body); 0.01 to 0.5
    iterations: int = 60  # most Gauss-Newton steps per phase (identity, motion); a phase ends sooner when it converges; 1 to 1000
    identity_frames: int = 10  # frames, evenly spread, that determine the identity; 1 to 200
    contour_points: int = 120  # silhouette points used per image; 0 turns silhouettes off
    contour_sigma_mm: float = 2.3  # standard deviation of a silhouette point, mm on the subject (bodies: 2.5 times that); above 0
    stereo_sigma_mm: float = 2.0  # head captures: standard deviation of a stereo point on neck, trunk or hair, mm; 0 turns stereo off
    landmark_shift_mm: float = 2.0  # standard deviation of a landmark offset: a detector's point from its place on the model, constant over time; above 0
    smoothness: float = 1.0  # weight of the change from frame to frame; 0 or more
    offset_rounds: int = 2  # rounds of vertex offsets from silhouettes and landmarks; 0 turns them off
    landmark_trust_mm: float = 1.8  # standard deviation of a landmark for the vertex offsets; larger follows landmarks less; above 0
    offset_stiffness: float = 1.0  # weight of the smoothness of the vertex offsets; above 0
    mask_below_neck: bool = False  # head captures: ignore silhouettes below the neck

    def __post_init__(self) -> None:
        between(self, 0.01, 0.5, "gate")
        between(self, 1, 1000, "iterations")
        between(self, 1, 200, "identity_frames")
        at_least(self, 0, "contour_points", "stereo_sigma_mm", "smoothness", "offset_rounds")
        above(self, 0, "contour_sigma_mm", "landmark_shift_mm", "landmark_trust_mm", "offset_stiffness")
