"""How this package's numba kernels are compiled and cached."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numba
import torch

# Threads that wait for each other must not spin: on a machine with other work (two cores, several jobs) spinning made a step ten times slower.
# Read when numba loads its OpenMP, which happens at the first parallel kernel.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_FILES = [Path(__file__).with_name(name) for name in ("cpu_jit.py", "cpu_math.py", "cpu_project.py", "cpu_ssim.py", "cpu_tiles.py", "harmonics.py", "rules.py")]
SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in _FILES)).hexdigest()


def kernel(function: Callable, *, parallel: bool = True, fastmath: bool | set[str] = True) -> Callable:
    """`numba.njit` with a cache on disk that notices a change in any file the kernels are made from.

    Numba alone looks at the file that a kernel stands in, not at those whose constants and inlined functions went into it.
    """
    compiled = numba.njit(function, parallel=parallel, fastmath=fastmath, error_model="numpy", cache=True)
    compiled._cache._cache_file._source_stamp = SOURCES
    return compiled


def inlined(function: Callable, *, fastmath: bool | set[str] = True) -> Callable:
    """A helper that becomes part of the kernels that call it."""
    return numba.njit(function, forceinline=True, fastmath=fastmath, error_model="numpy")


def use_threads() -> None:
    """As many threads as torch uses, so that there is one place to say it."""
    numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))
