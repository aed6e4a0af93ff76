"""Free vertex displacements: what the linear model cannot express, taken from outlines and landmarks and kept smooth."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import cg

from pipeline.mesh.topology import uniform_laplacian
from pipeline.track.gauss_newton_body import Rig, State
from pipeline.track.landmarks import Landmarks
from pipeline.track.residuals import ContourTerm, LandmarkTerm, contour_residual, geman_mcclure, project_with_jacobian

BEND_M = 4e-4
SIZE_M = 1e-2
"""Standard deviations in metres of the difference of a displacement to its neighbours' mean, and of the displacement itself."""


def fit_offsets(rig: Rig, state: State, outlines: ContourTerm, term: LandmarkTerm, landmarks: Landmarks, spread: float, stiffness: float) -> np.ndarray:
    """The displacements [V, 3] of the rest shape after one Gauss-Newton step, poses held (Laplacian regularisation: Sorkine et al. 2004).

    Every outline residual is a linear function of the three corners of its face, and each landmark pulls its place on the skin towards where all frames
    together see it, as one observation with standard deviation `spread` (metres): frames repeat a detector's error, so they do not add up.
    """
    count = len(rig.template)
    rows, right = _landmark_rows(rig, state, term, landmarks, spread)
    for frame in range(state.frames):
        block, error = _frame_rows(rig, state, outlines, frame)
        rows.append(block)
        right.append(error)
    A, e = sp.vstack(rows).tocsr(), np.concatenate(right)
    laplacian = sp.kron(uniform_laplacian(rig.faces, count), sp.identity(3))
    smooth = stiffness * (laplacian.T @ laplacian / BEND_M**2 + sp.identity(3 * count) / SIZE_M**2)
    H = (A.T @ A + smooth).tocsr()
    g = A.T @ e - smooth @ state.offsets.ravel()
    step, _ = cg(H, g, rtol=1e-4, maxiter=400, M=sp.diags(1 / H.diagonal()))
    return state.offsets + step.reshape(-1, 3)


def _landmark_rows(rig: Rig, state: State, term: LandmarkTerm, landmarks: Landmarks, spread: float) -> tuple[list, list]:
    moves, known = seen_shift(rig, state, term)
    weight, _ = geman_mcclure((moves**2).sum(1) / spread**2, 3.0)
    root = np.sqrt(weight) * known / spread
    values = (landmarks.weights * root[:, None])[..., None] * np.eye(3)[:, None, None]  # [xyz, L, M, xyz]
    columns = np.broadcast_to(3 * landmarks.vertices[..., None] + np.arange(3), values.shape)
    index = np.broadcast_to(np.arange(3)[:, None, None, None] * len(root) + np.arange(len(root))[:, None, None], values.shape)
    A = sp.csr_matrix((values.ravel(), (index.ravel(), columns.ravel())), shape=(3 * len(root), 3 * len(rig.template)))
    return [A], [(moves * root[:, None]).T.ravel()]


def seen_shift(rig: Rig, state: State, term: LandmarkTerm) -> tuple[np.ndarray, np.ndarray]:
    """How far each landmark [L, 3] would have to move at rest to lie, over all frames, where the cameras see it, and which [L] are seen well enough."""
    H, g = np.zeros((len(state.shift), 3, 3)), np.zeros((len(state.shift), 3, 1))
    for frame in range(state.frames):
        world, _, _, blend = rig.place_with_jacobian(rig.posed(state, frame), state, frame, term.points, 0.0, False)
        pixel, d_pixel = project_with_jacobian(term.projections[:, None], world[None])
        J = d_pixel @ blend
        weighted = J.swapaxes(-1, -2) * term.weight[frame][..., None, None]
        H += (weighted @ J).sum(0)
        g += (weighted @ (term.observed[frame] - pixel)[..., None]).sum(0)
    trace = np.trace(H, axis1=1, axis2=2)
    moves = np.linalg.solve(H + (1e-3 * trace[:, None, None] + 1e-6) * np.eye(3), g)[..., 0]
    return moves, trace > 1e-3 * trace.max()


def _frame_rows(rig: Rig, state: State, outlines: ContourTerm, frame: int) -> tuple[sp.csr_matrix, np.ndarray]:
    rim = outlines.rims[frame]
    shape = (len(rim.camera), 3 * len(rig.template))
    if not shape[0]:
        return sp.csr_matrix(shape), np.zeros(0)
    corners = rig.faces[rim.face_ids]
    points = rig.points(corners, rim.barycentric, state.offsets)
    world, _, _, blend = rig.place_with_jacobian(rig.posed(state, frame), state, frame, points, 0.0, False)
    along, error = contour_residual(rim, outlines.projections, world)
    sigma = outlines.sigma[rim.camera]
    robust, _ = geman_mcclure((error / sigma) ** 2, outlines.width)
    root = np.sqrt(robust) / sigma
    pull = np.einsum("n,ni,nij->nj", root, along, blend)
    values = rim.barycentric[:, :, None] * pull[:, None]
    columns = 3 * corners[..., None] + np.arange(3)
    index = np.repeat(np.arange(shape[0]), 9)
    return sp.csr_matrix((values.ravel(), (index, columns.ravel())), shape=shape), root * error
