"""The command line: one verb per thing a user does, and one per stage."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import tyro

from pipeline.contract.stages import CAPTURE_STAGES, DEFAULT_METHOD
from pipeline.io.errors import InputError

app = tyro.extras.SubcommandApp()
Ids = tyro.conf.Positional[tuple[str, ...]]
Id = tyro.conf.Positional[str]


@app.command(name="demo")
def demo(cores: int | None = None) -> int:
    """Make a capture nobody filmed, run every stage on it, and name the report to open."""
    from pipeline.workflow.run import run
    from pipeline.workflow.run_options import Request

    return run(Request(ids=("demo",), cores=cores))


@app.command(name="run")
def run_captures(
    ids: Ids = (),
    /,
    all: bool = False,
    failed: bool = False,
    method: str = DEFAULT_METHOD,
    captures: Path | None = None,
    results: Path | None = None,
    work: Path | None = None,
    config: Path | None = None,
    first: Annotated[str | None, tyro.conf.arg(name="from")] = None,
    until: str = "report",
    fresh: bool = False,
    profile: str = "default",
    cores: int | None = None,
    dry_run: Annotated[bool, tyro.conf.arg(aliases=["-n"])] = False,
) -> int:
    """Bring captures up to date: raw videos to report. What is finished is kept, what was interrupted goes on.

    Args:
        ids: Rows of the captures table.
        all: Every row of the table.
        failed: The captures whose last run failed.
        method: The avatar method.
        captures: The table (default: captures.tsv).
        results: Where results go (default: results).
        work: Scratch space that outlives a failure (default: work).
        config: Settings laid over config.yaml.
        first: Begin anew with this stage; what comes before must be there.
        until: The last stage to run.
        fresh: Run every stage anew.
        profile: Where the stages run: default (this machine), slurm, or a folder with a Snakemake profile of yours.
        cores: Cores to use (default: all); a cluster's profile decides by itself.
        dry_run: Only show what would run.
    """
    from pipeline.workflow.run import run
    from pipeline.workflow.run_options import Request

    return run(Request(ids, all, method, captures, results, work, config, first, until, fresh, cores, dry_run, failed, profile))


@app.command(name="status")
def status(
    ids: Ids = (),
    /,
    watch: bool = False,
    method: str = DEFAULT_METHOD,
    captures: Path | None = None,
    results: Path | None = None,
    work: Path | None = None,
    config: Path | None = None,
) -> int:
    """Show how far every capture is, stage by stage: done, running and where, failed and why, missing.

    Args:
        ids: Rows of the captures table (default: all).
        watch: Keep showing until everything is done.
        method: The avatar method.
        captures: The table (default: captures.tsv).
        results: Where results lie (default: results).
        work: Scratch space (default: work).
        config: Settings laid over config.yaml, as in the run.
    """
    from pipeline.workflow.run_options import Request
    from pipeline.workflow.status import show

    return show(Request(ids, not ids, method, captures, results, work, config), watch)


@app.command(name="cohort")
def cohort(
    ids: Ids = (),
    /,
    out: Path | None = None,
    method: str = DEFAULT_METHOD,
    captures: Path | None = None,
    results: Path | None = None,
    work: Path | None = None,
    config: Path | None = None,
) -> int:
    """Write a table and a page over many captures, failed ones included: quality, time, memory, a picture of each.

    Args:
        ids: Rows of the captures table (default: all).
        out: Folder for cohort.tsv and cohort.html (default: that of the results).
        method: The avatar method.
        captures: The table (default: captures.tsv).
        results: Where results lie (default: results).
        work: Scratch space (default: work).
        config: Settings laid over config.yaml, as in the run.
    """
    from pipeline.workflow.run_options import Request
    from pipeline.workflow.status import write_cohort

    return write_cohort(Request(ids, not ids, method, captures, results, work, config), out and Path.cwd() / out)


@app.command(name="clean-work")
def clean_work(
    ids: Ids = (),
    /,
    dry_run: Annotated[bool, tyro.conf.arg(aliases=["-n"])] = False,
    results: Path | None = None,
    work: Path | None = None,
    config: Path | None = None,
) -> int:
    """Remove the scratch of captures that are complete, and say how much that was; unfinished and running captures are left alone.

    Args:
        ids: Captures (default: all that have scratch).
        dry_run: Only say what would go.
        results: Where results lie (default: results).
        work: Scratch space (default: work).
        config: Settings laid over config.yaml, as in the run.
    """
    from pipeline.workflow.clean import clean
    from pipeline.workflow.run_options import Request

    return clean(Request(ids, results=results, work=work, config=config), dry_run)


@app.command(name="render")
def render(
    id: Id,
    cameras: Path,
    out: Path,
    method: str = DEFAULT_METHOD,
    frames: str = "all",
    alpha: bool = False,
    results: Path | None = None,
    config: Path | None = None,
) -> int:
    """Render a trained avatar from any cameras at the capture's tracked frames.

    Args:
        id: The capture.
        cameras: Cameras in the cameras.json form; pinhole, `dist` is ignored.
        out: Folder for <camera>/<sequence>_<frame>.png, RGB over white.
        method: The avatar method.
        frames: 'all', or frame ids separated by commas.
        alpha: Also write mattes, <camera>/<sequence>_<frame>_alpha.png.
        results: Where results lie (default: results).
        config: Settings laid over config.yaml, as in the run.
    """
    from pipeline.contract.layout import Layout
    from pipeline.io.files import check_writable
    from pipeline.stages.render_cameras import render_cameras
    from pipeline.workflow.run_options import Request, load_config

    request = Request((id,), method=method, results=results, config=config)
    found = load_config(request)
    layout = Layout(Path(found.results) / id, Path(found.work) / id, method)
    if not layout.avatar.is_file():
        raise InputError(f"no avatar of '{id}'", file=layout.avatar, expected="a capture whose training is done", remedy=f"./c2a run {id}, or see ./c2a status")
    if not (request.here / cameras).is_file():
        raise InputError(
            "no such file", file=request.here / cameras, expected="cameras in the cameras.json form (docs/datasets.md)", remedy="correct --cameras"
        )
    check_writable(request.here / out, "--out")
    chosen = None if frames == "all" else frames.split(",")
    render_cameras(layout, request.here / cameras, request.here / out, frames=chosen, alpha=alpha)
    return 0


@app.command(name="unzip")
def unzip(folder: tyro.conf.Positional[Path], out: Path | None = None, jobs: int = 8) -> int:
    """Extract a folder of dataset archives in parallel; what is complete is skipped.

    Args:
        folder: Where the .zip files lie.
        out: Where the contents go (default: beside the archives).
        jobs: Archives at once.
    """
    from pipeline.stages import unzip as stage

    stage.run(folder, out or folder, jobs)
    return 0


@app.command(name="doctor")
def doctor() -> int:
    """Say what this machine can do, and what to do about what is missing."""
    from pipeline.machine.doctor import print_doctor

    return print_doctor()


@app.command(name="test")
def test(arguments: tyro.conf.Positional[tuple[str, ...]] = (), /) -> int:
    """Run the project's own tests (further words go to pytest; put -- before options)."""
    import pytest

    from pipeline.io.files import ROOT

    return int(pytest.main([f"--rootdir={ROOT}", *(arguments or [str(ROOT / "tests")])]))


def _add_stage_verb(stage: str) -> None:
    def verb(
        id: Id,
        captures: Path | None = None,
        results: Path | None = None,
        work: Path | None = None,
        method: str = DEFAULT_METHOD,
        threads: int = 2,
        settings: str = "",
        key: str = "",
        part: str = "",
    ) -> int:
        from pipeline.avatars.registry import method_of
        from pipeline.config import parse_config, parse_settings
        from pipeline.contract.captures_table import read_captures, unknown_capture
        from pipeline.contract.layout import Layout
        from pipeline.stages.job import make_job
        from pipeline.stages.runner import execute, execute_part
        from pipeline.workflow.run_options import Request, load_config
        from pipeline.workflow.staleness import stage_key

        if captures and results and work and settings and key:  # a job of a run: what config.yaml says by now is not its business
            config = parse_config({"captures": str(captures), "results": str(results), "work": str(work), "method": method})
        else:
            config = load_config(Request((id,), False, method, captures, results, work))
        table = read_captures(Path(config.captures))
        if id not in table:
            raise unknown_capture(id, table, config.captures)
        layout = Layout(Path(config.results) / id, Path(config.work) / id, method)
        chosen = parse_settings(stage, json.loads(settings), method_of(method)) if settings else config.stages[stage]
        job = make_job(stage, chosen, method_of(method), layout, table[id], threads)
        if part:
            number, _, count = part.partition("/")
            execute_part(job, layout, int(number), int(count))
            return 0
        execute(job, layout, key or stage_key(stage, table[id], config))
        return 0

    scattered = [name for name, entry in CAPTURE_STAGES.items() if entry.scattered]
    verb.__doc__ = f"""The stage '{stage}' alone{"" if stage in CAPTURE_STAGES else ", of one method"}; `run` is what calls it.

    Args:
        id: A row of the captures table.
        captures: The table (default: captures.tsv).
        results: Where results go (default: results).
        work: Scratch space (default: work).
        method: The avatar method.
        threads: Cores to use.
        settings: The stage's settings as JSON (default: those of config.yaml).
        key: What the results depend on, kept in the manifest (default: computed).
        part: Such as 2/8: only these of the cameras, for the stage itself to find done ({", ".join(scattered)}).
    """
    app.command(verb, name=stage if stage != "render" else "render-stage")


def main() -> None:
    """Entry point of `python -m pipeline`; user errors end in a few lines and exit code 1, never in a traceback."""
    try:
        from pipeline.avatars.registry import METHODS

        for stage in dict.fromkeys(name for method in METHODS.values() for name in method.table):
            _add_stage_verb(stage)
        sys.exit(app.cli(prog="c2a", description="Multi-view captures of people in, animatable Gaussian-splat avatars out."))
    except (InputError, OSError) as error:
        from pipeline.stages.failure import explain

        told = explain(error)
        if told is error and not isinstance(error, InputError):
            raise
        print(f"error: {told}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
