"""Manifests: what each stage wrote, and what it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.contract.layout import Layout
from pipeline.contract.stages import CAPTURE_STAGES, Stage, upstream
from pipeline.io.files import digest, read_record


def read_manifest(layout: Layout, stage: str) -> dict[str, Any] | None:
    """A stage's manifest, or None where there is none that can be read."""
    return read_record(layout.manifest(stage))


def content(manifest: Mapping[str, Any]) -> str:
    """A digest of the files that a stage wrote."""
    return digest({name: known.get("sha256") for name, known in manifest.get("outputs", {}).items()})


def makers(stage: str, layout: Layout, table: Mapping[str, Stage]) -> dict[str, tuple[Layout, str]]:
    """The stages that make the inputs of a stage, by name: where they lie. Those of the captures of a group as `capture/stage`."""
    found: dict[str, tuple[Layout, str]] = {}
    for maker in upstream(tuple(table.values()))[stage]:
        if maker in CAPTURE_STAGES and layout.group:
            found |= {f"{subject.name}/{maker}": (subject.layout, maker) for subject in layout.subjects}
        else:
            found[maker] = (layout, maker)
    return found


def inputs_of(stage: str, layout: Layout, table: Mapping[str, Stage]) -> dict[str, str]:
    """The content of what a stage is made from, by the stage that made it, as its manifest records it."""
    read = {name: read_manifest(*place) for name, place in makers(stage, layout, table).items()}
    return {name: content(manifest) for name, manifest in read.items() if manifest is not None}
