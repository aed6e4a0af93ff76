"""Verbs that run stages, and those over what the runs left."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from pipeline.cli.options import DEFAULTS, STAGE, Common, DryRun, Flag, Folder, Name, Names, Number, option, run_options

Stage = Annotated[str | None, option(STAGE)]
Text = Annotated[str, option("TEXT")]
Pairs = Annotated[tuple[str, ...], option("NAME=PATH ...")]
to_snakemake: list[str] = []  # what the command line has after `--`


def demo(settings: Common = DEFAULTS, until: Stage = None, cores: Number = None, dry_run: DryRun = False) -> int:
    """Generate a synthetic capture and run every stage on it.

    It ends by naming the report to open.

    For example:
      ./c2a demo                                   two to three minutes on two cores
      ./c2a view demo                              the avatar, in the browser

    Args:
        until: Last stage to run (default: report).
        cores: CPU cores to use (default: all).
        dry_run: Only show what would run, and why.
    """
    from pipeline.workflow.run import run

    return run(run_options(settings, names=("demo",), until=until, cores=cores, dry_run=dry_run, snakemake=tuple(to_snakemake)))


def run_captures(
    names: Names = (),
    /,
    all: Flag = False,
    failed: Flag = False,
    settings: Common = DEFAULTS,
    first: Annotated[str | None, option(STAGE, name="from")] = None,
    until: Stage = None,
    fresh: Flag = False,
    strict: Flag = False,
    profile: Annotated[str, option("{default,slurm}|FOLDER")] = "default",
    cores: Number = None,
    dry_run: DryRun = False,
    reset_settings: Flag = False,
) -> int:
    """Run the pipeline: from raw videos to avatar and report.

    Finished stages are kept; interrupted stages resume.

    For example:
      ./c2a run anna                               from raw videos to report
      ./c2a run anna -n                            show what would run, and why
      ./c2a run anna --set train.iterations=3000   change a setting
      ./c2a run anna --name long --set train.iterations=9000   a variant, beside the first result
      ./c2a run anna bob --until matte             two captures, up to the mattes
      ./c2a run --all --profile slurm              every capture of the table, on a cluster
      ./c2a run anna -- --keep-incomplete          what follows -- goes to Snakemake

    Args:
        names: Captures of the table, or groups of its column `group`.
        all: Every capture of the table.
        failed: Captures whose last run failed or was interrupted.
        first: Rerun from this stage on; earlier stages must be complete.
        until: Last stage to run (default: report).
        fresh: Rerun all stages.
        strict: Do not start a group if one of its captures fails (default: go on without it).
        profile: Where stages run: default (this machine), slurm, or the folder of a Snakemake profile.
        cores: CPU cores to use (default: all); ignored with a cluster profile.
        dry_run: Only show what would run, and why.
        reset_settings: Drop the settings that earlier runs of these captures were given.
    """
    from pipeline.workflow.run import run

    options = run_options(
        settings,
        names=names,
        all=all,
        failed=failed,
        first=first,
        until=until,
        fresh=fresh,
        strict=strict,
        profile=profile,
        cores=cores,
        dry_run=dry_run,
        reset_settings=reset_settings,
        snakemake=tuple(to_snakemake),
    )
    return run(options)


def status(names: Names = (), /, watch: Flag = False, settings: Common = DEFAULTS) -> int:
    """Show the state of every stage of every capture.

    A stage is done, stale, running (where), interrupted, failed (why) or missing.

    For example:
      ./c2a status                                 all captures
      ./c2a status anna --watch                    one, until it is done

    Args:
        names: Captures or groups (default: all).
        watch: Refresh until everything is done.
    """
    from pipeline.workflow.status import print_status

    return print_status(run_options(settings, names=names, all=not names), watch)


def cohort(names: Names = (), /, out: Folder = None, settings: Common = DEFAULTS) -> int:
    """Write a table and a page over many captures or groups.

    Variants and failed ones included: quality, warnings, time, memory, an image of each.

    For example:
      ./c2a cohort                                 all captures: results/cohort.html
      ./c2a cohort anna bob --out two              two/cohort.html

    Args:
        names: Captures or groups (default: all).
        out: Folder for cohort.tsv and cohort.html (default: the directory of results).
    """
    from pipeline.workflow.cohort_verb import write_cohort

    return write_cohort(run_options(settings, names=names, all=not names), out and Path.cwd() / out)


def clean_work(names: Names = (), /, dry_run: DryRun = False, settings: Common = DEFAULTS) -> int:
    """Remove the intermediate files of complete captures.

    Those of unfinished and running captures and groups are kept.

    For example:
      ./c2a clean-work -n                          list what would be removed

    Args:
        names: Captures or groups (default: all that have intermediate files).
        dry_run: Only list what would be removed.
    """
    from pipeline.workflow.clean import clean

    return clean(run_options(settings, names=names, dry_run=dry_run))


def stage(
    stage: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar=STAGE)]],
    name: Name,
    settings: Common = DEFAULTS,
    cores: Annotated[int, option("N")] = 2,
    values: Annotated[str, option("JSON")] = "",
    key: Text = "",
    members: Annotated[tuple[str, ...], option("CAPTURE ...")] = (),
    inputs: Pairs = (),
    outputs: Pairs = (),
    part: Annotated[str, option("I/N")] = "",
) -> int:
    """Run one stage alone, as the jobs of `run` do.

    The stages before it must be complete.

    For example:
      ./c2a stage report anna

    Args:
        stage: The stage.
        name: Capture or group.
        cores: CPU cores to use (default: 2).
        values: The stage's settings (default: those of the configuration).
        key: What the results depend on, kept in the manifest (default: computed).
        members: Of a group: the captures to use (default: all).
        inputs: The artefacts that it reads (default: where they lie).
        outputs: The artefacts that it writes (default: where they lie).
        part: Process only shard 2/8 of the cameras; the stage itself then publishes them (stages that `scatter` splits).
    """
    from pipeline.workflow.stage_verb import StageCall, run_stage

    call = StageCall(stage, name, cores, values, key, members, inputs, outputs, part)
    run_stage(call, run_options(settings, names=(name,)))
    return 0
