"""One stage of one capture or group, as a job of Snakemake or called by hand."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.avatars.registry import method_of
from pipeline.config import Config, parse_config, parse_settings
from pipeline.contract.captures_table import groups_of, read_captures
from pipeline.io.documents import parse_json
from pipeline.io.errors import InputError
from pipeline.stages.job import make_job
from pipeline.stages.runner import execute, execute_part
from pipeline.workflow.kept_settings import kept_settings
from pipeline.workflow.presets import resolved_config
from pipeline.workflow.run_options import RunOptions, load_config
from pipeline.workflow.targets import Target, capture_target, find_rows, group_target, layout_of


@dataclass(frozen=True)
class StageCall:
    """The arguments of the verb of a stage.

    Attributes:
        name: a capture, or a group. members: of the group; empty for all.
        values: its settings as JSON, key: what its results depend on; empty: as the configuration says.
        inputs, outputs: NAME=PATH; empty: where they lie. part: "2/8", or empty.
    """

    stage: str
    name: str
    threads: int
    values: str = ""
    key: str = ""
    members: Sequence[str] = ()
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    part: str = ""


def run_stage(call: StageCall, options: RunOptions) -> None:
    """Run it. Raises InputError for options that are not as expected, and whatever the stage raises."""
    config = _config(call, options)
    method = method_of(config.method)
    if call.stage not in method.table:
        raise InputError(f"{method.name} has no stage '{call.stage}'", expected="one of " + ", ".join(method.table), remedy="correct --method")
    target = _target(call, config)
    settings = parse_settings(call.stage, _values(call.values), method) if call.values else config.stages[call.stage]
    row = None if target.is_group else target.rows[0]
    job = make_job(call.stage, settings, method, target.layout, row, call.threads, inputs=_paths(call.inputs), outputs=_paths(call.outputs))
    if call.part:
        number, _, count = call.part.partition("/")
        execute_part(job, target.layout, int(number), int(count))
    else:
        execute(job, target.layout, call.key or target.keys(config)[call.stage], config.preset)


def _values(text: str) -> Mapping[str, Any]:
    with contextlib.suppress(ValueError):
        values = parse_json(text)
        if isinstance(values, dict):
            return values
    raise InputError(
        "--values cannot be read", found=text, expected="a JSON object", remedy="leave --values out: the settings are then those of the configuration"
    )


def _config(call: StageCall, options: RunOptions) -> Config:
    """A job of a run brings everything along: what config.yaml says by now does not concern it."""
    if not call.values or not call.key:
        return resolved_config(options, kept_settings(layout_of(call.name, load_config(options)), options))
    names = ("captures", "results", "work", "method", "variant", "preset")
    return parse_config({name: str(value) for name in names if (value := getattr(options, name)) is not None})


def _target(call: StageCall, config: Config) -> Target:
    method, table = method_of(config.method), read_captures(Path(config.captures), [call.name])
    of_group = method.scope == "group" and method.table[call.stage].scope == "avatar"
    rows = find_rows(call.name, table, groups_of(table), config, of_group)
    if not of_group:
        if len(rows) != 1 or rows[0].id != call.name:
            raise InputError(f"'{call.name}' is a group", expected="a capture: " + ", ".join(row.id for row in rows), remedy="name one of them")
        return capture_target(rows[0], config)
    return group_target(call.name, [row for row in rows if row.id in (call.members or [row.id])], config)


def _paths(words: Sequence[str]) -> dict[str, Path | None] | None:
    pairs = [word.partition("=") for word in words]
    return {name: Path(path) if path else None for name, _, path in pairs} or None
