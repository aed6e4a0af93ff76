"""The command line: one verb per thing a user does, and one per stage."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from pipeline.contract.stages import CAPTURE_STAGES
from pipeline.io.errors import InputError

app = tyro.extras.SubcommandApp()
Names = tyro.conf.Positional[tuple[str, ...]]
Name = tyro.conf.Positional[str]


@dataclass(frozen=True)
class Settings:
    """Options of every verb that takes a configuration.

    Attributes:
        method: The avatar method (default: that of config.yaml).
        preset: draft, standard, high or auto (default: that of config.yaml).
        captures: The table (default: captures.tsv).
        results: Where results lie (default: results).
        work: Scratch space that outlives a failure (default: work).
        config: Settings laid over config.yaml.
        sets: KEY=VALUE laid over both, such as train.iterations=3000; may be given several times.
    """

    method: str | None = None
    preset: Literal["auto", "draft", "standard", "high"] | None = None
    captures: Path | None = None
    results: Path | None = None
    work: Path | None = None
    config: Path | None = None
    sets: Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="KEY=VALUE"), tyro.conf.UseAppendAction] = ()


Common = Annotated[Settings, tyro.conf.arg(name="")]


def _options(settings: Settings, **others: Any) -> Any:
    from pipeline.workflow.run_options import RunOptions

    return RunOptions(**vars(settings), **others)


@app.command(name="demo")
def demo(settings: Common = Settings(), cores: int | None = None) -> int:
    """Make a synthetic capture, run every stage on it, and name the report to open.

    Args:
        cores: Cores to use (default: all).
    """
    from pipeline.workflow.run import run

    return run(_options(settings, names=("demo",), cores=cores))


@app.command(name="run")
def run_captures(
    names: Names = (),
    /,
    all: bool = False,
    failed: bool = False,
    settings: Common = Settings(),
    first: Annotated[str | None, tyro.conf.arg(name="from")] = None,
    until: str | None = None,
    fresh: bool = False,
    strict: bool = False,
    profile: str = "default",
    cores: int | None = None,
    dry_run: Annotated[bool, tyro.conf.arg(aliases=["-n"])] = False,
) -> int:
    """Bring captures up to date: raw videos to report. What is finished is kept, what was interrupted is resumed.

    Args:
        names: Captures of the table, or groups of its column `group`.
        all: Everything in the table.
        failed: Those whose last run failed.
        first: Re-run from this stage; what comes before must be there.
        until: The last stage to run (default: report).
        fresh: Re-run every stage.
        strict: Do not start a group where one of its captures fails (default: it goes without).
        profile: Where the stages run: default (this machine), slurm, or a folder with a Snakemake profile of yours.
        cores: Cores to use (default: all); a cluster's profile decides by itself.
        dry_run: Only show what would run.
    """
    from pipeline.workflow.run import run

    options = {"first": first, "until": until, "fresh": fresh, "strict": strict, "profile": profile, "cores": cores, "dry_run": dry_run}
    return run(_options(settings, names=names, all=all, failed=failed, **options))


@app.command(name="status")
def status(names: Names = (), /, watch: bool = False, settings: Common = Settings()) -> int:
    """Show how far every capture and group is, stage by stage: done, running and where, failed and why, missing.

    Args:
        names: Captures or groups (default: all).
        watch: Keep showing until everything is done.
    """
    from pipeline.workflow.status import print_status

    return print_status(_options(settings, names=names, all=not names), watch)


@app.command(name="cohort")
def cohort(names: Names = (), /, out: Path | None = None, settings: Common = Settings()) -> int:
    """Write a table and a page over many captures or groups, failed ones included: quality, time, memory, an image of each.

    Args:
        names: Captures or groups (default: all).
        out: Folder for cohort.tsv and cohort.html (default: that of the results).
    """
    from pipeline.workflow.status import write_cohort

    return write_cohort(_options(settings, names=names, all=not names), out and Path.cwd() / out)


@app.command(name="clean-work")
def clean_work(names: Names = (), /, dry_run: Annotated[bool, tyro.conf.arg(aliases=["-n"])] = False, settings: Common = Settings()) -> int:
    """Remove the scratch of captures and groups that are complete, and say how much that was; unfinished and running ones are left alone.

    Args:
        names: Captures or groups (default: all that have scratch).
        dry_run: Only say what would go.
    """
    from pipeline.workflow.clean import clean

    return clean(_options(settings, names=names, dry_run=dry_run))


@app.command(name="render")
def render(name: Name, cameras: Path, out: Path, frames: str = "all", subject: str = "", alpha: bool = False, settings: Common = Settings()) -> int:
    """Render a trained avatar from any cameras at the capture's tracked frames.

    Args:
        name: The capture or group.
        cameras: Cameras in the cameras.json form; pinhole, `dist` is ignored.
        out: Folder for <camera>/<sequence>_<frame>.png, RGB over white.
        frames: 'all', or frame ids separated by commas.
        subject: Of a group which of its captures (default: the first).
        alpha: Also write mattes, <camera>/<sequence>_<frame>_alpha.png.
    """
    from pipeline.io.files import check_writable
    from pipeline.stages.render_cameras import render_cameras
    from pipeline.workflow.run_options import load_config
    from pipeline.workflow.targets import layout_of

    options = _options(settings, names=(name,))
    layout = layout_of(name, load_config(options))
    if not layout.avatar.is_file():
        expected = "a capture whose training is done"
        raise InputError(f"no avatar of '{name}'", file=layout.avatar, expected=expected, remedy=f"./c2a run {name}, or see ./c2a status")
    file = options.here / cameras
    if not file.is_file():
        raise InputError("no such file", file=file, expected="cameras in the cameras.json form (docs/datasets.md)", remedy="correct --cameras")
    check_writable(options.here / out, "--out")
    render_cameras(layout, file, options.here / out, frames=None if frames == "all" else frames.split(","), subject=subject, alpha=alpha)
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
        name: Name,
        settings: Common = Settings(),
        threads: int = 2,
        values: str = "",
        key: str = "",
        members: tuple[str, ...] = (),
        inputs: tuple[str, ...] = (),
        outputs: tuple[str, ...] = (),
        part: str = "",
    ) -> int:
        from pipeline.workflow.stage_verb import StageCall, run_stage

        call = StageCall(stage, name, threads, json.loads(values) if values else None, key, members, inputs, outputs, part)
        run_stage(call, _options(settings, names=(name,)))
        return 0

    verb.__doc__ = f"""The stage '{stage}' alone{"" if stage in CAPTURE_STAGES else ", of one method"}; `run` is what calls it.

    Args:
        name: A capture of the table, or a group.
        threads: Cores to use.
        values: The stage's settings as JSON (default: those of the configuration).
        key: What the results depend on, kept in the manifest (default: computed).
        members: Of a group: the captures to use (default: all).
        inputs: NAME=PATH of the artefacts that it reads (default: where they lie).
        outputs: NAME=PATH of the artefacts that it writes (default: where they lie).
        part: Such as 2/8: only these of the cameras, for the stage itself to publish (stages that `scatter` splits).
    """
    app.command(name=stage if stage != "render" else "render-stage")(verb)


def main() -> None:
    """Entry point of `python -m pipeline`; user errors end in a few lines and exit code 1, never in a traceback."""
    try:
        from pipeline.avatars.registry import METHODS

        for stage in dict.fromkeys(name for method in METHODS.values() for name in method.table):
            _add_stage_verb(stage)
        sys.exit(app.cli(prog="c2a", description="Multi-view captures of people in, animatable Gaussian-splat avatars out."))
    except (InputError, OSError) as error:
        from pipeline.stages.failure import explain

        explained = explain(error)
        if explained is error and not isinstance(error, InputError):
            raise
        print(f"error: {explained}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
