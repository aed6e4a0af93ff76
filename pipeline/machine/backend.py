"""Which implementation of a kernel runs: Triton on a GPU, numba on the CPU, or its reference in plain PyTorch.

Every function that has kernels asks `backend_of` and imports their module inside the branch that runs it: Triton is installed only where CUDA is, and numba
takes a second to import. The environment variable C2A_BACKEND=reference turns all kernels off, as `set_backend("reference")` does.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch
from torch import Tensor

from pipeline.io.errors import InputError

Backend = Literal["reference", "cpu", "gpu"]
Kernel = Literal["rasterise", "image_loss", "bind", "pose", "splat_terms", "density", "adam"]
KERNELS: tuple[Kernel, ...] = get_args(Kernel)
VARIABLE = "C2A_BACKEND"

_off: frozenset[str] = frozenset()  # kernels whose reference runs on every device


def backend_of(tensor: Tensor, kernel: Kernel | None = None) -> Backend:
    """What computes on a tensor: "cpu" or "gpu" for float32 on the CPU or on CUDA, else "reference".

    Args:
        kernel: which kernel asks; None = one that has no name, which is off where all others are.
    """
    if tensor.dtype != torch.float32 or (kernel in _off if kernel else len(_off) == len(KERNELS)):
        return "reference"
    match tensor.device.type:
        case "cpu":
            return "cpu"
        case "cuda":
            return "gpu"
    return "reference"


def set_backend(name: str, kernels: Collection[Kernel] = KERNELS) -> None:
    """From now on, in all threads, run kernels ("auto") or their references ("reference"). The reference rasteriser cannot be captured in a CUDA graph.

    Args:
        kernels: only these; the others stay as they are.

    Raises:
        ValueError: an unknown name of a backend or a kernel.
    """
    global _off
    if name not in ("auto", "reference") or not set(kernels) <= set(KERNELS):
        raise ValueError(f"backend {name!r} for {sorted(kernels)}; expected auto or reference, for some of {sorted(KERNELS)}")
    _off = _off - set(kernels) if name == "auto" else _off | set(kernels)


@contextmanager
def use_backend(name: str, kernels: Collection[Kernel] = KERNELS) -> Iterator[None]:
    """`set_backend` for the block, all threads included."""
    global _off
    before = _off
    try:
        set_backend(name, kernels)
        yield
    finally:
        _off = before


def _from_environment() -> None:
    name = os.environ.get(VARIABLE, "auto")
    try:
        set_backend(name)
    except ValueError as error:
        raise InputError("no such backend", found=f"{VARIABLE}={name}", expected="auto or reference", remedy=f"unset {VARIABLE}") from error


_from_environment()
