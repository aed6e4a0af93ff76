"""Damped Gauss-Newton on an arrow: blocks per frame, chained in time, all leaning on the unknowns that frames share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve


@dataclass
class Normal:
    """Normal equations `H step = g` of a sum of squares, plus its value.

    Attributes:
        H: [F, P, P] per frame. g: [F, P]. coupling: [F - 1, P] weight that ties the unknowns of frame f and f + 1 (its share of H is added by `tie`).
        mixed: [F, P, S], shared: [S, S], g_shared: [S]; S = 0 when nothing shared is free. cost: half the sum of squares.
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

    def pull_shared(self, weight: np.ndarray, value: np.ndarray) -> None:
        """As `pull` for the shared unknowns; weight, value [S]."""
        span = np.arange(len(self.g_shared))
        self.shared[span, span] += weight
        self.g_shared -= weight * value
        self.cost += 0.5 * float((weight * value**2).sum())


def solve(normal: Normal, damping: float, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Step of all unknowns: block-tridiagonal elimination of the frames, then the Schur complement of the shared unknowns.

    Args:
        damping: Levenberg-Marquardt factor on the diagonal. held: [F, P] bool, unknowns that stay where they are (at a bound).

    Returns:
        step per frame [F, P], step of the shared unknowns [S].
    """
    frames, size = normal.g.shape
    span = np.arange(size)
    H = normal.H.copy()
    H[:, span, span] *= 1 + damping
    H[:, span, span] += 1e-9 * np.maximum(H[:, span, span].max(1, keepdims=True), 1e-9)
    H[:, span, span] += np.where(held, 1e6 * H[:, span, span].max(1, keepdims=True), 0.0)
    right = np.concatenate([np.where(held, 0.0, normal.g)[..., None], np.where(held[..., None], 0.0, normal.mixed)], 2)
    factors = []
    for f in range(frames):
        block = H[f]
        if f:
            tie = normal.coupling[f - 1]
            block = block - tie[:, None] * cho_solve(factors[-1], np.diag(tie))
            right[f] += tie[:, None] * solved
        factors.append(cho_factor(block, check_finite=False))
        solved = cho_solve(factors[-1], right[f])
        right[f] = solved
    for f in range(frames - 2, -1, -1):
        right[f] += cho_solve(factors[f], normal.coupling[f][:, None] * right[f + 1])
    own, lean = right[..., 0], right[..., 1:]
    shared = np.zeros(0)
    if lean.shape[2]:
        mixed = normal.mixed.reshape(frames * size, -1).astype(np.float64)
        S = normal.shared - mixed.T @ lean.reshape(frames * size, -1)
        S[np.diag_indices_from(S)] += damping * np.diagonal(normal.shared) + 1e-9 * np.diagonal(normal.shared).max()
        shared = cho_solve(cho_factor(S, check_finite=False), normal.g_shared - mixed.T @ own.ravel())
        own = own - lean @ shared
    return own, shared
