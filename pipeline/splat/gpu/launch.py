"""Launching Triton kernels without the dispatcher's overhead: at 30,000 splats the launches take longer than the kernels."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import torch
import triton


class Launcher:
    """Calls one Triton kernel; a key that was called before goes straight to the compiled kernel, which takes addresses for tensors.

    The key must name everything that Triton compiles for: constants, types and integers.
    """

    def __init__(self, function: triton.JITFunction, **options: int) -> None:
        self._function = function
        self._options = options
        self._compiled: dict[Hashable, Callable] = {}

    def __call__(self, key: Hashable, stream: int, grid: tuple[int, int, int], tensors: Sequence, *numbers: object) -> None:
        """tensors: addresses if the key was called before, tensors (or either) if not."""
        runner = self._compiled.get(key)
        if runner is not None:
            runner(*tensors, *numbers, stream=stream)
        elif min(grid) > 0:
            compiled = self._function[grid](*tensors, *numbers, **self._options)
            if compiled is not None:  # None: the interpreter
                self._compiled[key] = compiled[grid]

    def knows(self, key: Hashable) -> bool:
        return key in self._compiled


class Slab:
    """One allocation cut into arrays that begin on 16 bytes."""

    def __init__(self, counts: Sequence[int], dtype: torch.dtype, device: torch.device) -> None:
        self._sizes = [-(-count // 4) * 4 for count in counts]
        self._offsets = [dtype.itemsize * sum(self._sizes[:i]) for i in range(len(counts))]
        self._total, self._dtype, self._device = sum(self._sizes), dtype, device

    def allocate(self) -> torch.Tensor:
        return torch.empty(self._total, dtype=self._dtype, device=self._device)

    def parts(self, slab: torch.Tensor, addresses: bool) -> list:
        """The arrays, as tensors or as addresses."""
        if addresses:
            start = slab.data_ptr()
            return [start + offset for offset in self._offsets]
        return list(slab.split_with_sizes(self._sizes))


def pointers(tensors: Sequence[torch.Tensor], addresses: bool) -> list:
    """The tensors, or their addresses."""
    return [tensor.data_ptr() for tensor in tensors] if addresses else list(tensors)


def current_stream(device: torch.device) -> int:
    return torch.cuda.current_stream(device).cuda_stream if device.type == "cuda" else 0
