"""The one training loop: steps, curve, validation, checkpoints, and what happens on a signal to stop."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.contract.layout import snapshot_name
from pipeline.io.errors import MALFORMED, InputError
from pipeline.io.files import write_text
from pipeline.io.progress import log
from pipeline.machine.time_limit import OUT_OF_TIME, TimeBudget
from pipeline.training.checkpoint import Keys, keep_last, load_checkpoint, load_shorter, save_checkpoint
from pipeline.training.curve import CURVE
from pipeline.training.monitor import Monitor
from pipeline.training.trainer import Trainer
from pipeline.training.validation import Validation
from pipeline.training.watch import Watch


class Interrupted(SystemExit):
    """Training stopped after it wrote a checkpoint; the code says on which signal, as shells do, or that its time limit was reached."""


@dataclass(frozen=True)
class Places:
    """Where a training keeps its files.

    Attributes:
        folder: checkpoints, train.csv and validation images. boards: TensorBoard's folder.
        finished: the last state of a finished training; nothing but a longer one that may resume from it reads it.
    """

    folder: Path
    boards: Path
    finished: Path

    @property
    def validation(self) -> Path:
        return self.folder / "validation"

    def strip(self, split: str, step: int) -> Path:
        """Truth, render and error of the first image of a split; val is the one without a name."""
        return self.validation / f"{'' if split == 'val' else split + '_'}{step:07d}.png"

    @property
    def snapshots(self) -> Path:
        return self.folder / "snapshots"

    def snapshot(self, step: int) -> Path:
        """The avatar as it was after so many steps."""
        return self.snapshots / snapshot_name(step)


def train(
    trainer: Trainer, validation: Validation, places: Places, keys: Keys, watch: Watch | None = None, save: Callable[[Path], None] | None = None
) -> dict[str, Any]:
    """Train to the end, resuming from the newest checkpoint of this training; where the settings say so, also from that of a shorter one.

    Args:
        watch: shows the training to viewers; None: to none. save: writes the avatar as it is to a file, for snapshots.

    Returns:
        facts: steps, seconds, splats, resumed_at (step or None), and lengthened_at where a shorter training was resumed from.

    Raises:
        Interrupted: SIGTERM or SIGINT arrived, or the job's time is nearly up; a checkpoint was written.
        InputError: the training diverged (see `Trainer.step`).
    """
    places.folder.mkdir(parents=True, exist_ok=True)
    resumed_at = trainer.done if _resume(trainer, places, keys) else None
    if resumed_at is None:
        for folder in (places.validation, places.snapshots):
            shutil.rmtree(folder, ignore_errors=True)  # of another training that did not end
    monitor = Monitor(places.folder, places.boards, trainer.done, trainer.settings.iterations, trainer.seconds)
    with _signals() as received:
        try:
            _Loop(trainer, validation, places, keys, monitor, watch or Watch(), save, received).run()
            monitor.flush()
        finally:
            monitor.close()
    trainer.seconds = monitor.seconds
    keep_last(places.folder, {**_marked(trainer, keys), "curve": (places.folder / CURVE).read_text()}, places.finished)
    facts = {"steps": trainer.done, "seconds": round(trainer.seconds, 2), "splats": trainer.avatar.splat_count, "resumed_at": resumed_at}
    return facts | ({"lengthened_at": trainer.lengthened_at} if trainer.lengthened_at else {})


@dataclass
class _Loop:
    trainer: Trainer
    validation: Validation
    places: Places
    keys: Keys
    monitor: Monitor
    watch: Watch
    save: Callable[[Path], None] | None
    received: list[int]

    def run(self) -> None:
        """Steps to the last one, and what is due between them."""
        trainer, settings, budget = self.trainer, self.trainer.settings, TimeBudget.of_this_job()
        self._next_save = time.monotonic() + settings.checkpoint_seconds
        while trainer.done < settings.iterations:
            if not trainer.step():
                continue
            if budget.is_over() and not self.received:
                self.received.append(OUT_OF_TIME)
            last = trainer.done == settings.iterations
            if trainer.done % settings.log_every == 0 or last:
                self._report(last)
            if self.save and trainer.done in settings.snapshots and trainer.settle():
                self.save(self.places.snapshot(trainer.done))
            due = settings.checkpoint_every and trainer.done % settings.checkpoint_every == 0
            if self.watch.is_due() and trainer.settle():
                self.watch.show(trainer.done, settings.iterations, trainer.avatar.splat_count)
                self.monitor.leave_out(self.watch.wait(lambda: bool(self.received) or budget.is_over()))
            if self.received or due or time.monotonic() > self._next_save:
                self._save()
            if self.received and not last:
                log(f"train: interrupted at step {trainer.done}; the same command resumes from there")
                raise Interrupted(self.received[0])

    def _report(self, last: bool) -> None:
        trainer, settings = self.trainer, self.trainer.settings
        values: dict[str, float | int] = {**trainer.take_means(), "psnr": round(trainer.objective.psnr(), 3)}
        every = settings.val_every or max(settings.iterations // 10, settings.log_every)
        if self.validation and (last or trainer.done % every < settings.log_every):
            evaluation = self.validation.run(trainer.avatar, trainer.objective.color.maps())
            values |= evaluation.values
            for split, strip in evaluation.strips.items():
                self.monitor.image(trainer.done, self.places.strip(split, trainer.done), strip, split)
            self.monitor.histograms(trainer.done, evaluation.distributions)
        self.watch.values = values
        self.monitor.row(trainer.done, {**values, "splats": trainer.avatar.splat_count})

    def _save(self) -> None:
        """Write a checkpoint; the next one by the clock waits until this one's cost is a small share of the time."""
        trainer, settings, start = self.trainer, self.trainer.settings, time.monotonic()
        trainer.settle()
        self.monitor.flush()
        trainer.seconds = self.monitor.seconds
        save_checkpoint(self.places.folder, trainer.done, _marked(trainer, self.keys))
        now = time.monotonic()
        self._next_save = now + max(settings.checkpoint_seconds, (now - start) / settings.checkpoint_share)


def _resume(trainer: Trainer, places: Places, keys: Keys) -> bool:
    """Bring the training to where it, or where allowed a shorter one, was left; whether there was such a place."""
    settings, device = trainer.settings, trainer.images.device
    saved = load_checkpoint(places.folder, keys.exact, device)
    if saved is None and settings.lengthen:
        saved = load_shorter(places.folder, places.finished, keys.but_length, settings.iterations, device)
    if saved is None:
        return False
    try:
        trainer.load(saved)
        shorter = saved["iterations"] < settings.iterations
    except (*MALFORMED, RuntimeError) as error:
        remedy = f"remove {places.folder}, then run again"
        raise InputError("the checkpoint does not suit this training", file=places.folder, found=error, expected="what it saved", remedy=remedy) from error
    whose = ""
    if shorter:
        trainer.lengthened_at.append(trainer.done)
        whose = f", the end of a training of {saved['iterations']}"
    if "curve" in saved:
        write_text(places.folder / CURVE, str(saved["curve"]))
    log(f"train: resumed from step {trainer.done} of {settings.iterations}{whose}")
    return True


def _marked(trainer: Trainer, keys: Keys) -> dict[str, Any]:
    own = {"key": keys.exact, "but_length": keys.but_length, "iterations": trainer.settings.iterations}
    return {**own, "step": trainer.done, **trainer.state()}


@contextmanager
def _signals() -> Iterator[list[int]]:
    """A list that collects SIGTERM and SIGINT as exit codes, so that a step is finished before anything else happens."""
    received: list[int] = []
    before = {number: signal.signal(number, lambda got, _: received.append(128 + got)) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
