"""What can be checked before anything runs: the raw files of the captures, and that the device is there."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from pipeline.avatars.registry import METHODS
from pipeline.config import Config
from pipeline.contract.captures_table import SCENES, TRACKED
from pipeline.io.errors import InputError
from pipeline.io.progress import log
from pipeline.workflow.profiles import is_cluster, profile_folder
from pipeline.workflow.run_options import RunOptions
from pipeline.workflow.staleness import unfinished_stages
from pipeline.workflow.targets import Target


def check_captures(captures: Mapping[str, Target], config: Config, quiet: bool) -> dict[str, InputError]:
    """Check what can be checked without decoding whole videos: what is wrong with which capture. Raises where none may start.

    Captures whose raw files are as they were when `ingest` checked them are not opened again.
    """
    from pipeline.stages.failure import write_error
    from pipeline.stages.ingest import preflight

    broken: dict[str, InputError] = {}
    for name, target in captures.items():
        first = [stage for stage in ("ingest", "sample") if stage in target.stages]
        if not unfinished_stages(target, config, first):
            continue
        try:
            row = target.rows[0]
            if "fit" in target.stages and row.kind in TRACKED and not row.body and config.stages["fit"].model == "auto":
                raise InputError(
                    f"captures of kind '{row.kind}' need a FLAME of your own",
                    file=config.captures,
                    found=f"{name}: model {row.model}",
                    expected="the name of an imported model in the column 'model'",
                    remedy="./c2a body import flame FILE --name NAME",
                )
            if "fit" in target.stages and row.kind in SCENES:
                others = " or ".join(f"--method {other.name}" for other in METHODS.values() if "fit" not in other.reads)
                log(f"note: {name} is of kind {row.kind}; the method {config.method} fits a person. Scenes without one: {others}")
            preflight(row, config.stages["ingest"], single="fit" not in target.stages)
        except InputError as error:
            broken[name] = error
            if not quiet:
                write_error("ingest", target.layout, str(error), None, user_error=True, attempt=1)
    if broken and len(broken) == len(captures):
        for name in list(broken)[1:]:
            print(f"{name}: skipped\n{broken[name]}", file=sys.stderr)
        raise next(iter(broken.values()))
    return broken


def check_device(options: RunOptions, config: Config, targets: Mapping[str, Target]) -> None:
    """Check that a GPU that the configuration asks for is there, where the jobs run on this machine. Raises InputError."""
    device = str(getattr(config.stages["train"], "device", "auto"))
    if not device.startswith("cuda") or is_cluster(profile_folder(options.profile, options.here)):
        return
    if any("train" in target.stages and unfinished_stages(target, config, ["train"]) for target in targets.values()):
        from pipeline.machine.device import choose_device

        choose_device(device)
