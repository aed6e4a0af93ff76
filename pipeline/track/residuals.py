"""Residual terms of the fit: landmarks and silhouettes in all cameras, stereo points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.track.contour import ContourMatches
from pipeline.track.gauss_newton_body import GaussNewtonBody, SurfacePoints
from pipeline.track.normal_equations import NormalEquations
from pipeline.track.state import State
from pipeline.track.stereo import StereoPoints


def geman_mcclure(squared: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Geman-McClure function rho(e) = 1/2 w^2 e^2 / (w^2 + e^2) of squared residuals e^2 (Black and Rangarajan, IJCV 1996).

    Returns:
        weights of iteratively reweighted least squares, and costs rho.
    """
    ratio = width**2 / (width**2 + squared)
    return ratio**2, 0.5 * ratio * squared


def project_with_jacobian(P: np.ndarray, world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Projection of world points [..., 3] under P [..., 3, 4].

    Returns:
        pixels [..., 2] and their derivatives [..., 2, 3], which are 0 behind the camera.
    """
    h = (P[..., :3] @ world[..., None])[..., 0] + P[..., 3]
    depth = np.where(h[..., 2] > 1e-6, h[..., 2], np.inf)
    pixel = h[..., :2] / np.where(np.isfinite(depth), depth, 1.0)[..., None]
    return pixel, (P[..., :2, :3] - pixel[..., None] * P[..., 2:, :3]) / depth[..., None, None]


@dataclass(frozen=True)
class LandmarkTerm:
    """Reprojection error of landmarks.

    Attributes:
        points: L landmarks on the skin.
        observed: [F, C, L, 2] pixels (any finite number where weight is 0).
        weight: [F, C, L], 1 / px^2.
        projections: [C, 3, 4].
        width: of the Geman-McClure function, in standard deviations.
    """

    points: SurfacePoints
    observed: np.ndarray
    weight: np.ndarray
    projections: np.ndarray
    width: float

    def add(self, normal: NormalEquations, body: GaussNewtonBody, state: State, frame: int, shared: bool) -> None:
        """Add one frame.

        All views of a landmark act on one 3D point and sum to a 3x3 weight: the number of rows does not depend on the
        number of cameras.
        """
        if not self.weight[frame].any():
            return
        joints = body.pose_joints(state, frame)
        posed = body.pose_points_with_derivatives(joints, state, frame, self.points, state.landmark_offsets, shared)
        pixel, d_pixel = project_with_jacobian(self.projections[:, None], posed.world[None])
        error, weight = self.observed[frame] - pixel, self.weight[frame]
        robust, cost = geman_mcclure(weight * (error**2).sum(-1), self.width)
        normal.cost += float(cost.sum())
        weighted = (weight * robust)[..., None, None] * d_pixel
        M = (weighted.swapaxes(-1, -2) @ d_pixel).sum(0)
        gradient = (weighted.swapaxes(-1, -2) @ error[..., None]).sum(0)
        M[:, range(3), range(3)] += 1e-6 * np.trace(M, axis1=1, axis2=2)[:, None] + 1e-9
        L = np.linalg.cholesky(M)
        U, whitened = L.swapaxes(1, 2).astype(np.float32), np.linalg.solve(L, gradient).astype(np.float32)
        rows, identity_rows = U @ posed.d_frame, U @ posed.d_identity
        flat_rows, flat_identity_rows = (array.reshape(3 * len(array), array.shape[2]) for array in (rows, identity_rows))
        normal.add_rows(frame, flat_rows, whitened.ravel(), flat_identity_rows)
        if shared:
            _add_landmark_offsets(normal, frame, U @ posed.d_rest, whitened, rows, identity_rows)


def _add_landmark_offsets(
    normal: NormalEquations,
    frame: int,
    block: np.ndarray,
    error: np.ndarray,
    rows: np.ndarray,
    identity_rows: np.ndarray,
) -> None:
    """Add the columns of the landmark offsets, which follow identity in the shared unknowns.

    Each offset moves only its own three rows (block [L, 3, 3]); only the blocks that are not zero are computed.

    Args:
        error: [L, 3, 1]. rows: [L, 3, P]. identity_rows: [L, 3, I].
    """
    start, size = identity_rows.shape[2], rows.shape[2]
    products = np.concatenate([rows, identity_rows], 2).swapaxes(1, 2) @ block  # [L, P + I, 3]
    products = products.swapaxes(0, 1).reshape(products.shape[1], -1)
    normal.cross[frame][:, start:] += products[:size]
    normal.shared[:start, start:] += products[size:]
    normal.shared[start:, :start] += products[size:].T
    index = start + np.arange(3 * len(block)).reshape(-1, 3)
    normal.shared[index[:, :, None], index[:, None, :]] += block.swapaxes(1, 2) @ block
    normal.g_shared[start:] += (block.swapaxes(1, 2) @ error).ravel()


@dataclass(frozen=True)
class ContourTerm:
    """Distance of silhouette and occluding contour: one residual per match, along the image normal.

    Attributes:
        matches: one per frame. projections: [C, 3, 4]. sigma: [C] pixels. width: of the Geman-McClure function.
    """

    matches: list[ContourMatches]
    projections: np.ndarray
    sigma: np.ndarray
    width: float = 3.0

    def add(self, normal: NormalEquations, body: GaussNewtonBody, state: State, frame: int, shared: bool) -> None:
        """Add one frame."""
        matches = self.matches[frame]
        if not len(matches.camera):
            return
        points = body.surface_points(body.faces[matches.face_ids], matches.barycentric, state.vertex_offsets)
        posed = body.pose_points_with_derivatives(body.pose_joints(state, frame), state, frame, points, 0.0, shared)
        d_error, error = contour_residual(matches, self.projections, posed.world)
        sigma = self.sigma[matches.camera]
        robust, cost = geman_mcclure((error / sigma) ** 2, self.width)
        normal.cost += float(cost.sum())
        root = np.sqrt(robust) / sigma
        row = (root[:, None] * d_error).astype(np.float32)
        rows = np.matmul(row[:, None], posed.d_frame)[:, 0]
        identity_rows = np.matmul(row[:, None], posed.d_identity)[:, 0]
        normal.add_rows(frame, rows, (root * error).astype(np.float32), identity_rows)


def contour_residual(
    matches: ContourMatches,
    projections: np.ndarray,
    world: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Derivative [N, 3] of the position along the normal with respect to the skin point, and residual [N] in pixels."""
    pixel, d_pixel = project_with_jacobian(projections[matches.camera], world)
    error = ((matches.target - pixel) * matches.normal).sum(1) - matches.contour_distance
    return (matches.normal[:, None] @ d_pixel)[:, 0], error


@dataclass(frozen=True)
class StereoTerm:
    """Distance of vertices from stereo points: one residual per vertex, along its normal.

    Attributes:
        stereo: one per frame. sigma: world units. width: of the Geman-McClure function.
    """

    stereo: list[StereoPoints]
    sigma: float
    width: float = 3.0

    def add(self, normal: NormalEquations, body: GaussNewtonBody, state: State, frame: int, shared: bool) -> None:
        """Add one frame."""
        stereo = self.stereo[frame]
        if not len(stereo.vertices):
            return
        points = body.surface_points(stereo.vertices[:, None], np.ones((len(stereo.vertices), 1)), state.vertex_offsets)
        posed = body.pose_points_with_derivatives(body.pose_joints(state, frame), state, frame, points, 0.0, shared)
        error = ((stereo.target - posed.world) * stereo.normal).sum(1)
        robust, cost = geman_mcclure((error / self.sigma) ** 2, self.width)
        normal.cost += float(cost.sum())
        root = np.sqrt(robust) / self.sigma
        row = (root[:, None] * stereo.normal).astype(np.float32)[:, None]
        rows, identity_rows = (row @ posed.d_frame)[:, 0], (row @ posed.d_identity)[:, 0]
        normal.add_rows(frame, rows, (root * error).astype(np.float32), identity_rows)
