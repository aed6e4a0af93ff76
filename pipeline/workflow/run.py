"""`run`: checks what can be checked, hands one command line to Snakemake (one more for groups), and inspects the outcome."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from pipeline.avatars.registry import method_of
from pipeline.config import Config
from pipeline.io.errors import InputError
from pipeline.io.files import check_writable
from pipeline.io.progress import log
from pipeline.io.words import counted, listed
from pipeline.machine.lease import lease
from pipeline.workflow.kept_settings import by_settings, described, keep
from pipeline.workflow.orphans import end_orphans
from pipeline.workflow.outcome import Outcome, failed_targets, report_outcome
from pipeline.workflow.plan import Plan, make_plans, read_first
from pipeline.workflow.plan_table import print_plans
from pipeline.workflow.preflight import check_captures, check_device
from pipeline.workflow.presets import resolved_config
from pipeline.workflow.previous import set_aside, settle
from pipeline.workflow.run_options import RunOptions
from pipeline.workflow.snakemake_command import INTERRUPTED, run_snakemake
from pipeline.workflow.staleness import MISSING, unfinished_stages
from pipeline.workflow.targets import Target, Targets, chosen_targets, group_target

MOST_NAMED = 12  # changed stages


def run(options: RunOptions) -> int:
    """Bring captures and groups up to date. Returns the exit code: 0 only when everything asked for exists and is current.

    Those that keep the same settings of earlier runs go together, one set of them after the other.

    Raises:
        InputError: the options, the table, the configuration or a capture's files are not as expected; nothing was started.
    """
    config = resolved_config(options)
    targets = chosen_targets(options, config)
    bad = targets.bad
    if options.failed:
        targets = failed_targets(targets)
    if not targets.all:
        print("no failed captures")
        return 0
    names = targets.groups or targets.captures
    codes: list[int] = []
    sets = by_settings(names, options, config)
    for kept, members in sets:
        if kept:
            log(f"{listed(members)}: settings of earlier runs: {described(kept)} (--reset-settings drops them)")
        try:
            codes.append(_run_together(replace(options, names=members, all=False, failed=False), resolved_config(options, kept)))
        except InputError as error:
            if len(sets) == 1:
                raise
            print(f"{', '.join(members)}: skipped\n{error}", file=sys.stderr)
            codes.append(1)
        if codes[-1] == INTERRUPTED:
            break
    for name, row in bad.items():
        print(f"{name}: skipped\n{row.error}", file=sys.stderr)
    return max([*codes, int(bool(bad))])


def _run_together(options: RunOptions, config: Config) -> int:
    """Run the captures or groups that `options` name, all with one configuration."""
    targets = chosen_targets(options, config)
    _check_first(options, targets)
    check_device(options, config, targets.all)
    broken = check_captures(targets.captures, config, quiet=options.dry_run)
    targets = _without(targets, broken, config, options.strict)
    if options.dry_run:
        print_plans(make_plans(options, targets.all, config))
    else:
        for folder, option in ((config.results, "--results"), (config.work, "--work")):
            check_writable(Path(folder), option)
    code = 0 if options.dry_run else _run(options, config, targets)
    for name, error in broken.items():
        print(f"{name}: skipped\n{error}", file=sys.stderr)
    return code or int(bool(broken))


def _run(options: RunOptions, config: Config, targets: Targets) -> int:
    """Work on the targets, while their leases are held."""
    with contextlib.ExitStack() as leases:
        _allow_files(4 * len(targets.all))
        held = [leases.enter_context(lease(t.layout.running("run"), t.layout.leases, f"run of {t.name}")) for t in targets.all.values()]
        session = _Session(options, config, held[0].token)
        end_orphans({name: target.layout for name, target in targets.all.items()}, config)
        for target in targets.all.values():
            settle(target)
        keep([target.layout for name, target in targets.all.items() if name in options.names], options)
        session.bring_up(targets.captures)
        groups = targets.groups
        if groups and session.code != INTERRUPTED:
            groups = _groups_now(groups, targets.captures, config, options.strict)
            session.bring_up(groups)
        if session.ran:
            end_orphans({name: target.layout for name, target in targets.all.items()}, config)
        for target in targets.all.values():
            settle(target)
        return report_outcome(session.outcome(), Targets(targets.captures, {**targets.groups, **groups}), config, options.resume)


class _Session:
    """The Snakemake commands of one run. code: the exit code so far; ran: what was worked on."""

    def __init__(self, options: RunOptions, config: Config, token: str):
        self._options, self._config, self._token = options, config, token
        self._log = Path(config.work) / ".logs" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
        self.code = 0
        self.ran: dict[str, tuple[str, ...]] = {}

    def bring_up(self, targets: Mapping[str, Target]) -> None:
        """Plan, and call Snakemake where there is something to do. Error files of earlier runs go."""
        for target in targets.values():
            for stage in target.stages:
                target.layout.error(stage).unlink(missing_ok=True)
        plans = self._plans(targets)
        first = read_first(plans)
        if first:
            self._execute(first)
            failed = [name for name in first if unfinished_stages(targets[name], self._config, first[name].steps)]
            plans = self._plans({name: target for name, target in targets.items() if name not in failed})
        if plans and self.code != INTERRUPTED:
            self._execute(plans)

    def _plans(self, targets: Mapping[str, Target]) -> dict[str, Plan]:
        return {name: plan for name, plan in make_plans(self._options, targets, self._config).items() if plan.steps}

    def _execute(self, plans: Mapping[str, Plan]) -> None:
        _announce(plans.values())
        _forget(self._options, plans)
        stages = sum(len(plan.steps) for plan in plans.values())
        print(f"{counted(stages, 'stage')} of {counted(len(plans), 'capture')} to run; log: {self._log}", flush=True)
        self.ran |= {name: (*self.ran.get(name, ()), *plan.steps) for name, plan in plans.items()}
        for plan in plans.values():
            set_aside(plan)
        self.code = run_snakemake(self._options, self._config, plans, self._log, self._token) or self.code

    def outcome(self) -> Outcome:
        return Outcome(self.code, self.ran, self._log)


def _announce(plans: Collection[Plan]) -> None:
    """Say of which finished results a run makes new ones, and why."""
    changed = [
        f"{plan.target.name}: {stage} will run again: {reason}"
        for plan in plans
        for stage, reason in plan.steps.items()
        if reason != MISSING and not reason.startswith(("after ", "--"))
    ]
    for line in changed[:MOST_NAMED]:
        log(line)
    if len(changed) > MOST_NAMED:
        log(f"and {len(changed) - MOST_NAMED} more changed stages; run -n lists them")


def _without(targets: Targets, broken: dict[str, InputError], config: Config, strict: bool) -> Targets:
    """The targets that may start. A group that may not is added to `broken`."""
    groups = {}
    for name, group in targets.groups.items():
        rows = [row for row in group.rows if row.id not in broken]
        lost = [row.id for row in group.rows if row.id in broken] + [line for line, row in targets.bad.items() if row.group == name]
        if lost and (strict or not rows):
            broken[name] = InputError(f"its capture {lost[0]} cannot be used", remedy="correct it, or run without --strict" if rows else "correct it")
        elif lost:
            print(f"{name}: goes without {', '.join(lost)}", file=sys.stderr)
            groups[name] = group_target(name, rows, config)
        else:
            groups[name] = group
    return Targets({name: target for name, target in targets.captures.items() if name not in broken}, groups)


def _groups_now(groups: Mapping[str, Target], captures: Mapping[str, Target], config: Config, strict: bool) -> dict[str, Target]:
    """The groups that can be made of the captures that are complete by now; those that are not are named."""
    made = {}
    for name, group in groups.items():
        failed = [row.id for row in group.rows if unfinished_stages(captures[row.id], config)]
        if failed and (strict or len(failed) == len(group.rows)):
            log(f"{name} is not started: {', '.join(failed)} failed")
            continue
        if failed:
            log(f"{name} goes without {', '.join(failed)}, which failed")
        made[name] = group_target(name, [row for row in group.rows if row.id not in failed], config)
    return made


def _check_first(options: RunOptions, targets: Targets) -> None:
    """That --from names a stage that will run."""
    known = dict.fromkeys(stage for target in targets.all.values() for stage in target.stages)
    if options.first is not None and options.first not in known:
        unknown = options.first not in method_of(next(iter(targets.all.values())).layout.method).table
        problem = "unknown stage" if unknown else f"the stage is not run{f' with --until {options.until}' if options.until else ''}"
        raise InputError(f"--from {options.first}: {problem}", expected="one of " + ", ".join(known), remedy="correct --from")


def _forget(options: RunOptions, plans: Mapping[str, Plan]) -> None:
    """Drop the unfinished work of stages that are re-run by request; an interrupted stage resumes."""
    if not (options.fresh or options.first):
        return
    for plan in plans.values():
        for stage in plan.steps:
            shutil.rmtree(plan.target.layout.scratch(stage), ignore_errors=True)
        if "train" in plan.steps:
            plan.target.layout.trained.unlink(missing_ok=True)


def _allow_files(count: int) -> None:
    """A lock per target is an open file per target; systems allow 1,024 unless asked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = count + 256
    if soft != resource.RLIM_INFINITY and soft < need:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need if hard == resource.RLIM_INFINITY else min(need, hard), hard))
