"""Readers that do what none may do: the server must see each of it."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hostile import server
from tests.hostile.case import Case


def _loop(folder: Path) -> None:
    while True:
        pass


BAD: dict[str, Callable[[Path], Any]] = {
    "accepted": lambda folder: None,
    "traceback": lambda folder: {}["x"],
    "crash": lambda folder: os.kill(os.getpid(), signal.SIGSEGV),
    "hang": _loop,
    "memory": lambda folder: bytes(server.MEGABYTES << 21),
    "executed": lambda folder: os.system("true"),
    "wrote outside": lambda folder: (folder.parent / "x").write_text("x"),
}


def main() -> None:
    """Print the outcome of each."""
    server.SECONDS = 1
    cases = [Case("harness", outcome, lambda folder: None, read) for outcome, read in BAD.items()]
    with tempfile.TemporaryDirectory() as place:
        while cases:
            records = list(server._batch(cases, Path(place).resolve()))
            for record in records:
                print(json.dumps(record))
            cases = cases[len(records) :]


if __name__ == "__main__":
    main()
