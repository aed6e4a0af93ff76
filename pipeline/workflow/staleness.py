"""Which results are missing, stale or damaged, and why: what `run` makes again, and what `status` calls stale.

Each stage's manifest holds a key of everything its results depend on, the contents it was made from, the sizes of what it wrote, and the fingerprints of the raw
files that it read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.avatars.registry import method_of
from pipeline.config import Config
from pipeline.contract.layout import Layout
from pipeline.contract.manifest import content, makers, read_manifest
from pipeline.io.errors import MALFORMED
from pipeline.io.fingerprints import first_change
from pipeline.workflow.changes import own_changes
from pipeline.workflow.targets import Target, group_target

MISSING = "missing"


def unfinished_reasons(target: Target, config: Config) -> dict[str, str]:
    """Stages without a current, complete result, in order, with the reason: MISSING, changed settings, files that are gone or changed, or what comes before."""
    manifests = {stage: manifest for stage in target.stages if (manifest := read_manifest(target.layout, stage)) is not None}
    keys = target.keys(config) if manifests else {}
    read: dict[tuple[Path, str], dict[str, Any] | None] = {(target.layout.results, stage): manifest for stage, manifest in manifests.items()}
    table, reasons = method_of(config.method).table, {}
    for stage in target.stages:
        if stage not in manifests:
            reasons[stage] = MISSING
            continue
        manifest, before = manifests[stage], makers(stage, target.layout, table)
        reason = "" if manifest.get("key") == keys[stage] else own_changes(manifest, target, stage, config)
        reason = reason or _damage(target, stage, manifest)
        reason = reason or next((f"after {name}" for name in reversed(before) if name in reasons), "")
        reason = reason or _other_inputs(manifest, before, read)
        if not reason and manifest.get("key") != keys[stage]:
            reason = "the captures of the group changed" if target.is_group else f"after {list(before)[-1]}" if before else "what it depends on changed"
        if reason:
            reasons[stage] = reason
    return reasons


def unfinished_stages(target: Target, config: Config, stages: Iterable[str] | None = None) -> list[str]:
    """Stages (of these; default: of all) without a current, complete result."""
    reasons = unfinished_reasons(target, config)
    return [stage for stage in (target.stages if stages is None else stages) if stage in reasons]


def with_complete_captures(group: Target, captures: Mapping[str, Target], config: Config) -> Target:
    """The group as it can be made now: of those of its captures that are complete (of all, where none is)."""
    complete = [row for row in group.rows if not unfinished_stages(captures[row.id], config)]
    return group_target(group.name, complete or group.rows, config)


def best_resolution(target: Target, configs: Sequence[Config]) -> Config:
    """Of the configurations that may have made its results the one under which most of them are current."""
    return configs[0] if len(configs) == 1 else min(configs, key=lambda config: len(unfinished_stages(target, config)))


def _other_inputs(manifest: Mapping[str, Any], before: Mapping[str, tuple[Layout, str]], read: dict[tuple[Path, str], dict[str, Any] | None]) -> str:
    """Whether an input was made again, with another content, since. read: manifests that were read before, added to."""
    for name, known in manifest.get("inputs", {}).items():
        if name not in before:
            continue  # of a capture that is no longer in the group: the key says so
        layout, maker = before[name]
        if (layout.results, maker) not in read:
            read[layout.results, maker] = read_manifest(layout, maker)
        made = read[layout.results, maker]
        if made is not None and content(made) != known:
            return f"after {name}"
    return ""


def _damage(target: Target, stage: str, manifest: Mapping[str, Any]) -> str:
    """What is gone, or was changed by hand: a file that the stage wrote, a raw file that it read, or its manifest."""
    try:
        for name, known in manifest.get("outputs", {}).items():
            path = target.layout.results / name
            if not path.is_file():
                return f"{path} is gone"
            if path.stat().st_size != known["size"]:
                return f"{path} changed in size"
        return first_change(manifest.get("sources", {}), target.rows[0].path)
    except MALFORMED:
        return f"{target.layout.manifest(stage)} was changed"
