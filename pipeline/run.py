"""`run`: checks what can be checked, then hands exactly one command line to Snakemake and looks at what came of it."""

from __future__ import annotations

import contextlib
import os
import resource
import shlex
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from pipeline.captures import CaptureRow, read_captures, unknown_capture
from pipeline.config import Config, parse_config
from pipeline.io.errors import InputError
from pipeline.io.files import check_writable
from pipeline.io.layout import Layout
from pipeline.io.lease import lease
from pipeline.io.progress import log
from pipeline.launch import call, portable, snakemake_command
from pipeline.orphans import end_orphans
from pipeline.plan import ROOT, stages_of, stale_stages, unfinished_stages
from pipeline.verdict import failed_stages, verdict
from pipeline.versions import AFTER, METHODS, STAGES


@dataclass(frozen=True)
class Request:
    """What one `run` is asked for; paths as the user gave them, who stands `here`."""

    ids: tuple[str, ...]
    every: bool = False
    method: str = "rigged"
    captures: Path | None = None
    results: Path | None = None
    work: Path | None = None
    config: Path | None = None
    first: str | None = None
    until: str = STAGES[-1]
    fresh: bool = False
    cores: int | None = None
    dry: bool = False
    failed: bool = False
    profile: str = "default"
    here: Path = field(default_factory=Path.cwd)


def run(request: Request) -> int:
    """Bring the asked-for captures up to date. Returns the exit code: 0 only when everything asked for exists and is current.

    Raises:
        InputError: the request, the table, the configuration or a capture's files are not as expected; nothing was started.
    """
    config = load_config(request)
    rows = chosen_rows(request, config)
    layouts = layouts_of(rows, config)
    if not rows:
        print("no capture's last run failed")
        return 0
    rows, broken = _preflight(rows, layouts, quiet=request.dry)
    forced = {row.id: _forced_stages(request, row, layouts[row.id], config) for row in rows}
    ids = "all" if request.every and not broken else ",".join(row.id for row in rows)
    command = snakemake_command(request, config, ids, [str(layouts[name].manifest(stage)) for name, stages in forced.items() for stage in stages])
    if not request.dry:
        for folder, option in ((config.results, "--results"), (config.work, "--work")):
            check_writable(Path(folder), option)
    print("$ " + shlex.join(command), flush=True)
    if request.dry:
        return call(command)
    with contextlib.ExitStack() as leases:
        _allow_files(4 * len(rows))
        tokens = [leases.enter_context(lease(layouts[row.id].running("run"), layouts[row.id].leases, f"run of {row.id}")).token for row in rows]
        chosen = {row.id: layouts[row.id] for row in rows}
        end_orphans(chosen, config)
        for row in rows:
            _forget(request, layouts[row.id], forced[row.id], stages_of(row, request.until))
        code = call(command, token=tokens[0])
        end_orphans(chosen, config)
        code = verdict(code, rows, layouts, config)
    for name, error in broken.items():
        print(f"{name}: was not started\n{error}", file=sys.stderr)
    return code or int(bool(broken))


def layouts_of(rows: list[CaptureRow], config: Config) -> dict[str, Layout]:
    """Where the files of each capture lie."""
    return {row.id: Layout(Path(config.results) / row.id, Path(config.work) / row.id, config.method) for row in rows}


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
    if request.method not in METHODS:
        raise InputError(f"no avatar method is called '{request.method}'", expected="one of " + ", ".join(METHODS), remedy="correct --method")
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


def _preflight(rows: list[CaptureRow], layouts: dict[str, Layout], quiet: bool) -> tuple[list[CaptureRow], dict[str, InputError]]:
    """Check what can be checked without decoding anything: the captures that may start, and what is wrong with the others. Raises where none may."""
    from pipeline.stages.failure import write_error
    from pipeline.stages.ingest import preflight

    broken: dict[str, InputError] = {}
    for row in rows:
        try:
            preflight(row)
        except InputError as error:
            broken[row.id] = error
            if not quiet:
                write_error("ingest", layouts[row.id], str(error), None, user_error=True, attempt=1)
    if len(broken) == len(rows):
        for name in list(broken)[1:]:
            print(f"{name}: was not started\n{broken[name]}", file=sys.stderr)
        raise next(iter(broken.values()))
    return [row for row in rows if row.id not in broken], broken


def _forced_stages(request: Request, row: CaptureRow, layout: Layout, config: Config) -> list[str]:
    """Stages to run although their outputs exist: asked for with --from or --fresh, or found stale."""
    wanted = stages_of(row, request.until)
    if request.fresh:
        return wanted
    stale = stale_stages(row, layout, config, wanted)
    for stage, reason in stale.items():
        log(f"{row.id}: {stage} will run again: {reason}")
    if request.first is None:
        return list(stale)
    if request.first not in wanted:
        raise InputError(f"--from {request.first} is none of the stages of {row.id}", expected="one of " + ", ".join(wanted), remedy="correct --from")
    before = [stage for stage in wanted[: wanted.index(request.first)] if stage in AFTER[request.first]]
    missing = unfinished_stages(row, layout, config, before)
    if missing:
        raise InputError(
            f"--from {request.first} needs the results of {missing[0]}, which are not there or not current", file=layout.results, remedy=f"./c2a run {row.id}"
        )
    return list(dict.fromkeys([*stale, *wanted[wanted.index(request.first) :]]))


def _forget(request: Request, layout: Layout, forced: list[str], stages: list[str]) -> None:
    """Drop what earlier runs said of their failures, and what stages that begin anew by request would go on from; an interrupted stage goes on."""
    for stage in stages:
        layout.error(stage).unlink(missing_ok=True)
    if request.fresh or request.first:
        for stage in forced:
            shutil.rmtree(layout.scratch(stage), ignore_errors=True)
        if "train" in forced:
            layout.trained.unlink(missing_ok=True)


def _allow_files(count: int) -> None:
    """A lock per capture is an open file per capture; systems allow 1,024 unless asked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 256
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
