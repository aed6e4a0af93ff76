"""What the fit needs to know of a model beside its arrays; kept in the model's file under `facts.traits`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from pipeline.io.errors import MALFORMED

KINDS = ("head", "body")
COMPONENT = "expression_"  # how the names of expressions begin that are numbered components of a model's basis, without a meaning of their own
OTHER_SIGMA, OTHER_CHANGE_SIGMA = 20.0, 4.0  # of joints of a model that names none


@dataclass(frozen=True)
class Traits:
    """Traits of a parametric model.

    Attributes:
        kind: "head" or "body": what it models, and the captures for which captures.tsv takes it by name.
        up, front: unit vectors in the model's axes: towards the top of the head, and where the face looks.
        bounded: expression coefficients are weights from 0 to 1; else they are components of unit variance.
        roles: what joints are, as far as the model has them: head, jaw, eye_left, eye_right, upperarm_left, ... (see bake/pose_table.py) -> joint.
        free: kind of a capture -> joint that is free in the fit -> standard deviations of its angle and of its change in 1/30 s, degrees.
        upper: joints from the neck upwards.
    """

    kind: str = "head"
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)
    front: tuple[float, float, float] = (0.0, -1.0, 0.0)
    bounded: bool = True
    roles: Mapping[str, str] = field(default_factory=dict)
    free: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    upper: tuple[str, ...] = ()

    @property
    def axes(self) -> np.ndarray:
        """[3, 3] rows: the body's left, up and front in the model's axes."""
        return np.array([np.cross(self.up, self.front), self.up, self.front])

    def sigmas(self, kind: str, joint: str) -> tuple[float, float]:
        """Standard deviations of a free joint's angle and of its change in 1/30 s, degrees."""
        return self.free.get(kind, {}).get(joint, (OTHER_SIGMA, OTHER_CHANGE_SIGMA))

    def to_json(self) -> dict[str, Any]:
        """For `facts`."""
        return asdict(self)

    @staticmethod
    def of(value: Any) -> Traits:
        """The inverse of `to_json`; the default for None. Raises ValueError where a value is not as expected."""
        if value is None:
            return Traits()
        try:
            axes = {name: tuple(float(x) for x in value[name]) for name in ("up", "front")}
            free = {kind: {str(joint): (float(a), float(b)) for joint, (a, b) in joints.items()} for kind, joints in value["free"].items()}
            roles = {str(role): str(joint) for role, joint in value["roles"].items()}
            made = Traits(str(value["kind"]), **axes, bounded=bool(value["bounded"]), roles=roles, free=free, upper=tuple(map(str, value["upper"])))  # type: ignore[arg-type]
            straight = np.allclose(made.axes @ made.axes.T, np.eye(3), atol=1e-6)
        except MALFORMED as error:
            raise ValueError(f"traits: {type(error).__name__}: {error}") from None
        if made.kind not in KINDS or not set(free) <= {*KINDS} or not straight:
            raise ValueError(f"traits of kind {made.kind!r}, up {made.up}, front {made.front}")
        if not all(0 < sigma < 1e4 for joints in free.values() for pair in joints.values() for sigma in pair):
            raise ValueError("traits: standard deviations of joints that are not positive")
        return made


def component_names(count: int) -> tuple[str, ...]:
    """Names of expressions that are components of a basis."""
    return tuple(f"{COMPONENT}{number:03d}" for number in range(count))
