"""Runs the cases in child processes, forked from one that has imported the readers: `python -m tests.hostile.server [NAME or READER ...]`.

A line of JSON per case: name, outcome, message, seconds. Outcomes: refused, accepted, traceback, crash, hang, memory, executed, wrote outside. A child runs
cases one after the other; where it crashes or hangs, the case at which it did is known, and another child goes on after it.
"""

from __future__ import annotations

import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.hostile.case import Case

SECONDS, MEGABYTES, BATCH = 10, 1536, 25  # of processor time of one case; of memory on top of the imports; cases of one child
ASLEEP = 120  # seconds after which a case hangs that uses no processor; long, since others may keep the machine busy
_FORBIDDEN = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "socket.connect")
_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.symlink", "os.link", "shutil.rmtree")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CACHES = {"__pycache__", "numba_cache"}  # compiled kernels


def main() -> None:
    """Print a record for every case, or for those that are named."""
    import torch

    import tests.hostile.corpus as corpus

    torch.set_num_threads(1)
    corpus.warm_up()
    wanted = set(sys.argv[1:])
    cases = [case for case in corpus.CASES if not wanted or {case.name, case.reader} & wanted]
    with tempfile.TemporaryDirectory(prefix="hostile-") as place:
        while cases:
            records = list(_batch(cases[:BATCH], Path(place).resolve()))
            for record in records:
                print(json.dumps(record), flush=True)
            cases = cases[len(records) :]


def _batch(cases: Sequence[Case], place: Path) -> Iterator[dict]:
    """The records of the first cases: of all, or up to the one at which the child ended."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        try:
            _Child(place, into).run(cases)
        finally:
            os._exit(1)
    os.close(into)
    with os.fdopen(out, "rb", buffering=0) as lines:
        for case in cases:
            line = _line(lines.fileno(), child)
            if not line.endswith(b"\n"):
                hangs = os.waitpid(child, os.WNOHANG) == (0, 0)
                if hangs:
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
                yield {"name": case.name, "outcome": "hang" if hangs else "crash", "message": f"in {SECONDS} s", "seconds": SECONDS}
                return
            yield json.loads(line)
    os.waitpid(child, 0)


def _line(source: int, child: int) -> bytes:
    """The next line, or what came of it within the time of a case."""
    text, end, busy = b"", time.monotonic() + ASLEEP, _processor_seconds(child) + SECONDS
    while not text.endswith(b"\n") and time.monotonic() < end and _processor_seconds(child) < busy:
        if select.select([source], [], [], 0.5)[0]:
            if not (data := os.read(source, 1)):
                time.sleep(0.2)  # until the child has ended
                break
            text += data
            while not text.endswith(b"\n") and select.select([source], [], [], 0)[0] and (data := os.read(source, 1)):
                text += data
    return text


def _processor_seconds(child: int) -> float:
    fields = Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class _Child:
    """Reads hostile inputs under watch; never returns."""

    def __init__(self, place: Path, into: int):
        self._place, self._into, self._folder = place, into, place / "case"
        self._watched = False
        self._broken: list[str] = []

    def run(self, cases: Sequence[Case]) -> None:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1)  # ffmpeg and libpng say what they think of each
        os.dup2(null, 2)
        limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + (MEGABYTES << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        sys.addaudithook(self._watch)
        for case in cases:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir()
            os.chdir(self._folder)
            start = time.monotonic()
            try:
                case.make(self._folder)
            except Exception as error:  # noqa: BLE001
                outcome, message = "not made", repr(error)
            else:
                self._broken, self._watched = [], True
                outcome, message = self._read(case)
                self._watched = False
            if strangers := [path for path in self._place.iterdir() if path != self._folder]:
                outcome, message = "wrote outside", str(strangers)
            elif self._broken or list(self._place.rglob("EXECUTED")):
                outcome, message = ("wrote outside" if self._broken[:1] and self._broken[0].startswith("write") else "executed"), "; ".join(self._broken[:3])
            record = {"name": case.name, "outcome": outcome, "message": message[:6000], "seconds": round(time.monotonic() - start, 3)}
            os.write(self._into, json.dumps(record).encode() + b"\n")
        os._exit(0)

    def _read(self, case: Case) -> tuple[str, str]:
        from pipeline.io.errors import InputError

        try:
            case.read(self._folder)
        except InputError as error:
            return "refused", str(error)
        except MemoryError as error:
            return "memory", str(error)
        except BaseException as error:  # noqa: BLE001  (whatever a reader lets through is what this is to find)
            place = traceback.extract_tb(error.__traceback__)[-1]
            return "traceback", f"{type(error).__name__}: {error} at {place.filename}:{place.lineno}"
        return "accepted", ""

    def _watch(self, event: str, arguments: tuple) -> None:
        if not self._watched:
            return
        if event in _FORBIDDEN:
            self._broken.append(f"{event} {arguments!r:.200}")
        writes = event in _CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING)
        if writes and isinstance(arguments[0], str | os.PathLike):
            path = Path(os.path.realpath(arguments[0]))
            if not path.is_relative_to(self._folder) and str(path) != os.devnull and not _CACHES & set(path.parts):
                self._broken.append(f"write {event} {path}")


if __name__ == "__main__":
    main()
