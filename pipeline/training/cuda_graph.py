"""A training step as one CUDA graph: the GPU then works without waiting for Python, and Python learns later whether its buffers sufficed."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import torch

from pipeline.splat.gpu.workspace import Workspace


class Replay:
    """Runs a step that has no host decisions in it. What it returns are the same tensors each time.

    For every new `key` (whatever changes what the step launches: number of splats, SH degree, buffers) the first step runs eagerly, which compiles kernels and
    makes the optimiser's state; the second is captured; from then on the graph is replayed. Both do the same work in the same order, so
    that it does not show in the results.
    """

    def __init__(self, step: Callable[[], None], device: torch.device, enabled: bool = True):
        self._step = step
        self._stream = torch.cuda.Stream(device) if enabled and device.type == "cuda" else None
        self._key: Hashable = None
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, key: Hashable) -> None:
        """Do one step."""
        if self._stream is None:
            self._step()
            return
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            if key != self._key:
                self._key, self._graph = key, None
                self._step()
            else:
                if self._graph is None:
                    self._graph = torch.cuda.CUDAGraph()
                    with torch.cuda.graph(self._graph, stream=self._stream):
                        self._step()
                self._graph.replay()
        torch.cuda.current_stream().wait_stream(self._stream)


class Room:
    """Whether the drawing buffers of the steps since the last `check` sufficed.

    From the first step that lacked room on every step is to change nothing, until the host has made room.

    Attributes:
        lacking: float32 [], 1 where a step is to change nothing. counts: its opposite.
    """

    def __init__(self, device: torch.device):
        self.workspace = Workspace(device) if device.type == "cuda" else None
        self.lacking, self.counts = torch.zeros((), device=device), torch.ones((), device=device)
        self._one, self._done = torch.ones((), device=device), torch.zeros((), device=device)

    @property
    def capacity(self) -> int:
        """Pairs of splat and tile that there is room for; 0 on the CPU, which makes room as it goes."""
        return self.workspace.capacity if self.workspace else 0

    def note(self) -> None:
        """In a step, after everything was drawn."""
        if self.workspace:
            self.lacking.copy_(self.workspace.overflowed[0])
            torch.sub(self._one, self.lacking, out=self.counts)
            self._done.add_(self.counts)

    def check(self) -> int | None:
        """None where all was well. Otherwise how many steps since the last check count; makes room for more. Waits for the GPU."""
        done = int(self._done) if self.workspace else 0
        self._done.zero_()
        if self.workspace is None or not int(self.workspace.overflowed):
            return None
        self.workspace.grow()
        self.lacking.zero_()
        self.counts.fill_(1)
        return done
