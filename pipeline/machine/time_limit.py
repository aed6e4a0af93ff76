"""The time limit of this job: training saves and exits before the scheduler kills it; the next attempt resumes."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Mapping

LIMIT = "C2A_MINUTES"  # environment variable: time limit of this process in minutes, for machines without SLURM
OUT_OF_TIME = 75  # exit code (EX_TEMPFAIL): no error, run again
_RESERVE = (5.0, 120.0)  # seconds kept for saving: a tenth of the time left, within these bounds


class TimeBudget:
    """Tells when to save and exit; never without a limit."""

    def __init__(self, seconds: float | None):
        """seconds: time left from now, None for no limit."""
        self._end = None
        if seconds is not None:
            least, most = _RESERVE
            self._end = time.monotonic() + seconds - min(most, max(least, seconds / 10))

    @classmethod
    def of_this_job(cls) -> TimeBudget:
        """The limit of this SLURM job if there is one, else C2A_MINUTES."""
        return cls(seconds_left(os.environ))

    def is_over(self) -> bool:
        """Whether only the time reserved for saving is left."""
        return self._end is not None and time.monotonic() > self._end


def seconds_left(environment: Mapping[str, str]) -> float | None:
    """Time until this job is ended; None without a limit. Before 23.02 SLURM does not set SLURM_JOB_END_TIME: ask squeue."""
    if environment.get("SLURM_JOB_END_TIME", "").isdigit():
        return float(environment["SLURM_JOB_END_TIME"]) - time.time()
    job = environment.get("SLURM_JOB_ID")
    if job:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            command = ["squeue", "-h", "-j", job, "-o", "%L"]
            answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
            if (seconds := parse_time_left(answer)) is not None:
                return seconds
    minutes = environment.get(LIMIT)
    return float(minutes) * 60 if minutes else None


def parse_time_left(text: str) -> float | None:
    """Seconds in SLURM's form [days-][[hours:]minutes:]seconds; None for UNLIMITED, NOT_SET and the like."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(?:(\d+):)?(\d+):)?(\d+)", text.strip())
    if not match:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
