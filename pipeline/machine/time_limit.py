"""How long this job may run: training saves and leaves before the scheduler kills it, and the next attempt goes on."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Mapping

LIMIT = "C2A_MINUTES"  # environment variable: minutes this process may take, for machines without SLURM
OUT_OF_TIME = 75  # exit code (EX_TEMPFAIL): nothing is wrong, try again
_RESERVE = (5.0, 120.0)  # seconds kept for saving: a tenth of what there is, within these


class TimeBudget:
    """Knows when it is time to save and leave; never, where there is no limit."""

    def __init__(self, seconds: float | None):
        """seconds: left from now on."""
        self._end = None
        if seconds is not None:
            least, most = _RESERVE
            self._end = time.monotonic() + seconds - min(most, max(least, seconds / 10))

    @classmethod
    def of_this_job(cls) -> TimeBudget:
        """SLURM's limit of this job where there is one, else C2A_MINUTES."""
        return cls(seconds_left(os.environ))

    def is_over(self) -> bool:
        return self._end is not None and time.monotonic() > self._end


def seconds_left(environment: Mapping[str, str]) -> float | None:
    """Until this job is ended; None where nobody set an end. Before SLURM 23.02 its jobs do not know theirs: squeue is asked."""
    if environment.get("SLURM_JOB_END_TIME", "").isdigit():
        return float(environment["SLURM_JOB_END_TIME"]) - time.time()
    job = environment.get("SLURM_JOB_ID")
    if job:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            said = subprocess.run(["squeue", "-h", "-j", job, "-o", "%L"], capture_output=True, text=True, timeout=30, check=True).stdout
            if (seconds := parse_time_left(said)) is not None:
                return seconds
    minutes = environment.get(LIMIT)
    return float(minutes) * 60 if minutes else None


def parse_time_left(text: str) -> float | None:
    """Seconds of SLURM's [days-][[hours:]minutes:]seconds; None for UNLIMITED, NOT_SET and the like."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(?:(\d+):)?(\d+):)?(\d+)", text.strip())
    if not match:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
