"""Where a result was made: the version of the code, the machine and the command. For the record alone: nothing depends on it."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from pipeline.io.files import ROOT

COMMAND = "C2A_COMMAND"
"""Environment variable by which `run` tells its jobs the command as it was typed."""


def provenance() -> dict[str, str]:
    """commit, processor, command and Python's version; what is not known is left out."""
    found = {"commit": commit(), "processor": processor(), "command": os.environ.get(COMMAND, ""), "python": platform.python_version()}
    return {name: text for name, text in found.items() if text}


def commit(folder: Path = ROOT) -> str:
    """The git commit of a checkout, with "-dirty" where tracked files differ from it; empty where it is none, or git is not there."""
    if not (folder / ".git").exists():  # a repository further up is not this code's
        return ""
    try:
        command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"})
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def processor() -> str:
    """The model of the CPU, and how many threads of it this process may use."""
    try:
        with open("/proc/cpuinfo", errors="replace") as file:
            model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "")
    except OSError:
        model = ""
    return f"{model or platform.machine()}, {len(os.sched_getaffinity(0))} threads"
