"""What a training reports while it runs: a table on disk, TensorBoard where it is installed, progress with rate and time left."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.io.files import write_bytes
from pipeline.io.packed import encode_png
from pipeline.io.progress import Reporter, log
from pipeline.training.curve import CURVE, Curve, Row


class Monitor:
    """Writes one row of train.csv per call of `row`, and the images of `image`. Files are written by a thread of its own: a GPU would wait for them.

    Columns: step (done so far), seconds (of training, interruptions not counted), loss and every term (means over the steps since the last row), psnr (dB,
    of the last step's images), those of `Evaluation.values` where held-out images were rendered, splats, rate (steps per second since this process started).
    """

    def __init__(self, folder: Path, boards: Path, step: int, total: int, seconds: float):
        self._total, self._first, self._before, self._start = total, step, seconds, time.monotonic()
        self._curve = Curve(folder / CURVE, step)
        self._board = _tensorboard(boards, step)
        self._reporter = Reporter("steps", total, step)
        self._writer = ThreadPoolExecutor(1)
        self._pending: list[Future[None]] = []

    @property
    def seconds(self) -> float:
        """Seconds of training so far, those before an interruption included."""
        return self._before + time.monotonic() - self._start

    def leave_out(self, seconds: float) -> None:
        """Do not count the last `seconds` as training: it was paused."""
        self._start += seconds

    def row(self, step: int, values: Mapping[str, float | int]) -> None:
        """Report on the steps up to `step` (how many are done). values: loss, the terms, psnr, splats, ..."""
        rate = (step - self._first) / max(time.monotonic() - self._start, 1e-9)
        self._in_thread(self._write_row, step, {"step": step, "seconds": f"{self.seconds:.2f}", **values, "rate": round(rate, 2)}, values)
        text = f"loss {values['loss']:.4f}  PSNR {values['psnr']:.1f} dB  {values['splats']} splats"
        self._reporter.update(step, text)
        if step == self._total:
            log(f"train: {step} steps  {text}  {rate:.1f} steps/s")

    def image(self, step: int, path: Path, image: np.ndarray, name: str) -> None:
        """Write an image uint8 [H, W, 3] as a file, and show it in TensorBoard under a name."""
        self._in_thread(self._write_image, step, path, image, name)

    def histograms(self, step: int, values: Mapping[str, np.ndarray]) -> None:
        """Show distributions, [N] by name, in TensorBoard."""
        self._in_thread(self._write_histograms, step, values)

    def flush(self) -> None:
        """Wait until everything so far is on disk. Raises what writing raised."""
        for future in self._pending:
            future.result()
        self._pending.clear()

    def close(self) -> None:
        """End the progress bar and close the files."""
        self._writer.shutdown()
        if self._board:
            self._board.close()
        self._reporter.close()

    def _in_thread(self, function: Callable[..., None], *arguments: Any) -> None:
        self._pending.append(self._writer.submit(function, *arguments))

    def _write_row(self, step: int, row: Row, values: Mapping[str, float | int]) -> None:
        self._curve.add(row)
        if self._board:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def _write_image(self, step: int, path: Path, image: np.ndarray, name: str) -> None:
        write_bytes(path, encode_png(image))
        if self._board:
            self._board.add_image(f"{name} (truth, render, error)", image, step, dataformats="HWC")

    def _write_histograms(self, step: int, values: Mapping[str, np.ndarray]) -> None:
        if self._board:
            for name, numbers in values.items():
                self._board.add_histogram(name, numbers, step)


def _tensorboard(folder: Path, step: int) -> Any:
    if step == 0:
        shutil.rmtree(folder, ignore_errors=True)  # the curves of an earlier training
    with contextlib.suppress(ImportError):
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(folder), purge_step=step + 1)
    return None
