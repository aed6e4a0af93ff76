"""The one training loop. What is trained is an `Avatar`; what it is compared with are `TrainingPictures`."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from pipeline.avatars.rigged.density import DensityControl
from pipeline.io.files import write_text
from pipeline.io.progress import log
from pipeline.machine.time_limit import OUT_OF_TIME, TimeBudget
from pipeline.training import schedules
from pipeline.training.camera_color import CameraColor
from pipeline.training.checkpoint import Keys, keep_last, load_checkpoint, load_shorter, save_checkpoint
from pipeline.training.contract import Avatar
from pipeline.training.cuda_graph import Replay, Room
from pipeline.training.device_images import StackedPictures
from pipeline.training.host_images import Sampler, TrainingPictures
from pipeline.training.monitor import CURVE, Monitor
from pipeline.training.objective import Objective
from pipeline.training.optimiser import Optimiser
from pipeline.training.settings import TrainSettings

_COUNTS = ("step", "seconds", "sums", "logged", "lengthened_at")


class Interrupted(SystemExit):
    """Training stopped after it wrote a checkpoint; the code says on which signal, as shells do, or that its time was up."""


@dataclass
class Training:
    """All that changes from step to step, in one place: what a checkpoint holds.

    logged: the step of the last row of the curve. lengthened_at: steps at which shorter trainings were gone on from.
    """

    avatar: Avatar
    color: CameraColor
    pictures: TrainingPictures | StackedPictures
    settings: TrainSettings
    step: int = 0
    seconds: float = 0.0
    logged: int = 0
    lengthened_at: list[int] = field(default_factory=list)
    parts: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        parameters = {**self.avatar.parameters_by_name(), "camera_color": self.color.change}
        self.optimiser = Optimiser(parameters, self.avatar.tables_by_name(), settings.learning_rates(), settings.views)
        self.sampler = Sampler(len(self.pictures), settings.seed)
        self.density = DensityControl(self.avatar, settings)
        self.room = Room(self.pictures.device)
        self.objective = Objective(settings, self.pictures.device, self.room.workspace)
        self._replay = Replay(self._work, self.pictures.device, settings.graph and isinstance(self.pictures, StackedPictures))
        self.optimiser.skip_where(self.room.lacking)
        self.sums = torch.zeros(2, device=self.pictures.device)
        self._share = torch.tensor(1 / settings.views, device=self.pictures.device)  # of a view in the gradients of a step
        self.parts = {"sampler": self.sampler, "density": self.density, "objective": self.objective, "optimiser": self.optimiser}
        self._checked = self._position()

    def state(self) -> dict[str, Any]:
        """Everything needed to go on exactly."""
        own = {"avatar": self.avatar.state(), "color": self.color.state_dict(), **{name: getattr(self, name) for name in _COUNTS}}
        return own | {name: part.state() for name, part in self.parts.items()}

    def load(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        self.avatar.load(state["avatar"])
        self.color.load_state_dict(state["color"])
        for name in _COUNTS:
            setattr(self, name, state[name])
        for name, parameter in self.avatar.parameters_by_name().items():
            self.optimiser.adopt(name, parameter)
        for name, part in self.parts.items():
            part.load(state[name])
        self._checked = self._position()

    def advance(self) -> dict[str, torch.Tensor] | None:
        """One training step; returns the weighted loss terms. None where steps have to be done again, because a GPU's buffers were too small for them."""
        self._begin()
        self._replay((self._degree, self.density.changes, self.room.capacity))
        self.step += 1
        settings = self.settings
        due = self.step % settings.log_every == 0 or self.step == settings.iterations or schedules.is_density_step(self.step, settings)
        if due and not self.settle():
            return None
        self.density.after_step(self.step, self.avatar, self.optimiser)
        return self._terms

    def settle(self) -> bool:
        """Whether all steps so far count; where the last ones did not, goes back to before them. Waits for the GPU."""
        done = self.room.check()
        if done is not None:
            self._go_back(done)
        self._checked = self._position()
        return done is None

    def _begin(self) -> None:
        """What the host decides about a step."""
        settings = self.settings
        self.optimiser.set_factor(schedules.learning_rate_factor(self.step, settings))
        self.pictures.show([self.sampler.next() for _ in range(settings.views)])
        for view in range(settings.views):
            self.pictures.prefetch(self.sampler.upcoming(max(self.pictures.ahead, settings.views) - view))
        self.objective.draw_background()
        self._degree = schedules.sh_degree(self.step, settings)

    def _work(self) -> None:
        """What a step computes; no decision of the host depends on it."""
        views = []
        for cut in self.pictures.cuts():
            terms, screen, radii = self.objective(self.avatar, self.color, cut, self._degree)
            loss = torch.stack(list(terms.values())).sum()
            loss.backward(self._share)
            views.append((cut, screen.grad.squeeze(0), radii, self.avatar.row_gradients(), torch.stack([loss.detach(), terms["photometric"].detach()])))
            self._terms = terms
        self.room.note()
        for cut, pull, radii, rows, sums in views:
            self.sums.addcmul_(sums, self.room.counts)
            self.density.watch(pull, radii, cut.size, self.room.lacking)
            self.optimiser.step_rows(cut.frame, self.avatar.tables_by_name(), rows)
        self.optimiser.step()

    def _position(self) -> tuple[int, dict, dict]:
        return self.step, self.sampler.state(), self.objective.state()

    def _go_back(self, done: int) -> None:
        """To the end of the last step that counted, `done` steps after the last look."""
        self.step, sampler, objective = self._checked
        self.sampler.load(sampler)
        self.objective.load(objective)
        for _ in range(done):
            self._begin()
            self.step += 1


def train(training: Training, folder: Path, boards: Path, keys: Keys, finished: Path) -> dict[str, Any]:
    """Train to the end, or go on from the newest checkpoint of this training in `folder`; where the settings say so, also from that of a shorter one.

    Args:
        folder: checkpoints and train.csv. boards: TensorBoard's folder.
        finished: where the last state of a finished training is kept; nothing but a longer one that may go on from it reads it.

    Returns:
        facts: steps, seconds, splats, resumed_at (step or None), and lengthened_at where a shorter training was gone on from.

    Raises:
        Interrupted: SIGTERM or SIGINT arrived, or the job's time is nearly up; a checkpoint was written.
    """
    settings = training.settings
    folder.mkdir(parents=True, exist_ok=True)
    resumed_at = training.step if _resume(training, folder, keys, finished) else None
    monitor = Monitor(folder / CURVE, boards, training.step, settings.iterations, training.seconds)
    with _signals() as received:
        try:
            _steps(training, monitor, folder, keys, received)
        finally:
            monitor.close()
    training.seconds = monitor.seconds
    keep_last(folder, {**_marked(training, keys), "curve": (folder / CURVE).read_text()}, finished)
    facts = {"steps": training.step, "seconds": round(training.seconds, 2), "splats": training.avatar.splat_count, "resumed_at": resumed_at}
    return facts | ({"lengthened_at": training.lengthened_at} if training.lengthened_at else {})


def _resume(training: Training, folder: Path, keys: Keys, finished: Path) -> bool:
    """Bring the training to where it, or where allowed a shorter one, was left; whether there was such a place."""
    settings, device = training.settings, training.pictures.device
    saved = load_checkpoint(folder, keys.exact, device)
    if saved is None and settings.lengthen:
        saved = load_shorter(folder, finished, keys.but_length, settings.iterations, device)
    if saved is None:
        return False
    training.load(saved)
    whose = ""
    if saved["iterations"] < settings.iterations:
        training.lengthened_at.append(training.step)
        whose = f", where a training of {saved['iterations']} was left"
    if "curve" in saved:
        write_text(folder / CURVE, saved["curve"])
    log(f"train: goes on from step {training.step} of {settings.iterations}{whose}")
    return True


def _marked(training: Training, keys: Keys) -> dict[str, Any]:
    return {"key": keys.exact, "but_length": keys.but_length, "iterations": training.settings.iterations, **training.state()}


def _steps(training: Training, monitor: Monitor, folder: Path, keys: Keys, received: list[int]) -> None:
    settings, last_save, budget = training.settings, time.monotonic(), TimeBudget.of_this_job()
    while training.step < settings.iterations:
        if training.advance() is None:
            continue
        if budget.is_over() and not received:
            received.append(OUT_OF_TIME)
        if training.step % settings.log_every == 0 or training.step == settings.iterations:
            loss, photometric = (training.sums / ((training.step - training.logged) * settings.views)).tolist()
            training.sums.zero_()
            training.logged = training.step
            monitor.row(training.step, loss, photometric, training.objective.psnr(), training.avatar.splat_count)
        due = settings.checkpoint_every and training.step % settings.checkpoint_every == 0
        if received or due or time.monotonic() - last_save > settings.checkpoint_seconds:
            training.settle()
            training.seconds, last_save = monitor.seconds, time.monotonic()
            save_checkpoint(folder, training.step, _marked(training, keys))
        if received and training.step < settings.iterations:
            log(f"train: interrupted at step {training.step}; the same command goes on from there")
            raise Interrupted(received[0])


@contextmanager
def _signals() -> Iterator[list[int]]:
    """A list that SIGTERM and SIGINT are noted in as exit codes, so that a step is finished before anything else happens."""
    received: list[int] = []
    before = {number: signal.signal(number, lambda got, _: received.append(128 + got)) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
