"""Runs one stage as a job: settings in, outputs and a manifest out; on failure an error file and nothing half-written."""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import inspect
import os
import resource
import shutil
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.captures import CaptureRow
from pipeline.config import parse_settings
from pipeline.io.errors import InputError
from pipeline.io.files import sha256, write_json
from pipeline.io.layout import Layout
from pipeline.io.progress import log
from pipeline.versions import VERSIONS


def execute(stage: str, row: CaptureRow, layout: Layout, settings: dict[str, Any], key: str, threads: int) -> None:
    """Run a stage and write its manifest.

    Args:
        settings: its subtree of config.yaml. key: what `plan.stage_key` says of it, kept in the manifest.

    Raises:
        InputError and whatever else the stage raises, after the error file was written and the outputs were removed.
    """
    os.environ.setdefault("NUMBA_NUM_THREADS", str(threads))
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    start, outputs = time.perf_counter(), layout.outputs(stage)
    with _only_one(layout.scratch(stage)):
        for path in outputs:
            _remove(path)
        try:
            facts = _call(stage, row, layout, settings, threads) or {}
            missing = [path for path in outputs if not path.exists()]
            if missing:
                raise RuntimeError(f"the stage ended without writing {', '.join(map(str, missing))}")
            _write_manifest(stage, layout, outputs, settings, key, facts, time.perf_counter() - start)
        except BaseException as error:
            for path in outputs:
                _remove(path)
            _write_error(stage, layout, error)
            raise
        layout.error(stage).unlink(missing_ok=True)
        shutil.rmtree(layout.scratch(stage), ignore_errors=True)


def _call(stage: str, row: CaptureRow, layout: Layout, settings: dict[str, Any], threads: int) -> dict[str, Any] | None:
    run = importlib.import_module(f"pipeline.stages.{stage}").run
    given = {"settings": parse_settings(stage, settings), "layout": layout, "threads": threads, "row": row}
    return run(**{name: given[name] for name in inspect.signature(run).parameters})


def _write_manifest(stage: str, layout: Layout, outputs: list[Path], settings: dict, key: str, facts: dict, seconds: float) -> None:
    files = [file for path in outputs for file in (sorted(path.rglob("*")) if path.is_dir() else [path]) if file.is_file()]
    manifest = {
        "stage": stage,
        "version": VERSIONS[stage],
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


def _write_error(stage: str, layout: Layout, error: BaseException) -> None:
    message = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
    log(message if isinstance(error, InputError) else "".join(traceback.format_exception(error)))
    with contextlib.suppress(OSError):  # a full disk must not hide the first error
        write_json(layout.error(stage), {"stage": stage, "message": message, "user_error": isinstance(error, InputError), "time": time.time()})


@contextlib.contextmanager
def _only_one(scratch: Path) -> Iterator[None]:
    """Hold the stage's lock; the system frees it when the process ends, however it ends."""
    scratch.parent.mkdir(parents=True, exist_ok=True)
    with open(scratch.parent / f".{scratch.name}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"{scratch.name} is already running for this capture", file=scratch.parent, remedy="wait for it, or end that process, then run again"
            ) from None
        yield


def _peak_memory_mb() -> int:
    return round(max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
