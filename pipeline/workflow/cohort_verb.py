"""`./c2a cohort`: which captures, groups and variants its table and page have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipeline.io.files import check_writable, write_text
from pipeline.report.cohort import Member, cohort_page, cohort_table
from pipeline.workflow.run_options import RunOptions, load_config
from pipeline.workflow.status import count, other_variants, summary, survey_chosen
from pipeline.workflow.targets import Targets, variants_of


def write_cohort(options: RunOptions, out: Path | None) -> int:
    """Write cohort.tsv and cohort.html and name the page. Of a method that makes one avatar per group it lists the groups, and the captures that failed."""
    folder = out or Path(load_config(options).results)
    check_writable(folder, "--out")
    targets, members = _members(options)
    variants = sorted({name for target in targets.all.values() for name in other_variants(target)}) if options.variant is None else []
    for variant in variants:
        names = tuple(name for name, target in targets.all.items() if variant in variants_of(target.layout))
        members += _members(replace(options, names=names, all=False, variant=variant))[1]
    order = list(targets.all)
    members.sort(key=lambda member: order.index(member.id))  # a variant beside the capture's own row
    write_text(folder / "cohort.tsv", cohort_table(members))
    write_text(folder / "cohort.html", cohort_page(members, folder))
    print(f"{count(targets)}. Open {folder / 'cohort.html'}")
    return 0


def _members(options: RunOptions) -> tuple[Targets, list[Member]]:
    """The captures and groups that the options mean, and their rows."""
    targets, table = survey_chosen(options)
    members = []
    for name, cells in table.items():
        target, state = targets.all[name], summary(cells)
        if targets.groups and not target.is_group and state != "failed":
            continue
        failed, error = next(((stage, cell.error) for stage, cell in cells.items() if cell.error), ("", None))
        page = target.layout.report if (cell := cells.get("report")) and cell.state == "done" else None
        reached = [stage for stage, cell in cells.items() if cell.state in ("done", "stale")]
        members.append(Member(target.layout, state, reached[-1] if reached else "", failed, error or {}, page, options.resume(name)))
    return targets, members
