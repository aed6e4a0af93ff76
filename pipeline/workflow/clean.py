"""Removes what complete captures no longer need of their scratch."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline.avatars.registry import METHODS
from pipeline.contract.layout import Layout
from pipeline.io.errors import InputError
from pipeline.machine.lease import is_alive, lease, read_holder
from pipeline.workflow.run_options import Request, load_config

KEPT = ("leases.tsv", "running")  # who did what, and who is at it: small


def clean(request: Request, dry_run: bool) -> int:
    """Remove the scratch of captures with a report; say what goes, and of the others why theirs stays.

    Raises:
        InputError: there is no such scratch.
    """
    config, ids = load_config(request), request.ids
    results, work = Path(config.results), Path(config.work)
    if request.work and not work.is_dir():
        raise InputError("no such folder", file=work, expected="scratch of runs", remedy="correct --work")
    unknown = [name for name in ids if not (work / name).is_dir()]
    if unknown:
        raise InputError(f"no scratch of a capture '{unknown[0]}'", file=work / unknown[0], expected="a capture that was run", remedy="./c2a status")
    total, verb = 0, "would remove" if dry_run else "removed"
    for folder in sorted(work / name for name in ids) if ids else sorted(path for path in work.glob("*") if path.is_dir()):
        layout = Layout(results / folder.name, folder)
        try:
            with lease(layout.running("run"), layout.leases, f"clean-work of {folder.name}"):  # no run begins meanwhile
                why = _why_kept(results / folder.name, folder)
                size = 0 if why else _remove(folder, dry_run)
        except InputError as error:
            why = str(error).splitlines()[0]
        print(f"{folder.name}: kept: {why}" if why else f"{folder.name}: {verb} {size / 1e6:.1f} MB")
        total += 0 if why else size
    print(f"{verb} {total / 1e6:.1f} MB in all")
    return 0


def _why_kept(results: Path, work: Path) -> str:
    for layout in (Layout(results, work, method) for method in METHODS):
        for name in METHODS[layout.method].table:
            path = layout.running(name)
            holder = read_holder(path)
            if holder and is_alive(path, holder):
                return f"{name} is at work: {holder.describe()}"
    layouts = [Layout(results, work, method) for method in METHODS if (work / method).exists() or (results / method).exists()]
    if not layouts:
        return "no avatar yet"
    for layout in layouts:
        failed = [stage for stage in METHODS[layout.method].table if layout.error(stage).is_file()]
        if failed:
            return f"{failed[0]} failed, and what there is may be gone on with"
        missing = [stage for stage in METHODS[layout.method].table if stage != "synthesise" and not layout.manifest(stage).is_file()]
        if missing:
            return f"{layout.method}: {missing[0]} is not done"
    return ""


def _remove(folder: Path, dry_run: bool) -> int:
    """Scratch of stages, logs, curves, failure pages: everything but the lease book. Returns the bytes."""
    total = 0
    for path in sorted(folder.iterdir()):
        if path.name in KEPT:
            continue
        total += sum(file.lstat().st_size for file in [path, *path.rglob("*")] if file.is_file())
        if not dry_run:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return total
