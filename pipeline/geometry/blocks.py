"""Parallel work over blocks of frames, for functions that compare all cameras of a frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pipeline.io.parallel import map_processes

BLOCK_WORK = 30_000
"""Frames x cameras^2 per block, to which the time of `triangulate` is proportional: some seconds, hundreds of MB."""


def in_blocks(
    function: Callable[..., tuple[np.ndarray, ...]],
    jobs: Sequence[tuple[Any, ...]],
    cameras: int,
    threads: int,
    label: str,
) -> list[tuple[np.ndarray, ...]]:
    """Call `function(array, *rest)` for every job (array [F, ...], *rest), in blocks of frames.

    The size of the blocks depends only on the number of cameras, not on the number of processes. If every job is one
    block, no process is started.

    Returns:
        For each job the arrays [F, ...] that `function` returns, as if called once with all F frames.
    """
    step = max(1, BLOCK_WORK // cameras**2)
    starts = [range(0, len(job[0]), step) for job in jobs]
    blocks = [(job[0][start : start + step], *job[1:]) for job, own in zip(jobs, starts) for start in own]
    results = iter(map_processes(function, blocks, threads if len(blocks) > len(jobs) else 1, label))
    return [tuple(np.concatenate(arrays) for arrays in zip(*(next(results) for _ in own))) for own in starts]
