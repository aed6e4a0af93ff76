"""How this package's numba kernels are compiled and cached."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numba
import torch

_FILES = sorted([*Path(__file__).parent.glob("*.py"), *Path(__file__).parents[1].glob("*.py")])
SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in _FILES)).hexdigest()
MATH = {"contract", "reassoc", "nsz", "arcp"}  # fastmath that still knows infinities and NaN


def kernel(function: Callable, *, parallel: bool = True, fastmath: bool | set[str] = True) -> Callable:
    """`numba.njit` with a cache on disk that notices a change in any file of this folder and the one above.

    Numba alone checks the file that a kernel is in, not those whose constants and inlined functions went into it.
    """
    compiled = numba.njit(function, parallel=parallel, fastmath=fastmath, error_model="numpy", cache=True)
    compiled._cache._cache_file._source_stamp = SOURCES
    return compiled


def helper(function: Callable, *, fastmath: bool | set[str] = True) -> Callable:
    """A helper that kernels call, always inlined.

    A helper with a symbol of its own is compiled twice, alone and inside the kernel; the process that compiles runs the first, processes that load the kernel
    from the cache run the second, and the two differ in their last bits.
    """
    return numba.njit(function, fastmath=fastmath, error_model="numpy", forceinline=True)


def use_threads() -> None:
    """As many threads as torch uses, so that the number is set in one place."""
    count = torch.get_num_threads()
    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
    if torch.get_num_threads() != count:  # numba's first start sets the number of the OpenMP library that it shares with torch
        torch.set_num_threads(count)
