"""The one Snakemake command of a run, and the process that executes it."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from pipeline.config import Config
from pipeline.io.errors import InputError
from pipeline.io.files import ROOT
from pipeline.io.progress import ON_TERMINAL
from pipeline.machine.gpu_lock import cards
from pipeline.machine.lease import RUN
from pipeline.machine.slurm import job_prefix
from pipeline.workflow.run_options import Request, portable

PROFILES = Path("profiles")
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


def snakemake_command(request: Request, config: Config, ids: str, forced: list[str]) -> list[str]:
    """What to execute. forced: files to make although they exist. Raises InputError for a profile that is not there, or whose cluster is not."""
    folder = profile_folder(request.profile, request.here)
    command = [sys.executable, "-m", "snakemake", "--profile", str(folder)]
    if is_cluster(folder):
        command += ["--slurm-jobname-prefix", job_prefix(config.work)]
    else:
        cores = request.cores or len(os.sched_getaffinity(0))
        # a stage that can use a GPU asks for one: as many at once as there are, and without any as many as the cores bear
        command += ["--cores", str(cores), "--resources", f"gpu={len(cards()) or cores}"]
    if request.config:
        command += ["--configfile", "config.yaml", portable(request.here / request.config)]
    if forced:
        command += ["--forcerun", *forced]
    if request.dry:
        command.append("--dry-run")
    settings = {name: getattr(config, name) for name in ("captures", "results", "work", "method", "until")}
    return [*command, "--config", f"ids={ids}", *(f"{name}={value}" for name, value in settings.items())]


def profile_folder(name: str, here: Path) -> Path:
    """A profile of the project by its name, or any other by its folder as seen from `here`; relative to the checkout. Raises InputError."""
    for folder in (PROFILES / name, Path(portable(here / name))):
        if (ROOT / folder / "config.yaml").is_file():
            return folder
    known = sorted(path.parent.name for path in (ROOT / PROFILES).glob("*/config.yaml"))
    raise InputError(f"no profile '{name}'", expected="one of " + ", ".join(known) + ", or a folder with a config.yaml", remedy="see docs/cluster.md")


def is_cluster(folder: Path) -> bool:
    """Whether a profile hands its jobs to SLURM. Raises InputError where this machine cannot."""
    values: dict[str, Any] = yaml.safe_load((ROOT / folder / "config.yaml").read_text()) or {}
    if values.get("executor") != "slurm":
        return False
    if shutil.which("sbatch") is None:
        raise InputError(f"the profile '{folder.name}' needs SLURM", found="no sbatch on PATH", remedy="run it on a cluster's login node; see docs/cluster.md")
    return True


def call(command: list[str], token: str = "") -> int:
    """Run Snakemake and wait until it has ended its jobs.

    Ctrl-C reaches it through the terminal, a SIGTERM is handed on as one; when this process is killed it dies too, so that nobody starts jobs
    without holding the leases. token: how its jobs know whose they are.
    """
    watched = {ON_TERMINAL: "1"} if sys.stderr.isatty() else {}
    environment = {**os.environ, **watched, "PYTHONPATH": str(ROOT), RUN: token}
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


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
