"""Which frame is shown while time passes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Player:
    """Attributes: count: of frames. fps: frames per second of playing. loop: whether to begin again after the last frame, or to stop there."""

    count: int
    fps: float
    frame: int = 0
    playing: bool = False
    loop: bool = True
    _since: float = 0.0
    _first: int = 0

    def play(self, now: float) -> None:
        """Start at the present frame, from the end at the first one."""
        self.playing, self._since = True, now
        self._first = 0 if self.frame == self.count - 1 else self.frame

    def pause(self) -> None:
        self.playing = False

    def go_to(self, frame: int, now: float) -> None:
        """Show a frame; playing continues from there."""
        self.frame = min(max(frame, 0), self.count - 1)
        self._first, self._since = self.frame, now

    def set_speed(self, fps: float, now: float) -> None:
        """Another frame rate, from the present frame on."""
        self.go_to(self.frame, now)
        self.fps = fps

    def set_count(self, count: int, now: float) -> None:
        """Another number of frames."""
        if count != self.count:
            self.count = count
            self.go_to(self.frame, now)

    def advance(self, now: float) -> bool:
        """Bring the frame to a time (seconds of a monotonic clock); whether it is another one. Frames are left out where drawing is slower than `fps`."""
        if not self.playing:
            return False
        frame = self._first + int((now - self._since) * self.fps + 1e-6)
        if frame >= self.count and not self.loop:
            frame, self.playing = self.count - 1, False
        before, self.frame = self.frame, frame % self.count
        return self.frame != before
