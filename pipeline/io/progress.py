"""How far a loop is: a bar on a terminal, a log line every few seconds without one, a small record for `run` inside a stage."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

T = TypeVar("T")
LOG_EVERY_SECONDS = 10.0
RECORD_EVERY_SECONDS = 0.25
_record: Path | None = None  # where this process, a stage, records how far it is


@dataclass(frozen=True)
class Progress:
    """How far a loop is. rate: items per second; text: further figures; time: of the clock, when this was so."""

    label: str
    done: int
    total: int
    rate: float
    text: str = ""
    time: float = 0.0

    @property
    def seconds_left(self) -> float:
        return (self.total - self.done) / max(self.rate, 1e-9)

    def __str__(self) -> str:
        figures = [f"{self.label} {self.done}/{self.total}", f"{self.rate:.1f}/s", f"{clock(self.seconds_left)} left", self.text]
        return "  ".join(figure for figure in figures if figure)


class Reporter:
    """Shows the progress of one loop. first: items that were done before, in an earlier process."""

    def __init__(self, label: str, total: int, first: int = 0):
        self._label, self._total, self._first, self._start = label, total, first, time.monotonic()
        self._shown = self._start
        self._bar = _bar(label, total, first) if _record is None and sys.stderr.isatty() else None

    def update(self, done: int, text: str = "") -> None:
        """So many items are done. text: figures to show beside."""
        now = time.monotonic()
        at = Progress(self._label, done, self._total, (done - self._first) / max(now - self._start, 1e-9), text, time.time())
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=done, description=f"{self._label}  {text}")
        elif now - self._shown > (RECORD_EVERY_SECONDS if _record else LOG_EVERY_SECONDS) and done < self._total:
            self._shown = now
            if _record is None:
                log(str(at))
            else:
                with contextlib.suppress(OSError):
                    _record.write_text(json.dumps(asdict(at)))

    def close(self) -> None:
        """Remove the bar, or the record."""
        if self._bar:
            self._bar.stop()
        elif _record:
            _record.unlink(missing_ok=True)


def progress(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Yield `items` and show the progress with rate and time left. total: needed where `items` has no length."""
    total = len(cast(Sized, items)) if total is None else total
    start, reporter = time.monotonic(), Reporter(label, total)
    try:
        for count, item in enumerate(items, 1):
            yield item
            reporter.update(count)
    finally:
        reporter.close()
    log(f"{label}: {total} in {time.monotonic() - start:.1f} s")


@contextlib.contextmanager
def recording(path: Path) -> Iterator[None]:
    """Inside the block this process records its progress in a file, gone afterwards, instead of showing it."""
    global _record
    path.parent.mkdir(parents=True, exist_ok=True)
    _record = path
    try:
        yield
    finally:
        _record = None
        path.unlink(missing_ok=True)


def read_progress(path: Path) -> Progress | None:
    """What a stage recorded last; None where there is no whole record."""
    try:
        return Progress(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def log(message: str) -> None:
    """Write one line to standard error, unbuffered."""
    print(message, file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """A time as people write it: 2.9 s, 48 s, 3 min, 2.5 h."""
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def _bar(label: str, total: int, first: int) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    bar = Bar(*columns, console=Console(stderr=True), transient=True, refresh_per_second=2)
    bar.add_task(label, total=total, completed=first)
    bar.start()
    return bar
