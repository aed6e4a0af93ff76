"""Runs one stage as a job: settings in, outputs and a manifest out; on failure an error file and nothing half-written."""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pipeline.contract.layout import Layout
from pipeline.contract.manifest import inputs_of
from pipeline.contract.stages import CAPTURE_STAGES
from pipeline.io.files import TEMPORARY, sha256, write_json
from pipeline.io.progress import recording
from pipeline.machine.gpu_lock import claim_card
from pipeline.machine.lease import Lease, lease, read_holder
from pipeline.machine.provenance import provenance
from pipeline.stages.failure import explain, note_failure, write_error
from pipeline.stages.job import AvatarJob, Job


def execute(job: Job, layout: Layout, key: str, preset: str) -> None:
    """Run a stage and write its manifest.

    Args:
        layout: where its manifest, log, lease and error file lie. key: see contract/keys.py. preset: whose settings were used; both are kept in the manifest.

    Raises:
        InputError and whatever else the stage raises, after the error file was written and the outputs were removed.
    """
    stage = job.stage.name
    os.environ.setdefault("NUMBA_NUM_THREADS", str(job.threads))
    os.environ.setdefault("OMP_NUM_THREADS", str(job.threads))
    before = read_holder(layout.running(stage))
    try:
        with _terminable(), lease(layout.running(stage), layout.leases, stage_name(stage, layout)) as held, recording(layout.progress(stage)):
            if before:  # killed without an error record: it counts as an attempt
                write_error(stage, layout, f"was killed ({before.describe()})", before)
            _run(job, layout, {"key": key} | ({"preset": preset} if isinstance(job, AvatarJob) else {}), held)
    except OSError as error:  # of the lease itself: a stage's own come explained
        raise explain(error, job.subject) from error


def execute_part(job: Job, layout: Layout, number: int, count: int) -> None:
    """Do the `number`-th of `count` parts of a stage's cameras; the stage itself, run later, publishes them. Raises as `execute` does."""
    stage = job.stage.name
    note, name = layout.part(stage, number, count), f"{stage}-{number}of{count}"
    with _terminable(), lease(layout.running(name), layout.leases, f"{name} of {job.subject}"), recording(layout.progress(name)):
        try:
            _function(job)(replace(job, part=slice(number - 1, None, count)))
            write_json(note, {"stage": stage, "part": number, "of": count})
        except BaseException as error:
            explained = explain(error, job.subject)
            note_failure(stage, layout, explained)
            raise explained from None if explained is error else error


def stage_name(stage: str, layout: Layout) -> str:
    """A stage of a capture or group, for messages."""
    return f"{stage} of {layout.results.name}" if stage in CAPTURE_STAGES else f"{layout.method}/{stage} of {layout.results.name}"


def _run(job: Job, layout: Layout, notes: dict[str, Any], held: Lease) -> None:
    stage, start = job.stage.name, time.perf_counter()
    outputs = [getattr(job.outputs, name) for name in job.stage.outputs]
    try:
        notes = notes | {"inputs": inputs_of(stage, layout, job.table)}
        _sweep(job, layout, outputs)
        for path in outputs:
            _remove(path)
        with claim_card() if job.stage.gpus(getattr(job.settings, "device", "auto")) else contextlib.nullcontext():
            facts = _function(job)(job) or {}
        missing = [path for path in outputs if not path.exists()]
        if missing:
            raise RuntimeError(f"the stage ended without writing {', '.join(map(str, missing))}")
        if not held.is_mine():
            raise RuntimeError("another process took this stage over while this one was asleep")
        _write_manifest(job, layout, outputs, notes, facts, time.perf_counter() - start)
    except BaseException as error:
        explained = explain(error, job.subject)
        if held.is_mine():
            for path in outputs:
                _remove(path)
        note_failure(stage, layout, explained)
        if explained is error:
            raise
        raise explained from error
    layout.error(stage).unlink(missing_ok=True)
    shutil.rmtree(layout.scratch(stage), ignore_errors=True)


def _function(job: Job) -> Callable[[Job], dict[str, Any] | None]:
    """What does the work: `run` of the module named as the stage, or of a method's own stage the function of that name."""
    if isinstance(job, AvatarJob) and job.stage.name in job.method.own:
        return job.method.function(job.stage.name)
    return importlib.import_module(f"pipeline.stages.{job.stage.name}").run


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


def _sweep(job: Job, layout: Layout, outputs: list[Path]) -> None:
    """Remove the temporary files that a killed attempt at this stage left behind."""
    stage = job.stage.name
    raw = [job.cells.path] if stage == "synthesise" else []
    for path in [*outputs, *raw, layout.manifest(stage), layout.error(stage), layout.running(stage)]:
        for left in path.parent.glob(f"{TEMPORARY}*-{path.name}"):
            _remove(left)
    for folder in [layout.scratch(stage), *raw]:
        for left in sorted(folder.rglob(f"{TEMPORARY}*")) if folder.is_dir() else []:
            _remove(left)


def _write_manifest(job: Job, layout: Layout, outputs: list[Path], notes: dict[str, Any], facts: dict[str, Any], seconds: float) -> None:
    files = [file for path in outputs for file in (sorted(path.rglob("*")) if path.is_dir() else [path]) if file.is_file()]
    settings, defaults = asdict(job.settings), asdict(type(job.settings)())
    manifest = {
        "stage": job.stage.name,
        "version": job.stage.version,
        **notes,
        "cells": job.cells.values(),
        "settings": settings,
        "defaults": {name: defaults[name] for name in settings if settings[name] != defaults[name]},
        "sources": facts.pop("sources", {}),
        "warnings": facts.pop("warnings", []),
        "facts": facts,
        "outputs": {str(file.relative_to(layout.results)): {"size": file.stat().st_size, "sha256": sha256(file)} for file in files},
        "timing": {
            "seconds": round(seconds, 3),
            "peak_memory_mb": _peak_memory_mb(),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            **provenance(),
        },
    }
    write_json(layout.manifest(job.stage.name), manifest)


def _peak_memory_mb() -> int:
    return round(max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
