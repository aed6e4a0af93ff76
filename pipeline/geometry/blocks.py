"""Work that compares all cameras, over all frames: blocks of frames share the processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pipeline.io.parallel import map_processes

BLOCK_WORK = 30_000
"""Frames times cameras squared, which is about what `triangulate` takes: a few seconds of it, and some hundred megabytes."""


def in_blocks(
    function: Callable[..., tuple[np.ndarray, ...]], jobs: Sequence[tuple[Any, ...]], cameras: int, threads: int, label: str
) -> list[tuple[np.ndarray, ...]]:
    """`function(array, *rest)` of every job (array [F, ...], *rest), as if for all F frames at once: the arrays [F, ...] that it returns.

    The blocks depend on the number of cameras alone, not on that of the processes. Where all is one block, nothing is spawned.
    """
    step = max(1, BLOCK_WORK // cameras**2)
    starts = [range(0, len(job[0]), step) for job in jobs]
    parts = [(job[0][start : start + step], *job[1:]) for job, own in zip(jobs, starts) for start in own]
    found = iter(map_processes(function, parts, threads if len(parts) > len(jobs) else 1, label))
    return [tuple(np.concatenate(arrays) for arrays in zip(*(next(found) for _ in own))) for own in starts]
