"""Runs one stage as a job: settings in, outputs and a manifest out; on failure an error file and nothing half-written."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.avatars.registry import method_of
from pipeline.config import parse_settings
from pipeline.contract.captures_table import CaptureRow
from pipeline.contract.layout import Layout
from pipeline.contract.stages import CAPTURE_STAGES
from pipeline.io.files import TEMPORARY, sha256, write_json
from pipeline.machine.gpu_lock import claim_card
from pipeline.machine.lease import Lease, lease, read_holder
from pipeline.stages.failure import explain, note_failure, write_error


def execute(stage: str, row: CaptureRow, layout: Layout, settings: dict[str, Any], key: str, threads: int) -> None:
    """Run a stage and write its manifest.

    Args:
        settings: its subtree of config.yaml. key: what `plan.stage_keys` says of it, kept in the manifest.

    Raises:
        InputError and whatever else the stage raises, after the error file was written and the outputs were removed.
    """
    os.environ.setdefault("NUMBA_NUM_THREADS", str(threads))
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    before = read_holder(layout.running(stage))
    try:
        with _terminable(), lease(layout.running(stage), layout.leases, stage_name(stage, layout)) as held:
            if before:  # killed before it could say a word: it counts as an attempt
                write_error(stage, layout, f"was killed ({before.describe()})", before)
            _run(stage, row, layout, settings, key, threads, held)
    except OSError as error:  # of the lease itself: a stage's own come explained
        raise explain(error, row.id) from error


def execute_part(stage: str, row: CaptureRow, layout: Layout, settings: dict[str, Any], threads: int, number: int, count: int) -> None:
    """Do the `number`-th of `count` parts of a stage's cameras; the stage itself, run later, finds them done and publishes them. Raises as `execute` does."""
    note, name = layout.part(stage, number, count), f"{stage}-{number}of{count}"
    with _terminable(), lease(layout.running(name), layout.leases, f"{name} of {row.id}"):
        try:
            _call(stage, row, layout, settings, threads, part=slice(number - 1, None, count))
            write_json(note, {"stage": stage, "part": number, "of": count})
        except BaseException as error:
            told = explain(error, row.id)
            note_failure(stage, layout, told)
            raise told from None if told is error else error


def stage_name(stage: str, layout: Layout) -> str:
    """A stage of a capture in words."""
    return f"{stage} of {layout.results.name}" if stage in CAPTURE_STAGES else f"{layout.method}/{stage} of {layout.results.name}"


def _run(stage: str, row: CaptureRow, layout: Layout, settings: dict[str, Any], key: str, threads: int, held: Lease) -> None:
    method = method_of(layout.method)
    start, outputs = time.perf_counter(), method.output_paths(layout, stage)
    try:
        _sweep(stage, row, layout, outputs)
        for path in outputs:
            _remove(path)
        with claim_card() if method.table[stage].gpus(settings.get("device", "auto")) else contextlib.nullcontext():
            facts = _call(stage, row, layout, settings, threads) or {}
        missing = [path for path in outputs if not path.exists()]
        if missing:
            raise RuntimeError(f"the stage ended without writing {', '.join(map(str, missing))}")
        if not held.is_mine():
            raise RuntimeError("another process took this stage over while this one was asleep")
        _write_manifest(stage, layout, outputs, settings, key, facts, time.perf_counter() - start)
    except BaseException as error:
        told = explain(error, row.id)
        if held.is_mine():
            for path in outputs:
                _remove(path)
        note_failure(stage, layout, told)
        if told is error:
            raise
        raise told from error
    layout.error(stage).unlink(missing_ok=True)
    shutil.rmtree(layout.scratch(stage), ignore_errors=True)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM, a scheduler's way to end a job, leaves through every `finally`, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # once is enough
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _sweep(stage: str, row: CaptureRow, layout: Layout, outputs: list[Path]) -> None:
    """Remove the temporary files that a killed attempt at this stage left behind."""
    for path in [*outputs, layout.manifest(stage), layout.error(stage), layout.running(stage)]:
        for left in path.parent.glob(f"{TEMPORARY}*-{path.name}"):
            _remove(left)
    for folder in [layout.scratch(stage), *([row.path] if stage == "synthesise" else [])]:
        for left in sorted(folder.rglob(f"{TEMPORARY}*")) if folder.is_dir() else []:
            _remove(left)


def _call(stage: str, row: CaptureRow, layout: Layout, settings: dict[str, Any], threads: int, part: slice | None = None) -> dict[str, Any] | None:
    run = importlib.import_module(f"pipeline.stages.{stage}").run
    given = {"settings": parse_settings(stage, settings, method_of(layout.method)), "layout": layout, "threads": threads, "row": row, "part": part}
    return run(**{name: given[name] for name in inspect.signature(run).parameters})


def _write_manifest(stage: str, layout: Layout, outputs: list[Path], settings: dict, key: str, facts: dict, seconds: float) -> None:
    files = [file for path in outputs for file in (sorted(path.rglob("*")) if path.is_dir() else [path]) if file.is_file()]
    manifest = {
        "stage": stage,
        "version": method_of(layout.method).table[stage].version,
        "key": key,
        "settings": settings,
        "sources": facts.pop("sources", {}),
        "facts": facts,
        "outputs": {str(file.relative_to(layout.results)): {"size": file.stat().st_size, "sha256": sha256(file)} for file in files},
        "timing": {
            "seconds": round(seconds, 3),
            "peak_memory_mb": _peak_memory_mb(),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "python": sys.version.split()[0],
        },
    }
    write_json(layout.manifest(stage), manifest)


def _peak_memory_mb() -> int:
    return round(max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
