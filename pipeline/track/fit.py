"""The fit: initial pose, identity, motion, vertex offsets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.body.model import ParametricModel
from pipeline.geometry.spread import spread
from pipeline.io.progress import log
from pipeline.io.words import listed
from pipeline.track.contour import Contour, boundary_faces, match_frame
from pipeline.track.gauss_newton_body import GaussNewtonBody
from pipeline.track.initial_pose import initial_state, transfer_head_pose
from pipeline.track.joints import above_shoulders, expected_rotations, free_joints, joint_precisions
from pipeline.track.landmarks import Landmarks, landmark_offset_precision, model_landmarks
from pipeline.track.levenberg_marquardt import Term, optimise
from pipeline.track.observations import Observations
from pipeline.track.priors import Priors
from pipeline.track.residuals import ContourTerm, LandmarkTerm, StereoTerm
from pipeline.track.settings import FitSettings
from pipeline.track.state import State
from pipeline.track.stereo import NO_POINTS, StereoPoints, match_stereo, static_vertices
from pipeline.track.vertex_offsets import fit_vertex_offsets
from pipeline.track.visibility import facing, facing_share, reprojection_error

# Factors on the landmarks' variances: errors of neighbouring landmarks are correlated, the more the denser they are.
FACE_CORRELATION, BODY_CORRELATION = 100.0, 2.0
# A detector makes the same errors in all frames, so together they constrain the identity like one frame: the identity
# prior counts once per frame, times this. Tuned on synthetic heads: with much less, errors on the face distort the back
# and chest, which nothing observes.
FRAME_CORRELATION = 5.0
# Geman-McClure widths of landmarks, in standard deviations: before the pose is known, and after.
INITIAL_WIDTH, WIDTH = 30.0, 5.0
# Largest distance between silhouette and occluding contour, per round.
CONTOUR_GATES_MM = (24.0, 14.0, 9.0, 7.0)
# Factor on gates and standard deviations of contours in body captures: clothes, and a less exact pose.
BODY_CONTOUR_FACTOR = 2.5
# Contours are matched again in the next round, so a round with contours takes at most so many steps.
CONTOUR_ITERATIONS = 8
# Priors, set by hand; changes are per 1/30 s.
EXPRESSION_SIGMA, COMPONENT_SIGMA = 0.4, 1.0  # standard deviation of an expression weight, and of a component of unit variance
EXPRESSION_CHANGE_SIGMA, COMPONENT_CHANGE_SIGMA = 0.15, 0.4  # standard deviation of its change
EXPRESSION_SPARSITY = 1.0  # L1 weight of expression weights; components may be negative
TRANSLATION_CHANGE_SIGMA_M = 0.01  # standard deviation of the translation's change


@dataclass(frozen=True)
class FitResult:
    """Result of a fit.

    Attributes:
        body, state, landmarks: the reduced model, its parameters in all frames, its landmarks with vertex offsets.
        residual_px: [C] median reprojection error of visible stable landmarks. residual_px_all: over all cameras.
        facing: [C] share of the frames in which the subject faces the camera and lies in its image.
        facts: "interpolated" frames and "phases" of the optimisation, for the manifest.
    """

    body: GaussNewtonBody
    state: State
    landmarks: Landmarks
    residual_px: np.ndarray
    residual_px_all: float
    facing: np.ndarray
    facts: dict[str, Any]


class Fitter:
    """Holds the data that all phases need; `run` is the sequence of phases.

    Args:
        kind: "head" or "body".
        silhouettes, images: frame index -> one silhouette, or one grey image, per camera of `observations`.
        training: [F] bool, the frames that may determine what all frames share: scale, identity, offsets.
    """

    def __init__(
        self,
        model: ParametricModel,
        kind: str,
        observations: Observations,
        silhouettes: Callable[[int], list[Contour]],
        images: Callable[[int], list[np.ndarray]],
        settings: FitSettings,
        training: np.ndarray,
    ):
        self.kind, self.traits, self.observations, self.settings, self.training = kind, model.traits, observations, settings, training
        self.silhouettes, self.images = silhouettes, images
        self.body = GaussNewtonBody.of(model, free_joints(model, kind))
        self.landmarks = model_landmarks(model, self.body, kind)
        self.expected_rotations = expected_rotations(self.body, model.traits, kind)
        self.landmark_precision = landmark_offset_precision(self.landmarks, settings.landmark_shift_mm / 1000)
        self.ignored_faces = boundary_faces(self.body.faces, len(self.body.template))
        if settings.mask_below_neck and kind == "head":
            self.ignored_faces |= ~above_shoulders(self.body, model.traits)[self.body.faces].all(1)
        self.stereo_vertices = np.zeros(0, int)
        if kind == "head" and settings.stereo_sigma_mm:
            self.stereo_vertices = static_vertices(model, self.ignored_faces, self.body.faces)
        self.contour_factor = BODY_CONTOUR_FACTOR if kind == "body" else 1.0
        self.gates_mm = np.array(CONTOUR_GATES_MM) * self.contour_factor
        self.facts: dict[str, Any] = {"phases": []}

    def run(self, remedy: str) -> FitResult:
        """Initial pose, identity on some frames, motion on all, then vertex offsets and the motion once more."""
        state, missing = initial_state(self.body, self.landmarks, self.observations, self.kind, self.training, remedy)
        state.rotations[:, 1:] = self.expected_rotations[1:]
        self._report_interpolated(missing)
        self.pixels_per_mm = self.observations.pixels_per_unit * state.scale / 1000
        all_frames, some_frames = np.arange(state.frames), self._identity_frames(missing)
        some = self._phase("identity from landmarks", state.select(some_frames), some_frames, None, shared=True)
        for gate in self.gates_mm if self.settings.contour_points else ():
            some = self._phase(f"identity from silhouettes within {gate:.0f} mm", some, some_frames, gate, shared=True)
        state = self._propagate(state, some, some_frames)
        state = self._phase("motion from landmarks", state, all_frames, None, shared=False)
        if self.settings.contour_points:
            state = self._phase("motion", state, all_frames, self.gates_mm[1], shared=False)
            state = self._fit_vertex_offsets(state, some_frames)
            state = self._phase("motion after vertex offsets", state, all_frames, self.gates_mm[-1], shared=False)
        per_camera, over_all = reprojection_error(self.body, self.landmarks, self.observations, state)
        share = facing_share(self.body, self.landmarks, self.observations, state)
        return FitResult(self.body, state, self.landmarks, per_camera, over_all, share, self.facts)

    def _report_interpolated(self, missing: list[int]) -> None:
        names = [self.observations.frames[f].id for f in missing]
        self.facts["interpolated"] = names
        if names:
            log(f"fit: {len(names)} frames have too few points; their initial pose is interpolated: {listed(names)}")

    def _identity_frames(self, missing: list[int]) -> np.ndarray:
        """Evenly spread indices of training frames with an initial pose of their own."""
        good = np.setdiff1d(np.flatnonzero(self.training), missing)
        return good[spread(len(good), min(self.settings.identity_frames, len(good)))]

    def _propagate(self, state: State, some: State, some_frames: np.ndarray) -> State:
        """All frames with the identity of `some`, and with expression and pose of the nearest of its frames.

        Heads are moved rigidly to each frame's landmarks; bodies keep each frame's initial root pose.
        """
        nearest = np.abs(some_frames[None] - np.arange(state.frames)[:, None]).argmin(1)
        initial_rotation, initial_translation = state.rotations[:, 0].copy(), state.translation
        state = replace(
            some,
            expression=some.expression[nearest],
            rotations=some.rotations[nearest],
            translation=some.translation[nearest],
        )
        for frame, source in enumerate(nearest):
            if self.kind == "head":
                points3d = self.observations.points3d[frame]
                transfer_head_pose(self.body, self.landmarks, points3d, some, source, state, frame)
            elif some_frames[source] != frame:
                state.rotations[frame, 0] = initial_rotation[frame]
                state.translation[frame] = initial_translation[frame]
        return state

    def _fit_vertex_offsets(self, state: State, some_frames: np.ndarray) -> State:
        # a body detector's joints are not on the skin
        sigma = self.settings.landmark_trust_mm / 1000 if self.kind == "head" else np.inf
        stiffness = self.settings.offset_stiffness
        for _ in range(self.settings.offset_rounds):
            some = state.select(some_frames)
            contours = self._contour_term(some, some_frames, self.gates_mm[-1])
            landmark_term = self._landmark_term(some, some_frames, WIDTH)
            offsets = fit_vertex_offsets(self.body, some, contours, landmark_term, self.landmarks, sigma, stiffness)
            # landmark offsets give up what vertex offsets now explain
            moved = self.landmarks.mean(offsets - state.vertex_offsets)
            state = replace(state, vertex_offsets=offsets, landmark_offsets=state.landmark_offsets - moved)
            self.landmarks = self.landmarks.with_vertex_offsets(self.body, offsets)
        return state

    def _phase(self, name: str, state: State, frames: np.ndarray, gate_mm: float | None, shared: bool) -> State:
        """Optimise `state`, which holds the frames of these indices. gate_mm: of the contours; None: no contours."""
        terms: list[Term] = [self._landmark_term(state, frames, INITIAL_WIDTH if gate_mm is None else WIDTH)]
        iterations = self.settings.iterations
        if gate_mm is not None:
            terms.append(self._contour_term(state, frames, gate_mm))
            if shared and gate_mm < self.gates_mm[0]:  # the first round brings the skin within reach of stereo
                terms.append(self._stereo_term(state, frames))
            iterations = min(iterations, CONTOUR_ITERATIONS)
        state, costs = optimise(self.body, state, terms, self._priors(shared, state), iterations, shared=shared)
        steps, cost = len(costs) - 1, [round(costs[0], 1), round(costs[-1], 1)]
        self.facts["phases"].append({"name": name, "frames": len(frames), "steps": steps, "cost": cost})
        log(f"fit: {name}: {len(frames)} frames, {steps} steps, cost {costs[0]:.0f} -> {costs[-1]:.0f}")
        return state

    def _landmark_term(self, state: State, frames: np.ndarray, width: float) -> LandmarkTerm:
        observations, rows = self.observations.at(frames), self.landmarks.rows
        _, facing_weight = facing(self.body, self.landmarks, observations, state)
        correlation = np.where(self.landmarks.on_face, FACE_CORRELATION, BODY_CORRELATION)
        weight = observations.weight[:, :, rows] * facing_weight / correlation
        pixels = observations.pixels[:, :, rows]
        return LandmarkTerm(self.landmarks.points, pixels, weight, observations.projections, width)

    def _contour_term(self, state: State, frames: np.ndarray, gate_mm: float) -> ContourTerm:
        cameras, gates_px = list(self.observations.cameras), gate_mm * self.pixels_per_mm
        matches = []
        for number, frame in enumerate(frames):
            vertices, silhouettes = self.body.vertices(state, number), self.silhouettes(frame)
            matches.append(match_frame(vertices, self.body.faces, self.ignored_faces, cameras, silhouettes, gates_px))
        sigma = self.settings.contour_sigma_mm * self.contour_factor * self.pixels_per_mm
        return ContourTerm(matches, self.observations.projections, sigma)

    def _stereo_term(self, state: State, frames: np.ndarray) -> StereoTerm:
        stereo = [self._match_stereo(state, number, frame) for number, frame in enumerate(frames)]
        return StereoTerm(stereo, self.settings.stereo_sigma_mm / 1000 * state.scale)

    def _match_stereo(self, state: State, number: int, frame: int) -> StereoPoints:
        if not len(self.stereo_vertices):
            return NO_POINTS
        vertices, cameras = self.body.vertices(state, number), list(self.observations.cameras)
        return match_stereo(vertices, self.body.faces, self.stereo_vertices, cameras, self.images(frame), state.scale)

    def _priors(self, shared: bool, state: State) -> Priors:
        pose, pose_change = joint_precisions(self.traits, self.body.names, self.kind)
        weights = self.traits.bounded
        expression, change = (EXPRESSION_SIGMA, EXPRESSION_CHANGE_SIGMA) if weights else (COMPONENT_SIGMA, COMPONENT_CHANGE_SIGMA)
        smoothness = self.settings.smoothness
        return Priors(
            identity=np.full(len(state.identity), FRAME_CORRELATION * state.frames),
            landmark_offsets=state.frames * self.landmark_precision,
            rest=self.expected_rotations,
            pose=pose,
            expression=np.full(state.expression.shape[1], expression**-2.0),
            sparsity=EXPRESSION_SPARSITY if weights else 0.0,
            pose_change=smoothness * pose_change,
            translation_change=smoothness * (TRANSLATION_CHANGE_SIGMA_M * state.scale) ** -2.0,
            expression_change=smoothness * change**-2.0,
            # frames that determine the identity are far apart in time
            temporal_weight=np.zeros(max(state.frames - 1, 0)) if shared else self.observations.temporal_weight,
        )
