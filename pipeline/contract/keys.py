"""What a result depends on, as a digest that its manifest keeps. Light to import: the Snakefile loads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.contract.captures_table import CaptureRow
from pipeline.contract.stages import CAPTURE_STAGES, Stage, upstream
from pipeline.io.files import digest, portable

Settings = Mapping[str, Mapping[str, Any]]  # stage -> its settings that change results, as JSON values


def result_settings(settings: Any) -> dict[str, Any]:
    """The settings of a dataclass instance that change results: all but those that its class names in RUN_ONLY."""
    run_only = getattr(settings, "RUN_ONLY", ())
    return {name: value for name, value in asdict(settings).items() if name not in run_only}


def capture_keys(row: CaptureRow, settings: Settings) -> dict[str, str]:
    """Stage -> key of the stages of one capture: version, settings, the table cells it reads, and the keys of the stages that make its inputs."""
    keys: dict[str, str] = {}
    makers = upstream(tuple(CAPTURE_STAGES.values()))
    for name, stage in CAPTURE_STAGES.items():
        if not stage.is_for(row.kind):
            continue
        cells = {field: as_key(value) for field, value in row.cells(stage.cells).items()}
        keys[name] = digest([name, stage.version, settings[name], cells, {maker: keys[maker] for maker in makers[name] if maker in keys}])
    return keys


def avatar_keys(method: str, stages: Sequence[Stage], members: Mapping[str, Mapping[str, str]], settings: Settings) -> dict[str, str]:
    """The same of the stages of an avatar method, which depend on the method's name and on every member, too.

    Args:
        members: capture -> `capture_keys` of it.
    """
    keys: dict[str, str] = {}
    makers = upstream((*CAPTURE_STAGES.values(), *stages))
    for stage in stages:
        captures = {name: {maker: own[maker] for maker in makers[stage.name] if maker in own} for name, own in members.items()}
        before = {maker: keys[maker] for maker in makers[stage.name] if maker in keys}
        keys[stage.name] = digest([stage.name, stage.version, method, settings[stage.name], captures, before])
    return keys


def as_key(cell: object) -> object:
    """A table cell as a JSON value."""
    return portable(cell) if isinstance(cell, Path) else cell
