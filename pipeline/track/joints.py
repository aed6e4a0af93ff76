"""Which joints are free and how far they may be expected to turn."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch

import numpy as np

from pipeline.geometry.rotations import rotvec_to_matrix

HANGING = 0.75


@dataclass(frozen=True)
class FreeJoint:
    """Joints whose name fits `pattern`: standard deviation in degrees of their angle, and of its change from one frame to the next (30 frames a second)."""

    pattern: str
    spread: float
    change: float


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


def free_joints(model, kind: str) -> list[str]:  # noqa: ANN001
    """Names of the free joints of a model ("head" or "body"); all of them where none has a name we know."""
    table = HEAD if kind == "head" else BODY
    known = [name for name in model.joint_names if _find(name, table) is not None]
    if "jawOpen" in model.expression_names:  # expressions move the mouth already: a jaw that turns as well could not be told from them
        known = [name for name in known if name != "jaw"]
    return known or list(model.joint_names)


def precisions(names: tuple[str, ...], kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Of each joint of a reduced rig: 1/rad^2 of its angle (0 for the root, the first) and of its change per frame."""
    table = HEAD if kind == "head" else BODY
    found = [_find(name, table) or FreeJoint(name, 20, 4) for name in names]
    spread, change = (np.deg2rad([getattr(joint, key) for joint in found]) ** -2.0 for key in ("spread", "change"))
    spread[0] = 0.0
    return spread, change


def resting(rig, kind: str) -> np.ndarray:  # noqa: ANN001
    """[A, 3, 3] local rotations in which the person is expected: at rest, but for a head capture with the arms hanging (a model's rest pose spreads them).

    The arms are lowered sideways by HANGING of their angle with the direction from the head to between the shoulders: no axis of the model is assumed.
    """
    rotations = np.tile(np.eye(3), (len(rig.names), 1, 1))
    arms = [number for number, name in enumerate(rig.names) if fnmatch(name, "upperarm01.?")]
    if kind != "head" or len(arms) != 2 or "head" not in rig.names:
        return rotations
    across = rig.joints[arms[0]] - rig.joints[arms[1]]
    across /= np.linalg.norm(across)
    down = rig.joints[arms].mean(0) - rig.joints[rig.names.index("head")]
    down -= (down @ across) * across
    down /= np.linalg.norm(down)
    for number, side in zip(arms, (across, -across)):
        arm = np.average(rig.template, axis=0, weights=rig.weights[:, number]) - rig.joints[number]
        angle = np.arctan2(arm @ side, arm @ down)
        rotations[number] = rotvec_to_matrix(HANGING * angle * np.cross(side, down))
    return rotations


def above_shoulders(rig) -> np.ndarray:  # noqa: ANN001
    """[V] bool: vertices that mostly follow the neck, the head or what hangs on it; all of a rig whose joints have none of these names."""
    named = [name.startswith(("neck", "head", "jaw", "eye")) or name.endswith("_eye") for name in rig.names]
    return rig.weights[:, named].sum(1) >= 0.5 if any(named) else np.ones(len(rig.weights), bool)


def _find(name: str, table: tuple[FreeJoint, ...]) -> FreeJoint | None:
    return next((joint for joint in table if fnmatch(name, joint.pattern)), None)
