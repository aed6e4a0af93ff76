"""Leases: at most one process works on a task at a time, on all hosts that share a disk; its lease file names it.

A holder keeps a small JSON file (host, process, job, start time) and renews its modification time, the heartbeat, every
few seconds. On the holder's own machine the operating system knows whether the process is alive, so a killed holder's
lease is free at once. From another machine only the age of the heartbeat counts: a recent one means refused, a stale
one means taken over.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from pipeline.io.errors import InputError
from pipeline.io.files import TEMPORARY
from pipeline.io.progress import log

HEARTBEAT_SECONDS = 5.0  # interval between heartbeats
STALE_SECONDS = 60.0  # a holder on another machine without a heartbeat for this long counts as dead
SETTLE_SECONDS = 1.0  # two machines may both see a stale lease: the one named in the file after this time holds it
RUN = "C2A_RUN"  # environment variable: the token of the `run` whose job this process is
LOST = 75  # exit code (EX_TEMPFAIL) of a process whose lease was taken over while it was suspended: it must not write


@dataclass(frozen=True)
class Holder:
    """The process that holds a lease.

    Attributes:
        host: name of the host or SLURM node.
        machine: this boot of the machine and the PID namespace of its container.
        pid: process id.
        started: start time of the process, in clock ticks since boot.
        job: SLURM job id, or empty.
        run: token of the `run` that started the process; empty if a user started it.
        since: start of the lease, UTC.
        token: unique id of the lease.
    """

    host: str
    machine: str
    pid: int
    started: int
    job: str
    run: str
    since: str
    token: str

    def describe(self) -> str:
        """One line for errors and tables."""
        return (f"SLURM job {self.job} " if self.job else "") + f"process {self.pid} on {self.host}, since {self.since}"

    def how_to_end(self) -> str:
        """The command that ends this process."""
        return f"scancel {self.job}" if self.job else f"kill {self.pid} (on {self.host})"


def myself() -> Holder:
    """This process as a holder, with a new token."""
    return Holder(
        host=os.environ.get("SLURMD_NODENAME") or socket.gethostname(),
        machine=_machine(),
        pid=os.getpid(),
        started=_start_ticks(os.getpid()) or 0,
        job=os.environ.get("SLURM_JOB_ID", ""),
        run=os.environ.get(RUN, ""),
        since=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        token=uuid.uuid4().hex[:12],
    )


def read_holder(path: Path) -> Holder | None:
    """The process named in a lease file, dead or alive; None if there is no readable file."""
    try:
        return Holder(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def is_alive(path: Path, holder: Holder) -> bool:
    """Whether the holder still runs: exact on its own machine, by the age of its heartbeat on any other."""
    if holder.machine == _machine():
        return _start_ticks(holder.pid) == holder.started
    return _heartbeat_age(path) < STALE_SECONDS


@contextlib.contextmanager
def lease(path: Path, log_path: Path, task: str) -> Iterator[Lease]:
    """Hold the lease `path` inside the `with` block.

    Args:
        path: the lease file.
        log_path: the lease log, an append-only table of all leases taken and released.
        task: name of the task, for the lease log and for errors.

    Raises:
        InputError: another process holds the lease. The message names it and the command that ends it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(f".{path.stem}.lock"), "a") as lock:
        locked = _flock(lock)
        if locked is False:
            raise _refusal(path, task)
        own = _take(path, log_path, task, bool(locked))
        _HEARTBEAT.add(own)
        try:
            yield own
        finally:
            _HEARTBEAT.remove(own)
            own.release()


class Lease:
    """A lease that this process holds."""

    def __init__(self, path: Path, log_path: Path, task: str, holder: Holder):
        self.holder = holder
        self._path = path
        self._log_path = log_path
        self._task = task

    @property
    def token(self) -> str:
        return self.holder.token

    def is_mine(self) -> bool:
        """Whether no other process has taken the lease over. Check this before writing files that others read."""
        current = read_holder(self._path)
        return current is not None and current.token == self.token

    def renew(self) -> None:
        """Write a heartbeat. A process that was suspended and has lost its lease exits here, before it writes again."""
        if not self.is_mine():
            self.record("lost")
            log(f"{self._task}: this process was suspended and another one has taken the task over; exiting")
            os._exit(LOST)
        with contextlib.suppress(OSError):
            os.utime(self._path)

    def release(self) -> None:
        """Remove the lease file, unless another process has taken it over."""
        if self.is_mine():
            self.record("released")
            self._path.unlink(missing_ok=True)

    def record(self, action: str) -> None:
        """Append one line to the lease log."""
        mine = self.holder
        line = f"{time.time():.3f}\t{self._task}\t{action}\t{mine.host}\t{mine.pid}\t{mine.job or '-'}\t{mine.token}\n"
        with contextlib.suppress(OSError):  # on a full disk the line is missing; the task is not affected
            self._log_path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._log_path, "a") as file:
                file.write(line)


class _Heartbeat:
    """One thread that renews all leases of this process (a cohort's driver holds one per capture)."""

    def __init__(self) -> None:
        self._leases: list[Lease] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, item: Lease) -> None:
        with self._lock:
            self._leases.append(item)
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew_all, daemon=True)
                self._thread.start()

    def remove(self, item: Lease) -> None:
        with self._lock:
            self._leases.remove(item)

    def _renew_all(self) -> None:
        while True:
            time.sleep(HEARTBEAT_SECONDS)
            for item in list(self._leases):
                with self._lock:
                    if item in self._leases:
                        item.renew()


_HEARTBEAT = _Heartbeat()


def _take(path: Path, log_path: Path, task: str, locked: bool) -> Lease:
    """Write this process into the lease file. locked: holds the file lock, so no process of this machine competes."""
    own = Lease(path, log_path, task, myself())
    before = read_holder(path)
    if before and is_alive(path, before):
        raise _refusal(path, task)
    if before is None and path.exists() and _heartbeat_age(path) > STALE_SECONDS:
        path.unlink(missing_ok=True)  # truncated by a full disk or a power failure
    temporary = path.with_name(f"{TEMPORARY}{own.token}-{path.name}")
    temporary.write_text(json.dumps(asdict(own.holder)))
    try:
        if before and read_holder(path) == before:
            os.replace(temporary, path)
            if not (locked and before.machine == own.holder.machine):
                time.sleep(SETTLE_SECONDS)
        else:
            os.link(temporary, path)  # fails if another process was faster, on every file system
    except FileExistsError:
        raise _refusal(path, task) from None
    finally:
        temporary.unlink(missing_ok=True)
    if not own.is_mine():
        raise _refusal(path, task)
    own.record(f"taken over from {before.describe()}" if before else "taken")
    return own


def _flock(lock: TextIO) -> bool | None:
    """Whether this process got the file lock; None if the disk has no locks and the lease file alone decides."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES) else None
    return True


def _refusal(path: Path, task: str) -> InputError:
    holder = read_holder(path)
    if holder is None:
        found, end = "a process that has just started", ""
    else:
        found = f"{holder.describe()}, last heartbeat {max(0, _heartbeat_age(path)):.0f} s ago"
        end = f", or end it: {holder.how_to_end()}"
    return InputError(f"{task} is already running", file=path, found=found, remedy=f"wait for it to end{end}; then run again")


def _heartbeat_age(path: Path) -> float:
    """Seconds since the last heartbeat, by the clock of the disk, which all hosts share."""
    try:
        with open(path) as file:  # opening makes a network file system return current attributes
            then = os.fstat(file.fileno()).st_mtime
    except OSError:
        return float("inf")
    probe = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex[:8]}-now")
    try:
        probe.touch()
        return probe.stat().st_mtime - then
    except OSError:
        return time.time() - then  # the folder is not writable for this user
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _machine() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + ":" + os.readlink("/proc/self/ns/pid")
    return socket.gethostname()


def _start_ticks(pid: int) -> int | None:
    """Start time of a process of this machine in clock ticks; None if it does not exist or is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
