"""Free vertex displacements: what the linear model cannot express, taken from the outlines and kept smooth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import cg

from pipeline.mesh.topology import uniform_laplacian
from pipeline.track.rig import Rig, State
from pipeline.track.terms import ContourTerm, contour_residual, geman_mcclure

BEND_M = 3e-4
SIZE_M = 1e-2
"""Standard deviations in metres of the difference of a displacement to its neighbours' mean, and of the displacement itself."""


def fit_offsets(rig: Rig, state: State, outlines: ContourTerm, stiffness: float) -> State:
    """One Gauss-Newton step on the displacements [V, 3] of the rest shape, poses held (Laplacian regularisation: Sorkine et al. 2004).

    Every outline residual is a linear function of the three corners of its face, so the problem is a sparse least-squares one.
    """
    count = len(rig.template)
    rows, right = [], []
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
    return replace(state, offsets=state.offsets + step.reshape(-1, 3))


def _frame_rows(rig: Rig, state: State, outlines: ContourTerm, frame: int) -> tuple[sp.csr_matrix, np.ndarray]:
    rim = outlines.rims[frame]
    shape = (len(rim.camera), 3 * len(rig.template))
    if not shape[0]:
        return sp.csr_matrix(shape), np.zeros(0)
    corners = rig.faces[rim.face_ids]
    points = rig.points(corners, rim.barycentric, state.offsets)
    world, _, _, blend = rig.place_with_jacobian(rig.posed(state, frame), state, frame, points, 0.0, False)
    along, error = contour_residual(rim, outlines.projections, world)
    robust, _ = geman_mcclure((error / outlines.sigma) ** 2, outlines.width)
    root = np.sqrt(robust) / outlines.sigma
    pull = np.einsum("n,ni,nij->nj", root, along, blend)
    values = rim.barycentric[:, :, None] * pull[:, None]
    columns = 3 * corners[..., None] + np.arange(3)
    index = np.repeat(np.arange(shape[0]), 9)
    return sp.csr_matrix((values.ravel(), (index, columns.ravel())), shape=shape), root * error
