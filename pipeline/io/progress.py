"""Progress bars on a terminal; without one, a log line every few seconds."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")
LOG_EVERY_SECONDS = 10.0
# Environment variable, set by `run` on a terminal: stages, whose stderr is a log file, draw their bars on /dev/tty.
ON_TERMINAL = "C2A_PROGRESS"


def progress(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Yield `items` and show the progress with rate and time left. total: needed where `items` has no length."""
    total = len(cast(Sized, items)) if total is None else total
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
    """Write one line to standard error, unbuffered."""
    print(message, file=sys.stderr, flush=True)


def terminal() -> Console | None:
    """A rich console on the terminal; None without a terminal or if rich is not installed."""
    with contextlib.suppress(ImportError, OSError):
        from rich.console import Console

        if sys.stderr.isatty():
            return Console(stderr=True)
        if os.environ.get(ON_TERMINAL):
            return Console(file=open("/dev/tty", "w"))
    return None
