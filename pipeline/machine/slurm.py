"""The few questions that are asked of SLURM beside what Snakemake's plugin asks. Without SLURM every answer is empty."""

from __future__ import annotations

import os
import re
import subprocess

from pipeline.io.files import digest

ANSWER_SECONDS = 30


def job_prefix(work: str) -> str:
    """How the names of all SLURM jobs begin that write below this work folder, whoever's run they are."""
    return "c2a-" + digest(os.path.abspath(work))


def queued_jobs(prefix: str) -> dict[str, tuple[str, str]]:
    """Job id -> (its state, the comment that the plugin gave it) of this user's jobs, waiting and running, whose name begins with `prefix`."""
    lines = _ask("squeue", "--me", "--noheader", "--format=%i|%j|%T|%k").splitlines()
    found = [line.split("|", 3) for line in lines if line.count("|") >= 3]
    return {job.strip(): (state, comment) for job, name, state, comment in found if name.startswith(prefix)}


def job_comment(stage: str, subject: str) -> str:
    """The comment that the plugin gives the job of a stage of a capture or group."""
    return f"rule_{stage}_wildcards_{subject}"


def cancel_jobs(jobs: list[str]) -> None:
    """End jobs: they are told first, and killed when the cluster's KillWait is over."""
    if jobs:
        _ask("scancel", *jobs)


def job_state(job: str) -> str:
    """How a job ended, such as OUT_OF_MEMORY or TIMEOUT; empty where SLURM does not know (any more)."""
    found = _ask("sacct", "-X", "-n", "-P", "-j", job, "-o", "State").split()
    if found:
        return found[0]
    match = re.search(r"JobState=(\w+)", _ask("scontrol", "-o", "show", "job", job))
    return match[1] if match else ""


def _ask(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
