"""What a run shows while Snakemake works: a line per finished stage, and on a terminal a bar per running one.

It looks at the files that stages write (manifests, error files, progress records), so it is the same for jobs of this machine and of a cluster.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.contract.manifest import read_manifest
from pipeline.io.progress import Progress, clock, read_progress
from pipeline.io.words import counted
from pipeline.stages.failure import read_error
from pipeline.workflow.figures import stage_figures
from pipeline.workflow.plan import Plan

MOST_BARS = 8
LINE_EVERY_SECONDS = 30.0  # without a terminal, of every running stage


@dataclass
class _Work:
    """What one capture or group has yet to do. before: when each of its files was last written, before the run."""

    plan: Plan
    left: list[str]
    before: Mapping[Path, int]


class Display:
    """Call it every now and then, and `close` it in the end."""

    def __init__(self, plans: Mapping[str, Plan]):
        self._work = {name: _work(plan) for name, plan in plans.items() if plan.steps}
        self._start, self._lined = time.time(), time.monotonic()
        self._width = max(map(len, self._work), default=0), max((len(stage) for plan in plans.values() for stage in plan.target.stages), default=0)
        self._bars: Any = _bars(min(sum(self._width) + 1, 40)) if sys.stdout.isatty() else None
        self._tasks: dict[str, Any] = {}

    def __call__(self) -> None:
        """Print what has ended since, and how far the rest is."""
        for name, work in self._work.items():
            while work.left and (line := self._line(name, work)):
                self._print(line)
        running = dict(self._running())
        if self._bars:
            self._draw(running)
        elif time.monotonic() - self._lined > LINE_EVERY_SECONDS:
            self._lined = time.monotonic()
            for name, at in running.items():
                self._print(f"{name}: {self._work[name].left[0]}: {at or 'running'}")

    def close(self) -> None:
        """Print what is left to say, and remove the bars."""
        self()
        if self._bars:
            self._bars.stop()

    def _print(self, line: str) -> None:
        if self._bars:
            self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, flush=True)

    def _line(self, name: str, work: _Work) -> str:
        """The line of the next stage, if it has ended; what ended well is off the list."""
        stage, layout = work.left[0], work.plan.target.layout
        ended, failed = (_written(path) not in (None, work.before[path]) for path in (layout.manifest(stage), layout.error(stage)))
        if not ended and not failed:
            return ""
        stages = work.plan.target.stages
        number = f"{stages.index(stage) + 1:{len(str(len(stages)))}}"
        head = f"[{number}/{len(stages)}] {name:{self._width[0]}} {stage:{self._width[1]}}"
        if ended:
            work.left.pop(0)
            manifest = read_manifest(layout, stage) or {}
            warned = [counted(len(manifest["warnings"]), "warning")] if manifest.get("warnings") else []
            figures = [text for text in (stage_figures(manifest.get("facts", {})), *warned) if text]
            return "  ".join([head, *figures, clock(manifest.get("timing", {}).get("seconds", 0))])
        path = layout.error(stage)
        work.before = {**work.before, path: _written(path) or 0}
        record = read_error(layout, stage)
        attempt = f" (attempt {record['attempt']})" if record.get("attempt", 1) > 1 else ""
        return f"{head}  {'interrupted' if record.get('interrupted') else 'failed'}{attempt}"

    def _running(self) -> Iterator[tuple[str, Progress | None]]:
        """The captures whose next stage has a process at work, and how far it is, where it says so."""
        for name, work in self._work.items():
            if work.left and (layout := work.plan.target.layout).running(work.left[0]).exists():
                at = read_progress(layout.progress(work.left[0]))
                yield name, at if at and at.time > self._start else None

    def _draw(self, running: Mapping[str, Progress | None]) -> None:
        for name in [name for name in self._tasks if name not in running]:
            self._bars.remove_task(self._tasks.pop(name))
        for name, at in list(running.items())[:MOST_BARS]:
            if name not in self._tasks:
                self._tasks[name] = self._bars.add_task("", total=None, figures="")
            label, done, total = f"{name} {self._work[name].left[0]}", at.done if at else 0, at and at.total
            self._bars.update(self._tasks[name], description=label, total=total, completed=done, figures=str(at or ""))


def _work(plan: Plan) -> _Work:
    layout = plan.target.layout
    files = [path for stage in plan.steps for path in (layout.manifest(stage), layout.error(stage))]
    return _Work(plan, list(plan.steps), {path: _written(path) or 0 for path in files})


def _written(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _bars(width: int) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Column

    label = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, min_width=width))
    figures = TextColumn("{task.fields[figures]}", markup=False, table_column=Column(no_wrap=True, overflow="crop", ratio=1))
    bars = Progress(label, BarColumn(12), TimeElapsedColumn(), figures, console=Console(), transient=True, expand=True, refresh_per_second=4)
    bars.start()
    return bars
