"""The fit: place, shape, motion, free displacements. One state goes through, each phase says what it reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from pipeline.io.progress import log
from pipeline.mesh.topology import vertex_normals
from pipeline.track.contour import Contour, cut_faces, frame_rims
from pipeline.track.joints import free_joints, precisions, resting
from pipeline.track.observe import FACE_POINTS, Observations
from pipeline.track.offsets import fit_offsets
from pipeline.track.optimise import optimise
from pipeline.track.rig import Rig, State
from pipeline.track.settings import FitSettings
from pipeline.track.start import Landmarks, landmarks_of, start
from pipeline.track.terms import ContourTerm, LandmarkTerm, Priors, project_with_jacobian

CORRELATION, BODY_CORRELATION = 100.0, 2.0
"""Neighbouring landmarks err together, the more the denser they are: variances are taken this much larger than what triangulation shows."""
FIRST_WIDTH, WIDTH = 30.0, 5.0
"""Standard deviations at which a landmark loses half its pull: before the pose is known, and after."""
BODY_SHIFT_MM = 40.0
GATES_PX = (20.0, 12.0, 8.0, 6.0)  # how far an outline may be from the model's, round by round
TURNED_POWER = 2
VISIBLE_COSINE = 0.2
ALIKE = 5.0
"""Frames repeat each other's errors (a detector is off in the same way in all of them), so all of them together say about the shared unknowns what one
would: the priors of these count once per frame, times this."""
SHIFT_REACH_M, SHIFT_COMMON = 0.02, 0.5
"""A detector is off in the same way over about this distance on the face; share of the variance that is common to neighbours."""
EXPRESSION_SPREAD, EXPRESSION_CHANGE, SLIDE_M = 0.4, 0.15, 0.01


@dataclass(frozen=True)
class Fitted:
    """The result: `state` of all frames on `rig`, residual_px [C] median over visible landmarks, reached: what each phase did."""

    rig: Rig
    state: State
    residual_px: np.ndarray
    reached: dict


class Fitter:
    """Holds what all phases need; `run` is the recipe."""

    def __init__(self, model, kind: str, seen: Observations, contours: Callable[[int], list[Contour]], settings: FitSettings):  # noqa: ANN001
        self.kind, self.seen, self.settings, self.contours = kind, seen, settings, contours
        self.rig = Rig.of(model, free_joints(model, kind))
        self.landmarks: Landmarks = landmarks_of(model, self.rig, kind)
        self.cut = cut_faces(self.rig.faces, len(self.rig.template))
        self.rest = resting(self.rig, kind)
        self.shift_precision = shift_precision(self.landmarks, self.settings.landmark_shift_mm / 1000)
        self.reached: dict = {}

    def run(self, remedy: str) -> Fitted:
        """Place every frame, find the person's shape on some frames, the motion on all, then displacements and the motion once more."""
        state, missing = start(self.rig, self.landmarks, self.seen, self.kind, remedy)
        state.rotations[:, 1:] = self.rest[1:]
        if missing:
            names = [self.seen.frames[f].id for f in missing]
            log(
                f"fit: {len(missing)} frames show too few points; their place comes from their neighbours: {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}"
            )
        self.reached["interpolated"] = [self.seen.frames[f].id for f in missing]
        everything = np.arange(state.frames)
        chosen = self._choose(missing)
        some = self._phase("shape from landmarks", state.select(chosen), chosen, None, shared=True)
        for gate in GATES_PX if self.settings.contour_points else ():
            some = self._phase(f"shape from outlines within {gate:.0f} px", some, chosen, gate, shared=True)
        state = replace(some, expression=state.expression, rotations=state.rotations, translation=state.translation)
        state = self._spread(state, some, chosen)
        state = self._phase("motion", state, everything, GATES_PX[1] if self.settings.contour_points else None, shared=False)
        if self.settings.contour_points:
            state = self._displace(state, chosen)
            state = self._phase("motion after displacements", state, everything, GATES_PX[-1], shared=False)
        return Fitted(self.rig, state, self.residuals(state), self.reached)

    def _displace(self, state: State, chosen: np.ndarray) -> State:
        for _ in range(self.settings.offset_rounds):
            some = state.select(chosen)
            term = self._landmark_term(some, chosen, WIDTH)
            moved = fit_offsets(
                self.rig,
                some,
                self._outlines(some, chosen, GATES_PX[-1]),
                term,
                self.landmarks,
                self.settings.landmark_trust_mm / 1000,
                self.settings.offset_stiffness,
            )
            self.landmarks = replace(self.landmarks, points=self.rig.points(self.landmarks.vertices, self.landmarks.weights, moved.offsets))
            carried = np.einsum("lm,lmx->lx", self.landmarks.weights, (moved.offsets - state.offsets)[self.landmarks.vertices])
            state = replace(state, offsets=moved.offsets, shift=state.shift - carried)  # what the skin now does, the shift need not
        return state

    def _choose(self, missing: list[int]) -> np.ndarray:
        good = np.setdiff1d(np.arange(len(self.seen.frames)), missing)
        return good[np.unique(np.linspace(0, len(good) - 1, min(self.settings.identity_frames, len(good))).round().astype(int))]

    def _spread(self, state: State, some: State, chosen: np.ndarray) -> State:
        """Start the motion phase from the nearest frame's joint angles and expression, but each frame's own place."""
        nearest = np.abs(chosen[None] - np.arange(state.frames)[:, None]).argmin(1)
        rotations = some.rotations[nearest].copy()
        rotations[:, 0] = state.rotations[:, 0] if self.kind == "body" else rotations[:, 0]
        moved = replace(state, rotations=rotations, expression=some.expression[nearest], translation=some.translation[nearest])
        exact = np.isin(np.arange(state.frames), chosen)
        moved.rotations[exact] = some.rotations
        return moved

    def _phase(self, name: str, state: State, frames: np.ndarray, gate: float | None, shared: bool) -> State:
        terms: list = [self._landmark_term(state, frames, FIRST_WIDTH if gate is None else WIDTH)]
        if gate is not None:
            terms.append(self._outlines(state, frames, gate))
        state, costs = optimise(
            self.rig,
            state,
            terms,
            self._priors(shared, len(frames)),
            self.settings.iterations if gate is None else max(self.settings.iterations // 8, 1),
            shared=shared,
        )
        self.reached.setdefault("phases", []).append(
            {"name": name, "frames": len(frames), "steps": len(costs) - 1, "cost": [round(costs[0], 1), round(costs[-1], 1)]}
        )
        log(f"fit: {name}: {len(frames)} frames, {len(costs) - 1} steps, cost {costs[0]:.0f} -> {costs[-1]:.0f}")
        return state

    def _landmark_term(self, state: State, frames: np.ndarray, width: float) -> LandmarkTerm:
        rows = self.landmarks.rows
        weight = self.seen.weight[frames][:, :, rows] * self.facing(state, frames)[1] / np.where(rows < FACE_POINTS, CORRELATION, BODY_CORRELATION)
        return LandmarkTerm(self.landmarks.points, self.seen.pixels[frames][:, :, rows], weight, self.seen.projections, width)

    def facing(self, state: State, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How the face looks to the cameras at the given frames (numbers in the whole capture; `state` holds just them).

        Returns:
            cosine [F', C, L] between the skin at each landmark and the way to the camera, and trust [F', C, L] in a detection, 0 to 1: less for skin seen at
            a slant and in faces seen from the side, where a detector slides along the skin. Body points count fully from everywhere.
        """
        cosine = np.ones((len(frames), len(self.seen.cameras), self.landmarks.count))
        trust = cosine.copy()
        face = self.landmarks.rows < FACE_POINTS
        if not face.any():
            return cosine, trust
        centres = np.stack([camera.centre for camera in self.seen.cameras])
        for number in range(len(frames)):
            normals, points = self._normals(state, number)
            view = centres[:, None] - points[face]
            view /= np.linalg.norm(view, axis=-1, keepdims=True)
            forward = normals[face].mean(0)
            cosine[number][:, face] = (view * normals[face]).sum(-1)
            frontal = np.clip(view.mean(1) @ forward / np.linalg.norm(forward), 0, 1) ** TURNED_POWER
            trust[number][:, face] = np.clip((cosine[number][:, face] + 0.05) / 0.35, 0, 1) * frontal[:, None]
        return cosine, trust

    def _normals(self, state: State, frame: int) -> tuple[np.ndarray, np.ndarray]:
        vertices = torch.from_numpy(self.rig.vertices(state, frame))
        normals = vertex_normals(vertices, torch.from_numpy(self.rig.faces)).numpy()
        points = self.rig.place(self.rig.posed(state, frame), state, frame, self.landmarks.points)
        return self.landmarks.carry(normals), points

    def _outlines(self, state: State, frames: np.ndarray, gate: float) -> ContourTerm:
        def one(number: int):  # noqa: ANN202
            vertices = self.rig.vertices(state, number)
            return frame_rims(vertices, self.rig.faces, self.cut, list(self.seen.cameras), self.contours(frames[number]), gate)

        return ContourTerm([one(k) for k in range(len(frames))], self.seen.projections, self.settings.contour_sigma_px)

    def _priors(self, shared: bool, frames: int) -> Priors:
        spread, change = precisions(self.rig.names, self.kind)
        size = self.rig.basis.shape[2] - self.rig.identity_size
        smooth = self.settings.smoothness
        gap = np.zeros(max(frames - 1, 0)) if shared else self.seen.gap  # the shape is found on scattered frames
        return Priors(
            np.full(self.rig.identity_size, ALIKE * frames), frames * self.shift_precision, self.rest, spread, np.full(size, EXPRESSION_SPREAD**-2.0), 1.0,
            smooth * change, smooth * SLIDE_M**-2.0, smooth * EXPRESSION_CHANGE**-2.0, gap,
        )  # fmt: skip

    def residuals(self, state: State) -> np.ndarray:
        """[C] median distance in pixels of the landmarks on the skin (without the learned shifts) from the detections that see them."""
        frames = np.arange(state.frames)
        visible = (self.facing(state, frames)[0] > VISIBLE_COSINE) & (self.seen.weight[:, :, self.landmarks.rows] > 0)
        error = np.empty(visible.shape)
        for f in frames:
            world = self.rig.place(self.rig.posed(state, f), state, f, self.landmarks.points)
            pixel, _ = project_with_jacobian(self.seen.projections[:, None], world[None])
            error[f] = np.linalg.norm(self.seen.pixels[f][:, self.landmarks.rows] - pixel, axis=-1)
        return np.array([np.median(error[:, c][visible[:, c]]) if visible[:, c].any() else np.nan for c in range(visible.shape[1])])


def shift_precision(landmarks: Landmarks, spread: float) -> np.ndarray:
    """[L, L] inverse covariance of the landmark shifts, 1/m^2: partly each its own, partly shared with neighbours on the face; body points are alone."""
    points, face = landmarks.points.template, landmarks.rows < FACE_POINTS
    squared = ((points[:, None] - points[None]) ** 2).sum(-1)
    common = np.exp(-squared / (2 * SHIFT_REACH_M**2)) * (face[:, None] & face)
    size = np.where(face, spread, BODY_SHIFT_MM / 1000)
    covariance = SHIFT_COMMON * common + np.diag(np.where(face, 1 - SHIFT_COMMON, 1.0))
    return np.linalg.inv(covariance * size[:, None] * size)
