"""What differs between what a result was made with and what is asked for now, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.avatars.registry import method_of
from pipeline.config import Config
from pipeline.contract.keys import as_key
from pipeline.io.words import listed
from pipeline.workflow.targets import Target

MOST_NAMED = 3


def own_changes(manifest: Mapping[str, Any], target: Target, stage: str, config: Config) -> str:
    """The settings, table cells and version of a stage that are not those of its manifest; empty where they are, so that the stages before it differ."""
    old, kind = manifest.get("settings"), method_of(config.method).table[stage]
    found = []
    if old is not None and (names := changed_settings(old, config.result_settings[stage])):
        found.append("settings changed: " + _described([f"{stage}.{name}" for name in names], names))
    if "cells" in manifest and not target.is_group:
        now = {name: as_key(value) for name, value in target.rows[0].cells(kind.cells).items()}
        if names := changed_settings(manifest["cells"], now):
            found.append("captures.tsv changed: " + _described(list(names), names))
    if manifest.get("version", kind.version) != kind.version:
        found.append(f"the stage has a new version ({manifest['version']} -> {kind.version})")
    return "; ".join(found)


def changed_settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Name -> old and new value, of those of `new` that differ."""
    plain = json.loads(json.dumps(new, default=str))
    return {name: (old.get(name), value) for name, value in plain.items() if old.get(name) != value}


def _described(names: list[str], values: Mapping[str, tuple[Any, Any]]) -> str:
    """`train.iterations 600 -> 1600`, of the first few."""
    texts = [f"{name} {_short(before)} -> {_short(after)}" for name, (before, after) in zip(names, values.values())]
    return listed(texts, MOST_NAMED)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if 0 < len(text) <= 40 else (text[:37] + "..." if text else "''")
