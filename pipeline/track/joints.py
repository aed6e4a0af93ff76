"""The free joints of a fit and the priors of their angles.

The joint names are those of Anny (anny_head, anny_body) and of common rigs; the angles are set by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch

import numpy as np

from pipeline.body.model import ParametricModel
from pipeline.geometry.rotations import rotvec_to_matrix
from pipeline.track.gauss_newton_body import GaussNewtonBody

ARM_LOWERING = 0.75  # rotation of the arms in the expected pose of a head capture, as a fraction of that to the vertical


@dataclass(frozen=True)
class FreeJoint:
    """Joints whose name matches `pattern`.

    Attributes:
        sigma: standard deviation of their angle, degrees.
        change_sigma: standard deviation of its change in 1/30 s, degrees.
    """

    pattern: str
    sigma: float
    change_sigma: float


HEAD = (
    FreeJoint("neck01", 2, 1),
    FreeJoint("neck02", 2, 1),
    FreeJoint("neck", 15, 2),
    FreeJoint("head", 5, 2),
    FreeJoint("jaw", 15, 5),
    FreeJoint("eye.?", 12, 8),
    FreeJoint("*_eye", 12, 8),
    FreeJoint("clavicle.?", 1, 0.5),
    FreeJoint("upperarm01.?", 3, 0.5),
)
BODY = (
    FreeJoint("upperleg01.?", 35, 5),
    FreeJoint("lowerleg01.?", 40, 6),
    FreeJoint("foot.?", 25, 6),
    FreeJoint("spine0[1-5]", 7, 2),
    FreeJoint("clavicle.?", 8, 3),
    FreeJoint("upperarm01.?", 40, 6),
    FreeJoint("lowerarm01.?", 40, 6),
    FreeJoint("wrist.?", 12, 5),
    FreeJoint("neck01", 10, 3),
    FreeJoint("neck03", 10, 3),
    FreeJoint("head", 12, 3),
    FreeJoint("jaw", 15, 5),
)
OTHER_SIGMA, OTHER_CHANGE_SIGMA = 20, 4  # of joints whose name matches no pattern


def free_joints(model: ParametricModel, kind: str) -> list[str]:
    """Names of the free joints of a model (kind "head" or "body"); all joints where no name matches a pattern."""
    table = _table(kind)
    known = [name for name in model.joint_names if _match(name, table) is not None]
    if "jawOpen" in model.expression_names:  # expressions open the mouth: a free jaw would be ambiguous
        known = [name for name in known if name != "jaw"]
    return known or list(model.joint_names)


def joint_precisions(names: tuple[str, ...], kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Precisions [A], 1/rad^2, of the free joints' angles (0 for the root, the first) and of their change per frame."""
    table = _table(kind)
    joints = [_match(name, table) or FreeJoint(name, OTHER_SIGMA, OTHER_CHANGE_SIGMA) for name in names]
    angle = np.deg2rad([joint.sigma for joint in joints]) ** -2.0
    change = np.deg2rad([joint.change_sigma for joint in joints]) ** -2.0
    angle[0] = 0.0
    return angle, change


def expected_rotations(body: GaussNewtonBody, kind: str) -> np.ndarray:
    """[A, 3, 3] means of the pose prior: at rest, but with the arms hanging in head captures (rest poses spread them).

    The arms are lowered sideways by ARM_LOWERING of their angle with the direction from the head to between the
    shoulders: no axis of the model is assumed.
    """
    rotations = np.tile(np.eye(3), (len(body.names), 1, 1))
    arms = [number for number, name in enumerate(body.names) if fnmatch(name, "upperarm01.?")]
    if kind != "head" or len(arms) != 2 or "head" not in body.names:
        return rotations
    across = body.joints[arms[0]] - body.joints[arms[1]]
    across /= np.linalg.norm(across)
    down = body.joints[arms].mean(0) - body.joints[body.names.index("head")]
    down -= (down @ across) * across
    down /= np.linalg.norm(down)
    for number, side in zip(arms, (across, -across)):
        arm = np.average(body.template, axis=0, weights=body.weights[:, number]) - body.joints[number]
        angle = np.arctan2(arm @ side, arm @ down)
        rotations[number] = rotvec_to_matrix(ARM_LOWERING * angle * np.cross(side, down))
    return rotations


def above_shoulders(body: GaussNewtonBody) -> np.ndarray:
    """[V] bool: vertices that mostly follow neck, head, jaw or eyes; all vertices where no joint has such a name."""
    matches = [name.startswith(("neck", "head", "jaw", "eye")) or name.endswith("_eye") for name in body.names]
    return body.weights[:, matches].sum(1) >= 0.5 if any(matches) else np.ones(len(body.weights), bool)


def _table(kind: str) -> tuple[FreeJoint, ...]:
    return HEAD if kind == "head" else BODY


def _match(name: str, table: tuple[FreeJoint, ...]) -> FreeJoint | None:
    return next((joint for joint in table if fnmatch(name, joint.pattern)), None)
