"""Captures whose raw files changed: `ingest` reads them first, and what follows depends on whether capture.json came out another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipeline.config import Config
from pipeline.workflow.run_options import RunOptions
from pipeline.workflow.snakemake_command import run_snakemake
from pipeline.workflow.staleness import unfinished_stages
from pipeline.workflow.targets import Target


def read_repaired(options: RunOptions, config: Config, captures: Mapping[str, Target], forced: Mapping[str, Sequence[str]], token: str) -> dict[str, int]:
    """Run `ingest` alone where nothing but a raw file changed.

    In one command Snakemake would run every stage after it: it decides before `ingest` runs. In the next it compares contents, so a file that was only touched
    costs this one stage.

    Args:
        forced: stages to run although their results exist.

    Returns:
        the captures that it read, each with the exit code (0: done).
    """
    chosen = {name: captures[name] for name, stages in forced.items() if list(stages) == ["ingest"] and captures[name].stages[-1] != "ingest"}
    if not chosen:
        return {}
    code = run_snakemake(options, replace(config, until="ingest"), chosen, [str(target.layout.manifest("ingest")) for target in chosen.values()], token)
    return {name: (code or 1) if unfinished_stages(target, config, ["ingest"]) else 0 for name, target in chosen.items()}
