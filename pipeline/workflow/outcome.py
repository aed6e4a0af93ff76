"""The outcome of a run: which captures and groups are complete, and why the others are not."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.config import Config
from pipeline.contract.layout import Layout
from pipeline.contract.stages import LAST_STAGE
from pipeline.machine.lease import Holder, is_alive, read_holder
from pipeline.machine.slurm import job_state
from pipeline.stages.failure import attempts, read_error, write_error
from pipeline.workflow.staleness import unfinished_stages
from pipeline.workflow.targets import Target, Targets

_STATES = {
    "OUT_OF_MEMORY": "it took more memory than requested (mem_mb of its stage in the profile)",
    "TIMEOUT": "its time was up (runtime of its stage in the profile)",
    "CANCELLED": "its SLURM job was cancelled",
    "NODE_FAIL": "its node failed",
    "PREEMPTED": "its SLURM job was preempted",
}


def report_outcome(code: int, targets: Targets, config: Config, resume: Callable[[str], str]) -> int:
    """Name what is done and what failed, and write an error file for whatever failed without one. code: Snakemake's; returns the run's exit code.

    resume: the command that resumes a capture or group.
    """
    for name, target in targets.all.items():
        unfinished = unfinished_stages(target, config)
        if not unfinished:
            if target.stages[-1:] == (LAST_STAGE,):
                print(f"{name}: done. Open {target.layout.report}")
            continue
        code = code or 1
        if target.is_group and any(unfinished_stages(targets.captures[row.id], config) for row in target.rows):
            print(f"{name}: not started, since captures of it failed\n  resume with: {resume(name)}", file=sys.stderr)
            continue
        stage, message = _reason(target.layout, unfinished)
        print(f"{name}: {stage} failed\n{message}\n  partial report: {_page(target.layout, config)}\n  resume with: {resume(name)}", file=sys.stderr)
    return code


def failed_targets(targets: Targets) -> Targets:
    """Those whose last run failed; with a group, of which one capture is enough, all its captures."""
    captures = {name: target for name, target in targets.captures.items() if failed_stages(target)}
    if not targets.groups:
        return Targets(captures)
    groups = {name: group for name, group in targets.groups.items() if failed_stages(group) or any(row.id in captures for row in group.rows)}
    return Targets({row.id: targets.captures[row.id] for group in groups.values() for row in group.rows}, groups)


def failed_stages(target: Target) -> dict[str, dict[str, Any]]:
    """Stage -> error record, of those whose last run failed: an error file says so, or the process was killed and could write none."""
    layout, failed = target.layout, {}
    for stage in target.stages:
        dead, record = dead_holder(layout, stage), read_error(layout, stage)
        if dead:
            record = {"stage": stage, "message": _killed(dead), "attempt": attempts(layout, stage) + 1, "job": dead.job, "host": dead.host}
        if record:
            failed[stage] = record
    return failed


def dead_holder(layout: Layout, stage: str) -> Holder | None:
    """Who was killed at work on a stage, if its last process was and no error file says so yet."""
    path, error = layout.running(stage), layout.error(stage)
    holder = read_holder(path)
    if holder is None or is_alive(path, holder):
        return None
    return None if error.is_file() and error.stat().st_mtime >= path.stat().st_mtime else holder


def _reason(layout: Layout, unfinished: list[str]) -> tuple[str, str]:
    for stage in unfinished:
        if dead := dead_holder(layout, stage):
            text = _killed(dead, job_state(dead.job) if dead.job else "")
            write_error(stage, layout, text, dead)
            return stage, text
        if message := read_error(layout, stage).get("message"):
            return stage, str(message)
    text = "did not start or did not finish, and exited without an error message; see what Snakemake said above"
    write_error(unfinished[0], layout, text, None)
    return unfinished[0], text


def _killed(holder: Holder, state: str = "") -> str:
    why = _STATES.get(state, "perhaps memory ran out" if not state else f"SLURM says {state}")
    return f"was killed ({holder.describe()}): {why}"


def _page(layout: Layout, config: Config) -> Path | str:
    """A partial report. It is under work/: what is in results/ is complete and current."""
    from pipeline.io.files import write_text
    from pipeline.report.report import make_report

    page = layout.work / layout.report.name
    with contextlib.suppress(OSError):
        write_text(page, make_report(layout, config.stages["report"])[0])
        return page
    return "no page could be written"
