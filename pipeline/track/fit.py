"""The fit: place, shape, motion, free displacements. One state goes through, each phase says what it reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pipeline.io.progress import log
from pipeline.track.contour import Contour, cut_faces, frame_rims
from pipeline.track.gauss_newton_body import Rig, State
from pipeline.track.initial_pose import follow, start
from pipeline.track.joints import above_shoulders, free_joints, precisions, resting
from pipeline.track.landmarks import Landmarks, landmarks_of, shift_precision
from pipeline.track.levenberg_marquardt import optimise
from pipeline.track.observe import Observations
from pipeline.track.offsets import fit_offsets
from pipeline.track.residuals import ContourTerm, LandmarkTerm, Priors, SurfaceTerm
from pipeline.track.settings import FitSettings
from pipeline.track.stereo import NOTHING, Surface, find_surface, still_skin
from pipeline.track.visibility import facing, residuals

FACE_CORRELATION, BODY_CORRELATION = 100.0, 2.0
"""Neighbouring landmarks err together, the more the denser they are: variances are taken this much larger than what triangulation shows."""
ALIKE = 5.0
"""Frames repeat each other's errors (a detector is off in the same way in all of them), so that together they say about the shape what one would: the
prior of the shape counts once per frame, times this. Found on synthetic heads: much less, and the unseen back and chest pay for errors on the face."""
FIRST_WIDTH, WIDTH = 30.0, 5.0
"""Standard deviations at which a landmark loses half its pull: before the pose is known, and after."""
GATES_MM = (24.0, 14.0, 9.0, 7.0)
"""How far an outline may be from the model's, round by round."""
BODY_FACTOR = 2.5
"""Clothes, and a pose that fits less well, make outlines of bodies this much looser."""
EXPRESSION_SPREAD, EXPRESSION_CHANGE, EXPRESSION_PRICE, SLIDE_M = 0.4, 0.15, 1.0, 0.01
OUTLINE_STEPS = 8


@dataclass(frozen=True)
class Fitted:
    """The result: `state` of all frames on `rig`, residual_px [C] median over visible stable landmarks (and of all cameras), reached: what each phase did."""

    rig: Rig
    state: State
    landmarks: Landmarks
    residual_px: np.ndarray
    residual_px_all: float
    reached: dict


class Fitter:
    """Holds what all phases need; `run` is the recipe.

    Args:
        kind: "head" or "body". contours, pictures: number of a frame -> one outline, or one grey picture, per camera of `seen`.
    """

    def __init__(
        self, model, kind: str, seen: Observations, contours: Callable[[int], list[Contour]], pictures: Callable[[int], list[np.ndarray]], settings: FitSettings
    ):
        self.kind, self.seen, self.settings = kind, seen, settings
        self.contours, self.pictures = contours, pictures
        self.rig = Rig.of(model, free_joints(model, kind))
        self.landmarks = landmarks_of(model, self.rig, kind)
        self.rest = resting(self.rig, kind)
        self.shift_precision = shift_precision(self.landmarks, settings.landmark_shift_mm / 1000)
        self.ignored = cut_faces(self.rig.faces, len(self.rig.template))
        if settings.mask_below_neck and kind == "head":
            self.ignored |= ~above_shoulders(self.rig)[self.rig.faces].all(1)
        self.still = still_skin(model, self.ignored, self.rig.faces) if kind == "head" and settings.stereo_sigma_mm else np.zeros(0, int)
        self.gates = np.array(GATES_MM) * (BODY_FACTOR if kind == "body" else 1.0)
        self.reached: dict = {"phases": []}

    def run(self, remedy: str) -> Fitted:
        """Place every frame, find the person's shape on some frames, the motion on all, then displacements and the motion once more."""
        state, missing = start(self.rig, self.landmarks, self.seen, self.kind, remedy)
        state.rotations[:, 1:] = self.rest[1:]
        self._note(missing)
        self.pixels_per_mm = self.seen.pixels_per_unit * state.scale / 1000
        everything, chosen = np.arange(state.frames), self._choose(missing)
        some = self._phase("shape from landmarks", state.select(chosen), chosen, None, shared=True)
        for gate in self.gates if self.settings.contour_points else ():
            some = self._phase(f"shape from outlines within {gate:.0f} mm", some, chosen, gate, shared=True)
        state = self._spread(state, some, chosen)
        state = self._phase("motion from landmarks", state, everything, None, shared=False)
        if self.settings.contour_points:
            state = self._phase("motion", state, everything, self.gates[1], shared=False)
            state = self._displace(state, chosen)
            state = self._phase("motion after displacements", state, everything, self.gates[-1], shared=False)
        per_camera, of_all = residuals(self.rig, self.landmarks, self.seen, state)
        return Fitted(self.rig, state, self.landmarks, per_camera, of_all, self.reached)

    def _note(self, missing: list[int]) -> None:
        names = [self.seen.frames[f].id for f in missing]
        self.reached["interpolated"] = names
        if names:
            log(
                f"fit: {len(names)} frames show too few points; their place comes from their neighbours: {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}"
            )

    def _choose(self, missing: list[int]) -> np.ndarray:
        good = np.setdiff1d(np.arange(len(self.seen.frames)), missing)
        return good[np.unique(np.linspace(0, len(good) - 1, min(self.settings.identity_frames, len(good))).round().astype(int))]

    def _spread(self, state: State, some: State, chosen: np.ndarray) -> State:
        """The shape found on some frames, in all of them: expression and pose of the nearest one, a head moved to each frame's own place."""
        nearest = np.abs(chosen[None] - np.arange(state.frames)[:, None]).argmin(1)
        own = state.rotations[:, 0].copy(), state.translation
        state = replace(some, expression=some.expression[nearest], rotations=some.rotations[nearest], translation=some.translation[nearest])
        for frame, source in enumerate(nearest):
            if self.kind == "head":
                follow(self.rig, self.landmarks, self.seen.points3d[frame], some, source, state, frame)
            elif chosen[source] != frame:
                state.rotations[frame, 0], state.translation[frame] = own[0][frame], own[1][frame]
        return state

    def _displace(self, state: State, chosen: np.ndarray) -> State:
        for _ in range(self.settings.offset_rounds):
            some = state.select(chosen)
            outlines, term = self._outlines(some, chosen, self.gates[-1]), self._landmark_term(some, chosen, WIDTH)
            spread = self.settings.landmark_trust_mm / 1000 if self.kind == "head" else np.inf  # a body detector's joints are no places on the skin
            offsets = fit_offsets(self.rig, some, outlines, term, self.landmarks, spread, self.settings.offset_stiffness)
            # what the skin now does, the shifts need not
            state = replace(state, offsets=offsets, shift=state.shift - self.landmarks.mean(offsets - state.offsets))
            self.landmarks = self.landmarks.displaced(self.rig, offsets)
        return state

    def _phase(self, name: str, state: State, frames: np.ndarray, gate: float | None, shared: bool) -> State:
        terms: list = [self._landmark_term(state, frames, FIRST_WIDTH if gate is None else WIDTH)]
        steps = self.settings.iterations
        if gate is not None:
            terms.append(self._outlines(state, frames, gate))
            if shared and gate < self.gates[0]:  # the first round brings the skin within reach of stereo
                terms.append(self._surfaces(state, frames))
            steps = min(steps, OUTLINE_STEPS)  # outlines are matched anew in the next round
        state, costs = optimise(self.rig, state, terms, self._priors(shared, state), steps, shared=shared)
        self.reached["phases"].append({"name": name, "frames": len(frames), "steps": len(costs) - 1, "cost": [round(costs[0], 1), round(costs[-1], 1)]})
        log(f"fit: {name}: {len(frames)} frames, {len(costs) - 1} steps, cost {costs[0]:.0f} -> {costs[-1]:.0f}")
        return state

    def _landmark_term(self, state: State, frames: np.ndarray, width: float) -> LandmarkTerm:
        seen, rows = self.seen.at(frames), self.landmarks.rows
        trust = facing(self.rig, self.landmarks, seen, state)[1]
        weight = seen.weight[:, :, rows] * trust / np.where(self.landmarks.on_face, FACE_CORRELATION, BODY_CORRELATION)
        return LandmarkTerm(self.landmarks.points, seen.pixels[:, :, rows], weight, self.seen.projections, width)

    def _outlines(self, state: State, frames: np.ndarray, gate: float) -> ContourTerm:
        rig, cameras, rims = self.rig, list(self.seen.cameras), []
        for number, frame in enumerate(frames):
            vertices = rig.vertices(state, number)
            rims.append(frame_rims(vertices, rig.faces, self.ignored, cameras, self.contours(frame), gate * self.pixels_per_mm))
        looseness = BODY_FACTOR if self.kind == "body" else 1.0
        return ContourTerm(rims, self.seen.projections, self.settings.contour_sigma_mm * looseness * self.pixels_per_mm)

    def _surfaces(self, state: State, frames: np.ndarray) -> SurfaceTerm:
        def one(number: int) -> Surface:
            vertices = self.rig.vertices(state, number)
            return find_surface(vertices, self.rig.faces, self.still, list(self.seen.cameras), self.pictures(frames[number]), state.scale)

        found = [one(k) if len(self.still) else NOTHING for k in range(len(frames))]
        return SurfaceTerm(found, self.settings.stereo_sigma_mm / 1000 * state.scale)

    def _priors(self, shared: bool, state: State) -> Priors:
        spread, change = precisions(self.rig.names, self.kind)
        smooth, count = self.settings.smoothness, state.expression.shape[1]
        return Priors(
            identity=np.full(len(state.identity), ALIKE * state.frames),
            shift=state.frames * self.shift_precision,
            rest=self.rest,
            pose=spread,
            expression=np.full(count, EXPRESSION_SPREAD**-2.0),
            sparsity=EXPRESSION_PRICE,
            turn=smooth * change,
            slide=smooth * (SLIDE_M * state.scale) ** -2.0,
            face=smooth * EXPRESSION_CHANGE**-2.0,
            gap=np.zeros(max(state.frames - 1, 0)) if shared else self.seen.gap,  # the shape is found on scattered frames
        )
