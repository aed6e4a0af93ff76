"""What a run must do: which results are missing, stale or damaged.

Snakemake decides by file times and recorded params. This page adds what it cannot see: each stage's manifest holds a key of
everything its results depend on, and the sizes of what it wrote.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from pipeline.avatars.registry import method_of
from pipeline.config import Config
from pipeline.contract.captures_table import CaptureRow
from pipeline.contract.layout import Layout
from pipeline.contract.stages import upstream
from pipeline.io.errors import InputError
from pipeline.io.files import ROOT, digest


def stages_of(row: CaptureRow, method: str, until: str = "") -> list[str]:
    """The stages of a capture in order, up to and including `until` (default: the last); only synthetic captures are synthesised."""
    stages = list(method_of(method).table)
    until = until or stages[-1]
    if until not in stages:
        raise InputError(f"no stage is called '{until}'", expected="one of " + ", ".join(stages), remedy="correct --until")
    return [stage for stage in stages[: stages.index(until) + 1] if stage != "synthesise" or row.kind == "synthetic"]


def stage_keys(row: CaptureRow, config: Config) -> dict[str, str]:
    """Stage -> digest of all that its result depends on: its version, its settings, its capture, and the same of every stage before it."""
    keys: dict[str, str] = {}
    cells = {name: _portable(value) for name, value in asdict(row).items()}
    table = method_of(config.method).table
    before = upstream(tuple(table.values()))
    for name, stage in table.items():
        makers = {maker: keys[maker] for maker in before[name] if maker != "synthesise" or row.kind == "synthetic"}
        capture = cells if name in ("synthesise", "ingest") else row.id
        keys[name] = digest([name, stage.version, config.settings(name), capture, makers])
    return keys


def stage_key(stage: str, row: CaptureRow, config: Config) -> str:
    """One of `stage_keys`."""
    return stage_keys(row, config)[stage]


def stale_stages(row: CaptureRow, layout: Layout, config: Config, stages: Iterable[str]) -> dict[str, str]:
    """Stages whose results exist and yet must be made again, with the reason: another key, or files that are gone or changed in size."""
    stale: dict[str, str] = {}
    finished = {stage: manifest for stage in stages if (manifest := read_manifest(layout, stage)) is not None}  # Snakemake makes what never finished
    keys = stage_keys(row, config) if finished else {}
    for stage, manifest in finished.items():
        if manifest.get("key") != keys[stage]:
            stale[stage] = "settings, version or capture changed"
            continue
        damaged = _damaged(layout, manifest)
        if damaged:
            stale[stage] = damaged
    return stale


def unfinished_stages(row: CaptureRow, layout: Layout, config: Config, stages: Iterable[str]) -> list[str]:
    """Stages without a current, complete result."""
    stages = list(stages)
    stale = stale_stages(row, layout, config, stages)
    return [stage for stage in stages if stage in stale or read_manifest(layout, stage) is None]


def _portable(value: object) -> str:
    """A table cell as text; paths inside the checkout relative to it, so that a checkout may move without a rerun."""
    return os.path.relpath(value, ROOT) if isinstance(value, Path) and value.is_relative_to(ROOT) else str(value)


def read_manifest(layout: Layout, stage: str) -> dict | None:
    """A stage's manifest, or None where there is none that can be read."""
    try:
        return json.loads(layout.manifest(stage).read_text())
    except (OSError, json.JSONDecodeError):
        return None


def _damaged(layout: Layout, manifest: dict) -> str:
    for name, known in manifest.get("outputs", {}).items():
        path = layout.results / name
        if not path.is_file():
            return f"{path} is gone"
        if path.stat().st_size != known["size"]:
            return f"{path} changed in size"
    for name, size in manifest.get("sources", {}).items():
        path = Path(name)
        if not path.is_file() or path.stat().st_size != size:
            return f"source {path} changed"
    return ""
