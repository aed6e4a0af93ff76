"""Progress with rate and time left; with no terminal, a log line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
LOG_EVERY_SECONDS = 10.0


def progress(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Yield `items` while showing how far along they are."""
    total = total if total is not None else len(items)  # type: ignore[arg-type]
    if sys.stderr.isatty():
        try:
            from rich.progress import track
        except ImportError:  # a machine with the numeric packages alone
            pass
        else:
            yield from track(items, description=label, total=total)
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
