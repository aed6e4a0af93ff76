"""GPU locks: each stage gets a GPU (card) of its own; as many stages run at once as there are cards.

One lock file per card in a folder of the machine; the operating system frees the lock when the process ends. Under
SLURM no lock is
taken: SLURM assigns the cards.
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
    """Names of the usable cards: those in CUDA_VISIBLE_DEVICES, else all of the machine. Does not import torch."""
    visible = (os.environ if environment is None else environment).get(VISIBLE)
    if visible is not None:
        names = [name.strip() for name in visible.split(",")]
        return [name for name in names if name not in ("", "-1", "NoDevFiles")]
    return [str(index) for index in range(_card_count())]


def has_gpu() -> bool:
    """Whether stages of this process would work on a GPU: there is a card, and torch was not built for the CPU alone. Loads no torch."""
    with contextlib.suppress(PackageNotFoundError):
        return bool(cards()) and not version("torch").endswith("+cpu")
    return False


@contextlib.contextmanager
def claim_card(folder: Path | None = None) -> Iterator[str | None]:
    """Lock one card and make it the only one that CUDA sees. Yields its name; None without cards or under SLURM.

    Call this before torch initialises CUDA. Waits while all cards are locked.
    """
    names = cards()
    if not names or "SLURM_JOB_ID" in os.environ:
        yield None
        return
    folder = folder or Path(tempfile.gettempdir()) / "capture2avatar-cards"
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        folder.chmod(0o1777)  # shared by all users of the machine
    before = os.environ.get(VISIBLE)
    with _lock_first_free(names, folder) as card:
        os.environ[VISIBLE] = card
        try:
            yield card
        finally:
            if before is None:
                os.environ.pop(VISIBLE, None)
            else:
                os.environ[VISIBLE] = before


@contextlib.contextmanager
def _lock_first_free(names: list[str], folder: Path) -> Iterator[str]:
    waiting = False
    while (lock := _try_lock(names, folder)) is None:
        if not waiting:
            waiting = True
            log(f"all GPUs ({', '.join(names)}) are in use; waiting for one")
        time.sleep(WAIT_SECONDS)
    name, descriptor = lock
    try:
        yield name
    finally:
        os.close(descriptor)


def _try_lock(names: list[str], folder: Path) -> tuple[str, int] | None:
    """Lock the first free card: (name, file descriptor of the lock), or None if all are locked."""
    for name in names:
        descriptor = os.open(folder / f"{name.replace('/', '_')}.lock", os.O_RDONLY | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return name, descriptor
        except BlockingIOError:
            os.close(descriptor)
    return None


def _card_count() -> int:
    """Number of NVIDIA cards: the smaller of driver list and device nodes, since containers may hide devices."""
    listed = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
    nodes = len(list(Path("/dev").glob("nvidia[0-9]*")))
    if listed or nodes:
        return min(listed, nodes) if listed and nodes else nodes
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=10, check=True).stdout
        return sum(line.startswith("GPU ") for line in listing.splitlines())
    return 0
