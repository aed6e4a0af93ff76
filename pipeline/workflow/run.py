"""`run`: checks what can be checked, then hands exactly one command line to Snakemake and looks at what came of it."""

from __future__ import annotations

import contextlib
import resource
import shlex
import shutil
import sys
from pathlib import Path

from pipeline.avatars.registry import method_of
from pipeline.config import Config
from pipeline.contract.captures_table import CaptureRow
from pipeline.contract.layout import Layout
from pipeline.contract.stages import upstream
from pipeline.io.errors import InputError
from pipeline.io.files import check_writable
from pipeline.io.progress import log
from pipeline.machine.lease import lease
from pipeline.workflow.orphans import end_orphans
from pipeline.workflow.outcome import verdict
from pipeline.workflow.run_options import Request, chosen_rows, layouts_of, load_config
from pipeline.workflow.snakemake_command import call, snakemake_command
from pipeline.workflow.staleness import stages_of, stale_stages, unfinished_stages


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
            _forget(request, layouts[row.id], forced[row.id], stages_of(row, config.method, config.until))
        code = call(command, token=tokens[0])
        end_orphans(chosen, config)
        code = verdict(code, rows, layouts, config, request.again)
    for name, error in broken.items():
        print(f"{name}: was not started\n{error}", file=sys.stderr)
    return code or int(bool(broken))


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
    wanted = stages_of(row, config.method, config.until)
    if request.fresh:
        return wanted
    stale = stale_stages(row, layout, config, wanted)
    for stage, reason in stale.items():
        log(f"{row.id}: {stage} will run again: {reason}")
    if request.first is None:
        return list(stale)
    if request.first not in wanted:
        raise InputError(f"--from {request.first} is none of the stages of {row.id}", expected="one of " + ", ".join(wanted), remedy="correct --from")
    makers = upstream(tuple(method_of(config.method).table.values()))[request.first]
    before = [stage for stage in wanted[: wanted.index(request.first)] if stage in makers]
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
