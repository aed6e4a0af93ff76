"""Which results are missing, stale or damaged.

Snakemake decides by file times and recorded params. This page adds what it cannot see: each stage's manifest holds a key of
everything its results depend on, the sizes of what it wrote, and the fingerprints of the raw files that it read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.config import Config
from pipeline.contract.layout import Layout
from pipeline.io.errors import MALFORMED
from pipeline.io.files import read_record
from pipeline.io.fingerprints import first_change
from pipeline.workflow.targets import Target, group_target


def stale_stages(target: Target, config: Config) -> dict[str, str]:
    """Stages whose results exist and yet must be made again, with the reason: another key, files that are gone or changed in size, or another raw file."""
    stale: dict[str, str] = {}
    manifests = {stage: manifest for stage in target.stages if (manifest := read_manifest(target.layout, stage)) is not None}
    keys = target.keys(config) if manifests else {}
    for stage, manifest in manifests.items():
        if manifest.get("key") != keys[stage]:
            stale[stage] = "settings, version or capture changed"
            continue
        try:
            damage = _damage(target.layout, manifest) or first_change(manifest.get("sources", {}), target.rows[0].path)
        except MALFORMED:
            damage = f"{target.layout.manifest(stage)} was changed"
        if damage:
            stale[stage] = damage
    return stale


def unfinished_stages(target: Target, config: Config, stages: Iterable[str] | None = None) -> list[str]:
    """Stages (of these; default: of all) without a current, complete result."""
    stale = stale_stages(target, config)
    return [stage for stage in (target.stages if stages is None else stages) if stage in stale or read_manifest(target.layout, stage) is None]


def with_complete_captures(group: Target, captures: Mapping[str, Target], config: Config) -> Target:
    """The group as it can be made now: of those of its captures that are complete (of all, where none is)."""
    complete = [row for row in group.rows if not unfinished_stages(captures[row.id], config)]
    return group_target(group.name, complete or group.rows, config)


def best_resolution(target: Target, configs: Sequence[Config]) -> Config:
    """Of the configurations that may have made its results the one under which most of them are current."""
    return configs[0] if len(configs) == 1 else min(configs, key=lambda config: len(unfinished_stages(target, config)))


def read_manifest(layout: Layout, stage: str) -> dict[str, Any] | None:
    """A stage's manifest, or None where there is none that can be read."""
    return read_record(layout.manifest(stage))


def _damage(layout: Layout, manifest: dict[str, Any]) -> str:
    for name, known in manifest.get("outputs", {}).items():
        path = layout.results / name
        if not path.is_file():
            return f"{path} is gone"
        if path.stat().st_size != known["size"]:
            return f"{path} changed in size"
    return ""
