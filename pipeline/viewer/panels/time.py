"""The time: a slider over the frames, steps, playing."""

from __future__ import annotations

import time
from typing import Any

from pipeline.viewer.panels.events import on_click, on_user
from pipeline.viewer.session import Session

STEPS = ("first", "previous", "next", "last")
HOTKEYS = ("home", "pageup", "pagedown", "end")  # the arrow keys move viser's camera


def add_time_panel(gui: Any, session: Session) -> None:
    """Slider, buttons and keys for the frame that is shown."""
    player = session.player
    slider = gui.add_slider("frame", min=0, max=max(player.count - 1, 1), step=1, initial_value=0, disabled=player.count < 2)
    name = gui.add_markdown(_name(session))
    buttons = gui.add_button_group("", STEPS)
    play = gui.add_checkbox("play", False, hint="key: space")
    loop = gui.add_checkbox("loop", player.loop)
    fps = gui.add_number("frames per second", player.fps, min=0.1, max=240, step=0.1)

    def step(how: str) -> None:
        target = {"first": 0, "previous": player.frame - 1, "next": player.frame + 1, "last": player.count - 1}[how]
        player.pause()
        player.go_to(target, time.monotonic())

    def toggle(playing: bool) -> None:
        if playing:
            player.play(time.monotonic())
        else:
            player.pause()

    on_user(session, slider)(lambda: player.go_to(int(slider.value), time.monotonic()))
    on_user(session, play)(lambda: toggle(play.value))
    on_user(session, loop)(lambda: setattr(player, "loop", loop.value))
    on_user(session, fps)(lambda: player.set_speed(float(fps.value), time.monotonic()))
    on_click(session, buttons)(lambda: step(buttons.value))
    for how, key in zip(STEPS, HOTKEYS):
        on_click(session, gui.add_command(f"{how} frame", hotkey=key))(lambda how=how: step(how))
    on_click(session, gui.add_command("play or pause", hotkey="space"))(lambda: toggle(not player.playing))

    def follow() -> None:
        if slider.max != max(player.count - 1, 1):
            slider.max, slider.disabled = max(player.count - 1, 1), player.count < 2
        if slider.value != player.frame:
            slider.value = player.frame
        if play.value != player.playing:
            play.value = player.playing
        if name.content != (text := _name(session)):
            name.content = text

    session.on_frame.append(follow)


def _name(session: Session) -> str:
    avatar = session.scene.avatars[0]
    frame = session.player.frame % avatar.frame_count
    return f"frame {session.player.frame + 1} of {session.player.count}" + ("" if avatar.motion else f": {avatar.opened.frames[frame]}")
