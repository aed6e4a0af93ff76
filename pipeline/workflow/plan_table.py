"""`run -n`: what would run, why, and for how long, as a table."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from pipeline.io.progress import clock
from pipeline.io.words import counted
from pipeline.workflow.plan import Plan, expected_seconds

MOST_CAPTURES = 50  # with more of them the table has one line for each


def print_plans(plans: Mapping[str, Plan]) -> None:
    """Print the table. Stages that follow one another and are kept share a line; captures with nothing to do are counted."""
    from rich.console import Console
    from rich.table import Table

    table = Table("capture", "stage", "", "reason", "expected", box=None, padding=(0, 2, 0, 0), header_style="bold")
    busy = {name: plan for name, plan in plans.items() if plan.steps}
    lines = _line if len(busy) > MOST_CAPTURES else _lines
    times: list[float | None] = []
    for name, plan in busy.items():
        expected = {stage: expected_seconds(plan.target.layout, stage) for stage in plan.steps}
        times += expected.values()
        for line in lines(name, plan, expected):
            table.add_row(*line)
    console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=200)
    if busy:
        console.print(table)
    for text in _sums(len(plans) - len(busy), times):
        console.print(text)


def _lines(name: str, plan: Plan, expected: Mapping[str, float | None]) -> list[tuple[Any, ...]]:
    from rich.text import Text

    found: list[tuple[Any, ...]] = []
    kept: list[str] = []
    for stage in (*plan.target.stages, ""):
        if stage and stage not in plan.steps:
            kept.append(stage)
            continue
        if kept:
            found.append(("", Text(kept[0] if len(kept) == 1 else f"{kept[0]} ... {kept[-1]}", "dim"), Text("keep", "dim"), "", ""))
            kept = []
        if stage:
            found.append(("", stage, Text("run", "bold"), Text(plan.steps[stage]), _time(expected[stage])))
    return [(name, *found[0][1:]), *found[1:]]


def _line(name: str, plan: Plan, expected: Mapping[str, float | None]) -> list[tuple[Any, ...]]:
    from rich.text import Text

    first = next(iter(plan.steps))
    stages = f"{first} and {len(plan.steps) - 1} more" if len(plan.steps) > 1 else first
    known = [seconds for seconds in expected.values() if seconds is not None]
    return [(name, stages, Text("run", "bold"), Text(plan.steps[first]), _time(sum(known) if len(known) == len(expected) else None))]


def _sums(kept: int, times: list[float | None]) -> list[str]:
    known = [seconds for seconds in times if seconds is not None]
    lines = [f"{counted(kept, 'capture')}: nothing to do"] if kept else []
    if times:
        unknown = f"; {len(times) - len(known)} of unknown time" if len(known) < len(times) else ""
        lines.append(f"{counted(len(times), 'stage')} to run" + (f", {clock(sum(known))} one after another{unknown}" if known else ""))
    return lines


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else clock(seconds)
