"""`run`: checks what can be checked, then hands exactly one command line to Snakemake and looks at what came of it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from pipeline.captures import CaptureRow, read_captures
from pipeline.config import Config, parse_config
from pipeline.io.errors import InputError
from pipeline.io.layout import Layout
from pipeline.io.progress import ON_TERMINAL, log
from pipeline.plan import stages_of, stale_stages, unfinished_stages
from pipeline.versions import AFTER, METHODS, STAGES

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Request:
    """What one `run` is asked for; paths as the user gave them."""

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


def run(request: Request) -> int:
    """Bring the asked-for captures up to date. Returns the exit code: 0 only when everything asked for exists and is current.

    Raises:
        InputError: the request, the table, the configuration or a capture's files are not as expected; nothing was started.
    """
    config = load_config(request)
    rows = _chosen_rows(request, config)
    layouts = {row.id: Layout(Path(config.results) / row.id, Path(config.work) / row.id, config.method) for row in rows}
    rows, broken = _preflight(rows)
    forced = {row.id: _forced_stages(request, row, layouts[row.id], config) for row in rows}
    command = _command(request, config, "all" if request.every and not broken else ",".join(row.id for row in rows), forced, layouts)
    print("$ " + shlex.join(command), flush=True)
    if request.dry:
        return _call(command)
    with contextlib.ExitStack() as locks:
        for row in rows:
            locks.enter_context(_only_driver(layouts[row.id]))
        for row in rows:
            _forget(request, layouts[row.id], forced[row.id])
        code = _call(command)
    code = _verdict(code, rows, layouts, config)
    for name, error in broken.items():
        print(f"{name}: was not started\n{error}", file=sys.stderr)
    return code or int(bool(broken))


def load_config(request: Request) -> Config:
    """config.yaml with the file of --config laid over it and the command line over both; paths absolute or relative to the checkout."""
    values = _read_yaml(ROOT / "config.yaml")
    if request.config:
        for key, value in _read_yaml(request.config).items():
            values[key] = {**values[key], **value} if isinstance(value, dict) and isinstance(values.get(key), dict) else value
    for name in ("captures", "results", "work"):
        given = getattr(request, name)
        values[name] = _portable(Path.cwd() / given) if given else values.get(name, Config.__dataclass_fields__[name].default)
    if request.method not in METHODS:
        raise InputError(f"no avatar method is called '{request.method}'", expected="one of " + ", ".join(METHODS))
    values |= {"method": request.method, "until": request.until}
    config = parse_config(values, file=request.config or "config.yaml")
    os.chdir(ROOT)  # relative paths in the configuration mean the checkout, wherever the user stands
    return config


def _read_yaml(path: Path) -> dict:
    if not path.is_file():
        raise InputError("no such configuration", file=path)
    try:
        values = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise InputError("not valid YAML", file=path, found=error, remedy="correct the file, then run again") from None
    return values or {}


def _portable(path: Path) -> str:
    """Relative to the checkout where it lies inside, so that the checkout may move; absolute elsewhere."""
    path = Path(os.path.normpath(path))
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def _chosen_rows(request: Request, config: Config) -> list[CaptureRow]:
    table = read_captures(Path(config.captures))
    if request.every == bool(request.ids):
        raise InputError("say which captures to run", expected="ids of " + config.captures + ", or --all", remedy="./c2a run " + next(iter(table), "ID"))
    unknown = [name for name in request.ids if name not in table]
    if unknown:
        raise InputError(
            f"no capture '{unknown[0]}' in the table", file=config.captures, found=", ".join(table) or "an empty table", remedy="add a row, or correct the id"
        )
    return list(table.values()) if request.every else [table[name] for name in dict.fromkeys(request.ids)]


def _preflight(rows: list[CaptureRow]) -> tuple[list[CaptureRow], dict[str, InputError]]:
    """Check what can be checked without decoding anything: the captures that may start, and what is wrong with the others. Raises where none may."""
    from pipeline.stages.ingest import preflight

    broken: dict[str, InputError] = {}
    for row in rows:
        try:
            preflight(row)
        except InputError as error:
            broken[row.id] = error
    if len(broken) == len(rows):
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
        raise InputError(f"--from {request.first} is none of the stages of {row.id}", expected="one of " + ", ".join(wanted))
    before = [stage for stage in wanted[: wanted.index(request.first)] if stage in AFTER[request.first]]
    missing = unfinished_stages(row, layout, config, before)
    if missing:
        raise InputError(
            f"--from {request.first} needs the results of {missing[0]}, which are not there or not current", file=layout.results, remedy=f"./c2a run {row.id}"
        )
    return list(dict.fromkeys([*stale, *wanted[wanted.index(request.first) :]]))


def _command(request: Request, config: Config, ids: str, forced: dict[str, list[str]], layouts: dict[str, Layout]) -> list[str]:
    cores = request.cores or len(os.sched_getaffinity(0))
    settings = {name: getattr(config, name) for name in ("captures", "results", "work", "method", "until")}
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--profile", "profiles/default"]
    if request.config:
        command += ["--configfile", "config.yaml", _portable(request.config.resolve())]
    targets = [str(layouts[name].manifest(stage)) for name, stages in forced.items() for stage in stages]
    if targets:
        command += ["--forcerun", *targets]
    if request.dry:
        command.append("--dry-run")
    return [*command, "--config", f"ids={ids}", *(f"{name}={value}" for name, value in settings.items())]


def _call(command: list[str]) -> int:
    """Run Snakemake; Ctrl-C reaches it through the terminal, and we wait until it has ended its jobs."""
    watched = {ON_TERMINAL: "1"} if sys.stderr.isatty() else {}
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **watched, "PYTHONPATH": str(ROOT)})
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


@contextlib.contextmanager
def _only_driver(layout: Layout) -> Iterator[None]:
    """One run per capture at a time; the system frees the lock when the process ends, however it ends."""
    layout.work.mkdir(parents=True, exist_ok=True)
    with open(layout.work / ".run.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError("another run is at work on this capture", file=layout.work, remedy="wait for it to end, then run again") from None
        yield


def _forget(request: Request, layout: Layout, forced: list[str]) -> None:
    """Drop the unfinished work of stages that begin anew by request; without a request an interrupted stage goes on."""
    if request.fresh or request.first:
        for stage in forced:
            shutil.rmtree(layout.scratch(stage), ignore_errors=True)


def _verdict(code: int, rows: Sequence[CaptureRow], layouts: dict[str, Layout], config: Config) -> int:
    for row in rows:
        layout = layouts[row.id]
        missing = unfinished_stages(row, layout, config, stages_of(row, config.until))
        if not missing:
            if config.until == STAGES[-1]:
                print(f"{row.id}: done. Open {layout.report}")
            continue
        code = code or 1
        error = next((layout.error(stage) for stage in missing if layout.error(stage).is_file()), None)
        reason = json.loads(error.read_text()) if error else {"stage": missing[0], "message": "did not finish"}
        print(
            f"{row.id}: {reason['stage']} failed\n{reason['message']}\n  what there is: {_failure_page(layout, config)}\n  go on with: ./c2a run {row.id}",
            file=sys.stderr,
        )
    return code


def _failure_page(layout: Layout, config: Config) -> Path:
    """The report of an unfinished capture. It lies under work/: what stands in results/ is complete and current."""
    from pipeline.io.files import write_text
    from pipeline.show.report import make_report

    page = layout.work / layout.report.name
    write_text(page, make_report(layout, config.report)[0])
    return page
