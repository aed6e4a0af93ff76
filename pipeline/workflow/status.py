"""How far every capture and group is, as a table in the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.avatars.registry import method_of
from pipeline.config import Config
from pipeline.io.words import counted, listed
from pipeline.machine.lease import is_alive, read_holder
from pipeline.report.records import failure_place, warnings
from pipeline.workflow.kept_settings import by_settings
from pipeline.workflow.outcome import failed_stages
from pipeline.workflow.run_options import RunOptions, load_config, resolutions
from pipeline.workflow.staleness import MISSING, best_resolution, unfinished_reasons, with_complete_captures
from pipeline.workflow.targets import Target, Targets, chosen_targets, variants_of

State = Literal["done", "stale", "running", "interrupted", "FAILED", "missing"]
COLORS = {"done": "green", "stale": "yellow", "running": "cyan", "interrupted": "yellow", "FAILED": "bold red", "missing": "dim"}
WATCH_SECONDS = 2.0


@dataclass(frozen=True)
class Cell:
    """One stage of a capture or group. where: host and job of its process; error: the record of the last failure."""

    state: State
    where: str = ""
    error: dict[str, Any] | None = None

    @property
    def text(self) -> str:
        return self.where or {"missing": "·"}.get(self.state, self.state)


Table = Mapping[str, Mapping[str, Cell]]


def survey(targets: Targets, configs_of: Callable[[str], Sequence[Config]]) -> Table:
    """Name -> stage -> cell.

    configs_of: those that may have made the results of a capture or group (`resolutions`); what is current under one of them is current.
    """
    table = {name: _cells(target, best_resolution(target, configs_of(name))) for name, target in targets.captures.items()}
    for name, target in targets.groups.items():
        variants = [(with_complete_captures(target, targets.captures, config), config) for config in configs_of(name)]
        table[name] = min((_cells(*variant) for variant in variants), key=lambda cells: [cell.state for cell in cells.values()].count("stale"))
    return table


def _cells(target: Target, config: Config) -> dict[str, Cell]:
    reasons, failed = unfinished_reasons(target, config), failed_stages(target)
    return {stage: _cell(target, stage, reasons.get(stage), failed) for stage in target.stages}


def _cell(target: Target, stage: str, reason: str | None, failed: dict[str, dict]) -> Cell:
    path = target.layout.running(stage)
    for lease in (path, *path.parent.glob(f"{stage}-*of*.json")):  # the stage itself, or a part of a scattered one
        holder = read_holder(lease)
        if holder and is_alive(lease, holder):
            return Cell("running", f"{holder.host}{f':{holder.job}' if holder.job else ''}")
    if stage in failed:
        return Cell("interrupted") if failed[stage].get("interrupted") else Cell("FAILED", error=failed[stage])
    return Cell("done" if reason is None else "missing" if reason == MISSING else "stale")


def print_status(options: RunOptions, watch: bool) -> int:
    """Print the table; with `watch`, again and again until everything is complete or the user ends it."""
    from rich.console import Console

    console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=240)
    if not watch:
        console.print(_drawn(*survey_chosen(options)))
        return 0
    from rich.live import Live

    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            targets, table = survey_chosen(options)
            live.update(_drawn(targets, table), refresh=True)
            if all(summary(cells) == "done" for cells in table.values()):
                return 0
            time.sleep(WATCH_SECONDS)


def survey_chosen(options: RunOptions) -> tuple[Targets, Table]:
    """What the options mean, each with the settings that it keeps."""
    config = load_config(options)
    targets = chosen_targets(options, config)
    configs = {name: found for kept, names in by_settings(targets.all, options, config) for found in [resolutions(options, kept)] for name in names}
    of_group = {row.id: name for name, group in targets.groups.items() for row in group.rows}  # they were run with what the group keeps
    return targets, survey(targets, lambda name: configs[of_group.get(name, name)])


def _drawn(targets: Targets, table: Table) -> Any:
    from rich.console import Group
    from rich.table import Table as Drawing
    from rich.text import Text

    methods = [method_of(target.layout.method) for target in targets.all.values()]
    stages = [stage for stage in (methods[0].table if methods else ()) if any(stage in cells for cells in table.values())]
    drawing = Drawing("group" if targets.groups else "capture", *stages, "warnings", box=None, padding=(0, 1), header_style="bold")
    for name, cells in table.items():
        warned = len(warnings(targets.all[name].layout))
        states = [Text(cells[stage].text, style=COLORS[cells[stage].state]) if stage in cells else "" for stage in stages]
        drawing.add_row(name, *states, Text(str(warned), style="yellow") if warned else "")
    counts = [summary(cells) for cells in table.values()]
    line = f"{count(targets)}: " + ", ".join(f"{counts.count(state)} {state}" for state in ("done", "running", "failed", "interrupted", "unfinished"))
    problems = [Text(f"{name}: {describe(stage, cell.error)}", style="red") for name, cells in table.items() for stage, cell in cells.items() if cell.error]
    problems += [Text(str(row.error).splitlines()[0], style="red") for row in targets.bad.values()]
    others = [f"{name}: {', '.join(more)}" for name, target in targets.all.items() if (more := other_variants(target))]
    notes = [Text("variants (./c2a status --name NAME): " + listed(others, between="; "))] if others else []
    kept = [name for name, target in targets.all.items() if target.layout.settings.is_file()]
    if kept:
        notes.append(Text(f"with settings of earlier runs (config.yaml in their results): {listed(kept)}"))
    return Group(drawing, "", Text(line), *notes, *problems)


def other_variants(target: Target) -> list[str]:
    """The variants beside the one that is asked about."""
    return [name for name in variants_of(target.layout) if name and name != target.layout.variant]


def count(targets: Targets) -> str:
    """How many captures and groups."""
    groups = [counted(len(targets.groups), "group")] if targets.groups else []
    return " and ".join([counted(len(targets.captures), "capture"), *groups])


def summary(cells: Mapping[str, Cell]) -> str:
    """A capture or group in a word."""
    states = [cell.state for cell in cells.values()]
    if "running" in states:
        return "running"
    return next(
        (word for state, word in (("FAILED", "failed"), ("interrupted", "interrupted")) if state in states), "done" if set(states) == {"done"} else "unfinished"
    )


def describe(stage: str, error: dict[str, Any]) -> str:
    """A failure in a line: stage, what is wrong in the error's first line, attempt, job and host."""
    first, where = str(error.get("message", "")).partition("\n")[0], failure_place(error)
    return f"{stage}: {first}" + (f" ({where})" if where else "")
