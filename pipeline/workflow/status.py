"""How far every capture is, as a table in the terminal; and the rows of the cohort page."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.avatars.registry import method_of
from pipeline.config import Config
from pipeline.contract.captures_table import CaptureRow
from pipeline.contract.layout import Layout
from pipeline.io.files import check_writable, write_text
from pipeline.machine.lease import is_alive, read_holder
from pipeline.report.records import counted, failure_place
from pipeline.workflow.outcome import failed_stages
from pipeline.workflow.run_options import Request, chosen_rows, layouts_of, load_config
from pipeline.workflow.staleness import read_manifest, stages_of, stale_stages

State = Literal["done", "stale", "running", "FAILED", "missing", ""]
COLORS = {"done": "green", "stale": "yellow", "running": "cyan", "FAILED": "bold red", "missing": "dim", "": "dim"}
WATCH_SECONDS = 2.0


@dataclass(frozen=True)
class Cell:
    """One stage of one capture. where: host and job of who is at work; error: the record of the last failure."""

    state: State
    where: str = ""
    error: dict[str, Any] | None = None

    @property
    def text(self) -> str:
        return self.where or {"missing": "·"}.get(self.state, self.state)


def survey(rows: list[CaptureRow], layouts: dict[str, Layout], config: Config) -> dict[str, dict[str, Cell]]:
    """Capture -> stage -> cell; a stage that a capture does not have has an empty one."""
    table = {}
    for row in rows:
        layout, stages = layouts[row.id], stages_of(row, config.method)
        stale, failed = stale_stages(row, layout, config, stages), failed_stages(row, layout)
        table[row.id] = {stage: _cell(layout, stage, stale, failed) if stage in stages else Cell("") for stage in method_of(config.method).table}
    return table


def _cell(layout: Layout, stage: str, stale: dict[str, str], failed: dict[str, dict]) -> Cell:
    path = layout.running(stage)
    for lease in (path, *path.parent.glob(f"{stage}-*of*.json")):  # the stage itself, or a part of a scattered one
        holder = read_holder(lease)
        if holder and is_alive(lease, holder):
            return Cell("running", f"{holder.host}{f':{holder.job}' if holder.job else ''}")
    if stage in failed:
        return Cell("FAILED", error=failed[stage])
    if read_manifest(layout, stage) is None:
        return Cell("missing")
    return Cell("stale") if stage in stale else Cell("done")


def show(request: Request, watch: bool) -> int:
    """Print the table; with `watch`, again and again until every capture is complete or the user ends it."""
    from rich.console import Console

    console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=240)
    if not watch:
        console.print(_drawn(_survey(request)))
        return 0
    from rich.live import Live

    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            table = _survey(request)
            live.update(_drawn(table), refresh=True)
            if all(summary(cells) == "done" for cells in table.values()):
                return 0
            time.sleep(WATCH_SECONDS)


def _survey(request: Request) -> dict[str, dict[str, Cell]]:

    config = load_config(request)
    rows = chosen_rows(request, config)
    return survey(rows, layouts_of(rows, config), config)


def _drawn(table: dict[str, dict[str, Cell]]) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    used = list(dict.fromkeys(stage for cells in table.values() for stage, cell in cells.items() if cell.state))
    drawn = Table("capture", *used, box=None, padding=(0, 1), header_style="bold")
    for name, cells in table.items():
        drawn.add_row(name, *(Text(cells[stage].text, style=COLORS[cells[stage].state]) for stage in used))
    counts = [summary(cells) for cells in table.values()]
    line = f"{counted(len(table), 'capture')}: " + ", ".join(f"{counts.count(state)} {state}" for state in ("done", "running", "failed", "unfinished"))
    problems = [Text(f"{name}: {describe(stage, cell.error)}", style="red") for name, cells in table.items() for stage, cell in cells.items() if cell.error]
    return Group(drawn, "", Text(line), *problems)


def summary(cells: dict[str, Cell]) -> str:
    """A capture in a word."""
    states = [cell.state for cell in cells.values() if cell.state]
    if "running" in states:
        return "running"
    return "failed" if "FAILED" in states else "done" if set(states) == {"done"} else "unfinished"


def describe(stage: str, error: dict[str, Any]) -> str:
    """A failure in a line: stage, what is wrong in the error's first line, attempt, job and host."""
    first, where = str(error.get("message", "")).splitlines()[0], failure_place(error)
    return f"{stage}: {first}" + (f" ({where})" if where else "")


def write_cohort(request: Request, out: Path | None) -> int:
    """Write cohort.tsv and cohort.html and name the page."""
    from pipeline.report.cohort import Member, cohort_page, cohort_table

    config = load_config(request)
    rows = chosen_rows(request, config)
    layouts = layouts_of(rows, config)
    members = []
    folder = out or Path(config.results)
    check_writable(folder, "--out")
    for name, cells in survey(rows, layouts, config).items():
        failed = next(((stage, cell.error) for stage, cell in cells.items() if cell.error), None)
        link = os.path.relpath(layouts[name].report, folder) if cells["report"].state == "done" else ""
        reached = [stage for stage, cell in cells.items() if cell.state in ("done", "stale")]
        members.append(Member(layouts[name], summary(cells), reached[-1] if reached else "", failed[0] if failed else "", failed[1] if failed else {}, link))
    write_text(folder / "cohort.tsv", cohort_table(members))
    write_text(folder / "cohort.html", cohort_page(members))
    print(f"{counted(len(members), 'capture')}. Open {folder / 'cohort.html'}")
    return 0
