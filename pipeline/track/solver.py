"""The linear algebra of a damped Gauss-Newton step: blocks per frame, either chained in time or leaning on unknowns that all frames share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular


@dataclass
class Normal:
    """Normal equations `H step = g` of a sum of squares, plus its value.

    Attributes:
        H: [F, P, P] per frame. g: [F, P]. coupling: [F - 1, P] weight that ties the unknowns of frame f and f + 1 (its share of H is added by `tie`).
        mixed: [F, P, S], shared: [S, S], g_shared: [S]; S = 0 when nothing shared is free. Ties in time and shared unknowns are never free together. cost: half the sum of squares.
    """

    H: np.ndarray
    g: np.ndarray
    coupling: np.ndarray
    mixed: np.ndarray
    shared: np.ndarray
    g_shared: np.ndarray
    cost: float = 0.0

    @staticmethod
    def zeros(frames: int, size: int, shared: int) -> Normal:
        return Normal(
            np.zeros((frames, size, size)), np.zeros((frames, size)), np.zeros((max(frames - 1, 0), size)),
            np.zeros((frames, size, shared), np.float32), np.zeros((shared, shared)), np.zeros(shared),
        )  # fmt: skip

    def tie(self, weight: np.ndarray, difference: np.ndarray) -> None:
        """Add 1/2 weight (x[f+1] - x[f])^2; weight [F-1, P], difference [F-1, P] its present value."""
        span = np.arange(self.g.shape[1])
        self.H[:-1, span, span] += weight
        self.H[1:, span, span] += weight
        self.coupling += weight
        self.g[:-1] += weight * difference
        self.g[1:] -= weight * difference
        self.cost += 0.5 * float((weight * difference**2).sum())

    def pull(self, weight: np.ndarray, value: np.ndarray) -> None:
        """Add 1/2 weight value^2 on unknowns of every frame; weight [P] or [F, P], value [F, P]."""
        span = np.arange(self.g.shape[1])
        self.H[:, span, span] += weight
        self.g -= weight * value
        self.cost += 0.5 * float((weight * value**2).sum())

    def pull_shared(self, precision: np.ndarray, value: np.ndarray, first: int) -> None:
        """Add 1/2 value^T precision value on the shared unknowns from number `first` on; precision [N, N], value [N]."""
        part = slice(first, first + len(value))
        self.shared[part, part] += precision
        self.g_shared[part] -= precision @ value
        self.cost += 0.5 * float(value @ precision @ value)


def solve(normal: Normal, damping: float, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Step of all unknowns.

    Args:
        damping: Levenberg-Marquardt factor on the diagonal. held: [F, P] bool, unknowns that stay where they are (at a bound).

    Returns:
        step per frame [F, P], step of the shared unknowns [S].
    """
    H, span = normal.H.copy(), np.arange(normal.g.shape[1])
    H[:, span, span] *= 1 + damping
    largest = H[:, span, span].max(1, keepdims=True)
    H[:, span, span] += 1e-9 * np.maximum(largest, 1e-9) + np.where(held, 1e6 * largest, 0.0)
    g = np.where(held, 0.0, normal.g)
    if normal.mixed.shape[2]:
        return _solve_arrow(H, g, np.where(held[..., None], np.float32(0), normal.mixed), normal.shared, normal.g_shared, damping)
    return _solve_chain(H, g, normal.coupling), np.zeros(0)


def _solve_chain(H: np.ndarray, g: np.ndarray, coupling: np.ndarray) -> np.ndarray:
    """Block-tridiagonal elimination: H [F, P, P] on the diagonal, minus the diagonal matrices `coupling` [F - 1, P] beside it."""
    step, factors = g.copy(), []
    for f, block in enumerate(H):
        if f:
            tie = coupling[f - 1]
            block = block - tie[:, None] * cho_solve(factors[-1], np.diag(tie), check_finite=False)
            step[f] += tie * step[f - 1]
        factors.append(cho_factor(block, check_finite=False))
        step[f] = cho_solve(factors[-1], step[f], check_finite=False)
    for f in range(len(H) - 2, -1, -1):
        step[f] += cho_solve(factors[f], coupling[f] * step[f + 1], check_finite=False)
    return step


def _solve_arrow(H: np.ndarray, g: np.ndarray, mixed: np.ndarray, shared: np.ndarray, g_shared: np.ndarray, damping: float) -> tuple[np.ndarray, np.ndarray]:
    """Frames that do not touch each other, eliminated one by one (Schur complement), then the shared unknowns, then the frames."""
    S, right = shared + damping * np.diag(np.diagonal(shared)), g_shared.copy()
    factors, leans, owns = [], [], []
    for block, own, lean in zip(H, g, mixed):
        L = np.linalg.cholesky(block)
        lean = solve_triangular(L.astype(np.float32), lean, lower=True, check_finite=False)
        own = solve_triangular(L, own, lower=True, check_finite=False)
        S -= lean.T @ lean
        right -= lean.T @ own
        factors.append(L)
        leans.append(lean)
        owns.append(own)
    step = cho_solve(cho_factor(S + 1e-7 * np.diag(np.diagonal(shared)), check_finite=False), right)
    back = [solve_triangular(L, own - lean @ step, lower=True, trans=1, check_finite=False) for L, own, lean in zip(factors, owns, leans)]
    return np.array(back), step
