"""The free joints of a fit and the priors of their angles, from the traits of the model."""

from __future__ import annotations

import numpy as np

from pipeline.body.model import ParametricModel
from pipeline.body.traits import Traits
from pipeline.geometry.rotations import rotvec_to_matrix
from pipeline.track.gauss_newton_body import GaussNewtonBody

ARM_LOWERING = 0.75  # rotation of the arms in the expected pose of a head capture, as a fraction of that to the vertical


def free_joints(model: ParametricModel, kind: str) -> list[str]:
    """Names of the free joints of a model in captures of a kind ("head" or "body"); all joints where the model names none."""
    return list(model.traits.free.get(kind, ())) or list(model.joint_names)


def joint_precisions(traits: Traits, names: tuple[str, ...], kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Precisions [A], 1/rad^2, of the free joints' angles (0 for the root, the first) and of their change per frame."""
    angle, change = (np.deg2rad(sigmas) ** -2.0 for sigmas in zip(*(traits.sigmas(kind, name) for name in names)))
    angle[0] = 0.0
    return angle, change


def expected_rotations(body: GaussNewtonBody, traits: Traits, kind: str) -> np.ndarray:
    """[A, 3, 3] means of the pose prior: at rest, but with the arms hanging in head captures (rest poses spread them).

    The arms are lowered sideways by ARM_LOWERING of their angle with the direction from the head to between the shoulders.
    """
    rotations = np.tile(np.eye(3), (len(body.names), 1, 1))
    arms = [body.names.index(name) for side in ("left", "right") if (name := traits.roles.get(f"upperarm_{side}")) in body.names]
    head = traits.roles.get("head")
    if kind != "head" or len(arms) != 2 or head not in body.names:
        return rotations
    across = body.joints[arms[0]] - body.joints[arms[1]]
    across /= np.linalg.norm(across)
    down = body.joints[arms].mean(0) - body.joints[body.names.index(head)]
    down -= (down @ across) * across
    down /= np.linalg.norm(down)
    for number, side in zip(arms, (across, -across)):
        arm = np.average(body.template, axis=0, weights=body.weights[:, number]) - body.joints[number]
        angle = np.arctan2(arm @ side, arm @ down)
        rotations[number] = rotvec_to_matrix(ARM_LOWERING * angle * np.cross(side, down))
    return rotations


def above_shoulders(body: GaussNewtonBody, traits: Traits) -> np.ndarray:
    """[V] bool: vertices that mostly follow joints from the neck upwards; all vertices of a model that names none."""
    matches = np.isin(body.names, traits.upper)
    return body.weights[:, matches].sum(1) >= 0.5 if matches.any() else np.ones(len(body.weights), bool)
