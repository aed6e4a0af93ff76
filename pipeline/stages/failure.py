"""What a failed stage leaves: an error file that `status`, the report and the cohort page show."""

from __future__ import annotations

import contextlib
import errno
import signal
import time
import traceback
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from pipeline.contract.layout import RECORD_KINDS, Layout
from pipeline.io.errors import InputError
from pipeline.io.files import read_record, write_json
from pipeline.io.progress import log
from pipeline.machine.lease import Holder, myself
from pipeline.machine.time_limit import OUT_OF_TIME

LOG_LINES = 12
_FORBIDDEN = ("is not writable, or not readable", "change its permissions")
DISK_ERRORS = {
    errno.ENOSPC: ("no space is left on this disk", "free some, or use --results and --work"),
    errno.EDQUOT: ("your disk quota is used up", "free some, or use --results and --work"),
    errno.EFBIG: ("the file would be larger than is allowed here", "raise the limit (ulimit -f), or use --results and --work on another file system"),
    errno.EROFS: ("is not writable", "mount it writable, or use --results and --work"),
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.ENAMETOOLONG: ("the path is too long for this file system", "use a shorter name, or shorter --results and --work"),
    errno.ESTALE: ("the file server lost this file", "see whether the mount is well"),
    errno.EIO: ("the disk cannot be read or written", "see whether the disk or the mount is well, copy the file again"),
    errno.EMFILE: ("too many files are open", "raise the limit (ulimit -n), or use fewer --cores"),
    errno.ENFILE: ("too many files are open on this machine", "use fewer --cores"),
}
"""What is wrong and what to do, by the number of an error of the file system."""


def explain(error: BaseException, capture: str = "") -> BaseException:
    """The same error in words for the user, where it is one of a kind that is no fault of the program: a full disk, a place that may not be written, no memory."""
    again = f"then ./c2a run {capture}" if capture else "then the same command again"
    if isinstance(error, MemoryError | BrokenProcessPool):
        cause = "a worker process was killed" if isinstance(error, BrokenProcessPool) else str(error) or "an allocation failed"
        return InputError("out of memory", found=cause, remedy=f"use fewer --cores or a machine with more memory, {again}")
    at_fault = None if isinstance(error, InputError) else _of_the_disk(error)
    if at_fault:
        problem, remedy = DISK_ERRORS[at_fault.errno or 0]
        return InputError(problem, file=at_fault.filename, found=at_fault.strerror, remedy=f"{remedy}; {again}")
    return error


def _of_the_disk(error: BaseException | None) -> OSError | None:
    """The error itself, or the one at whose handling it arose: an archive that cannot be written cannot be closed either."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            return error
        error = error.__cause__ or error.__context__
    return None


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
    return read_record(layout.error(stage), RECORD_KINDS) or {}


def last_lines(layout: Layout, stage: str) -> list[str]:
    """The end of a stage's log."""
    with contextlib.suppress(OSError):
        return layout.log(stage).read_text(errors="replace").splitlines()[-LOG_LINES:]
    return []
