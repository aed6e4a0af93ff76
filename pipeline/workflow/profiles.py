"""Snakemake profiles: where they lie, and which hand jobs to a cluster. Light to import: every stage's job reads it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pipeline.io.documents import parse_yaml, read_document
from pipeline.io.errors import InputError
from pipeline.io.files import ROOT, portable

PROFILES = Path("profiles")


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
