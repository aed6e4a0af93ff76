"""Follows a running training: the viewer's side of training/watch.py."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pipeline.contract.layout import Layout
from pipeline.io.errors import InputError
from pipeline.io.files import read_record, write_json
from pipeline.machine.lease import is_alive, read_holder
from pipeline.training.watch import avatar_file, figures_file, request_file
from pipeline.viewer.opened import OpenedAvatar, open_file

BEAT_SECONDS = 1.0  # between two requests, and between looks at what the training wrote


class AttachedTraining:
    """The newest avatar of a training, while it runs, after its end, and when it begins again.

    Attributes:
        avatars: as they were last read, one for each subject; none before there is an avatar. figures: what the training wrote last, see `figures_file`.
        trouble: why the newest avatar could not be read.
    """

    def __init__(self, name: str, layout: Layout, device: torch.device):
        """Raises InputError where nothing of such a training exists."""
        if not layout.results.is_dir() and not layout.work.is_dir():
            expected = "a capture or group that runs, or has run"
            raise InputError(f"no training of '{name}'", file=layout.work, expected=expected, remedy=f"./c2a run {name}")
        self.name, self._layout, self._device = name, layout, device
        self.avatars: list[OpenedAvatar] = []
        self.figures: dict[str, Any] = {}
        self.trouble = ""
        self._token, self._beats, self._pause = uuid.uuid4().hex[:8], 0, False
        self._seen: object = None
        self._end = threading.Event()

    @property
    def is_running(self) -> bool:
        """Whether a process trains."""
        path = self._layout.running("train")
        holder = read_holder(path)
        return holder is not None and is_alive(path, holder)

    @property
    def is_paused(self) -> bool:
        """Whether this viewer wants the training to wait."""
        return self._pause

    def pause(self, paused: bool) -> None:
        """Pause the training, or let it continue."""
        self._pause = paused
        self.ask()

    def ask(self) -> None:
        """Tell the training that somebody watches; it forgets after some seconds."""
        self._beats += 1
        with contextlib.suppress(OSError):  # a folder that is removed meanwhile: the next one
            write_json(request_file(self._layout.watch), {"beat": f"{self._token}-{self._beats}", "paused": self._pause})

    def update(self) -> bool:
        """Read what is new; whether there is another avatar."""
        running = self.is_running
        self.figures = read_record(figures_file(self._layout.watch)) or {}
        finished, watched = self._layout.avatar, avatar_file(self._layout.watch)
        path = watched if running and watched.is_file() else finished if finished.is_file() else watched
        try:
            status = path.stat()
        except OSError:
            return False
        seen = (path, status.st_mtime_ns, status.st_size)
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            self.avatars = open_file(path, self.name, self._device, self._layout.results.parent)
        except InputError as error:
            self.trouble = str(error)
            return False
        self.trouble = ""
        return True

    def follow(self, is_watched: Callable[[], bool], replace: Callable[[list[OpenedAvatar]], None]) -> None:
        """In a thread: ask while somebody watches, and pass on each new avatar."""

        def run() -> None:
            while not self._end.wait(BEAT_SECONDS):
                if is_watched():
                    self.ask()
                    if self.update():
                        replace(self.avatars)

        threading.Thread(target=run, name="attached training", daemon=True).start()

    def wait_for_avatar(self) -> None:
        """Return when there is an avatar to show."""
        while not self.avatars:
            self.ask()
            if not self.update():
                time.sleep(BEAT_SECONDS)

    def close(self) -> None:
        """Stop watching: the training continues at once."""
        self._end.set()
        with contextlib.suppress(OSError):
            request_file(self._layout.watch).unlink()

    def describe(self) -> str:
        """The state in markdown: step, rate, losses."""
        figures, path = self.figures, Path(self._layout.work).name
        state = "paused" if self.is_running and figures.get("paused") else "training" if self.is_running else "not running"
        lines = [f"**{path}: {state}**"]
        with contextlib.suppress(KeyError, TypeError, ValueError):  # a file of another version
            step, total, rate = int(figures["step"]), int(figures["iterations"]), float(figures["rate"])
            lines.append(f"step {step:,} of {total:,}, {rate:.1f} steps/s, {int(figures['splats']):,} splats")
            lines.append(", ".join(f"{name} {value:.4g}" for name, value in figures["values"].items() if name != "splats"))
        return "  \n".join([*lines, *([self.trouble] if self.trouble else [])])
