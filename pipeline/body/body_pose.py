"""A pose of a body as a value: tracked frames are one source of it, motions another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True, eq=False)
class BodyPose:
    """One instant of one body.

    Attributes:
        expression: [E] weights. rotations: [J, 3] axis-angle of every joint about its rest position, radians; the first joint turns the whole body.
        translation: [3] metres. latents: further per-instant codes of a method, by name.
    """

    expression: Tensor
    rotations: Tensor
    translation: Tensor
    latents: Mapping[str, Tensor] = field(default_factory=dict)
