"""What came of a run: which captures are complete, and why the others are not."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.config import Config
from pipeline.contract.captures_table import CaptureRow
from pipeline.contract.layout import Layout
from pipeline.machine.lease import Holder, is_alive, read_holder
from pipeline.machine.slurm import job_state
from pipeline.stages.failure import attempts, read_error, write_error
from pipeline.workflow.staleness import stages_of, unfinished_stages

_STATES = {
    "OUT_OF_MEMORY": "it took more memory than it was given (mem_mb of its stage in the profile)",
    "TIMEOUT": "its time was up (runtime of its stage in the profile)",
    "CANCELLED": "its SLURM job was cancelled",
    "NODE_FAIL": "its node failed",
    "PREEMPTED": "its SLURM job was preempted",
}


def verdict(code: int, rows: Sequence[CaptureRow], layouts: Mapping[str, Layout], config: Config, again: Callable[[str], str]) -> int:
    """Name what is done and what failed, and leave an error file for whatever failed without a word. code: Snakemake's; returns the run's exit code.

    again: the command that goes on with a capture.
    """
    for row in rows:
        layout = layouts[row.id]
        missing = unfinished_stages(row, layout, config, stages_of(row, config.method, config.until))
        if not missing:
            if config.until == "report":
                print(f"{row.id}: done. Open {layout.report}")
            continue
        code = code or 1
        stage, message = _reason(layout, missing)
        print(f"{row.id}: {stage} failed\n{message}\n  what there is: {_page(layout, config)}\n  go on with: {again(row.id)}", file=sys.stderr)
    return code


def failed_stages(row: CaptureRow, layout: Layout) -> dict[str, dict[str, Any]]:
    """Stage -> error record, of those whose last run failed: an error file stands, or the process was killed and could leave none."""
    failed = {}
    for stage in stages_of(row, layout.method):
        dead, record = dead_holder(layout, stage), read_error(layout, stage)
        if dead:
            record = {"stage": stage, "message": _killed(dead), "attempt": attempts(layout, stage) + 1, "job": dead.job, "host": dead.host}
        if record:
            failed[stage] = record
    return failed


def dead_holder(layout: Layout, stage: str) -> Holder | None:
    """Who was killed at work on a stage, if its last process was and no error file says so yet."""
    path, told = layout.running(stage), layout.error(stage)
    holder = read_holder(path)
    if holder is None or is_alive(path, holder):
        return None
    return None if told.is_file() and told.stat().st_mtime >= path.stat().st_mtime else holder


def _reason(layout: Layout, missing: list[str]) -> tuple[str, str]:
    for stage in missing:
        if dead := dead_holder(layout, stage):
            message = _killed(dead, job_state(dead.job) if dead.job else "")
            write_error(stage, layout, message, dead)
            return stage, message
        if message := read_error(layout, stage).get("message"):
            return stage, message
    message = "did not start or did not finish, and left no word; what Snakemake said stands above"
    write_error(missing[0], layout, message, None)
    return missing[0], message


def _killed(holder: Holder, state: str = "") -> str:
    why = _STATES.get(state, "perhaps memory ran out" if not state else f"SLURM says {state}")
    return f"was killed ({holder.describe()}): {why}"


def _page(layout: Layout, config: Config) -> Path | str:
    """The report of an unfinished capture. It lies under work/: what stands in results/ is complete and current."""
    from pipeline.io.files import write_text
    from pipeline.report.report import make_report

    page = layout.work / layout.report.name
    with contextlib.suppress(OSError):
        write_text(page, make_report(layout, config.stages["report"])[0])
        return page
    return "no page could be written"
