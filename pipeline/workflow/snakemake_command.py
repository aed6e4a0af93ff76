"""One Snakemake command of a run, and the process that executes it."""

from __future__ import annotations

import ctypes
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config import Config
from pipeline.io.documents import parse_yaml, read_document
from pipeline.io.errors import InputError
from pipeline.io.files import ROOT, digest, write_text
from pipeline.io.progress import ON_TERMINAL
from pipeline.machine.gpu_lock import cards
from pipeline.machine.lease import RUN
from pipeline.machine.slurm import job_prefix
from pipeline.workflow.run_options import RunOptions, portable
from pipeline.workflow.targets import Target

PROFILES = Path("profiles")
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


def run_snakemake(options: RunOptions, config: Config, targets: Mapping[str, Target], forced: list[str], token: str = "") -> int:
    """Print the command that brings the targets up to date, execute it, and return its exit code.

    Args:
        forced: files to make although they exist. token: how the jobs know whose they are.
    """
    values = config.values() | {"subjects": list(targets), "members": {name: [row.id for row in t.rows] for name, t in targets.items() if t.is_group}}
    text = json.dumps(values, indent=1) + "\n"
    file = Path(config.work) / ".config" / f"{digest(text)}.json"  # named by its content: no run changes what another one reads
    write_text(file, text)
    command = snakemake_command(options, config, file, forced)
    print("$ " + shlex.join(command), flush=True)
    return call(command, token)


def snakemake_command(options: RunOptions, config: Config, file: Path, forced: list[str]) -> list[str]:
    """What to execute. file: the resolved configuration.

    Raises:
        InputError: the profile is not there, or the cluster that it is for.
    """
    folder = profile_folder(options.profile, options.here)
    command = [sys.executable, "-m", "snakemake", "--profile", str(folder), "--configfile", str(file)]
    if is_cluster(folder):
        command += ["--slurm-jobname-prefix", job_prefix(config.work)]
    else:
        cores = options.cores or len(os.sched_getaffinity(0))
        # a stage that can use a GPU asks for one: as many at once as there are, and without any as many as the cores bear
        command += ["--cores", str(cores), "--resources", f"gpu={len(cards()) or cores}"]
    return command + (["--forcerun", *forced] if forced else []) + (["--dry-run"] if options.dry_run else [])


def profile_folder(name: str, here: Path) -> Path:
    """A profile of the project by its name, or any other by its folder relative to `here`; relative to the checkout. Raises InputError."""
    for folder in (PROFILES / name, Path(portable(here / name))):
        if (ROOT / folder / "config.yaml").is_file():
            return folder
    known = sorted(path.parent.name for path in (ROOT / PROFILES).glob("*/config.yaml"))
    raise InputError(f"no profile '{name}'", expected="one of " + ", ".join(known) + ", or a folder with a config.yaml", remedy="see docs/cluster.md")


def is_cluster(folder: Path) -> bool:
    """Whether a profile hands its jobs to SLURM. Raises InputError where this machine cannot."""
    values: Any = read_document(ROOT / folder / "config.yaml", parse_yaml, what="YAML", expected="a Snakemake profile", remedy="see docs/cluster.md")
    if not isinstance(values, dict) or values.get("executor") != "slurm":
        return False
    if shutil.which("sbatch") is None:
        raise InputError(f"the profile '{folder.name}' needs SLURM", found="no sbatch on PATH", remedy="run it on a cluster's login node; see docs/cluster.md")
    return True


def call(command: list[str], token: str = "") -> int:
    """Run Snakemake and wait until it has ended its jobs.

    Ctrl-C reaches it through the terminal, a SIGTERM is passed on as one; when this process is killed it dies too, so that nobody starts jobs
    without holding the leases.
    """
    terminal = {ON_TERMINAL: "1"} if sys.stderr.isatty() else {}
    environment = {**os.environ, **terminal, "PYTHONPATH": _python_path(), RUN: token}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, preexec_fn=_die_with_parent)
    before = signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGINT))
    try:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue
    finally:
        signal.signal(signal.SIGTERM, before)


def _python_path() -> str:
    """The checkout first, then what the user has, where methods of their own may lie."""
    return os.pathsep.join(dict.fromkeys([str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]))


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
