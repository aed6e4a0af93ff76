"""Leases: one process at a time at a piece of work, also where several hosts share the disk, and everybody can read who it is.

A holder keeps a small JSON file (host, process, job, since) whose time it renews every few seconds. On the holder's own machine the system knows whether it
lives, so that a killed one is followed at once. From another machine the time of the file tells: fresh means refused, stale means taken over.
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

from pipeline.io.errors import InputError
from pipeline.io.files import TEMPORARY
from pipeline.io.progress import log

BEAT_SECONDS = 5.0
STALE_SECONDS = 60.0  # a holder on another machine that was silent for so long counts as dead
SETTLE_SECONDS = 1.0  # two machines may find the same lease stale: the one whose name stands after this time has it
RUN = "C2A_RUN"  # environment variable: the token of the `run` whose job this process is
LOST = 75  # exit code (EX_TEMPFAIL) of a process that finds its lease taken over: it was asleep, and must not write any more


@dataclass(frozen=True)
class Holder:
    """Who is at work.

    machine: this boot of this computer (and this container of it); started: the process's start, in the system's ticks; run: the token of the `run` that
    started it, empty where a person did.
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
        """In words, for an error or a table."""
        return (f"SLURM job {self.job} " if self.job else "") + f"process {self.pid} on {self.host}, since {self.since}"

    def how_to_end(self) -> str:
        """What to type."""
        return f"scancel {self.job}" if self.job else f"kill {self.pid} (on {self.host})"


def myself() -> Holder:
    """This process, with a token of its own."""
    return Holder(
        host=os.environ.get("SLURMD_NODENAME") or socket.gethostname(),
        machine=_machine(),
        pid=os.getpid(),
        started=_started(os.getpid()) or 0,
        job=os.environ.get("SLURM_JOB_ID", ""),
        run=os.environ.get(RUN, ""),
        since=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        token=uuid.uuid4().hex[:12],
    )


def read_holder(path: Path) -> Holder | None:
    """Who wrote the lease, alive or not; None where there is none."""
    try:
        return Holder(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def is_alive(path: Path, holder: Holder, stale_seconds: float = STALE_SECONDS) -> bool:
    """Whether the holder is still at work: exactly on its own machine, by the age of its last sign of life on any other."""
    if holder.machine == _machine():
        return _started(holder.pid) == holder.started
    return _age(path) < stale_seconds


@contextlib.contextmanager
def lease(path: Path, book: Path, what: str, stale_seconds: float = STALE_SECONDS) -> Iterator[Lease]:
    """Hold `path`, or refuse.

    Args:
        path: the lease's file. book: an append-only table of who took and released what. what: the work in words, for the book and for errors.

    Raises:
        InputError: another process is at work; it says who, and what to type.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(f".{path.stem}.lock"), "a") as lock:
        locked = _flock(lock)
        if locked is False:
            raise _refusal(path, what)
        held = _take(path, book, what, stale_seconds, bool(locked))
        _KEEPER.add(held)
        try:
            yield held
        finally:
            _KEEPER.remove(held)
            held.release()


class Lease:
    """A lease that this process holds."""

    def __init__(self, path: Path, book: Path, what: str, holder: Holder):
        self._path, self._book, self._what, self.holder = path, book, what, holder

    @property
    def token(self) -> str:
        return self.holder.token

    def is_mine(self) -> bool:
        """Whether nobody has taken it over meanwhile; worth asking before something is written that others read."""
        found = read_holder(self._path)
        return found is not None and found.token == self.token

    def renew(self) -> None:
        """A sign of life; a process that was asleep for too long and lost its lease ends here, before it writes again."""
        if not self.is_mine():
            self.note("lost")
            log(f"{self._what}: another process has taken over while this one was asleep; this one ends")
            os._exit(LOST)
        with contextlib.suppress(OSError):
            os.utime(self._path)

    def release(self) -> None:
        if self.is_mine():
            self.note("released")
            self._path.unlink(missing_ok=True)

    def note(self, action: str) -> None:
        """One line in the book."""
        mine = self.holder
        line = f"{time.time():.3f}\t{self._what}\t{action}\t{mine.host}\t{mine.pid}\t{mine.job or '-'}\t{mine.token}\n"
        with contextlib.suppress(OSError):  # a full disk costs the book a line, and the work nothing
            self._book.parent.mkdir(parents=True, exist_ok=True)
            with open(self._book, "a") as book:
                book.write(line)


class _Keeper:
    """Renews all leases of this process, from one thread: the driver of a cohort holds a thousand."""

    def __init__(self) -> None:
        self._held: list[Lease] = []
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, held: Lease) -> None:
        with self._guard:
            self._held.append(held)
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep, daemon=True)
                self._thread.start()

    def remove(self, held: Lease) -> None:
        with self._guard:
            self._held.remove(held)

    def _keep(self) -> None:
        while True:
            time.sleep(BEAT_SECONDS)
            for held in list(self._held):
                with self._guard:
                    if held in self._held:
                        held.renew()


_KEEPER = _Keeper()


def _take(path: Path, book: Path, what: str, stale_seconds: float, locked: bool) -> Lease:
    held = Lease(path, book, what, myself())
    before = read_holder(path)
    if before and is_alive(path, before, stale_seconds):
        raise _refusal(path, what)
    if before is None and path.exists() and _age(path) > stale_seconds:
        path.unlink(missing_ok=True)  # cut short by a full disk or a power failure
    ours = path.with_name(f"{TEMPORARY}{held.token}-{path.name}")
    ours.write_text(json.dumps(asdict(held.holder)))
    try:
        if before and read_holder(path) == before:
            os.replace(ours, path)
            if not (locked and before.machine == held.holder.machine):
                time.sleep(SETTLE_SECONDS)
        else:
            os.link(ours, path)  # fails where another was faster, on every file system
    except FileExistsError:
        raise _refusal(path, what) from None
    finally:
        ours.unlink(missing_ok=True)
    if not held.is_mine():
        raise _refusal(path, what)
    held.note(f"taken over from {before.describe()}" if before else "taken")
    return held


def _flock(lock) -> bool | None:  # noqa: ANN001
    """Whether the lock is ours; None where this disk has no locks, and the lease's file decides alone."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES) else None
    return True


def _refusal(path: Path, what: str) -> InputError:
    holder = read_holder(path)
    found = f"{holder.describe()}, last sign of life {max(0, _age(path)):.0f} s ago" if holder else "another process that has just begun"
    remedy = "wait for it to end" + (f", or end it: {holder.how_to_end()}" if holder else "") + "; then run again"
    return InputError(f"{what} is already at work", file=path, found=found, remedy=remedy)


def _age(path: Path) -> float:
    """Seconds since the last sign of life, by the clock of the disk, which all hosts share."""
    try:
        with open(path) as file:  # opening asks a network file system for the present state
            then = os.fstat(file.fileno()).st_mtime
    except OSError:
        return float("inf")
    probe = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex[:8]}-now")
    try:
        probe.touch()
        return probe.stat().st_mtime - then
    except OSError:
        return time.time() - then  # a reader who may not write here
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _machine() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + ":" + os.readlink("/proc/self/ns/pid")
    return socket.gethostname()


def _started(pid: int) -> int | None:
    """When a process of this machine started, in ticks; None where it is not there, or is a corpse that nobody has buried yet."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
