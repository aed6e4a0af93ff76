"""Queries to SLURM beyond those of Snakemake's executor plugin. Without SLURM every answer is empty."""

from __future__ import annotations

import os
import re
import subprocess

from pipeline.io.files import digest

ANSWER_SECONDS = 30  # timeout of a query


def job_prefix(work: str) -> str:
    """Prefix of the names of all SLURM jobs that write below this work folder, of any run."""
    return "c2a-" + digest(os.path.abspath(work))


def queued_jobs(prefix: str) -> dict[str, tuple[str, str]]:
    """{job id: (state, comment of the plugin)} of this user's queued and running jobs with a name prefix."""
    lines = _ask("squeue", "--me", "--noheader", "--format=%i|%j|%T|%k").splitlines()
    jobs = [line.split("|", 3) for line in lines if line.count("|") >= 3]
    return {job.strip(): (state, comment) for job, name, state, comment in jobs if name.startswith(prefix)}


def job_comment(stage: str, subject: str) -> str:
    """The comment that the plugin sets on the job of a stage of a capture or group."""
    return f"rule_{stage}_wildcards_{subject}"


def cancel_jobs(jobs: list[str]) -> None:
    """Cancel jobs: SLURM sends SIGTERM, then SIGKILL after the cluster's KillWait."""
    if jobs:
        _ask("scancel", *jobs)


def job_state(job: str) -> str:
    """Final state of a job, such as OUT_OF_MEMORY or TIMEOUT; empty if SLURM does not know it (any more)."""
    states = _ask("sacct", "-X", "-n", "-P", "-j", job, "-o", "State").split()
    if states:
        return states[0]
    match = re.search(r"JobState=(\w+)", _ask("scontrol", "-o", "show", "job", job))
    return match[1] if match else ""


def _ask(*command: str) -> str:
    """Standard output of a command; empty if it fails or does not exist."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
