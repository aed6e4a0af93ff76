"""One browser: what it shows, and the thread that draws for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.avatars.view_options import ViewOptions
from pipeline.io.errors import InputError
from pipeline.io.progress import log
from pipeline.viewer.home import Home
from pipeline.viewer.player import Player
from pipeline.viewer.quality import STILL_SECONDS, Quality
from pipeline.viewer.scene import Scene
from pipeline.viewer.viewpoint import Viewpoint

if TYPE_CHECKING:
    import viser

MOVING_QUALITY, STILL_QUALITY = 80, 95  # of JPEG
PANEL_SECONDS = 0.2  # between updates of the panels while time plays


@dataclass
class Preview:
    """A camera path that plays: where the camera is, and the avatar's frame, for each of its images."""

    path: Sequence[Viewpoint]
    frames: Sequence[int]
    player: Player


class Session:
    """A browser's state. Panels change it and call `changed`; its thread draws.

    Attributes:
        home: where the camera starts. options: how the avatars are shown. folder: where files are saved.
        on_frame: called when another frame is shown, for sliders that follow it. on_tick: called about once a second. on_drawn: called with a line of figures after an image. path: the camera path that plays, if one does.
    """

    def __init__(self, client: viser.ClientHandle, scene: Scene, home: Home, folder: Path, size: int):
        self.client, self.scene, self.home, self.folder = client, scene, home, folder
        self.options = ViewOptions(mesh_samples=1)
        self._rate = scene.avatars[0].fps
        self.player = Player(scene.frame_count, self._rate)
        self.quality = Quality(size)
        self.on_frame: list[Callable[[], None]] = []
        self.on_tick: list[Callable[[], None]] = []
        self.on_drawn: list[Callable[[str], None]] = []
        self.paused = False
        self.path: Preview | None = None
        self._wake, self._open = threading.Event(), True
        self._told, self._whole = "", True
        self._changed = self._followed = self._ticked = 0.0
        self._thread = threading.Thread(target=self._run, name=f"viewer {client.client_id}", daemon=True)

    def start(self) -> None:
        """Draw from now on."""
        self.client.camera.on_update(lambda _: self.changed())
        self._thread.start()
        self.changed()

    def close(self) -> None:
        """End the thread; the browser is gone."""
        self._open = False
        self._wake.set()

    @property
    def closed(self) -> bool:
        """Whether the browser is gone."""
        return not self._open

    def set_frames(self) -> None:
        """Another motion, or a newer avatar, may have more or fewer frames, at another rate."""
        now, rate = time.monotonic(), self.scene.avatars[0].fps
        self.player.set_count(self.scene.frame_count, now)
        if rate != self._rate:
            self._rate = rate
            self.player.set_speed(rate, now)
        self.changed()

    def changed(self) -> None:
        """Something that is shown has changed."""
        self._wake.set()

    def show(self, **options: Any) -> None:
        """Change some of the options; what they do not allow is a message."""
        try:
            self.options = replace(self.options, **options)
        except InputError as error:
            self.tell(str(error))
        self.changed()

    def play_path(self, path: Sequence[Viewpoint], frames: Sequence[int], player: Player) -> None:
        """Let the camera move along a path."""
        player.play(time.monotonic())
        self.path = Preview(path, frames, player)

    @property
    def viewpoint(self) -> Viewpoint:
        """Where the browser's camera is, or on the path that plays."""
        if self.path:
            return self.path.path[self.path.player.frame]
        camera = self.client.camera
        return Viewpoint(np.array(camera.position, np.float64), np.array(camera.wxyz, np.float64), float(camera.fov))

    def go_to(self, viewpoint: Viewpoint) -> None:
        """Move the browser's camera. It turns around the point before it that is nearest to the avatar."""
        camera, forward = self.client.camera, viewpoint.rotation[:, 2]
        ahead = max(float((self.home.target - viewpoint.position) @ forward), 0.05)
        with self.client.atomic():
            camera.up_direction = -viewpoint.rotation[:, 1]
            camera.position = viewpoint.position
            camera.look_at = viewpoint.position + ahead * forward
            camera.fov = viewpoint.fov
        self.changed()

    def draw(self, viewpoint: Viewpoint, width: int, height: int, frame: int | None = None, moving: bool = False) -> np.ndarray:
        """uint8 [height, width, 3] of the scene. frame: None = the one that is shown. moving: time matters more than smooth rims of the mesh."""
        options = self.options if moving else replace(self.options, mesh_samples=2)
        return self.scene.image(self.player.frame if frame is None else frame, viewpoint.camera(width, height), options)

    def canvas(self) -> tuple[int, int]:
        """Width and height of the browser's canvas, pixels."""
        camera = self.client.camera
        return max(int(camera.image_width), 16), max(int(camera.image_height), 16)

    def tell(self, text: str, title: str = "Cannot be shown") -> None:
        """Show a message in the browser, once while it stays the same."""
        if text != self._told:
            self.client.add_notification(title, text, with_close_button=True)
        self._told = text

    def _run(self) -> None:
        """Draw whatever has changed, small at once, and whole when nothing changes any more."""
        while self._open:
            self._wake.wait(1 / 60 if self.player.playing or self.path else 1.0 if self._whole else 0.05)
            now = time.monotonic()
            try:
                if now - self._ticked >= 1.0:
                    self._ticked = now
                    for update in self.on_tick:
                        update()
                self._show(now)
            except InputError as error:
                self.tell(str(error))
            except Exception as error:  # the browser shall say so, and the thread continue
                log(f"viewer: {type(error).__name__}: {error}")
                self.tell(f"{type(error).__name__}: {error}")

    def _show(self, now: float) -> None:
        """Draw, where something else is to be seen at a time."""
        changed = self._wake.is_set()
        self._wake.clear()
        if self.paused:
            return
        if self._advance(now) or changed:
            self._changed, self._whole = now, False
            self._send(self.quality.moving(self.canvas()), MOVING_QUALITY, moving=True)
            if now - self._followed > PANEL_SECONDS or not self.player.playing:
                self._followed = now
                for update in self.on_frame:
                    update()
        elif not self._whole and now - self._changed > STILL_SECONDS:
            self._whole = True
            self._send(self.quality.whole(self.canvas()), STILL_QUALITY, moving=False)

    def _advance(self, now: float) -> bool:
        """Bring frame and path to a time; whether something else is shown."""
        if not (preview := self.path):
            return self.player.advance(now)
        moved = preview.player.advance(now)
        self.player.go_to(preview.frames[preview.player.frame], now)
        if not preview.player.playing:
            self.path = None
            self.go_to(preview.path[preview.player.frame])
        return moved

    def _send(self, size: tuple[int, int], quality: int, moving: bool) -> None:
        start = time.monotonic()
        image = self.draw(self.viewpoint, *size, moving=moving)
        seconds = time.monotonic() - start
        if moving:
            self.quality.took(seconds)
        if not self._open:
            return
        self.client.scene.set_background_image(image, format="jpeg", jpeg_quality=quality)
        self._told = ""
        figures = f"{1 / max(seconds, 1e-9):.1f} images/s, {size[0]} x {size[1]}, {self.scene.splat_count:,} splats"
        for update in self.on_drawn:
            update(figures)
