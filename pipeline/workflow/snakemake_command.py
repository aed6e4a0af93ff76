"""One Snakemake command of a run, and the process that executes it."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.config import Config
from pipeline.io.files import ROOT, digest, write_text
from pipeline.io.progress import log
from pipeline.machine.gpu_lock import cards
from pipeline.machine.lease import RUN
from pipeline.machine.provenance import COMMAND
from pipeline.machine.slurm import job_prefix
from pipeline.workflow.display import Display
from pipeline.workflow.plan import Plan
from pipeline.workflow.profiles import is_cluster, profile_folder
from pipeline.workflow.run_options import RunOptions

INTERRUPTED = 130  # exit code of a run that was ended by Ctrl-C or SIGTERM
LOOK_SECONDS = 0.3
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


def run_snakemake(options: RunOptions, config: Config, plans: Mapping[str, Plan], log_file: Path, token: str = "") -> int:
    """Bring the targets of these plans up to date, showing how far they are, and return Snakemake's exit code, or INTERRUPTED.

    Args:
        log_file: what Snakemake and the stages say is added to it, after the command. token: how the jobs know whose they are.
    """
    targets = {name: plan.target for name, plan in plans.items()}
    subjects = {"subjects": list(targets), "members": {name: [row.id for row in t.rows] for name, t in targets.items() if t.is_group}}
    text = json.dumps(config.values() | subjects | {"planned": {name: list(plan.steps) for name, plan in plans.items()}}, indent=1) + "\n"
    file = Path(config.work) / ".config" / f"{digest(text)}.json"  # named by its content: no run changes what another one reads
    write_text(file, text)
    command = snakemake_command(options, config, file, [path for plan in plans.values() for path in plan.forced])
    return call(command, log_file, Display(plans), token)


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
    return command + ["--ignore-incomplete"] + (["--forcerun", *forced] if forced else []) + list(options.snakemake)


def call(command: list[str], log_file: Path, display: Display, token: str = "") -> int:
    """Run Snakemake and wait until it has ended its jobs.

    Ctrl-C reaches it through the terminal, a SIGTERM is passed on as one; when this process is killed it dies too, so that nobody starts jobs
    without holding the leases.
    """
    environment = {**os.environ, "PYTHONPATH": _python_path(), RUN: token, COMMAND: shlex.join(["./c2a", *sys.argv[1:]])}
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with open(log_file, "a") as file:
        print("$ " + shlex.join(command), file=file, flush=True)
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT, preexec_fn=_die_with_parent)
    stopped: list[int] = []

    def stop(*_: object) -> None:
        stopped.append(signal.SIGTERM)
        process.send_signal(signal.SIGINT)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        while process.poll() is None:
            try:
                display()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_SECONDS)
            except KeyboardInterrupt:
                if not stopped:
                    log("interrupted: waiting for the running stages to save what they have")
                stopped.append(signal.SIGINT)
        return INTERRUPTED if stopped and process.returncode else process.returncode
    finally:
        display.close()
        signal.signal(signal.SIGTERM, before)


def _python_path() -> str:
    """The checkout first, then what the user has, where methods of their own may lie."""
    return os.pathsep.join(dict.fromkeys([str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]))


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
