"""What a command is about: captures and, of a method that makes one avatar of several captures, groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.avatars.registry import method_of
from pipeline.config import Config
from pipeline.contract.captures_table import BadRow, CaptureRow, groups_of, read_table
from pipeline.contract.keys import avatar_keys, capture_keys
from pipeline.contract.layout import Layout
from pipeline.contract.stages import CAPTURE_STAGES
from pipeline.io.errors import InputError
from pipeline.io.words import listed
from pipeline.workflow.run_options import RunOptions


@dataclass(frozen=True)
class Target:
    """A capture, or the avatar of a group.

    Attributes:
        rows: the captures it is made of; a capture is its own.
        stages: those up to `until`, in order.
    """

    name: str
    rows: tuple[CaptureRow, ...]
    layout: Layout
    stages: tuple[str, ...]

    @property
    def is_group(self) -> bool:
        return bool(self.layout.group)

    def keys(self, config: Config) -> dict[str, str]:
        """Stage -> digest of all that its result depends on (contract/keys.py)."""
        members = {row.id: capture_keys(row, config.result_settings) for row in self.rows}
        own = {} if self.is_group else members[self.name]
        return own | avatar_keys(config.method, method_of(config.method).avatar_stages, members, config.result_settings)


@dataclass(frozen=True)
class Targets:
    """captures, groups: what is to be current in the end, by name. Each group's captures are among `captures`, with the stages that all methods share.

    bad: lines of the table that would be among them.
    """

    captures: Mapping[str, Target] = field(default_factory=dict)
    groups: Mapping[str, Target] = field(default_factory=dict)
    bad: Mapping[str, BadRow] = field(default_factory=dict)

    @property
    def all(self) -> dict[str, Target]:
        return {**self.captures, **self.groups}


def capture_target(row: CaptureRow, config: Config) -> Target:
    """A capture with its stages; those of an avatar only where the method makes one of each capture."""
    method = method_of(config.method)
    stages = [*method.stages_of(row.kind), *(stage.name for stage in method.avatar_stages if method.scope == "capture")]
    return Target(row.id, (row,), layout_of(row.id, config), tuple(_until(stages, config)))


def group_target(name: str, rows: Sequence[CaptureRow], config: Config) -> Target:
    """The avatar of a group, made of these captures."""
    layout = replace(layout_of(name, config), group=tuple(layout_of(row.id, config) for row in rows))
    return Target(name, tuple(rows), layout, tuple(_until([stage.name for stage in method_of(config.method).avatar_stages], config)))


def layout_of(name: str, config: Config) -> Layout:
    """Where the files of a capture or group lie."""
    return Layout(Path(config.results) / name, Path(config.work) / name, config.method, variant=config.variant)


def variants_of(layout: Layout) -> list[str]:
    """The names of the variants of a method that a capture or group has results or unfinished work of; "" is the one without a name."""
    start = f"{layout.method}-"
    folders = {path.name for place in (layout.results, layout.work) for path in place.glob(f"{start}*") if path.is_dir()}
    return ["", *sorted(name.removeprefix(start) for name in folders)]


def chosen_targets(options: RunOptions, config: Config) -> Targets:
    """The captures and groups that a command means; `--failed` is left to the caller. Raises InputError for an unknown name, or where it says none."""
    table, bad = read_table(Path(config.captures), options.names)
    groups = groups_of(table)
    if options.all + options.failed + bool(options.names) != 1:
        expected = "ids of " + config.captures + ", or --all, or --failed"
        raise InputError("no captures specified", expected=expected, remedy="./c2a run " + next(iter(table), "ID"))
    of_groups = method_of(config.method).scope == "group" and config.until not in CAPTURE_STAGES
    names = list(options.names) or list(groups if of_groups else table)
    if not names:
        raise InputError(
            "no capture has a group", file=config.captures, expected=f"a column 'group', since {config.method} makes one avatar of several captures"
        )
    rows = {name: find_rows(name, table, groups, config, of_groups) for name in names}
    captures = {row.id: capture_target(row, config) for members in rows.values() for row in members}
    bad = {name: row for name, row in bad.items() if not options.names or row.group in names}
    return Targets(captures, {name: group_target(name, members, config) for name, members in rows.items()} if of_groups else {}, bad)


def find_rows(name: str, table: Mapping[str, CaptureRow], groups: Mapping[str, list[CaptureRow]], config: Config, of_group: bool) -> list[CaptureRow]:
    """The captures that a name means: one, or those of a group. Raises InputError for an unknown name, and `of_group` for that of a capture."""
    if name in groups:
        return groups[name]
    if name in table and not of_group:
        return [table[name]]
    known = list(groups) if of_group else [*table, *groups]
    problem, remedy = f"no capture or group '{name}' in the table", "add a row, or correct the name"
    if name in table:
        problem, remedy = f"{config.method} makes one avatar of a group, and '{name}' is a capture", "name a group, or fill the column 'group'"
    raise InputError(problem, file=config.captures, found=name, expected=f"one of {listed(known) or 'none'}", remedy=remedy)


def _until(stages: list[str], config: Config) -> list[str]:
    """The stages up to `until`; all of them where it comes later than they do."""
    method = method_of(config.method)
    order, known = list(method.table), [stage.name for stage in (*method.capture_stages, *method.avatar_stages)]
    if config.until not in known:
        problem = f"{method.name} has no use for the stage '{config.until}'" if config.until in order else f"unknown stage '{config.until}'"
        raise InputError(problem, expected="one of " + ", ".join(known), remedy="correct --until")
    return [stage for stage in stages if order.index(stage) <= order.index(config.until)]
