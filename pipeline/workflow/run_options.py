"""What a command is asked for, and the configuration, captures and folders that it means."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, field, fields
from pathlib import Path

import yaml

from pipeline.config import Config, parse_config
from pipeline.contract.captures_table import CaptureRow, read_captures, unknown_capture
from pipeline.contract.layout import Layout
from pipeline.contract.stages import DEFAULT_METHOD
from pipeline.io.errors import InputError
from pipeline.io.files import ROOT
from pipeline.workflow.outcome import failed_stages


@dataclass(frozen=True)
class Request:
    """What one `run` is asked for; paths as the user gave them, who stands `here`."""

    ids: tuple[str, ...]
    every: bool = False
    method: str = DEFAULT_METHOD
    captures: Path | None = None
    results: Path | None = None
    work: Path | None = None
    config: Path | None = None
    first: str | None = None
    until: str = "report"
    fresh: bool = False
    cores: int | None = None
    dry: bool = False
    failed: bool = False
    profile: str = "default"
    here: Path = field(default_factory=Path.cwd)

    def again(self, name: str) -> str:
        """The command line that goes on with one capture, with the options that this request was given."""
        given = {option: getattr(self, option) for option in ("method", "captures", "results", "work", "config", "until", "profile")}
        plain = {entry.name: entry.default for entry in fields(self)}
        options = [word for option, value in given.items() if value != plain[option] for word in (f"--{option}", str(value))]
        return shlex.join(["./c2a", "run", name, *options])


def load_config(request: Request) -> Config:
    """config.yaml with the file of --config laid over it and the command line over both; paths absolute or relative to the checkout."""
    values = _read_yaml(ROOT / "config.yaml")
    if request.config:
        for key, value in _read_yaml(request.here / request.config).items():
            values[key] = {**values[key], **value} if isinstance(value, dict) and isinstance(values.get(key), dict) else value
    for name in ("captures", "results", "work"):
        given = getattr(request, name)
        values[name] = portable(request.here / given) if given else values.get(name, Config.__dataclass_fields__[name].default)
    if request.cores is not None and request.cores < 1:
        raise InputError("no run without cores", found=f"--cores {request.cores}", expected="1 or more", remedy="correct --cores, or leave it out")
    values |= {"method": request.method, "until": request.until}
    config = parse_config(values, file=request.config or "config.yaml")
    os.chdir(ROOT)  # relative paths in the configuration mean the checkout, wherever the user stands
    return config


def _read_yaml(path: Path) -> dict:
    expected, again = "a YAML file with some of the keys of config.yaml", "correct the file, then run again"
    if not path.is_file():
        raise InputError("no such configuration", file=path, expected=expected, remedy="correct --config, or write the file")
    try:
        values = yaml.safe_load(path.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError("not valid YAML", file=path, found=" ".join(str(error).split()), expected=expected, remedy=again) from None
    if not isinstance(values, dict):
        raise InputError("holds no keys", file=path, found=repr(values), expected=expected + ", such as 'threads: 4'", remedy=again)
    return values


def portable(path: Path) -> str:
    """Relative to the checkout where it lies inside, so that the checkout may move; absolute elsewhere."""
    path = Path(os.path.normpath(path))
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def chosen_rows(request: Request, config: Config) -> list[CaptureRow]:
    """The captures that a request means. Raises InputError for an unknown id, or where the request does not say which."""
    table = read_captures(Path(config.captures))
    if request.every + request.failed + bool(request.ids) != 1:
        expected = "ids of " + config.captures + ", or --all, or --failed"
        raise InputError("say which captures to run", expected=expected, remedy="./c2a run " + next(iter(table), "ID"))
    unknown = [name for name in request.ids if name not in table]
    if unknown:
        raise unknown_capture(unknown[0], table, config.captures)
    if request.failed:
        return [row for row, layout in zip(table.values(), layouts_of(list(table.values()), config).values()) if failed_stages(row, layout)]
    return list(table.values()) if request.every else [table[name] for name in dict.fromkeys(request.ids)]


def layouts_of(rows: list[CaptureRow], config: Config) -> dict[str, Layout]:
    """Where the files of each capture lie."""
    return {row.id: Layout(Path(config.results) / row.id, Path(config.work) / row.id, config.method) for row in rows}
