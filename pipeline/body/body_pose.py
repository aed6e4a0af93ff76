"""The pose of a body as a value, from tracked frames or from a motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True, eq=False)
class BodyPose:
    """One instant of one body.

    Attributes:
        expression: [E] weights.
        rotations: [J, 3] rotation vectors of the joints about their rest positions, radians; the first joint rotates
            the whole body.
        translation: [3] metres. latents: {name: further per-frame codes of a method}.
    """

    expression: Tensor
    rotations: Tensor
    translation: Tensor
    latents: Mapping[str, Tensor] = field(default_factory=dict)
