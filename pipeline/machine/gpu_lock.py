"""Which card a stage works on: as many stages at once as there are cards, each on its own.

A lock per card in a folder of the machine, which the system frees when the process ends. Where SLURM chose the cards its choice stands.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pipeline.io.progress import log

VISIBLE = "CUDA_VISIBLE_DEVICES"
WAIT_SECONDS = 1.0


def cards(environment: Mapping[str, str] | None = None) -> list[str]:
    """The cards this process may use, as CUDA_VISIBLE_DEVICES names them: those of the variable where it is set, else all of the machine. Loads no torch."""
    visible = (os.environ if environment is None else environment).get(VISIBLE)
    if visible is not None:
        names = [name.strip() for name in visible.split(",")]
        return [name for name in names if name not in ("", "-1", "NoDevFiles")]
    return [str(index) for index in range(_count())]


def has_gpu() -> bool:
    """Whether stages of this process would work on a GPU: there is a card, and torch was not built for the CPU alone. Loads no torch."""
    with contextlib.suppress(PackageNotFoundError):
        return bool(cards()) and not version("torch").endswith("+cpu")
    return False


@contextlib.contextmanager
def claim_card(folder: Path | None = None) -> Iterator[str | None]:
    """Hold one card and make it the only one that CUDA sees; None, and nothing held, where there is none or SLURM chose.

    Must come before torch asks for a card. Waits while every card is held.
    """
    mine = cards()
    if not mine or "SLURM_JOB_ID" in os.environ:
        yield None
        return
    folder = folder or Path(tempfile.gettempdir()) / "capture2avatar-cards"
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        folder.chmod(0o1777)  # every user of the machine locks here
    before = os.environ.get(VISIBLE)
    with _first_free(mine, folder) as card:
        os.environ[VISIBLE] = card
        try:
            yield card
        finally:
            os.environ.pop(VISIBLE, None) if before is None else os.environ.update({VISIBLE: before})


@contextlib.contextmanager
def _first_free(names: list[str], folder: Path) -> Iterator[str]:
    waiting = False
    while (found := _lock_one(names, folder)) is None:
        if not waiting:
            waiting = True
            log(f"all of the cards {', '.join(names)} are in use: this stage waits for one")
        time.sleep(WAIT_SECONDS)
    name, descriptor = found
    try:
        yield name
    finally:
        os.close(descriptor)


def _lock_one(names: list[str], folder: Path) -> tuple[str, int] | None:
    for name in names:
        descriptor = os.open(folder / f"{name.replace('/', '_')}.lock", os.O_RDONLY | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return name, descriptor
        except BlockingIOError:
            os.close(descriptor)
    return None


def _count() -> int:
    """NVIDIA cards of this machine, from the driver's own list; a container may show it and hold back the devices, so these count too."""
    listed = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
    nodes = len(list(Path("/dev").glob("nvidia[0-9]*")))
    if listed or nodes:
        return min(listed, nodes) if listed and nodes else nodes
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        found = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=10, check=True).stdout
        return sum(line.startswith("GPU ") for line in found.splitlines())
    return 0
