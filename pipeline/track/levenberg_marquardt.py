"""Levenberg-Marquardt optimisation of a state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from pipeline.track.gauss_newton_body import GaussNewtonBody
from pipeline.track.normal_equations import NormalEquations, solve
from pipeline.track.priors import Priors
from pipeline.track.state import State

INITIAL_DAMPING, LARGEST_DAMPING, SMALLEST_DAMPING = 2e-4, 1e4, 1e-6
DECREASE, INCREASE = 5.0, 20.0  # of the damping, after an accepted and after a rejected step


class Term(Protocol):
    """A residual term of the cost."""

    def add(self, normal: NormalEquations, body: GaussNewtonBody, state: State, frame: int, shared: bool) -> None:
        """Add the residuals of one frame. shared: with derivatives with respect to identity and landmark offsets."""
        ...


def optimise(
    body: GaussNewtonBody,
    state: State,
    terms: Sequence[Term],
    priors: Priors,
    iterations: int,
    *,
    shared: bool,
    tolerance: float = 1e-3,
) -> tuple[State, list[float]]:
    """Optimise all frames at once; with `shared`, also identity and landmark offsets.

    Stops after `iterations` or when the cost decreases by less than `tolerance` of itself.

    Returns:
        the best state, and the cost before the first and after every accepted step.
    """
    normal = _assemble(body, state, terms, priors, shared)
    best, costs, damping = state, [normal.cost], INITIAL_DAMPING
    for _ in range(iterations):
        state = _step(body, best, normal, damping)
        trial = _assemble(body, state, terms, priors, shared)
        if trial.cost < costs[-1]:
            converged = costs[-1] - trial.cost < tolerance * costs[-1]
            best, normal = state, trial
            costs.append(trial.cost)
            damping = max(damping / DECREASE, SMALLEST_DAMPING)
            if converged:
                break
        else:
            damping *= INCREASE
            if damping > LARGEST_DAMPING:
                break
    return best, costs


def _assemble(
    body: GaussNewtonBody,
    state: State,
    terms: Sequence[Term],
    priors: Priors,
    shared: bool,
) -> NormalEquations:
    shared_size = body.identity_size + state.landmark_offsets.size if shared else 0
    normal = NormalEquations.zeros(state.frames, body.frame_size, shared_size)
    for term in terms:
        for frame in range(state.frames):
            term.add(normal, body, state, frame, shared)
    priors.add(normal, state, shared)
    return normal


def _step(body: GaussNewtonBody, state: State, normal: NormalEquations, damping: float) -> State:
    """A projected step: expressions at a bound that the gradient pushes outwards do not move."""
    first = 3 * len(body.names) + 3
    g = normal.g[:, first:]
    fixed = np.zeros(normal.g.shape, bool)
    low, high = state.bounds
    fixed[:, first:] = ((state.expression <= low) & (g < 0)) | ((state.expression >= high) & (g > 0))
    frame_step, shared_step = solve(normal, damping, fixed)
    size = body.identity_size
    if not len(shared_step):
        return state.updated(frame_step, np.zeros(size), np.zeros(state.landmark_offsets.size))
    return state.updated(frame_step, shared_step[:size], shared_step[size:])
