"""`./c2a doctor`: checks of the machine and the environment, with advice on what is missing."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pipeline.contract.bodies import imported_bodies, use_folder
from pipeline.io.documents import parse_yaml
from pipeline.io.files import ROOT

MEMORY_GB = 4  # enough for the demo
DISK_GB = 5  # enough for the environment and the demo's results
REINSTALL = "delete .venv, run ./c2a again"
TEST_DATA = ("body-pose2sim-balance", "head-caliscope-4cam")
State = Literal["ok", "optional", "problem"]


@dataclass(frozen=True)
class Check:
    """Result of one check. state "optional": absent, but not needed by default; "problem": something will not work."""

    name: str
    state: State
    detail: str
    advice: str = ""


def doctor(config: Mapping[str, Any] | None = None) -> list[Check]:
    """Run all checks. config: the content of config.yaml, for the files that it names."""
    config = config or {}
    checks = [
        _python(),
        _cores(),
        _memory(),
        _disk(),
        _torch(),
        _gpu(),
        _package("av", "reads and writes videos"),
        _package("mediapipe", "keypoints"),
        _package("snakemake", "runs the stages"),
    ]
    return [*checks, _matting(config), _landmarks(config), _lpips(config), _gsplat(), _licensed(config), _data(), _slurm()]


def print_doctor() -> int:
    """Print all checks. Returns 1 if there is a problem, else 0."""
    checks = doctor(_read_config(ROOT / "config.yaml"))
    show = _printer()
    for check in checks:
        show(f"{LABELS[check.state]:<8} {check.name:<20} {check.detail}", COLORS[check.state])
        if check.advice:
            show(f"{'':<30}{check.advice}", "dim")
    show("\nAbsent items are optional: the demo and your own captures run without them.", "dim")
    return int(any(check.state == "problem" for check in checks))


LABELS: dict[State, str] = {"ok": "ok", "optional": "absent", "problem": "PROBLEM"}
COLORS: dict[State, str] = {"ok": "green", "optional": "default", "problem": "bold red"}


def _printer() -> Callable[[str, str], None]:
    """Prints a line in a style; without the style if rich is not installed."""
    try:
        from rich.console import Console
    except ImportError:
        return lambda line, style: print(line)
    console = Console(highlight=False, soft_wrap=True, markup=False)
    return lambda line, style: console.print(line, style=style)


def _python() -> Check:
    release = sys.version.split()[0]
    if sys.version_info[:2] in ((3, 11), (3, 12)):
        return Check("Python", "ok", release)
    return Check("Python", "problem", release, "install Python 3.11 or 3.12, delete .venv, run ./c2a again")


def _cores() -> Check:
    cores = len(os.sched_getaffinity(0))
    advice = "" if cores > 1 else "stages run in parallel over cameras: more cores are faster"
    return Check("cores", "ok", f"{cores} for this process", advice)


def _memory() -> Check:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    with contextlib.suppress(OSError, ValueError):  # a container may have less than the machine ("max": no limit)
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()) / 1e9)
    if total >= MEMORY_GB:
        return Check("memory", "ok", f"{total:.0f} GB")
    return Check("memory", "problem", f"{total:.1f} GB", f"the demo may need up to {MEMORY_GB} GB")


def _disk() -> Check:
    free = shutil.disk_usage(ROOT).free / 1e9
    detail = f"{free:.0f} GB free on the checkout's disk"
    if free >= DISK_GB:
        return Check("disk", "ok", detail)
    advice = f"free {DISK_GB} GB, or write results elsewhere: ./c2a run ID --results DIR --work DIR"
    return Check("disk", "problem", detail, advice)


def _torch() -> Check:
    release = _version("torch")
    return Check("torch", "ok", release) if release else Check("torch", "problem", "not installed", REINSTALL)


def _gpu() -> Check:
    try:
        import torch
    except ImportError:
        return Check("GPU", "optional", "unknown: torch is not installed")
    if not torch.cuda.is_available():
        reason = "torch is a CPU build" if torch.version.cuda is None else "no NVIDIA driver or no GPU"
        return Check("GPU", "optional", reason, "not needed: every stage runs on the CPU too")
    names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    if find_spec("triton") is None:
        return Check("GPU", "problem", f"{names}; not used, because triton is not installed", REINSTALL)
    return Check("GPU", "ok", names)


def _package(name: str, use: str) -> Check:
    release = _version(name)
    if release:
        return Check(name, "ok", f"{release} ({use})")
    return Check(name, "problem", f"not installed ({use})", REINSTALL)


def _matting(config: Mapping[str, Any]) -> Check:
    fallback = "mattes come from clean plates, or from MediaPipe without plates"
    return _user_files("BackgroundMattingV2", config, "matte", ("checkpoint",), fallback, program=True)


def _landmarks(config: Mapping[str, Any]) -> Check:
    check = _user_files("face-alignment", config, "keypoints", ("weights",), "face points come from MediaPipe", program=True)
    if check.state == "ok" and find_spec("face_alignment") is None:
        advice = "pip install --no-deps face-alignment==1.5 into .venv"
        return Check("face-alignment", "problem", "weights are set, but the package is not installed", advice)
    return check


def _lpips(config: Mapping[str, Any]) -> Check:
    fallback = "metrics.json reports LPIPS as absent"
    return _user_files("LPIPS weights", config, "evaluate", ("lpips_backbone", "lpips_linear"), fallback)


def _user_files(name: str, config: Mapping[str, Any], section: str, keys: tuple[str, ...], fallback: str, *, program: bool = False) -> Check:
    """Whether the files that config.yaml names under `keys` of `section` exist. fallback: what happens without them. program: whether they are TorchScript."""
    values = {f"{section}.{key}": str((config.get(section) or {}).get(key) or "") for key in keys}
    unset = [key for key, value in values.items() if not value]
    if len(unset) == len(keys):
        return Check(
            name,
            "optional",
            f"not set; {fallback}",
            f"if you have the files, set {' and '.join(values)} in config.yaml" + (f", and {section}.trust_model_files: true" if program else ""),
        )
    missing = unset + [value for value in values.values() if value and not (ROOT / value).is_file()]
    if missing:
        return Check(name, "problem", f"missing: {', '.join(missing)}", f"correct or clear {' and '.join(values)} in config.yaml")
    if program and (config.get(section) or {}).get("trust_model_files") is not True:
        advice = f"set {section}.trust_model_files: true in config.yaml, if you trust who made it"
        return Check(name, "problem", "the file is a program (TorchScript), and loading it runs it", advice)
    return Check(name, "ok", ", ".join(values.values()))


def _gsplat() -> Check:
    release = _version("gsplat")
    if release:
        return Check("gsplat", "ok", release)
    return Check("gsplat", "optional", "not installed", "not needed: rendering uses the project's own kernels")


def _licensed(config: Mapping[str, Any]) -> Check:
    use_folder(str(config.get("bodies", "bodies")))
    names = ", ".join(imported_bodies())
    return Check("FLAME, SMPL models", "ok" if names else "optional", names or "none imported", "" if names else "not needed; ./c2a body import --help")


def _data() -> Check:
    folder = Path(os.environ.get("C2A_TEST_DATA", ROOT.parent / "shared" / "data"))
    present = [name for name in TEST_DATA if (folder / name).is_dir()]
    if len(present) == len(TEST_DATA):
        return Check("real test data", "ok", ", ".join(present))
    return Check(
        "real test data",
        "optional",
        f"{len(present)} of {len(TEST_DATA)} captures in {folder}",
        "tests that need them are skipped; C2A_TEST_DATA=DIR sets another folder",
    )


def _slurm() -> Check:
    commands = ("sbatch", "squeue", "sacct")
    present = [name for name in commands if shutil.which(name)]
    return Check(
        "SLURM",
        "ok" if len(present) == len(commands) else "optional",
        ", ".join(present) or "no commands on PATH",
        "" if present else "needed on a cluster only",
    )


def _version(package: str) -> str:
    """Version of an installed package, else empty."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _read_config(path: Path) -> dict[str, Any]:
    try:
        values = parse_yaml(path.read_text())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
