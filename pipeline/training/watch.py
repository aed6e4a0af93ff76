"""Shows a running training to viewers through a few files in one folder; nothing listens on the network, and the results do not depend on it.

A viewer rewrites `request.json` about every second. While its content changes, somebody watches: the training then writes `avatar.npz` and `figures.json` now and
then, and pauses while the request says so. A request that no longer changes, because its viewer was killed, is the same as none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.io.files import TEMPORARY, read_record, write_json
from pipeline.io.progress import log

ASK_SECONDS = 0.5  # between looks at the request: the only cost while nobody watches
ALIVE_SECONDS = 10.0  # a request counts for so long after it last changed
LEAST_SECONDS = 1.0  # between two avatars
SHARE = 0.03  # most of the training's time that writing them may take


def request_file(folder: Path) -> Path:
    """Written by the viewer: {beat: changes each time, paused: bool}."""
    return folder / "request.json"


def figures_file(folder: Path) -> Path:
    """Written by the training: {step, iterations, rate: steps per second, splats, paused, values: {term: value}, time: of the clock}."""
    return folder / "figures.json"


def avatar_file(folder: Path) -> Path:
    """Written by the training: the avatar so far, as avatar.npz."""
    return folder / "avatar.npz"


class Watch:
    """The training's side. Without a folder nobody can watch.

    Attributes:
        values: the figures of the last row of train.csv.
    """

    def __init__(self, folder: Path | None = None, write_avatar: Callable[[Path], None] | None = None):
        """Args: write_avatar: writes the avatar as it is now, atomically, and changes nothing."""
        self.values: Mapping[str, float | int] = {}
        self._folder, self._write = folder, write_avatar
        self._asked = self._changed = self._next = float("-inf")
        self._request: dict[str, Any] | None = None
        self._figures: dict[str, Any] = {}
        self._shown: tuple[int, float] | None = None  # step and time of the last avatar
        for left in folder.glob(f"{TEMPORARY}*") if folder else ():  # of a killed training
            left.unlink(missing_ok=True)

    def is_watched(self) -> bool:
        """Whether a viewer asks to see this training. Looks at the disk twice a second at most."""
        now = time.monotonic()
        if self._folder and now - self._asked >= ASK_SECONDS:
            first, self._asked = self._asked == float("-inf"), now
            request = read_record(request_file(self._folder), {"paused": bool})
            if request != self._request:
                self._request = request
                self._changed = float("-inf") if first else now  # one that was there before may be that of a viewer that was killed
        return self._request is not None and now - self._changed < ALIVE_SECONDS

    def is_paused(self) -> bool:
        """Whether a viewer wants the training to wait."""
        return self.is_watched() and bool(self._request and self._request.get("paused"))

    def is_due(self) -> bool:
        """Whether to call `show`: somebody watches, and what the last avatar cost is a small part of the time since; or the training shall wait."""
        return self.is_watched() and (time.monotonic() >= self._next or self.is_paused())

    def show(self, step: int, iterations: int, splats: int) -> None:
        """Write the avatar and the figures. A disk that is full does not stop the training."""
        assert self._folder and self._write
        start = time.monotonic()
        rate = (step - self._shown[0]) / max(start - self._shown[1], 1e-9) if self._shown else 0.0
        self._figures = {"step": step, "iterations": iterations, "rate": round(rate, 3), "splats": splats, "values": dict(self.values)}
        self._try(self._write, avatar_file(self._folder))
        self._write_figures(paused=False)
        end = time.monotonic()
        self._shown, self._next = (step, start), end + max(LEAST_SECONDS, (end - start) / SHARE)

    def wait(self, interrupted: Callable[[], bool]) -> float:
        """Wait while a viewer wants it and nothing interrupts; the seconds that it took."""
        if not self.is_paused():
            return 0.0
        start = time.monotonic()
        self._write_figures(paused=True)
        while self.is_paused() and not interrupted():
            time.sleep(ASK_SECONDS / 5)
        self._write_figures(paused=False)
        waited = time.monotonic() - start
        if self._shown:  # the rate does not count them
            self._shown = self._shown[0], self._shown[1] + waited
        return waited

    def _write_figures(self, paused: bool) -> None:
        assert self._folder
        self._try(write_json, figures_file(self._folder), {**self._figures, "paused": paused, "time": time.time()})

    def _try(self, write: Callable[..., None], path: Path, *values: Any) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, *values)
        except (OSError, ValueError) as error:  # ValueError: a figure that is not finite
            log(f"train: the avatar cannot be shown to a viewer: {error}")
