"""A training step as one CUDA graph: the GPU then works without waiting for Python."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Hashable, Iterator

import torch


class CudaGraphStep:
    """Runs a step that has no host decisions in it. What it writes are the same tensors each time.

    For every new `key` (whatever changes what the step launches: phase, number of splats, SH degree, buffers) the first step runs eagerly, which
    compiles kernels and makes the optimiser's state; the second is captured; from then on the graph is replayed. All three do the same work in the
    same order, so the results do not depend on it.
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
                    # "thread_local": threads that read images or write files may call CUDA meanwhile
                    with _no_collection(), torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
                        self._step()
                self._graph.replay()
        torch.cuda.current_stream().wait_stream(self._stream)


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Python's garbage collector could free a graph or an event of another training, which no thread may do while it captures."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
