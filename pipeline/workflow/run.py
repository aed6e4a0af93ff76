"""`run`: checks what can be checked, hands one command line to Snakemake (one more for groups), and inspects the outcome."""

from __future__ import annotations

import contextlib
import resource
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.avatars.registry import method_of
from pipeline.config import Config
from pipeline.contract.stages import CAPTURE_STAGES, upstream
from pipeline.io.errors import InputError
from pipeline.io.files import check_writable
from pipeline.io.progress import log
from pipeline.machine.lease import lease
from pipeline.workflow.orphans import end_orphans
from pipeline.workflow.outcome import failed_targets, report_outcome
from pipeline.workflow.preflight import check_captures, check_device
from pipeline.workflow.presets import resolved_config
from pipeline.workflow.repaired import read_repaired
from pipeline.workflow.run_options import RunOptions
from pipeline.workflow.snakemake_command import run_snakemake
from pipeline.workflow.staleness import stale_stages, unfinished_stages
from pipeline.workflow.targets import Target, Targets, chosen_targets, group_target


def run(options: RunOptions) -> int:
    """Bring captures and groups up to date. Returns the exit code: 0 only when everything asked for exists and is current.

    Raises:
        InputError: the options, the table, the configuration or a capture's files are not as expected; nothing was started.
    """
    config = resolved_config(options)
    targets = chosen_targets(options, config)
    if options.failed:
        targets = failed_targets(targets)
    if not targets.all:
        print("no capture's last run failed")
        return 0
    _check_first(options, targets)
    check_device(options, config, targets.all)
    broken = {name: row.error for name, row in targets.bad.items()} | check_captures(targets.captures, config, quiet=options.dry_run)
    targets = _without(targets, broken, config, options.strict)
    code = _plan(options, config, targets) if options.dry_run else _bring_up_to_date(options, config, targets)
    for name, error in broken.items():
        print(f"{name}: was not started\n{error}", file=sys.stderr)
    return code or int(bool(broken))


def _plan(options: RunOptions, config: Config, targets: Targets) -> int:
    return run_snakemake(options, config, targets.groups or targets.captures, _files(_forced(options, targets.all, config), targets.all))


def _bring_up_to_date(options: RunOptions, config: Config, targets: Targets) -> int:
    for folder, option in ((config.results, "--results"), (config.work, "--work")):
        check_writable(Path(folder), option)
    with contextlib.ExitStack() as leases:
        _allow_files(4 * len(targets.all))
        held = [leases.enter_context(lease(t.layout.running("run"), t.layout.leases, f"run of {t.name}")) for t in targets.all.values()]
        layouts = {name: target.layout for name, target in targets.all.items()}
        token, code, groups = held[0].token, 0, targets.groups
        end_orphans(layouts, config)
        forced = _forced(options, targets.captures, config)
        if not groups or forced or any(unfinished_stages(target, config) for target in targets.captures.values()):
            _forget(options, targets.captures, forced)
            read = read_repaired(options, config, targets.captures, forced, token)
            captures = {name: target for name, target in targets.captures.items() if not read.get(name)}
            files = _files({name: stages for name, stages in forced.items() if name not in read}, captures)
            code = run_snakemake(options, config, captures, files, token) if captures else 0
            code = code or max(read.values(), default=0)
        if groups:
            groups = _groups_now(groups, targets.captures, config, options.strict)
            forced = _forced(options, groups, config)
            _forget(options, groups, forced)
            code = (run_snakemake(options, config, groups, _files(forced, groups), token) if groups else 0) or code
        end_orphans(layouts, config)
        return report_outcome(code, Targets(targets.captures, {**targets.groups, **groups}), config, options.resume)


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
        where = ", ".join(list(targets.all)[:5])
        raise InputError(f"--from {options.first} is none of the stages of {where}", expected="one of " + ", ".join(known), remedy="correct --from")


def _forced(options: RunOptions, targets: Mapping[str, Target], config: Config) -> dict[str, list[str]]:
    """Target -> stages to run although their outputs exist: asked for with --from or --fresh, or stale. Raises InputError where --from lacks what comes before."""
    forced = {}
    for target in targets.values():
        stale = stale_stages(target, config)
        for stage, reason in stale.items():
            log(f"{target.name}: {stage} will run again: {reason}")
        again = _asked_again(options, target, config)
        forced[target.name] = [stage for stage in target.stages if stage in stale or stage in again]
    return {name: stages for name, stages in forced.items() if stages}


def _asked_again(options: RunOptions, target: Target, config: Config) -> tuple[str, ...]:
    first, stages = options.first, target.stages
    if options.fresh or (target.is_group and first in CAPTURE_STAGES):
        return stages
    if first not in stages:
        return ()
    makers = upstream(tuple(method_of(config.method).table.values()))[first]
    missing = unfinished_stages(target, config, [stage for stage in stages[: stages.index(first)] if stage in makers])
    if missing:
        raise InputError(
            f"--from {first} needs the results of {missing[0]}, which are not there or not current",
            file=target.layout.results,
            remedy=f"./c2a run {target.name}",
        )
    return stages[stages.index(first) :]


def _forget(options: RunOptions, targets: Mapping[str, Target], forced: Mapping[str, list[str]]) -> None:
    """Drop the error files of earlier runs, and the unfinished work of stages that are re-run by request; an interrupted stage resumes."""
    for target in targets.values():
        for stage in target.stages:
            target.layout.error(stage).unlink(missing_ok=True)
        if options.fresh or options.first:
            for stage in forced.get(target.name, []):
                shutil.rmtree(target.layout.scratch(stage), ignore_errors=True)
            if "train" in forced.get(target.name, []):
                target.layout.trained.unlink(missing_ok=True)


def _files(forced: Mapping[str, list[str]], targets: Mapping[str, Target]) -> list[str]:
    return [str(targets[name].layout.manifest(stage)) for name, stages in forced.items() for stage in stages]


def _allow_files(count: int) -> None:
    """A lock per target is an open file per target; systems allow 1,024 unless asked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = count + 256
    if soft != resource.RLIM_INFINITY and soft < need:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need if hard == resource.RLIM_INFINITY else min(need, hard), hard))
