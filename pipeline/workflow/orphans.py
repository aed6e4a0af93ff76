"""Jobs whose `run` died: a killed driver leaves its SLURM jobs in the queue and its processes at work.

Whoever holds the lease of a capture or group knows that no other run is responsible for them. They are ended (training saves first), and the new run
resumes from what they leave: two that work on one capture would destroy each other's results.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.avatars.registry import METHODS
from pipeline.config import Config
from pipeline.contract.layout import Layout
from pipeline.contract.stages import PREPARE
from pipeline.io.errors import InputError
from pipeline.io.progress import log
from pipeline.machine.lease import Holder, is_alive, myself, read_holder
from pipeline.machine.slurm import cancel_jobs, job_comment, job_prefix, queued_jobs

PATIENCE_SECONDS = 120.0  # SLURM kills a cancelled job after KillWait, 30 s unless configured otherwise
ASK_AGAIN_SECONDS = 0.5
_PART = re.compile(rf"^rule_({'|'.join(stage.name for stage in PREPARE if stage.scattered)})_part_wildcards_(.+)_\d+_\d+$")
_SEVERAL = re.compile(r"^rule_\w+\+(.+)\+_(\w+)$")  # several stages in one job, whose group in the rules is named `<stage>+<subject>+`


def end_orphans(layouts: Mapping[str, Layout], config: Config) -> None:
    """End every job of a run at work on these captures, whose leases the caller holds, and wait until they are gone. Raises InputError where one stays."""
    running = {path: holder for layout in layouts.values() for path in _leases(layout) if (holder := _orphan(path))}
    jobs = _queued(layouts, config)
    for holder in running.values():
        log(f"left by a run that ended before its jobs did: {holder.describe()}; it saves and ends")
    for job, what in jobs.items():
        log(f"left in the queue by a run that ended before its jobs did: SLURM job {job}, {what}; it is cancelled")
    cancel_jobs(sorted({*jobs, *(holder.job for holder in running.values() if holder.job)}))
    local = [holder for holder in running.values() if not holder.job and holder.machine == myself().machine]
    _signal(local, signal.SIGTERM)
    _wait(running, layouts, config, PATIENCE_SECONDS if running or jobs else 0)
    left = {path: holder for path, holder in running.items() if _orphan(path)}
    _signal([holder for holder in left.values() if holder in local], signal.SIGKILL)
    for path, holder in left.items():
        if holder not in local:
            raise InputError(
                "another process is still at work on this capture", file=path, found=holder.describe(), remedy=f"{holder.how_to_end()}, then run again"
            )


def _leases(layout: Layout) -> Iterable[Path]:
    """Those of stages, and of the parts of scattered ones, of every method and variant; not that of the run itself."""
    for folder in (layout.running("run").parent, *layout.work.glob("*/running")):
        yield from (path for path in folder.glob("*.json") if path != layout.running("run"))


def _orphan(path: Path) -> Holder | None:
    """A holder that lives and belongs to a run; what a person started by hand is not ours to end."""
    holder = read_holder(path)
    return holder if holder and holder.run and is_alive(path, holder) else None


def _queued(layouts: Mapping[str, Layout], config: Config) -> dict[str, str]:
    """Job -> its work, of the jobs in SLURM's queue that belong to these captures and groups."""
    stages = dict.fromkeys(stage for method in METHODS.values() for stage in method.table)
    ours = {job_comment(stage, name): f"{stage} of {name}" for name in layouts for stage in stages}
    jobs = {}
    for job, (_, comment) in queued_jobs(job_prefix(config.work)).items():
        if (several := _SEVERAL.match(comment)) and several[1] in layouts:
            jobs[job] = f"{several[2].replace('_', ' and ')} of {several[1]}"
        elif (one := _PART.sub(r"rule_\1_wildcards_\2", comment)) in ours:
            jobs[job] = ours[one]
    return jobs


def _signal(holders: Iterable[Holder], number: int) -> None:
    for holder in holders:
        with contextlib.suppress(ProcessLookupError):
            os.kill(holder.pid, number)


def _wait(running: Mapping[Path, Holder], layouts: Mapping[str, Layout], config: Config, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and (any(_orphan(path) for path in running) or _queued(layouts, config)):
        time.sleep(ASK_AGAIN_SECONDS)
