"""What pulls at the model: landmarks in all views, outlines, priors, and time. Each term adds to the normal equations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.geometry.rotations import matrix_to_rotvec
from pipeline.track.contour import Rims
from pipeline.track.gauss_newton_body import Points, Rig, State
from pipeline.track.solver import Normal
from pipeline.track.stereo import Surface


def geman_mcclure(squared: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """IRLS weights and costs of the Geman-McClure function rho(e) = w^2 e^2 / (w^2 + e^2) of squared residuals (Black and Rangarajan, IJCV 1996)."""
    share = width**2 / (width**2 + squared)
    return share**2, 0.5 * share * squared


def project_with_jacobian(P: np.ndarray, world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [..., 2] and their derivatives [..., 2, 3] of world points [..., 3] under P [..., 3, 4]; points behind the camera get derivative 0."""
    h = (P[..., :3] @ world[..., None])[..., 0] + P[..., 3]
    depth = np.where(h[..., 2] > 1e-6, h[..., 2], np.inf)
    pixel = h[..., :2] / np.where(np.isfinite(depth), depth, 1.0)[..., None]
    return pixel, (P[..., :2, :3] - pixel[..., None] * P[..., 2:, :3]) / depth[..., None, None]


@dataclass(frozen=True)
class LandmarkTerm:
    """Landmarks on the skin against their detections.

    Attributes:
        points: L skin points. observed: [F, C, L, 2] pixels (any finite number where weight is 0). weight: [F, C, L], 1 / px^2.
        projections: [C, 3, 4]. width: residual, in standard deviations, at which a detection loses half its pull.
    """

    points: Points
    observed: np.ndarray
    weight: np.ndarray
    projections: np.ndarray
    width: float

    def add(self, normal: Normal, rig: Rig, state: State, frame: int, shared: bool) -> None:
        """Add frame `frame`. All views of a landmark act on one 3D point: their sum is a 3x3 weight, so the cost does not grow with the cameras."""
        if not self.weight[frame].any():
            return
        posed = rig.posed(state, frame)
        world, J, J_identity, blend = rig.place_with_jacobian(posed, state, frame, self.points, state.shift, shared)
        pixel, d_pixel = project_with_jacobian(self.projections[:, None], world[None])
        error, weight = self.observed[frame] - pixel, self.weight[frame]
        robust, cost = geman_mcclure(weight * (error**2).sum(-1), self.width)
        normal.cost += float(cost.sum())
        weighted = (weight * robust)[..., None, None] * d_pixel
        M = (weighted.swapaxes(-1, -2) @ d_pixel).sum(0)
        pull = (weighted.swapaxes(-1, -2) @ error[..., None]).sum(0)
        M[:, range(3), range(3)] += 1e-6 * np.trace(M, axis1=1, axis2=2)[:, None] + 1e-9
        L = np.linalg.cholesky(M)
        U, white = L.swapaxes(1, 2).astype(np.float32), np.linalg.solve(L, pull).astype(np.float32)
        rows, identity_rows = U @ J, U @ J_identity if shared else None
        count = 3 * len(rows)
        _add_rows(normal, frame, rows.reshape(count, -1), white.ravel(), identity_rows.reshape(count, -1) if shared else None)
        if shared:
            _add_shift(normal, frame, U @ blend, white, rows, identity_rows)


def _add_shift(normal: Normal, frame: int, block: np.ndarray, white: np.ndarray, rows: np.ndarray, identity_rows: np.ndarray) -> None:
    """Landmark shifts: each moves only its own three rows (block [L, 3, 3]), so only the blocks that are not zero are formed."""
    start, size = identity_rows.shape[2], rows.shape[2]
    both = np.concatenate([rows, identity_rows], 2).swapaxes(1, 2) @ block  # [L, P + I, 3]
    both = both.swapaxes(0, 1).reshape(both.shape[1], -1)
    normal.mixed[frame][:, start:] += both[:size]
    normal.shared[:start, start:] += both[size:]
    normal.shared[start:, :start] += both[size:].T
    spread = start + np.arange(3 * len(block)).reshape(-1, 3)
    normal.shared[spread[:, :, None], spread[:, None, :]] += block.swapaxes(1, 2) @ block
    normal.g_shared[start:] += (block.swapaxes(1, 2) @ white).ravel()


def _add_rows(normal: Normal, frame: int, rows: np.ndarray, error: np.ndarray, identity_rows: np.ndarray | None) -> None:
    normal.H[frame] += rows.T @ rows
    normal.g[frame] += rows.T @ error
    if identity_rows is not None:
        size = identity_rows.shape[1]
        normal.mixed[frame][:, :size] += rows.T @ identity_rows
        normal.shared[:size, :size] += identity_rows.T @ identity_rows
        normal.g_shared[:size] += identity_rows.T @ error


@dataclass(frozen=True)
class ContourTerm:
    """Outlines: one residual per matched point, along the image normal. `rims` one per frame; sigma [C] in pixels."""

    rims: list[Rims]
    projections: np.ndarray
    sigma: np.ndarray
    width: float = 3.0

    def add(self, normal: Normal, rig: Rig, state: State, frame: int, shared: bool) -> None:
        """Add frame `frame`."""
        rim = self.rims[frame]
        if not len(rim.camera):
            return
        points = rig.points(rig.faces[rim.face_ids], rim.barycentric, state.offsets)
        world, J, J_identity, _ = rig.place_with_jacobian(rig.posed(state, frame), state, frame, points, 0.0, shared)
        along, error = contour_residual(rim, self.projections, world)
        sigma = self.sigma[rim.camera]
        robust, cost = geman_mcclure((error / sigma) ** 2, self.width)
        normal.cost += float(cost.sum())
        root = np.sqrt(robust) / sigma
        row = (root[:, None] * along).astype(np.float32)
        rows = np.matmul(row[:, None], J)[:, 0]
        _add_rows(normal, frame, rows, (root * error).astype(np.float32), np.matmul(row[:, None], J_identity)[:, 0] if shared else None)


def contour_residual(rim: Rims, projections: np.ndarray, world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivative [N, 3] of the outline position along the normal with respect to the skin point, and residual [N] in pixels."""
    pixel, d_pixel = project_with_jacobian(projections[rim.camera], world)
    error = ((rim.target - pixel) * rim.normal).sum(1) - rim.rim
    return (rim.normal[:, None] @ d_pixel)[:, 0], error


@dataclass(frozen=True)
class SurfaceTerm:
    """Skin found by stereo: one residual per vertex, along its normal. `surfaces` one per frame; sigma in metres."""

    surfaces: list[Surface]
    sigma: float
    width: float = 3.0

    def add(self, normal: Normal, rig: Rig, state: State, frame: int, shared: bool) -> None:
        """Add frame `frame`."""
        surface = self.surfaces[frame]
        if not len(surface.vertices):
            return
        points = rig.points(surface.vertices[:, None], np.ones((len(surface.vertices), 1)), state.offsets)
        world, J, J_identity, _ = rig.place_with_jacobian(rig.posed(state, frame), state, frame, points, 0.0, shared)
        error = ((surface.target - world) * surface.normal).sum(1)
        robust, cost = geman_mcclure((error / self.sigma) ** 2, self.width)
        normal.cost += float(cost.sum())
        root = np.sqrt(robust) / self.sigma
        row = (root[:, None] * surface.normal).astype(np.float32)[:, None]
        _add_rows(normal, frame, (row @ J)[:, 0], (root * error).astype(np.float32), (row @ J_identity)[:, 0] if shared else None)


@dataclass(frozen=True)
class Priors:
    """Quadratic pulls towards the mean person at rest and towards the neighbouring frame.

    Attributes:
        identity: [I] precision. shift: [L, L] precision matrix of each axis, 1/m^2. rest: [A, 3, 3] expected rotations; pose: [A] precision of joint angles, 1/rad^2 (0 for the root). expression: [E] precision.
        sparsity: linear price of an expression (it is never negative), which keeps what is not needed at zero.
        turn, slide, face: precisions of the change from frame to frame: [A] 1/rad^2, 1/m^2, 1. gap: [F-1] 1 where neighbours follow each other, less after a
        jump, 0 between sequences.
    """

    identity: np.ndarray
    shift: np.ndarray
    rest: np.ndarray
    pose: np.ndarray
    expression: np.ndarray
    sparsity: float
    turn: np.ndarray
    slide: float
    face: float
    gap: np.ndarray

    def add(self, normal: Normal, state: State, shared: bool) -> None:
        """Add the pulls; the logarithm's derivative is taken as the identity, exact at rest and good to second order near it."""
        frames, count = state.rotations.shape[:2]
        angles = matrix_to_rotvec(state.rotations @ self.rest.swapaxes(1, 2)).reshape(frames, -1)
        weight = np.concatenate([np.repeat(self.pose, 3), np.zeros(3), self.expression])
        normal.pull(weight, np.concatenate([angles, np.zeros((frames, 3)), state.expression], 1))
        normal.g[:, 3 * count + 3 :] -= self.sparsity
        normal.cost += self.sparsity * float(state.expression.sum())
        if frames > 1:
            turn = matrix_to_rotvec(state.rotations[1:] @ state.rotations[:-1].swapaxes(-1, -2)).reshape(frames - 1, -1)
            change = np.concatenate([turn, np.diff(state.translation, axis=0), np.diff(state.expression, axis=0)], 1)
            tie = np.concatenate([np.repeat(self.turn, 3), np.full(3, self.slide), np.full(state.expression.shape[1], self.face)])
            normal.tie(self.gap[:, None] * tie, change)
        if shared:
            normal.pull_shared(np.diag(self.identity), state.identity, 0)
            normal.pull_shared(np.kron(self.shift, np.eye(3)), state.shift.ravel(), len(state.identity))
