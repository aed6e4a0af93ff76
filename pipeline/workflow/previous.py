"""A finished training is set aside while a new one runs, and comes back where that does not end well.

Snakemake removes the outputs of a job before it starts it; so the whole folder of the method is renamed before Snakemake begins.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pipeline.avatars.registry import method_of
from pipeline.io.progress import log
from pipeline.workflow.plan import Plan
from pipeline.workflow.targets import Target


def set_aside(plan: Plan) -> None:
    """Move the results of a finished training that is about to be repeated; what the plan keeps of them stays."""
    layout = plan.target.layout
    if "train" not in plan.steps or not layout.manifest("train").is_file():
        return
    method = method_of(layout.method)
    kept = [stage for stage in plan.target.stages if stage in {s.name for s in method.avatar_stages} and stage not in plan.steps]
    os.rename(layout.avatar_folder, layout.previous)
    for stage in kept:
        for path in [*method.output_paths(layout, stage), layout.manifest(stage)]:
            _copy(layout.previous / path.relative_to(layout.avatar_folder), path)
    if layout.variant and (settings := layout.previous / layout.settings.name).is_file():
        _copy(settings, layout.settings)
    log(f"{plan.target.name}: the finished training is kept in {layout.previous} until the new one is done")


def settle(target: Target) -> None:
    """After a run, or after one that was killed: the old results go where a new training is done, and come back where it is not."""
    layout = target.layout
    if not layout.previous.is_dir():
        return
    if layout.manifest("train").is_file():
        shutil.rmtree(layout.previous)
        return
    shutil.rmtree(layout.avatar_folder, ignore_errors=True)
    os.rename(layout.previous, layout.avatar_folder)
    log(f"{target.name}: no new training was finished; the earlier results are back in {layout.avatar_folder}")


def _copy(source: Path, target: Path) -> None:
    """As links to the same bytes: an avatar stage replaces files, it never writes into them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_link)
    else:
        _link(source, target)


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # file systems without hard links
        shutil.copy2(source, target)
