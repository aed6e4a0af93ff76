"""Progress with rate and time left; with no terminal, a log line now and then."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
LOG_EVERY_SECONDS = 10.0
ON_TERMINAL = "C2A_PROGRESS"  # set by `run` at a terminal: its stages write to a log file, and may draw their bars on the terminal itself


def progress(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Yield `items` while showing how far along they are."""
    total = total if total is not None else len(items)  # type: ignore[arg-type]
    console = terminal()
    if console:
        from rich.progress import track

        start = time.monotonic()
        yield from track(items, description=label, total=total, console=console, transient=True)
        log(f"{label}: {total} in {time.monotonic() - start:.1f} s")
        return
    start = last = time.monotonic()
    for count, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last > LOG_EVERY_SECONDS and count < total:
            last, rate = now, count / (now - start)
            log(f"{label}: {count}/{total}, {rate:.1f}/s, {(total - count) / rate:.0f} s left")
    log(f"{label}: {total} in {time.monotonic() - start:.1f} s")


def log(message: str) -> None:
    """One line on standard error, at once."""
    print(message, file=sys.stderr, flush=True)


def terminal() -> Any:
    """A rich console on the terminal that somebody watches; None where there is none, or no rich (a machine with the numeric packages alone)."""
    with contextlib.suppress(ImportError, OSError):
        from rich.console import Console

        if sys.stderr.isatty():
            return Console(stderr=True)
        if os.environ.get(ON_TERMINAL):
            return Console(file=open("/dev/tty", "w"))
    return None
