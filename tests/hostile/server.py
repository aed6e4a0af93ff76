"""Runs every case in a process of its own, forked from one that has imported the readers: `python -m tests.hostile.server`.

A line of JSON per case: name, outcome, message, seconds, megabytes. Outcomes: refused, accepted, traceback, crash, hang, memory, executed, wrote outside.
"""

from __future__ import annotations

import contextlib
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
from pathlib import Path

SECONDS, MEGABYTES = 10, 1536  # of one case; the memory is what it may allocate on top of the imports
_FORBIDDEN = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "socket.connect", "pickle.find_class")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.symlink", "os.link", "shutil.rmtree")


def main() -> None:
    import torch

    import tests.hostile.corpus as corpus

    torch.set_num_threads(1)
    corpus.warm_up()
    wanted = set(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="hostile-") as place:
        for case in corpus.CASES:
            if not wanted or case.name in wanted or case.reader in wanted:
                print(json.dumps(run(case, Path(place).resolve())), flush=True)


def run(case, place: Path) -> dict:
    """Make the input and read it in a child process; what became of it."""
    folder = place / "case"
    folder.mkdir()
    case.make(folder)
    before, start = set(place.rglob("*")), time.monotonic()
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        _read(case, folder, into)
    os.close(into)
    outcome, message = _wait(child, out)
    outside = [path for path in set(place.rglob("*")) - before if not path.is_relative_to(folder)]
    if list(place.rglob("EXECUTED")):
        outcome = "executed"
    elif outside:
        outcome, message = "wrote outside", str(outside)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(folder)
    return {"name": case.name, "outcome": outcome, "message": message, "seconds": round(time.monotonic() - start, 2), "peak_mb": usage.ru_maxrss // 1024}


def _wait(child: int, out: int) -> tuple[str, str]:
    text, end = b"", time.monotonic() + SECONDS
    while (left := end - time.monotonic()) > 0 and select.select([out], [], [], left)[0]:
        if not (data := os.read(out, 1 << 16)):
            break
        text += data
    else:
        os.kill(child, signal.SIGKILL)
    os.close(out)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == -signal.SIGKILL:
        return "hang", f"longer than {SECONDS} s"
    if status or not text:
        return "crash", f"exit code {status}"
    record = json.loads(text)
    return record["outcome"], record["message"]


def _read(case, folder: Path, into: int) -> None:
    """In the child: read the input and say how it ended; never returns."""
    os.chdir(folder)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + (MEGABYTES << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    broken: list[str] = []
    sys.addaudithook(lambda event, arguments: _watch(event, arguments, folder, broken))
    from pipeline.io.errors import InputError

    try:
        case.read(folder)
        outcome, message = "accepted", ""
    except InputError as error:
        outcome, message = "refused", str(error)
    except MemoryError as error:
        outcome, message = "memory", str(error)
    except BaseException as error:  # noqa: BLE001  (whatever a reader lets through is what this is to find)
        place = traceback.extract_tb(error.__traceback__)[-1]
        outcome, message = "traceback", f"{type(error).__name__}: {error} at {place.filename}:{place.lineno}"
    if broken:
        outcome, message = ("wrote outside" if broken[0].startswith("write") else "executed"), "; ".join(broken[:3])
    with contextlib.suppress(OSError):
        os.write(into, json.dumps({"outcome": outcome, "message": message[:2000]}).encode())
    os._exit(0)


def _watch(event: str, arguments: tuple, folder: Path, broken: list[str]) -> None:
    if event in _FORBIDDEN:
        broken.append(f"{event} {arguments!r:.200}")
    paths = arguments[:1] if event in _CHANGES else arguments[:1] if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING else ()
    for path in paths:
        if isinstance(path, str | os.PathLike) and not (inside := Path(os.path.realpath(path))).is_relative_to(folder) and str(inside) != os.devnull:
            if not {"__pycache__", "numba_cache"} & set(inside.parts):  # compiled kernels
                broken.append(f"write {event} {inside}")


if __name__ == "__main__":
    main()
