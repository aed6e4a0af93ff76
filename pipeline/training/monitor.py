"""What a training says while it runs: a table on disk, TensorBoard where it is installed, and progress with the time left."""

from __future__ import annotations

import contextlib
import csv
import shutil
import time
from pathlib import Path
from typing import Any

from pipeline.io.files import write_text
from pipeline.io.progress import LOG_EVERY_SECONDS, log, terminal

CURVE = "train.csv"
COLUMNS = ("step", "seconds", "loss", "photometric", "psnr", "splats", "rate")


class Monitor:
    """Writes one row per call to `table`; rows of steps that a resumed training will do again are removed first.

    Columns: step (done so far), seconds (of training, interruptions not counted), loss (all terms) and photometric term (both means over the steps since the last row),
    psnr (dB, of this step's view inside its window), splats, rate (steps per second since the start of this process).
    """

    def __init__(self, table: Path, boards: Path, step: int, total: int, seconds: float):
        self._table, self._total = table, total
        self._first, self._before, self._start = step, seconds, time.monotonic()
        self._logged = self._start
        _truncate(table, step)
        self._board = _tensorboard(boards, step)
        self._bar = _bar(step, total)

    @property
    def seconds(self) -> float:
        """Seconds of training so far, those before an interruption included."""
        return self._before + time.monotonic() - self._start

    def row(self, step: int, loss: float, photometric: float, psnr: float, splats: int) -> None:
        """Report on the steps up to `step` (how many are done)."""
        rate = (step - self._first) / max(time.monotonic() - self._start, 1e-9)
        with open(self._table, "a", newline="") as file:
            csv.writer(file).writerow([step, f"{self.seconds:.2f}", f"{loss:.6f}", f"{photometric:.6f}", f"{psnr:.3f}", splats, f"{rate:.2f}"])
        if self._board:
            for name, value in (("loss", loss), ("photometric", photometric), ("psnr", psnr), ("splats", splats)):
                self._board.add_scalar(name, value, step)
        self._show(step, f"loss {loss:.4f}  PSNR {psnr:.1f} dB  {splats} splats", rate)

    def close(self) -> None:
        if self._board:
            self._board.close()
        if self._bar:
            self._bar.stop()

    def _show(self, step: int, text: str, rate: float) -> None:
        now = time.monotonic()
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=step, description=f"train  {text}")
        if step == self._total or not self._bar and now - self._logged > LOG_EVERY_SECONDS:
            self._logged = now
            log(f"train: {step}/{self._total}  {text}  {rate:.1f} steps/s  {(self._total - step) / max(rate, 1e-9):.0f} s left")


def _truncate(table: Path, step: int) -> None:
    """Keep the rows up to `step`."""
    lines = table.read_text().splitlines() if table.is_file() and step else []
    kept = [line for line in lines[1:] if line.split(",")[0].isdigit() and int(line.split(",")[0]) <= step]
    write_text(table, "\n".join([",".join(COLUMNS), *kept]) + "\n")


def _tensorboard(folder: Path, step: int) -> Any:
    if step == 0:
        shutil.rmtree(folder, ignore_errors=True)  # the curves of an earlier training
    with contextlib.suppress(ImportError):
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(folder), purge_step=step + 1)
    return None


def _bar(step: int, total: int) -> Any:
    console = terminal()
    if console is None:
        return None
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console, transient=True)
    bar.add_task("train", total=total, completed=step)
    bar.start()
    return bar
