"""Run independent jobs in worker processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

from pipeline.io.progress import progress

T = TypeVar("T")


def map_processes(
    function: Callable[..., T],
    jobs: Sequence[tuple[Any, ...]],
    workers: int,
    label: str,
    done: Callable[[int, T], None] | None = None,
) -> list[T]:
    """Call `function(*job)` for every job in worker processes and return the results in the order of `jobs`.

    The first error cancels the remaining jobs and is raised here. With one worker or one job no process is started.

    Args:
        label: name shown with the progress.
        done: called in this process with the index and the result of each finished job, in order of completion.
    """
    results: dict[int, T] = {}

    def take(index: int, result: T) -> None:
        results[index] = result
        if done:
            done(index, result)

    if workers <= 1 or len(jobs) <= 1:
        for index, job in enumerate(progress(jobs, label)):
            take(index, function(*job))
        return [results[index] for index in range(len(jobs))]
    # forkserver: a fork of a process with running threads (OpenCV, torch) can deadlock
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context, initializer=_single_threaded) as pool:
        futures = {pool.submit(function, *job): index for index, job in enumerate(jobs)}
        try:
            for future in progress(as_completed(futures), label, total=len(jobs)):
                take(futures[future], future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [results[index] for index in range(len(jobs))]


def _single_threaded() -> None:
    import cv2

    cv2.setNumThreads(1)  # the processes already use all cores
