"""What a run must do: which results are missing, stale or damaged.

Snakemake decides by file times and recorded params. This page adds what it cannot see: each stage's manifest holds a key of
everything its results depend on, and the sizes of what it wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from pipeline.avatars.registry import method_of
from pipeline.config import Config
from pipeline.contract.captures_table import CaptureRow
from pipeline.contract.keys import avatar_keys, capture_keys
from pipeline.contract.layout import Layout
from pipeline.io.errors import InputError


def stages_of(row: CaptureRow, method: str, until: str = "") -> list[str]:
    """The stages of a capture in order, up to and including `until` (default: the last); only synthetic captures are synthesised."""
    stages = list(method_of(method).table)
    until = until or stages[-1]
    if until not in stages:
        raise InputError(f"no stage is called '{until}'", expected="one of " + ", ".join(stages), remedy="correct --until")
    return [stage for stage in stages[: stages.index(until) + 1] if stage != "synthesise" or row.kind == "synthetic"]


def stage_keys(row: CaptureRow, config: Config) -> dict[str, str]:
    """Stage -> digest of all that its result depends on; see contract/keys.py."""
    own = capture_keys(row, config.result_settings)
    return own | avatar_keys(config.method, method_of(config.method).avatar_stages, {row.id: own}, config.result_settings)


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
