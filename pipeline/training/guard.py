"""Whether training steps are valid, decided on the device: a step that is not changes nothing, nor do the steps after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pipeline.machine.backend import backend_of
from pipeline.splat.gpu.workspace import Workspace


@dataclass(frozen=True)
class Poll:
    """steps: how many steps since the last poll are valid. failure: why the one after them was not; "" where all are."""

    steps: int
    failure: Literal["", "overflow", "nonfinite"]


class StepGuard:
    """Notes the first step whose drawing buffers overflowed or whose loss is not finite; the host asks now and then.

    Attributes:
        invalid: float32 [], 1 where a step must change nothing. steps: float32 [], valid steps since the last poll, this one included. workspace: room for drawing on a GPU, None elsewhere.
    """

    def __init__(self, device: torch.device):
        self.workspace = Workspace(device) if device.type == "cuda" else None
        self._state = torch.zeros(3, device=device)  # invalid, not finite, valid steps
        self._never = torch.zeros(1, dtype=torch.int32, device=device)
        self.invalid, self.steps = self._state[0], self._state[2]

    @property
    def capacity(self) -> int:
        """Pairs of splat and tile that there is room for; 0 on the CPU, which makes room as it goes."""
        return self.workspace.capacity if self.workspace else 0

    def record(self, values: Tensor, sums: Tensor) -> None:
        """In a step, after everything was drawn.

        Args:
            values: [K] what must be finite, without gradient. sums: [L <= K], the first L values of valid steps are added to it.
        """
        overflowed = self.workspace.overflowed if self.workspace else self._never
        if backend_of(values) == "gpu":
            from pipeline.training.guard_gpu import record

            record(values, overflowed, self._state, sums)
        else:
            record_reference(values, overflowed, self._state, sums)

    def poll(self) -> Poll:
        """Look at the steps since the last poll; after an overflow there is room for more. Waits for the GPU."""
        invalid, _, steps = (int(x) for x in self._state.tolist())
        self._state.zero_()
        if not invalid:
            return Poll(steps, "")
        if self.workspace and int(self.workspace.overflowed):  # what was drawn without enough room has no meaning, its loss neither
            self.workspace.grow()
            return Poll(steps, "overflow")
        return Poll(steps, "nonfinite")


def record_reference(values: Tensor, overflowed: Tensor, state: Tensor, sums: Tensor) -> None:
    """`StepGuard.record` in plain torch. overflowed: int32 [1]. state: float32 [3] = invalid, not finite, valid steps."""
    nonfinite = torch.maximum(state[1], (~values.isfinite()).any().float() * (1 - state[0]))
    invalid = torch.maximum(torch.maximum(state[0], nonfinite), overflowed[0].float())
    sums += torch.where(invalid > 0, 0.0, values[: len(sums)])
    state.copy_(torch.stack([invalid, nonfinite, state[2] + 1 - invalid]))
