"""What a failed stage leaves: an error file that `status`, the report and the cohort page show."""

from __future__ import annotations

import contextlib
import errno
import json
import signal
import time
import traceback
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from pipeline.contract.layout import Layout
from pipeline.io.errors import InputError
from pipeline.io.files import write_json
from pipeline.io.progress import log
from pipeline.machine.lease import Holder, myself
from pipeline.machine.time_limit import OUT_OF_TIME

LOG_LINES = 12
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


def explain(error: BaseException, capture: str = "") -> BaseException:
    """The same error in words for the user, where it is one of a kind that is no fault of the program: a full disk, a place that may not be written, no memory."""
    again = f"then ./c2a run {capture}" if capture else "then the same command again"
    if isinstance(error, OSError) and error.errno in _FULL:
        return InputError("no space is left on this disk", file=error.filename, remedy=f"free some, or use --results and --work; {again}")
    if isinstance(error, OSError) and error.errno in _FORBIDDEN:
        return InputError("may not be written", file=error.filename, found=error.strerror, expected="a place to write to", remedy=f"make it writable, {again}")
    if isinstance(error, MemoryError | BrokenProcessPool):
        cause = "a worker process was killed" if isinstance(error, BrokenProcessPool) else str(error) or "an allocation failed"
        return InputError("memory ran out", found=cause, remedy=f"use fewer --cores or a machine with more memory, {again}")
    return error


def describe(error: BaseException) -> str:
    """An error as the message of an error file."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, SystemExit):
        return "time limit reached" if error.code == OUT_OF_TIME else "interrupted" if is_interruption(error) else f"exit code {error.code}"
    return "interrupted" if is_interruption(error) else f"{type(error).__name__}: {error}"


def is_interruption(error: BaseException) -> bool:
    """Whether it is Ctrl-C or SIGTERM, somebody's wish and no fault."""
    return isinstance(error, KeyboardInterrupt) or (isinstance(error, SystemExit) and error.code in (128 + signal.SIGINT, 128 + signal.SIGTERM))


def note_failure(stage: str, layout: Layout, error: BaseException) -> None:
    """Say what went wrong on standard error, and write the error file."""
    expected = isinstance(error, InputError | SystemExit | KeyboardInterrupt)
    log(describe(error) if expected else "".join(traceback.format_exception(error)))
    write_error(stage, layout, describe(error), myself(), user_error=isinstance(error, InputError), interrupted=is_interruption(error))


def write_error(
    stage: str, layout: Layout, message: str, where: Holder | None, *, user_error: bool = False, interrupted: bool = False, attempt: int | None = None
) -> None:
    """The error file of a stage. attempt: which one of this run (default: one more than the present file says)."""
    record = {
        "stage": stage,
        "message": message,
        "user_error": user_error,
        "interrupted": interrupted,
        "attempt": attempt or attempts(layout, stage) + 1,
        "job": where.job if where else "",
        "host": where.host if where else "",
        "log": last_lines(layout, stage),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    with contextlib.suppress(OSError):  # a full disk must not hide the first error
        write_json(layout.error(stage), record)


def attempts(layout: Layout, stage: str) -> int:
    """How many attempts at a stage failed in this run; `run` begins with a clean slate."""
    return int(read_error(layout, stage).get("attempt", 0))


def read_error(layout: Layout, stage: str) -> dict[str, Any]:
    """The error file of a stage; empty where there is none."""
    with contextlib.suppress(OSError, ValueError):
        record = json.loads(layout.error(stage).read_text())
        return record if isinstance(record, dict) else {}
    return {}


def last_lines(layout: Layout, stage: str) -> list[str]:
    """The end of a stage's log."""
    with contextlib.suppress(OSError):
        return layout.log(stage).read_text(errors="replace").splitlines()[-LOG_LINES:]
    return []
