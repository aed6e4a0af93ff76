"""Normal equations of a damped Gauss-Newton step: a block per frame, temporal coupling or shared unknowns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular


@dataclass
class NormalEquations:
    """`H step = g` of a sum of squares, and its value. Temporal coupling and shared unknowns never occur together.

    Attributes:
        H: [F, P, P] diagonal blocks of the frames. g: [F, P].
        coupling: [F - 1, P] diagonal of minus the block between frames f and f + 1.
        cross: [F, P, S] blocks between frames and shared unknowns, float32; S = 0 without shared unknowns.
        shared: [S, S]. g_shared: [S].
        cost: half the sum of squares.
    """

    H: np.ndarray
    g: np.ndarray
    coupling: np.ndarray
    cross: np.ndarray
    shared: np.ndarray
    g_shared: np.ndarray
    cost: float = 0.0

    @staticmethod
    def zeros(frames: int, size: int, shared: int) -> NormalEquations:
        """The equations of no residual, with F = frames, P = size, S = shared."""
        return NormalEquations(
            H=np.zeros((frames, size, size)),
            g=np.zeros((frames, size)),
            coupling=np.zeros((max(frames - 1, 0), size)),
            cross=np.zeros((frames, size, shared), np.float32),
            shared=np.zeros((shared, shared)),
            g_shared=np.zeros(shared),
        )

    def add_rows(self, frame: int, rows: np.ndarray, error: np.ndarray, shared_rows: np.ndarray) -> None:
        """Add residuals of one frame: rows [N, P] and shared_rows [N, S'] (the first S' shared unknowns), error [N]."""
        size = shared_rows.shape[1]
        self.H[frame] += rows.T @ rows
        self.g[frame] += rows.T @ error
        self.cross[frame][:, :size] += rows.T @ shared_rows
        self.shared[:size, :size] += shared_rows.T @ shared_rows
        self.g_shared[:size] += shared_rows.T @ error

    def add_temporal(self, weight: np.ndarray, difference: np.ndarray) -> None:
        """Add 1/2 weight (x[f+1] - x[f])^2; weight [F-1, P], difference [F-1, P] its present value."""
        diagonal = np.arange(self.g.shape[1])
        self.H[:-1, diagonal, diagonal] += weight
        self.H[1:, diagonal, diagonal] += weight
        self.coupling += weight
        self.g[:-1] += weight * difference
        self.g[1:] -= weight * difference
        self.cost += 0.5 * float((weight * difference**2).sum())

    def add_prior(self, weight: np.ndarray, value: np.ndarray) -> None:
        """Add 1/2 weight value^2 on the unknowns of every frame; weight [P] or [F, P], value [F, P]."""
        diagonal = np.arange(self.g.shape[1])
        self.H[:, diagonal, diagonal] += weight
        self.g -= weight * value
        self.cost += 0.5 * float((weight * value**2).sum())

    def add_shared_prior(self, precision: np.ndarray, value: np.ndarray, first: int) -> None:
        """Add 1/2 value^T precision value on the shared unknowns from index `first`; precision [N, N], value [N]."""
        part = slice(first, first + len(value))
        self.shared[part, part] += precision
        self.g_shared[part] -= precision @ value
        self.cost += 0.5 * float(value @ precision @ value)


def solve(normal: NormalEquations, damping: float, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Step of all unknowns.

    Args:
        damping: Levenberg-Marquardt factor on the diagonal.
        fixed: [F, P] bool, unknowns that do not move (at a bound).

    Returns:
        step per frame [F, P] and of the shared unknowns [S].
    """
    H, diagonal = normal.H.copy(), np.arange(normal.g.shape[1])
    H[:, diagonal, diagonal] *= 1 + damping
    largest = H[:, diagonal, diagonal].max(1, keepdims=True)
    H[:, diagonal, diagonal] += 1e-9 * np.maximum(largest, 1e-9) + np.where(fixed, 1e6 * largest, 0.0)
    g = np.where(fixed, 0.0, normal.g)
    if normal.cross.shape[2]:
        cross = np.where(fixed[..., None], np.float32(0), normal.cross)
        return _solve_arrow(H, g, cross, normal.shared, normal.g_shared, damping)
    return _solve_chain(H, g, normal.coupling), np.zeros(0)


def _solve_chain(H: np.ndarray, g: np.ndarray, coupling: np.ndarray) -> np.ndarray:
    """Block-tridiagonal elimination: H [F, P, P] on the diagonal, minus diagonal matrices `coupling` [F - 1, P] beside it."""
    step = g.copy()
    factors: list[tuple[np.ndarray, bool]] = []
    for f, block in enumerate(H):
        if f:
            weight = coupling[f - 1]
            block = block - weight[:, None] * cho_solve(factors[-1], np.diag(weight), check_finite=False)
            step[f] += weight * step[f - 1]
        factors.append(cho_factor(block, check_finite=False))
        step[f] = cho_solve(factors[-1], step[f], check_finite=False)
    for f in range(len(H) - 2, -1, -1):
        step[f] += cho_solve(factors[f], coupling[f] * step[f + 1], check_finite=False)
    return step


def _solve_arrow(
    H: np.ndarray,
    g: np.ndarray,
    cross: np.ndarray,
    shared: np.ndarray,
    g_shared: np.ndarray,
    damping: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Independent frames with shared unknowns: the frames are eliminated (Schur complement), then substituted back.

    The triangular solves of the cross blocks, which cost the most, are in float32.
    """
    schur, right = shared + damping * np.diag(np.diagonal(shared)), g_shared.copy()
    frames: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for block, frame_g, frame_cross in zip(H, g, cross):
        L = np.linalg.cholesky(block)
        frame_cross = solve_triangular(L.astype(np.float32), frame_cross, lower=True, check_finite=False)
        frame_g = solve_triangular(L, frame_g, lower=True, check_finite=False)
        schur -= frame_cross.T @ frame_cross
        right -= frame_cross.T @ frame_g
        frames.append((L, frame_g, frame_cross))
    regularised = schur + 1e-7 * np.diag(np.diagonal(shared))
    step = cho_solve(cho_factor(regularised, check_finite=False), right)
    frame_steps = [solve_triangular(L, frame_g - frame_cross @ step, lower=True, trans=1, check_finite=False) for L, frame_g, frame_cross in frames]
    return np.array(frame_steps), step
