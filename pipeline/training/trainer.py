"""One training: all its state, and one step of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pipeline.io.errors import InputError
from pipeline.training.contract import Rendering, TrainableAvatar
from pipeline.training.cuda_graph import CudaGraphStep
from pipeline.training.guard import StepGuard
from pipeline.training.images import Batch, TrainingImages
from pipeline.training.objective import ImageObjective, flat
from pipeline.training.optimiser import Optimiser
from pipeline.training.sampler import Sampler
from pipeline.training.settings import TrainSettings

_COUNTS = ("done", "seconds", "logged", "lengthened_at")


class Trainer:
    """Everything that changes from step to step: what a checkpoint holds.

    Attributes:
        done: steps done. seconds: of training, interruptions not counted. logged: steps at the last row of the curve.
        lengthened_at: steps at which shorter trainings were resumed from.
    """

    def __init__(self, avatar: TrainableAvatar, images: TrainingImages, settings: TrainSettings):
        self.avatar, self.images, self.settings = avatar, images, settings
        self.done, self.seconds, self.logged = 0, 0.0, 0
        self.lengthened_at: list[int] = []
        device = images.device
        self.objective = ImageObjective(settings, images.cameras, device)
        self.guard = StepGuard(device)
        groups = [*avatar.parameter_groups(), *self.objective.parameter_groups()]
        self.optimiser = Optimiser(groups, device, settings.frames_per_step * settings.views_per_frame, self.guard.invalid, self.guard.steps)
        self.sampler = Sampler(images.instants, settings.views_per_frame, settings.seed)
        self._run = self._new_run()
        self._share = torch.tensor(1 / settings.frames_per_step, device=device)  # of an instant in a step's gradients
        self._phase: object = None
        self._names: tuple[str, ...] = ()
        self._sums = torch.zeros(64, device=device)  # of at most so many terms
        self._flushed: dict[str, float] = {}
        self._saved_buffers = [buffer.clone() for buffer in avatar.buffers_to_restore()]
        self._checked = self._position()
        avatar.train()

    def state(self) -> dict[str, Any]:
        """Everything needed to resume exactly."""
        parts = {name: getattr(self, name).state() for name in ("avatar", "objective", "optimiser", "sampler")}
        return parts | {name: getattr(self, name) for name in _COUNTS} | {"generators": _generators(self.images.device), "sums": self._host_sums()}

    def load(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        for name in ("avatar", "objective", "sampler"):
            getattr(self, name).load(state[name])
        self._rebind()
        self.optimiser.load(state["optimiser"])
        for name in _COUNTS:
            setattr(self, name, state[name])
        self._flushed, self._phase, self._names = dict(state["sums"]), None, ()
        self._run = self._new_run()  # a graph keeps the tensors that it was captured with
        self._sums.zero_()
        _set_generators(state["generators"], self.images.device)
        self._checked = self._position()

    def step(self) -> bool:
        """Do one step. False where steps have to be repeated because a GPU's buffers were too small for them.

        Raises InputError, naming step, term and parameter, where a loss or a gradient is not finite.
        """
        phase = self._prepare()
        if phase != self._phase:
            self._flush()
            self._phase = phase
        self._run((phase, self.guard.capacity))
        self.done += 1
        settings = self.settings
        restructures = self.avatar.restructures_after(self.done)
        due = self.done % settings.log_every == 0 or self.done == settings.iterations
        if restructures or due or self.guard.workspace is None:  # asking a GPU would stop it
            if not self.settle():
                return False
        self.avatar.after_step(self.done, self.optimiser)
        return True

    def settle(self) -> bool:
        """Whether all steps so far are valid; where the last ones are not, return to before them. Waits for the GPU."""
        poll = self.guard.poll()
        if poll.failure:
            self._rewind(poll.steps)
            if poll.failure == "nonfinite":
                self._diagnose()
        if marks := self.optimiser.nonfinite():
            name = min(marks, key=lambda group: marks[group])
            raise _diverged(self._checked[0] + marks[name] - 1, f"the gradient of '{name}'")
        self._checked = self._position()
        return not poll.failure

    def take_means(self) -> dict[str, float]:
        """Mean of every term over the steps since the last call, and of their sum, `loss`. Waits for the GPU."""
        sums, steps = self._host_sums(), max(self.done - self.logged, 1)
        self._flushed, self.logged = {}, self.done
        self._sums.zero_()
        means = {name: value / steps for name, value in sums.items()}
        return {"loss": sum(means.values()), **means}

    def _new_run(self) -> CudaGraphStep:
        return CudaGraphStep(self._step, self.images.device, self.settings.graph)

    def _prepare(self) -> object:
        """What the host decides about a step; the same again when a step is repeated."""
        settings, sampler = self.settings, self.sampler
        self.optimiser.begin_step(self.done)
        self.images.select([sampler.next() for _ in range(settings.frames_per_step)])
        ahead = max(self.images.ahead, settings.frames_per_step)
        for k in range(settings.frames_per_step):
            self.images.prefetch(sampler.upcoming(ahead - k))
        self.objective.begin_step()
        return self.avatar.begin_step(self.done)

    def _step(self) -> None:
        """What a step computes; no decision of the host depends on it."""
        self._save_buffers()
        done = [self._forward_backward(batch) for batch in self.images.batches()]
        values = done[0][3] if len(done) == 1 else torch.stack([part[3] for part in done]).mean(0)
        norms = self.optimiser.gradient_norms([part for _, _, rows, _ in done for part in rows])
        self.guard.record(torch.cat([values, norms]) if len(norms) else values, self._sums[: len(values)])
        self._restore_buffers()
        for rendering, batch, rows, _ in done:
            self.avatar.after_backward(rendering, batch, self.guard.invalid)
            for part in rows:
                self.optimiser.step_rows(part)
        self.optimiser.step()

    def _forward_backward(self, batch: Batch) -> tuple[Rendering, Batch, Any, Tensor]:
        state = self.avatar.pose(batch.frame, batch.subject)
        rendering = self.avatar.draw(state, batch.views, self.guard.workspace)
        self._names, values = flat(self.objective.terms(rendering, batch) | dict(self.avatar.losses(state, rendering, batch)))
        values.sum().backward(self._share)
        return rendering, batch, state.rows, values.detach()

    def _diagnose(self) -> None:
        """Repeat the step that was not finite, and name what is not."""
        step = self.done
        self._prepare()
        for batch in self.images.batches():
            _, _, rows, values = self._forward_backward(batch)
            terms = [name for name, value in zip(self._names, values.tolist()) if not torch.isfinite(torch.tensor(value))]
            if terms:
                raise _diverged(step, f"the term '{terms[0]}'")
            tables = {name: [g] for part in rows for name, g in part.gradients().items()}
            dense = {name: [p.grad for p in parameters if p.grad is not None] for name, parameters in self.optimiser.parameters().items()}
            for name, gradients in (dense | tables).items():
                if not all(bool(g.isfinite().all()) for g in gradients):
                    raise _diverged(step, f"the gradient of '{name}'")
        raise _diverged(step, "the loss, once: repeated, the step is finite")

    def _rewind(self, steps: int) -> None:
        """Return to the end of the last valid step, `steps` steps after the last check."""
        executed = self.done
        self.done, sampler, objective, generators = self._checked
        self.sampler.load(sampler)
        self.objective.load_generator(objective)
        _rewind_generators(generators, self.images.device, steps, executed - self.done)
        for _ in range(steps):
            self._prepare()
            self.done += 1

    def _position(self) -> tuple[int, dict, Tensor, list]:
        return self.done, self.sampler.state(), self.objective.generator_state(), _generators(self.images.device)

    def _rebind(self) -> None:
        """Give the optimiser the tensors that loading replaced."""
        for group in self.avatar.parameter_groups():
            if group.kind == "splats" and group.lr > 0:
                self.optimiser.replace(group.name, group.tensors[0])

    def _host_sums(self) -> dict[str, float]:
        sums = dict(self._flushed)
        for name, value in zip(self._names, self._sums[: len(self._names)].tolist()):
            sums[name] = sums.get(name, 0.0) + value
        return sums

    def _flush(self) -> None:
        """Bring the sums to the host: a new phase may have other terms."""
        if self._names:
            self._flushed, self._names = self._host_sums(), ()
            self._sums.zero_()

    def _save_buffers(self) -> None:
        for saved, buffer in zip(self._saved_buffers, self.avatar.buffers_to_restore()):
            saved.copy_(buffer)

    def _restore_buffers(self) -> None:
        for saved, buffer in zip(self._saved_buffers, self.avatar.buffers_to_restore()):
            buffer.copy_(torch.where(self.guard.invalid > 0, saved, buffer))


def _diverged(step: int, what: str) -> InputError:
    return InputError(
        f"training diverged at step {step}: {what} is not finite",
        expected="finite losses and gradients",
        remedy="use lower learning rates (the settings train.lr_*); a run resumes from the last checkpoint",
    )


def _generators(device: torch.device) -> list[Tensor]:
    """States of torch's own generators, which layers such as dropout draw from."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


def _set_generators(states: list[Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0].cpu())
    if device.type == "cuda" and len(states) > 1:
        torch.cuda.set_rng_state(states[1].cpu(), device)


def _rewind_generators(states: list[Tensor], device: torch.device, steps: int, executed: int) -> None:
    """Bring the generators to `steps` of the `executed` steps after `states`; a GPU's steps all draw the same number of values."""
    if device.type != "cuda":
        _set_generators(states, device)
        return
    generator = torch.cuda.default_generators[device.index or 0]
    now = generator.get_offset()
    _set_generators(states, device)
    before = generator.get_offset()
    generator.set_offset(before + (now - before) * steps // max(executed, 1))
