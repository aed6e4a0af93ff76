"""How long a command takes on a table of many captures, finished but for a few: `python -m tests.bench.cohort FOLDER --captures 1000`.

The captures have manifests and outputs of a byte each; nothing in them is read but by the workflow.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from pipeline.avatars.registry import method_of
from pipeline.config import Config, parse_config
from pipeline.contract.captures_table import read_captures
from pipeline.contract.manifest import inputs_of
from pipeline.io.files import ROOT, sha256, write_text
from pipeline.workflow.targets import Target, capture_target

HEADER = "id\tkind\tpath\n"


def finish(target: Target, config: Config) -> None:
    """Outputs and manifests as the stages leave them."""
    method, keys = method_of(config.method), target.keys(config)
    for stage in target.stages:
        files = []
        for path in method.output_paths(target.layout, stage):
            file = path if path.suffix else path / "x.zip"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("x")
            files.append(file)
        known = {str(file.relative_to(target.layout.results)): {"size": 1, "sha256": sha256(file)} for file in files}
        row = {"key": keys[stage], "inputs": inputs_of(stage, target.layout, method.table), "outputs": known, "timing": {"seconds": 1.0}}
        path = target.layout.manifest(stage)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(row))


def make(folder: Path, count: int) -> Config:
    """A table, and its results."""
    write_text(folder / "captures.tsv", HEADER + "".join(f"c{number:05}\tsynthetic\traw/c{number:05}\n" for number in range(count)))
    paths = {name: str(folder / name) for name in ("results", "work")} | {"captures": str(folder / "captures.tsv")}
    config = parse_config(paths | {"preset": "draft"})
    for row in read_captures(folder / "captures.tsv").values():
        finish(capture_target(row, config), config)
    return config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--captures", type=int, default=1000)
    given = parser.parse_args()
    config = make(given.folder, given.captures)
    options = ["--captures", config.captures, "--results", config.results, "--work", config.work, "--preset", "draft"]
    for words in (["run", "--all", "-n"], ["run", "--all"], ["status"], ["run", "--all", "-n", "--from", "train"], ["run", "c00000"]):
        start = time.monotonic()
        done = subprocess.run([sys.executable, "-m", "pipeline", *words, *options], cwd=ROOT, capture_output=True, text=True)
        print(f"{time.monotonic() - start:6.1f} s  exit {done.returncode}  {' '.join(words)}: {done.stdout.strip().splitlines()[-1:]} {done.stderr[-300:]}")


if __name__ == "__main__":
    main()
