"""Runs the command line as a user does, on captures in a folder of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TINY = Path(__file__).with_name("tiny.yaml")


@dataclass(frozen=True)
class Place:
    """A table, results and scratch that belong to one test."""

    folder: Path

    @property
    def table(self) -> Path:
        return self.folder / "captures.tsv"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def write_table(self, *rows: str) -> None:
        """Rows with spaces for tabs, the header first."""
        self.table.write_text("".join("\t".join(row.split()) + "\n" for row in rows))

    def arguments(self, *words: str, config: Path = TINY) -> list[str]:
        """The words of a `run`; options among `words` take the place of the usual ones."""
        usual = {"--captures": self.table, "--results": self.results, "--work": self.work, "--config": config, "--cores": 2}
        options = [str(word) for option, value in usual.items() if option not in words for word in (option, value)]
        return [sys.executable, "-m", "pipeline", "run", *words, *options]

    def paths(self) -> list[str]:
        """The options that name the place, for any verb."""
        return ["--captures", str(self.table), "--results", str(self.results), "--work", str(self.work)]

    def start(self, *words: str, config: Path = TINY) -> subprocess.Popen:
        """Begin a run in a process group of its own."""
        return subprocess.Popen(
            self.arguments(*words, config=config), env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def run(self, *words: str, config: Path = TINY) -> subprocess.CompletedProcess:
        """A whole run; its output as text."""
        return subprocess.run(self.arguments(*words, config=config), env=_environment(), capture_output=True, text=True)

    def times(self, capture: str) -> dict[str, int]:
        """When each stage last finished, by stage name."""
        found = (self.results / capture).glob("**/manifests/*.json")
        return {path.stem: path.stat().st_mtime_ns for path in found}


def command(*words: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    """Any other verb."""
    return subprocess.run([sys.executable, "-m", "pipeline", *map(str, words)], env=_environment(), capture_output=True, text=True, cwd=cwd)


def wait_until(condition: Callable[[], object], running: subprocess.Popen, what: str) -> None:
    """Wait as long as a run is at work, however long that is on a busy machine. Raises AssertionError where it ends before."""
    while not condition():
        assert running.poll() is None or condition(), f"the run ended before {what}"
        time.sleep(0.05)


def children_named(pid: int, word: str) -> list[int]:
    """Processes below `pid` with `word` among their arguments."""
    table = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
            table[int(path.name)] = (parent, (path / "cmdline").read_bytes().decode(errors="replace").split("\0"))
        except (OSError, ValueError):
            continue
    below, grown = {pid}, True
    while grown:
        more = {child for child, (parent, _) in table.items() if parent in below} - below
        below, grown = below | more, bool(more)
    return [child for child in below - {pid} if word in table[child][1]]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
