"""Images, videos and camera paths."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.io.errors import InputError
from pipeline.io.files import write_bytes
from pipeline.viewer import recording as record
from pipeline.viewer.panels.events import on_click, on_user
from pipeline.viewer.recording import Recording
from pipeline.viewer.session import Session


def add_record_panel(gui: Any, session: Session) -> None:
    """Save an image; keyframes, the path through them, and its files."""
    recording = Recording()
    image = gui.add_button("save image")

    @on_click(session, image)
    def save() -> None:
        path, data = record.save_image(session, _size(session))
        session.client.send_file_download(path.name, data)
        session.tell(str(path), "Saved")

    with gui.add_folder("keyframes"):
        select = _add_keyframes(gui, session, recording)
    with gui.add_folder("path"):
        show = _add_path(gui, session, recording)
    with gui.add_folder("files"):

        def loaded() -> None:
            select(0)
            show()

        _add_files(gui, session, recording, loaded)


def _add_keyframes(gui: Any, session: Session, recording: Recording) -> Callable[[int], None]:
    """The list of keyframes. Returns what shows it again, with one of them selected."""
    chosen = gui.add_dropdown("keyframe", ["none"])
    buttons = gui.add_button_group("", ("add", "update", "delete", "go to", "clear"))

    def refresh(select: int) -> None:
        chosen.options = [str(i + 1) for i in range(len(recording.keyframes))] or ["none"]
        chosen.value = str(select + 1) if recording.keyframes else "none"

    @on_click(session, buttons)
    def act() -> None:
        what, keys = buttons.value, recording.keyframes
        at = int(chosen.value) - 1 if keys else -1
        if what == "add":
            at += 1
            recording.add(session.viewpoint, at, session.player.frame)
        elif what == "clear":
            keys.clear()
        elif not keys:
            raise InputError("there are no keyframes", remedy="move the camera, and press add")
        elif what == "update":
            keys[at] = session.viewpoint
        elif what == "delete":
            del keys[at]
            at = max(at - 1, 0)
        else:
            session.go_to(keys[at])
        refresh(at)

    return refresh


def _add_path(gui: Any, session: Session, recording: Recording) -> Callable[[], None]:
    """How the camera moves between keyframes. Returns what shows the settings again."""
    settings = recording.settings
    between = gui.add_dropdown("interpolation", ("smooth", "linear"))
    interval = gui.add_number("seconds per keyframe", settings.interval, min=0.001, max=3600.0, step=0.001)
    cycles = gui.add_number("cycles", settings.cycles, min=0, max=1000, step=1, hint="0: from the first to the last keyframe; else so many closed rounds")
    fps = gui.add_number("images per second", settings.fps, min=1.0, max=240.0, step=0.1)
    dynamic = gui.add_checkbox("avatar plays", recording.dynamic)
    position = gui.add_slider("position", min=0.0, max=1.0, step=0.001, initial_value=0.0)
    loop = gui.add_checkbox("loop", False)
    play = gui.add_button("play / stop")

    @on_user(session, between, interval, cycles, fps, dynamic)
    def change() -> None:
        recording.dynamic = dynamic.value
        recording.change(smooth=between.value == "smooth", interval=float(interval.value), cycles=int(cycles.value), fps=float(fps.value))

    @on_user(session, position)
    def scrub() -> None:
        path = recording.path()
        at = round(position.value * (len(path) - 1))
        session.player.go_to(recording.frames(session.player, len(path))[at], time.monotonic())
        session.go_to(path[at])

    on_click(session, play)(lambda: record.preview(session, recording, loop.value))
    return lambda: setattr(interval, "value", recording.settings.interval)


def _add_files(gui: Any, session: Session, recording: Recording, loaded: Callable[[], None]) -> None:
    """Trajectories and their images. loaded: called when there are other keyframes."""
    gui.add_markdown(f"Files go to `{session.folder}`")
    name = gui.add_text("name", "path")
    save = gui.add_button("save trajectory")
    render = gui.add_button("render images and video", hint="without keyframes: all frames, seen from here")
    bar = gui.add_progress_bar(0.0, visible=False)
    saved = gui.add_dropdown("saved", _saved(session))
    load = gui.add_button("load")
    upload = gui.add_upload_button("load a file of this computer", mime_type="application/json")

    def report(done: int, total: int) -> None:
        bar.visible, bar.value = done < total, 100.0 * done / total

    def take(path: Path) -> None:
        record.load_keyframes(recording, path)
        recording.first = session.player.frame
        loaded()

    @on_click(session, save)
    def write() -> None:
        session.tell("\n".join(map(str, record.save_trajectory(session, recording, name.value, _size(session)))), "Saved")
        saved.options = _saved(session)

    @on_click(session, render)
    def draw() -> None:
        video = record.render(session, recording, name.value, _size(session), report)
        session.client.send_file_download(video.name, video.read_bytes())
        session.tell(f"{video}\n{video.with_suffix('')}", "Saved")
        saved.options = _saved(session)

    @on_click(session, load)
    def reload() -> None:
        if saved.value != "none":
            take(session.folder / "trajectories" / saved.value)

    @on_click(session, upload)
    def received() -> None:
        path = session.folder / "trajectories" / "uploaded.json"
        write_bytes(path, upload.value.content)
        take(path)
        saved.options = _saved(session)


def _saved(session: Session) -> list[str]:
    return record.saved_trajectories(session) or ["none"]


def _size(session: Session) -> tuple[int, int]:
    """Width and height of images that are saved: even, as videos want them."""
    width, height = session.quality.whole(session.canvas())
    return width // 2 * 2, height // 2 * 2
