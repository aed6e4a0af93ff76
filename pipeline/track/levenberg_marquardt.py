"""The loop that moves a state downhill."""

from __future__ import annotations

import numpy as np

from pipeline.track.gauss_newton_body import Rig, State
from pipeline.track.residuals import Priors
from pipeline.track.solver import Normal, solve


def optimise(rig: Rig, state: State, terms: list, priors: Priors, iterations: int, *, shared: bool, tolerance: float = 1e-3) -> tuple[State, list[float]]:
    """Levenberg-Marquardt on all frames at once; with `shared`, identity and landmark shifts move too.

    Stops after `iterations` or when the cost falls by less than `tolerance` of itself.

    Returns:
        the best state, and the cost after every accepted step.
    """
    damping, costs, best, normal = 1e-3, [], state, None
    for _ in range(iterations + 1):
        trial = _assemble(rig, state, terms, priors, shared)
        if not costs or trial.cost < costs[-1]:
            settled = bool(costs) and costs[-1] - trial.cost < tolerance * costs[-1]
            best, normal = state, trial
            costs.append(trial.cost)
            damping = max(damping / 5, 1e-6)
            if settled:
                break
        else:
            damping *= 20
            if damping > 1e4:
                break
        state = _step(rig, best, normal, damping)
    return best, costs


def _assemble(rig: Rig, state: State, terms: list, priors: Priors, shared: bool) -> Normal:
    normal = Normal.zeros(state.frames, rig.frame_size, rig.identity_size + state.shift.size if shared else 0)
    for term in terms:
        for frame in range(state.frames):
            term.add(normal, rig, state, frame, shared)
    priors.add(normal, state, shared)
    return normal


def _step(rig: Rig, state: State, normal: Normal, damping: float) -> State:
    """A projected step: expressions at a bound that the gradient pushes further out stay there."""
    face = 3 * len(rig.names) + 3
    held = np.zeros(normal.g.shape, bool)
    held[:, face:] = ((state.expression <= 0) & (normal.g[:, face:] < 0)) | ((state.expression >= 1) & (normal.g[:, face:] > 0))
    own, shared = solve(normal, damping, held)
    size = rig.identity_size
    if not len(shared):
        return state.moved(own, np.zeros(size), np.zeros(state.shift.size))
    return state.moved(own, shared[:size], shared[size:])
