"""A SLURM cluster of two small nodes on this machine, by the tool slurm-local where it is to be had."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.workflow.support import ROOT


def find_tool() -> Path | None:
    """slurm-local beside the checkout (../shared/tools) or on PATH."""
    beside = ROOT.parent / "shared" / "tools" / "slurm-local"
    found = beside if beside.is_file() else shutil.which("slurm-local")
    return Path(found) if found else None


class Cluster:
    """A cluster that belongs to the tests. Raises RuntimeError where none can be had, with the reason."""

    def __init__(self, folder: Path):
        self._tool, self._folder = find_tool(), folder
        if self._tool is None:
            raise RuntimeError("no SLURM: the tool slurm-local is neither in ../shared/tools nor on PATH")
        for step in (["install"], ["start", str(folder), "--nodes", "2", "--cpus", "2", "--gpus", "1", "--mem", "8000"]):
            done = subprocess.run([self._tool, *step], capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"no SLURM: slurm-local {step[0]} failed: {(done.stderr or done.stdout).strip()[-300:]}")

    def use(self) -> None:
        """Put the cluster into this process's environment."""
        for line in subprocess.run([self._tool, "env", str(self._folder)], capture_output=True, text=True, check=True).stdout.splitlines():
            if line.startswith("export SLURM"):
                name, value = line.removeprefix("export ").split("=", 1)
                os.environ[name] = value
        os.environ["PATH"] = f"{self._folder}/bin:{os.environ['PATH']}"

    def stop(self) -> None:
        subprocess.run([self._tool, "clean", str(self._folder)], capture_output=True)
