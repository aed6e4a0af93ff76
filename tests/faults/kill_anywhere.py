"""Kills a run with SIGKILL at random moments and resumes it with the same command: the results must be those of an undisturbed run.

python -m tests.faults.kill_anywhere 100 --seed 1
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline.avatars.registry import DEFAULT_METHOD, METHODS
from pipeline.contract.captures_table import read_captures
from pipeline.contract.layout import Layout
from pipeline.io.files import TEMPORARY
from pipeline.machine.lease import read_holder
from pipeline.workflow.run_options import RunOptions, load_config
from pipeline.workflow.staleness import unfinished_stages
from pipeline.workflow.targets import capture_target
from tests.workflow.leases import double_writers
from tests.workflow.support import ROOT, Place

STAGES = tuple(METHODS[DEFAULT_METHOD].table)
MICRO = ROOT / "tests" / "workflow" / "micro.yaml"
LONGEST = 0.25  # of the time of the undisturbed run: a run is killed before; the next one begins where it died
TIMES = {
    "timing",
    "seconds",
    "resumed_at",
    "train_seconds",
    "pipeline_seconds",
    "rate",
    "bytes",
    "mtime_ns",
    "inputs",
}  # of the clock, not of the capture (bytes: of the page; inputs: hashes, those of train.csv among them)
HOLDS_TIMES = {"report.html", "metrics.json", "train.csv"}  # so their sizes and hashes in manifests differ too


def contents(results: Path) -> dict[str, object]:
    """What a capture's results say, file by file; what the clock says left out, and Snakemake's marks in folders, which a killed one did not set."""
    files = (path for path in sorted(results.rglob("*")) if path.is_file() and path.name not in ("report.html", ".snakemake_timestamp"))
    return {str(path.relative_to(results)): _content(path) for path in files}


def _content(path: Path) -> object:
    if path.name == "train.csv":
        header, *rows = [line.split(",") for line in path.read_text().splitlines()]
        kept = [i for i, name in enumerate(header) if name not in TIMES]
        return [[row[i] for i in kept] for row in rows]
    if path.suffix == ".json":
        return _without_times(json.loads(path.read_text()))
    return path.read_bytes()


def _without_times(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_times(inner) for key, inner in value.items() if key not in TIMES and Path(key).name not in HOLDS_TIMES}
    return [_without_times(inner) for inner in value] if isinstance(value, list) else value


class Victim:
    """One capture in a folder of its own, and what its undisturbed results are."""

    def __init__(self, folder: Path):
        self.place = Place(folder)
        self.place.write_table("id kind path", "a synthetic raw/a")
        self.layout = Layout(self.place.results / "a", self.place.work / "a")
        start = time.monotonic()
        done = self.place.run("a", config=MICRO)
        self.seconds = time.monotonic() - start
        if done.returncode:
            raise RuntimeError(f"the undisturbed run failed: {done.stderr[-2000:]}")
        self.expected = contents(self.layout.results)
        self.clear()

    def clear(self) -> None:
        for folder in ("results", "work", "raw"):
            shutil.rmtree(self.place.folder / folder, ignore_errors=True)

    def check(self) -> None:
        """After a run that ended with code 0. Raises AssertionError."""
        row = read_captures(self.place.table)["a"]
        config = load_config(RunOptions(("a",), captures=self.place.table, results=self.place.results, work=self.place.work, config=MICRO))
        assert not unfinished_stages(capture_target(row, config), config), "success was reported with a stale or missing result"
        found = contents(self.layout.results)
        assert found.keys() == self.expected.keys(), found.keys() ^ self.expected.keys()
        differing = [name for name in found if found[name] != self.expected[name]]
        assert not differing, f"other bytes than undisturbed: {differing}"
        left = [path for path in self.place.folder.rglob(f"{TEMPORARY}*")]
        assert not left, f"left behind: {left}"
        assert double_writers(self.place.work) == []

    def kill_once(self, chance: random.Random) -> str:
        """Run, and kill after a while; returns who was killed, or that the run was complete before."""
        running = self.place.start("a", config=MICRO)
        try:
            running.wait(chance.uniform(0.3, LONGEST * self.seconds))
            return "complete" if running.returncode == 0 else f"ended with {running.returncode}"
        except Exception:  # noqa: BLE001  (still at work: the moment has come)
            pass
        who = chance.choice(("everything", "the driver", "the stage"))
        if who == "the stage":
            holders = [holder for stage in STAGES if (holder := read_holder(self.layout.running(stage)))]
            for holder in holders:
                _kill(holder.pid)
            if holders:
                running.wait()
                return who
            who = "everything"  # no stage is at work: waiting would be for the whole run
        (os.killpg if who == "everything" else os.kill)(running.pid, signal.SIGKILL)
        running.wait()
        return who


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def torment(folder: Path, count: int, seed: int) -> Iterator[str]:
    """Kill `count` times, resuming each time; check, and start over whenever a run completes. Yields a line per kill. Raises AssertionError."""
    chance, victim, killed = random.Random(seed), Victim(folder), 0
    while killed < count:
        who = victim.kill_once(chance)
        if who == "complete":
            victim.check()
            victim.clear()
            yield "complete and as expected; starts over"
            continue
        killed += 1
        done = [stage for stage in STAGES if stage in victim.place.times("a")]
        yield f"{killed}: killed {who}; {', '.join(done[-1:]) or 'nothing'} was done"
    last = victim.place.run("a", config=MICRO)
    assert last.returncode == 0, last.stderr[-3000:]
    victim.check()
    yield "complete and as expected"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="c2a-kill-") as folder:
        for line in torment(Path(folder), given.count, given.seed):
            print(f"{time.monotonic() - start:6.0f} s  {line}", flush=True)
    sys.exit(0)


if __name__ == "__main__":
    main()
