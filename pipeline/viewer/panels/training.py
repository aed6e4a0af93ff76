"""A training that the viewer follows."""

from __future__ import annotations

from typing import Any

from pipeline.viewer.attach import AttachedTraining
from pipeline.viewer.panels.events import on_user
from pipeline.viewer.session import Session


def add_training_panel(gui: Any, session: Session, training: AttachedTraining) -> None:
    """Step, rate and losses; pause."""
    with gui.add_folder("training"):
        state = gui.add_markdown(training.describe())
        pause = gui.add_checkbox("pause training", training.is_paused)
        rendering = gui.add_checkbox("pause rendering", False)
    on_user(session, pause)(lambda: training.pause(pause.value))
    on_user(session, rendering)(lambda: setattr(session, "paused", rendering.value))

    def follow() -> None:
        if state.content != (text := training.describe()):
            state.content = text
        if pause.value != training.is_paused:
            pause.value = training.is_paused

    session.on_tick.append(follow)
