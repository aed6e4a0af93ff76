"""The outcome of a run: which captures and groups are complete, and why the others are not."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config import Config
from pipeline.contract.layout import Layout
from pipeline.contract.manifest import read_manifest
from pipeline.contract.stages import LAST_STAGE
from pipeline.io.errors import REMEDY
from pipeline.io.progress import clock
from pipeline.machine.lease import Holder, is_alive, read_holder
from pipeline.machine.slurm import job_state
from pipeline.report.records import warnings
from pipeline.stages.failure import attempts, read_error, write_error
from pipeline.workflow.figures import avatar_figures
from pipeline.workflow.snakemake_command import INTERRUPTED
from pipeline.workflow.staleness import unfinished_stages
from pipeline.workflow.targets import Target, Targets

MOST_NAMED = 5  # with more captures each has one line, and those with nothing to do are counted
_STATES = {
    "OUT_OF_MEMORY": "it took more memory than requested (mem_mb of its stage in the profile)",
    "TIMEOUT": "reached its time limit (runtime of its stage in the profile)",
    "CANCELLED": "its SLURM job was cancelled",
    "NODE_FAIL": "its node failed",
    "PREEMPTED": "its SLURM job was preempted",
}


@dataclass(frozen=True)
class Outcome:
    """How the Snakemake commands of a run ended.

    Attributes:
        code: exit code. ran: the stages that were to run, of every capture or group with any; the rest was complete before. log: what Snakemake said.
    """

    code: int
    ran: Mapping[str, Sequence[str]]
    log: Path


def report_outcome(outcome: Outcome, targets: Targets, config: Config, resume: Callable[[str], str]) -> int:
    """Sum up what is done, name what failed, and write an error file for whatever failed without one. Returns the run's exit code.

    resume: the command that resumes a capture or group.
    """
    unfinished = {name: unfinished_stages(target, config) for name, target in targets.all.items()}
    broken = {name: list(failed_stages(targets.all[name])) for name in outcome.ran if outcome.code and not unfinished[name]}
    unfinished |= broken  # asked to run again without need: the earlier results are back, and current
    done = [name for name in targets.all if not unfinished[name]]
    kept = [name for name in done if name not in outcome.ran]
    for name in done:
        if name in outcome.ran or len(kept) <= MOST_NAMED:
            lines = _summary(targets.all[name], outcome.ran.get(name, ()))
            print("\n  ".join(lines) if len(done) <= MOST_NAMED else "  ".join([lines[0], *lines[1:-1]]))
    if len(kept) > MOST_NAMED:
        print(f"{len(kept)} captures: nothing to do")
    for name, stages in unfinished.items():
        if stages:
            again = f" --from {stages[0]}" if name in broken else ""
            print(_failure(targets, name, stages, outcome, config, resume(name) + again), file=sys.stderr)
    return outcome.code or int(len(done) < len(targets.all))


def _summary(target: Target, ran: Sequence[str]) -> list[str]:
    """The last lines of a capture or group: what it came to, warnings, the report, and in the last line further files. ran: the stages of this run."""
    layout, last = target.layout, target.stages[-1]
    done = "done" if last == LAST_STAGE else f"done up to {last}"
    records = [read_manifest(layout, stage) or {} for stage in ran]
    seconds = sum(record.get("timing", {}).get("seconds", 0) for record in records)
    head = f"{target.name}: {done}" + (f" in {clock(seconds)}" if ran else ", nothing to do")
    warned = [f"warning: {stage}: {text}" for stage, text in warnings(layout)]
    if last != LAST_STAGE:
        return [head, *warned, f"results: {layout.results}"]
    files = f"avatar: {layout.avatar_ply}, {layout.avatar.name}; figures: {layout.metrics.name}"
    return [head, *avatar_figures(layout), *warned, f"open {layout.report}", files]


def _failure(targets: Targets, name: str, unfinished: list[str], outcome: Outcome, config: Config, resume: str) -> str:
    """What went wrong, once, and the one command to run next."""
    target = targets.all[name]
    if target.is_group and any(unfinished_stages(targets.captures[row.id], config) for row in target.rows):
        return f"{name}: not started, since captures of it are not complete\n  next:     {resume}"
    stage, record = _reason(target.layout, unfinished, outcome)
    message, log = str(record["message"]), target.layout.log(stage)
    if record.get("interrupted"):
        return f"{name}: {stage} interrupted\n  next:     {resume}"
    warned = [f"  warning:  {earlier}: {text}" for earlier, text in warnings(target.layout) if earlier in target.stages[: target.stages.index(stage)]]
    lines = [f"{name}: {stage} failed", *_without_remedy(message), *warned, f"  log:      {log if log.is_file() else outcome.log}"]
    return "\n".join([*lines, f"  report:   {_page(target.layout, config, resume)} (as far as it came)", f"  next:     {next_step(message, name, resume)}"])


def next_step(message: str, name: str, resume: str) -> str:
    """The one thing to do next: what the message asks for, with the options of this run in its command."""
    remedy = "".join(line.removeprefix(REMEDY) for line in message.splitlines() if line.startswith(REMEDY))
    command = f"./c2a run {name}"
    if command in remedy:
        return remedy.replace(command, resume)
    again = re.sub(r",? ?(and )?(then )?(run|try) again$", "", remedy)
    return f"{again}, then {resume}" if again else resume


def _without_remedy(message: str) -> list[str]:
    return [line for line in message.splitlines() if not line.startswith(REMEDY)]


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


def _reason(layout: Layout, unfinished: list[str], outcome: Outcome) -> tuple[str, dict[str, Any]]:
    """The stage at which a capture ended, and its error record, which is written where it left none."""
    for stage in unfinished:
        if dead := dead_holder(layout, stage):
            write_error(stage, layout, _killed(dead, job_state(dead.job) if dead.job else ""), dead)
        if (record := read_error(layout, stage)).get("message"):
            return stage, record
    if outcome.code == INTERRUPTED:
        return unfinished[0], {"message": "interrupted", "interrupted": True}
    text = f"did not start, or ended without an error message; what Snakemake said is in {outcome.log}"
    write_error(unfinished[0], layout, text, None)
    return unfinished[0], {"message": text}


def _killed(holder: Holder, state: str = "") -> str:
    why = _STATES.get(state, "perhaps out of memory" if not state else f"SLURM says {state}")
    return f"was killed ({holder.describe()}): {why}"


def _page(layout: Layout, config: Config, resume: str) -> Path | str:
    """A partial report. It is under work/: what is in results/ is complete and current."""
    from pipeline.io.files import write_text
    from pipeline.report.report import make_report

    page = layout.work / layout.report.name
    with contextlib.suppress(OSError):
        write_text(page, make_report(layout, config.stages["report"], page.parent, resume)[0])
        return page
    return "no page could be written"
