"""What a run will do: which stages of which capture, why, and how long they may take. Snakemake is handed the result and decides nothing."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.avatars.registry import method_of
from pipeline.config import Config
from pipeline.contract.layout import Layout
from pipeline.contract.manifest import read_manifest
from pipeline.contract.stages import CAPTURE_STAGES, upstream
from pipeline.io.errors import InputError
from pipeline.io.files import read_record
from pipeline.workflow.run_options import RunOptions
from pipeline.workflow.staleness import MISSING, unfinished_reasons
from pipeline.workflow.targets import Target

MOST_ASKED = 30  # manifests of other captures that an expected time is taken from


@dataclass(frozen=True)
class Plan:
    """What is to be done on one capture or group. steps: stage -> reason, of the stages that run, in order."""

    target: Target
    steps: Mapping[str, str] = field(default_factory=dict)

    @property
    def forced(self) -> list[str]:
        """The manifests of stages that run although they have one: Snakemake is told to make them."""
        paths = [self.target.layout.manifest(stage) for stage in self.steps]
        return [str(path) for path in paths if path.exists()]


def make_plans(options: RunOptions, targets: Mapping[str, Target], config: Config) -> dict[str, Plan]:
    """Target -> what is to be done, also where that is nothing. Raises InputError where --from lacks what comes before."""
    return {name: _plan(options, target, config) for name, target in targets.items()}


def read_first(plans: Mapping[str, Plan]) -> dict[str, Plan]:
    """Of plans that begin because the raw files of a capture changed, that beginning alone: whether anything follows depends on what `ingest` makes of them."""
    first = {}
    for name, plan in plans.items():
        own = {stage: reason for stage, reason in plan.steps.items() if not reason.startswith("after ")}
        if list(own) == ["ingest"] and len(plan.steps) > 1 and own["ingest"] != MISSING and not own["ingest"].startswith("--"):
            first[name] = Plan(plan.target, own)
    return first


def _plan(options: RunOptions, target: Target, config: Config) -> Plan:
    reasons = unfinished_reasons(target, config)
    asked = _asked_again(options, target, config, reasons)
    named = {stage: reasons.get(stage) or asked.get(stage, "") for stage in target.stages}
    return Plan(target, {stage: reason for stage, reason in named.items() if reason})


def _asked_again(options: RunOptions, target: Target, config: Config, reasons: Mapping[str, str]) -> dict[str, str]:
    first, stages = options.first, target.stages
    if options.fresh or (target.is_group and first in CAPTURE_STAGES):
        return dict.fromkeys(stages, "--fresh" if options.fresh else f"--from {first}")
    if first not in stages:
        return {}
    makers = upstream(tuple(method_of(config.method).table.values()))[first]
    missing = [stage for stage in stages[: stages.index(first)] if stage in makers and stage in reasons]
    if missing:
        raise InputError(
            f"--from {first} needs the results of {missing[0]}, which are not there or not current ({reasons[missing[0]]})",
            file=target.layout.results,
            remedy=options.resume(target.name),
        )
    return dict.fromkeys(stages[stages.index(first) :], f"--from {first}")


def expected_seconds(layout: Layout, stage: str) -> float | None:
    """How long a stage may take: as long as last time, else the median of other captures; None where none has run."""
    own = _seconds(read_manifest(layout, stage))
    return own if own is not None else _median(layout.results.parent, layout.manifest(stage).relative_to(layout.results))


@cache
def _median(results: Path, manifest: Path) -> float | None:
    files = islice(results.glob(f"*/{manifest}"), MOST_ASKED)
    layouts: Iterable[dict[str, Any] | None] = (read_record(file) for file in files)
    known = [seconds for record in layouts if (seconds := _seconds(record)) is not None]
    return statistics.median(known) if known else None


def _seconds(manifest: Mapping[str, Any] | None) -> float | None:
    seconds = (manifest or {}).get("timing", {}).get("seconds")
    return None if seconds is None else float(seconds)
