"""What every avatar method offers to the training loop, the renderer and the export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn

from pipeline.splat.splats import Splats


class Avatar(Protocol):
    """Something that moves splats.

    Attributes:
        frames: ids of the frames it can show, in time order. splat_count: how many splats there are now.
    """

    frames: tuple[str, ...]
    splat_count: int

    def initialise(self, arrays: Mapping[str, np.ndarray], sh_degree: int | None = None) -> None:
        """Take over what the `init` stage prepared (init.npz), with room for colours of this degree (None: as prepared)."""

    def splats(self, frame: int | Tensor) -> Splats:
        """World-space splats at an instant (index into `frames`, or int64 [] on the avatar's device); differentiable in all parameters and in the rows of that frame."""

    def parameters_by_name(self) -> dict[str, nn.Parameter]:
        """What every training step may move."""

    def tables_by_name(self) -> dict[str, Tensor]:
        """Per-frame values [F, ...], of which a step moves the row of its own frame."""

    def row_gradients(self) -> dict[str, Tensor]:
        """Gradients of the table rows that the frame posed last was made of, by table, after a backward pass; empty where nothing reached them."""

    def regularise(self, weights: Mapping[str, float], thresholds: Mapping[str, float], visible: Tensor) -> dict[str, Tensor]:
        """Weighted extra loss terms of the splats last posed, by name; terms of weight 0 are left out.

        Args:
            visible: bool [N] splats that the drawn view sees.
        """

    def state(self) -> dict[str, Any]:
        """All that training changes, as tensors and plain values."""

    def load(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state`, also where the number of splats differs."""

    def changes(self) -> dict[str, Any]:
        """Facts for the manifest on what training changed besides the splats (JSON)."""

    def export(self) -> dict[str, np.ndarray]:
        """Arrays of avatar.npz, from which `pipeline.avatars.render` makes the avatar again."""
