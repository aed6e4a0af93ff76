"""Vertex offsets: what the linear model cannot express, from silhouettes and landmarks, kept smooth."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import cg

from pipeline.mesh.topology import uniform_laplacian
from pipeline.track.gauss_newton_body import GaussNewtonBody
from pipeline.track.landmarks import Landmarks
from pipeline.track.residuals import ContourTerm, LandmarkTerm, contour_residual, geman_mcclure, project_with_jacobian
from pipeline.track.state import State

LAPLACIAN_SIGMA_M = 4e-4  # standard deviation of the difference of an offset to its neighbours' mean
OFFSET_SIGMA_M = 1e-2  # standard deviation of an offset
LANDMARK_WIDTH = 3.0  # of the Geman-McClure function, in standard deviations


def fit_vertex_offsets(
    body: GaussNewtonBody,
    state: State,
    contours: ContourTerm,
    landmark_term: LandmarkTerm,
    landmarks: Landmarks,
    sigma: float,
    stiffness: float,
) -> np.ndarray:
    """The offsets [V, 3] in the rest pose after one Gauss-Newton step with fixed poses.

    Every contour residual is linear in the three corners of its face. Each landmark attracts its place on the skin
    towards where all frames together see it, as one observation: a detector makes the same error in all frames. The
    offsets are smooth by Laplacian regularisation (Sorkine et al. 2004).

    Args:
        sigma: standard deviation of a landmark, metres; infinite: landmarks are ignored.
        stiffness: weight of the regularisation.
    """
    count = len(body.template)
    parts = [_landmark_rows(body, state, landmark_term, landmarks, sigma)]
    parts += [_contour_rows(body, state, contours, frame) for frame in range(state.frames)]
    A, e = sp.vstack([rows for rows, _ in parts]).tocsr(), np.concatenate([error for _, error in parts])
    laplacian = sp.kron(uniform_laplacian(body.faces, count), sp.identity(3))
    smooth = stiffness * (laplacian.T @ laplacian / LAPLACIAN_SIGMA_M**2 + sp.identity(3 * count) / OFFSET_SIGMA_M**2)
    H = (A.T @ A + smooth).tocsr()
    g = A.T @ e - smooth @ state.vertex_offsets.ravel()
    step, _ = cg(H, g, rtol=1e-4, maxiter=400, M=sp.diags(1 / H.diagonal()))
    return state.vertex_offsets + step.reshape(-1, 3)


def _landmark_rows(
    body: GaussNewtonBody,
    state: State,
    term: LandmarkTerm,
    landmarks: Landmarks,
    sigma: float,
) -> tuple[sp.csr_matrix, np.ndarray]:
    """Jacobian [3L, 3V] and residuals [3L] of the landmarks."""
    moves, observed = observed_landmark_moves(body, state, term)
    weight, _ = geman_mcclure((moves**2).sum(1) / sigma**2, LANDMARK_WIDTH)
    root = np.sqrt(weight) * observed / sigma
    count = len(root)
    values = (landmarks.weights * root[:, None])[..., None] * np.eye(3)[:, None, None]  # [xyz, L, M, xyz]
    columns = np.broadcast_to(3 * landmarks.vertices[..., None] + np.arange(3), values.shape)
    rows = np.broadcast_to(np.arange(3)[:, None, None, None] * count + np.arange(count)[:, None, None], values.shape)
    A = sp.csr_matrix((values.ravel(), (rows.ravel(), columns.ravel())), shape=(3 * count, 3 * len(body.template)))
    return A, (moves * root[:, None]).T.ravel()


def observed_landmark_moves(body: GaussNewtonBody, state: State, term: LandmarkTerm) -> tuple[np.ndarray, np.ndarray]:
    """The move [L, 3] in the rest pose that brings each landmark to where the cameras see it, over all frames.

    Also returns which landmarks [L] are observed well enough.
    """
    H, g = np.zeros((len(state.landmark_offsets), 3, 3)), np.zeros((len(state.landmark_offsets), 3, 1))
    for frame in range(state.frames):
        posed = body.pose_points_with_derivatives(body.pose_joints(state, frame), state, frame, term.points, 0.0, False)
        pixel, d_pixel = project_with_jacobian(term.projections[:, None], posed.world[None])
        J = d_pixel @ posed.d_rest
        weighted = J.swapaxes(-1, -2) * term.weight[frame][..., None, None]
        H += (weighted @ J).sum(0)
        g += (weighted @ (term.observed[frame] - pixel)[..., None]).sum(0)
    trace = np.trace(H, axis1=1, axis2=2)
    moves = np.linalg.solve(H + (1e-3 * trace[:, None, None] + 1e-6) * np.eye(3), g)[..., 0]
    return moves, trace > 1e-3 * trace.max()


def _contour_rows(
    body: GaussNewtonBody,
    state: State,
    contours: ContourTerm,
    frame: int,
) -> tuple[sp.csr_matrix, np.ndarray]:
    """Jacobian [N, 3V] and residuals [N] of the contour matches of one frame."""
    matches = contours.matches[frame]
    shape = (len(matches.camera), 3 * len(body.template))
    if not shape[0]:
        return sp.csr_matrix(shape), np.zeros(0)
    corners = body.faces[matches.face_ids]
    points = body.surface_points(corners, matches.barycentric, state.vertex_offsets)
    posed = body.pose_points_with_derivatives(body.pose_joints(state, frame), state, frame, points, 0.0, False)
    d_error, error = contour_residual(matches, contours.projections, posed.world)
    sigma = contours.sigma[matches.camera]
    robust, _ = geman_mcclure((error / sigma) ** 2, contours.width)
    root = np.sqrt(robust) / sigma
    d_point = np.einsum("n,ni,nij->nj", root, d_error, posed.d_rest)
    values = matches.barycentric[:, :, None] * d_point[:, None]
    columns = 3 * corners[..., None] + np.arange(3)
    rows = np.repeat(np.arange(shape[0]), 9)
    return sp.csr_matrix((values.ravel(), (rows, columns.ravel())), shape=shape), root * error
