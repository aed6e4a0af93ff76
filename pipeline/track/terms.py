"""What pulls at the model: landmarks in all views, outlines, priors, and time. Each term adds to the normal equations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.track.contour import Rims
from pipeline.track.rig import Points, Rig, State
from pipeline.track.rotations import log_so3
from pipeline.track.solver import Normal


def geman_mcclure(squared: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """IRLS weights and costs of the Geman-McClure function rho(e) = w^2 e^2 / (w^2 + e^2) of squared residuals (Black and Rangarajan, IJCV 1996)."""
    share = width**2 / (width**2 + squared)
    return share**2, 0.5 * share * squared


def project_with_jacobian(P: np.ndarray, world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [..., 2] and their derivatives [..., 2, 3] of world points [..., 3] under P [..., 3, 4]; points behind the camera get derivative 0."""
    h = np.einsum("...ij,...j->...i", P[..., :3], world) + P[..., 3]
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
    width: float = 3.0

    def add(self, normal: Normal, rig: Rig, state: State, frame: int, shared: bool) -> None:
        """Add frame `frame`. All views of a landmark act on one 3D point: their sum is a 3x3 weight, so the cost does not grow with the cameras."""
        used = np.flatnonzero(self.weight[frame].sum(0) > 0)
        if not used.size:
            return
        points = Points(self.points.template[used], self.points.basis[used], self.points.weights[used])
        posed = rig.posed(state, frame)
        world, J, J_identity, blend = rig.place_with_jacobian(posed, state, frame, points, state.shift[used], shared)
        pixel, d_pixel = project_with_jacobian(self.projections[:, None], world[None])
        error = self.observed[frame][:, used] - pixel
        weight = self.weight[frame][:, used]
        robust, cost = geman_mcclure(weight * (error**2).sum(-1), self.width)
        normal.cost += float(cost.sum())
        weighted = (weight * robust)[..., None, None] * d_pixel
        M = np.einsum("clij,clik->ljk", weighted, d_pixel)
        pull = np.einsum("clij,cli->lj", weighted, error)
        M[:, range(3), range(3)] += 1e-6 * np.trace(M, axis1=1, axis2=2)[:, None] + 1e-9
        L = np.linalg.cholesky(M)
        U = L.transpose(0, 2, 1).astype(np.float32)
        white = np.linalg.solve(L, pull[..., None]).astype(np.float32)
        rows = (U @ J).reshape(3 * len(used), -1)
        _add_rows(normal, frame, rows, white.reshape(-1), (U @ J_identity).reshape(3 * len(used), -1) if shared else None)
        if shared:
            _add_shift(normal, frame, used, U @ blend, white, rows, (U @ J_identity), rig.identity_size)


def _add_shift(normal: Normal, frame: int, used: np.ndarray, block: np.ndarray, white: np.ndarray, rows: np.ndarray, identity_rows: np.ndarray, start: int) -> None:
    """Landmark shifts: each moves only its own three rows, so only the blocks that are not zero are formed."""
    columns = start + (3 * used[:, None] + np.arange(3)).ravel()
    count = len(used)
    normal.mixed[frame][:, columns] += np.einsum("lrp,lrs->pls", rows.reshape(count, 3, -1), block).reshape(-1, 3 * count)
    cross = np.einsum("lri,lrs->ils", identity_rows, block).reshape(start, -1)
    normal.shared[:start, columns] += cross
    normal.shared[columns, :start] += cross.T
    own = np.einsum("lrs,lrq->lsq", block, block)
    spread = columns.reshape(count, 3)
    normal.shared[spread[:, :, None], spread[:, None, :]] += own
    normal.g_shared[columns] += np.einsum("lrs,lrx->ls", block, white).ravel()


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
    """Outlines: one residual per matched point, along the image normal. `rims` one per frame; sigma in pixels of one independent observation."""

    rims: list[Rims]
    projections: np.ndarray
    sigma: float
    width: float = 3.0

    def add(self, normal: Normal, rig: Rig, state: State, frame: int, shared: bool) -> None:
        """Add frame `frame`."""
        rim = self.rims[frame]
        if not len(rim.camera):
            return
        points = rig.points(rig.faces[rim.face_ids], rim.barycentric, state.offsets)
        world, J, J_identity, _ = rig.place_with_jacobian(rig.posed(state, frame), state, frame, points, 0.0, shared)
        along, error = contour_residual(rim, self.projections, world)
        robust, cost = geman_mcclure((error / self.sigma) ** 2, self.width)
        normal.cost += float(cost.sum())
        root = np.sqrt(robust) / self.sigma
        row = (root[:, None] * along).astype(np.float32)
        rows = np.matmul(row[:, None], J)[:, 0]
        _add_rows(normal, frame, rows, (root * error).astype(np.float32), np.matmul(row[:, None], J_identity)[:, 0] if shared else None)


def contour_residual(rim: Rims, projections: np.ndarray, world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivative [N, 3] of the outline position along the normal with respect to the skin point, and residual [N] in pixels."""
    pixel, d_pixel = project_with_jacobian(projections[rim.camera], world)
    error = ((rim.target - pixel) * rim.normal).sum(1) - rim.rim
    return np.einsum("nij,ni->nj", d_pixel, rim.normal), error


@dataclass(frozen=True)
class Priors:
    """Quadratic pulls towards the mean person at rest and towards the neighbouring frame.

    Attributes:
        identity: [I] precision. shift: [3L] precision, 1/m^2. pose: [A] precision of joint angles, 1/rad^2 (0 for the root). expression: [E] precision.
        sparsity: linear price of an expression (it is never negative), which keeps what is not needed at zero.
        turn, slide, face: precisions of the change from frame to frame: [A] 1/rad^2, 1/m^2, 1. gap: [F-1] 1 where neighbours follow each other, less after a
        jump, 0 between sequences.
    """

    identity: np.ndarray
    shift: np.ndarray
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
        angles = log_so3(state.rotations).reshape(frames, -1)
        weight = np.concatenate([np.repeat(self.pose, 3), np.zeros(3), self.expression])
        normal.pull(weight, np.concatenate([angles, np.zeros((frames, 3)), state.expression], 1))
        normal.g[:, 3 * count + 3 :] -= self.sparsity
        normal.cost += self.sparsity * float(state.expression.sum())
        if frames > 1:
            turn = log_so3(state.rotations[1:] @ state.rotations[:-1].swapaxes(-1, -2)).reshape(frames - 1, -1)
            change = np.concatenate([turn, np.diff(state.translation, axis=0), np.diff(state.expression, axis=0)], 1)
            tie = np.concatenate([np.repeat(self.turn, 3), np.full(3, self.slide), np.full(state.expression.shape[1], self.face)])
            normal.tie(self.gap[:, None] * tie, change)
        if shared:
            normal.pull_shared(np.concatenate([self.identity, self.shift]), np.concatenate([state.identity, state.shift.ravel()]))
