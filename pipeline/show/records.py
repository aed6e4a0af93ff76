"""What the stages wrote down about themselves: manifests and error files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.io.layout import Layout
from pipeline.versions import STAGES


def read_record(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None where there is none that can be read."""
    try:
        record = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return None
    return record if isinstance(record, dict) else None


def manifests(layout: Layout) -> dict[str, dict[str, Any]]:
    """The manifest of every finished stage, in the order of the path."""
    found = {stage: read_record(layout.manifest(stage)) for stage in STAGES}
    return {stage: manifest for stage, manifest in found.items() if manifest is not None}


def errors(layout: Layout) -> dict[str, str]:
    """What every failed stage said, in the order of the path."""
    found = {stage: read_record(layout.error(stage)) for stage in STAGES}
    return {stage: str(record.get("message", "it said nothing")) for stage, record in found.items() if record is not None}


def stage_seconds(layout: Layout) -> dict[str, float]:
    """Seconds of every finished stage before `evaluate`."""
    before = STAGES[: STAGES.index("evaluate")]
    return {stage: float(m.get("timing", {}).get("seconds", 0)) for stage, m in manifests(layout).items() if stage in before}
