"""Removes what complete captures and groups no longer need of their scratch."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from pipeline.avatars.method import Method
from pipeline.avatars.registry import METHODS
from pipeline.config import Config
from pipeline.contract.captures_table import CaptureRow, read_captures
from pipeline.contract.layout import Layout
from pipeline.io.errors import InputError
from pipeline.machine.lease import is_alive, lease, read_holder
from pipeline.workflow.run_options import RunOptions, load_config
from pipeline.workflow.targets import layout_of, variants_of

KEPT = ("leases.tsv", "running")  # the lease log, and who is at work: small


def clean(options: RunOptions) -> int:
    """Remove the scratch of captures and groups with a report; say what goes, and of the others why theirs is kept.

    Raises:
        InputError: there is no such scratch.
    """
    config, names = load_config(options), options.names
    work, table = Path(config.work), Path(config.captures)
    rows = read_captures(table) if table.is_file() else {}
    if options.work and not work.is_dir():
        raise InputError("no such folder", file=work, expected="scratch of runs", remedy="correct --work")
    unknown = [name for name in names if not (work / name).is_dir()]
    if unknown:
        raise InputError(f"no scratch of '{unknown[0]}'", file=work / unknown[0], expected="a capture or group that was run", remedy="./c2a status")
    total, verb = 0, "would remove" if options.dry_run else "removed"
    folders = [work / name for name in names] or [path for path in work.glob("*") if path.is_dir() and not path.name.startswith(".")]
    for folder in sorted(folders):
        layout = layout_of(folder.name, config)
        try:
            with lease(layout.running("run"), layout.leases, f"clean-work of {folder.name}"):  # no run begins meanwhile
                why = _why_kept(folder.name, rows.get(folder.name), config)
                size = 0 if why else _remove(folder, options.dry_run)
        except InputError as error:
            why = str(error).splitlines()[0]
        print(f"{folder.name}: kept: {why}" if why else f"{folder.name}: {verb} {size / 1e6:.1f} MB")
        total += 0 if why else size
    print(f"{verb} {total / 1e6:.1f} MB in total")
    return 0


def _why_kept(name: str, row: CaptureRow | None, config: Config) -> str:
    """Why the scratch of a capture or group is still needed; empty where it is not. row: the capture's, where the table has it."""
    group, kind = (row.group, row.kind) if row else ("", None)
    places = [(method, layout) for method in METHODS.values() for layout in _variants(name, method, config)]
    for method, layout in places:
        for stage in method.table:
            path = layout.running(stage)
            holder = read_holder(path)
            if holder and is_alive(path, holder):
                return f"{stage} is running: {holder.describe()}"
    avatars = [(method, layout) for method, layout in places if layout.avatar_folder.exists() or (layout.work / layout.folder).exists()]
    if group:
        avatars += [(method, layout) for method in METHODS.values() for layout in _variants(group, method, config) if layout.avatar_folder.exists()]
    if not avatars:
        return "no avatar yet"
    for method, layout in avatars:
        own = [] if layout.results.name == name and method.scope == "group" else method.stages_of(kind)
        stages = [(_layout(name, method, config), stage) for stage in own] + [(layout, stage.name) for stage in method.avatar_stages]
        failed = [stage for place, stage in stages if place.error(stage).is_file()]
        if failed:
            return f"{failed[0]} failed, and may be resumed"
        missing = [stage for place, stage in stages if not place.manifest(stage).is_file()]
        if missing:
            return f"{layout.folder}: {missing[0]} is not done"
    return ""


def _layout(name: str, method: Method, config: Config) -> Layout:
    return Layout(Path(config.results) / name, Path(config.work) / name, method.name)


def _variants(name: str, method: Method, config: Config) -> list[Layout]:
    """With and without a name."""
    layout = _layout(name, method, config)
    return [replace(layout, variant=variant) for variant in variants_of(layout)]


def _remove(folder: Path, dry_run: bool) -> int:
    """Scratch of stages, logs, curves, failure pages: everything but the lease log. Returns the bytes."""
    total = 0
    for path in sorted(folder.iterdir()):
        if path.name in KEPT:
            continue
        total += sum(file.lstat().st_size for file in [path, *path.rglob("*")] if file.is_file())
        if not dry_run:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return total
