"""Expressions and joints of the avatars."""

from __future__ import annotations

from typing import Any

from pipeline.viewer.body_control import LARGEST_ANGLE, BodyControl, Place, folder_of
from pipeline.viewer.panels.events import on_click, on_user
from pipeline.viewer.scene import ShownAvatar
from pipeline.viewer.session import Session

FIRST = ("jaw", "mouth")  # folders that are open at first


def add_body_panel(gui: Any, session: Session) -> None:
    """Sliders for the parameters of each avatar that has a body."""
    movable = [avatar for avatar in session.scene.avatars if avatar.control]
    if not movable:
        gui.add_markdown("This avatar has no body to move.")
    for avatar in movable:
        if len(movable) == 1:
            _add_sliders(gui, session, avatar)
        else:
            with gui.add_folder(avatar.opened.name, expand_by_default=avatar is movable[0]):
                _add_sliders(gui, session, avatar)


def _add_sliders(gui: Any, session: Session, avatar: ShownAvatar) -> None:
    control = avatar.control
    assert control
    enabled = gui.add_checkbox("control", control.enabled, hint="off: the sliders follow the frame; on: the avatar follows the sliders")
    reset = gui.add_button("reset", hint="the neutral face and the rest pose, under control")
    sliders = {**_add_expressions(gui, control), **_add_joints(gui, control)}

    def follow() -> None:
        avatar.follow(session.player.frame)
        current = avatar.control
        if current is None:
            return
        if enabled.value != current.enabled:
            enabled.value = current.enabled
        for place, value in current.values().items():
            if (slider := sliders.get(place)) is None:  # a training that began again has another body: the page shows its sliders when it is loaded again
                continue
            value = min(max(round(value, 3), slider.min), slider.max)
            if abs(slider.value - value) > 1e-6:
                slider.value = value

    def moved(place: Place) -> None:
        assert avatar.control
        avatar.control.set(place, float(sliders[place].value))
        enabled.value = True

    @on_user(session, enabled)
    def take_control() -> None:
        assert avatar.control
        avatar.follow(session.player.frame)
        avatar.control.enabled = enabled.value

    @on_click(session, reset)
    def neutral() -> None:
        assert avatar.control
        avatar.follow(session.player.frame)
        avatar.control.reset()
        avatar.control.enabled = True

    for place, slider in sliders.items():
        on_user(session, slider)(lambda place=place: moved(place))
    session.on_frame.append(follow)


def _add_expressions(gui: Any, control: BodyControl) -> dict[Place, Any]:
    """A slider for every expression, in folders by part of the face."""
    low, high = control.expression_range
    folders: dict[str, list[int]] = {}
    for i, name in enumerate(control.expression_names):
        folders.setdefault(folder_of(name), []).append(i)
    sliders = {}
    for folder in sorted(folders, key=lambda name: (name not in FIRST, name)):
        with gui.add_folder(folder, expand_by_default=folder in FIRST[:1]):
            for i in folders[folder]:
                sliders["expression", i, 0] = gui.add_slider(control.expression_names[i], min=low, max=high, step=0.01, initial_value=0.0)
    return sliders


def _add_joints(gui: Any, control: BodyControl) -> dict[Place, Any]:
    """Three sliders for every main joint: its rotation vector about x, y and z, radians."""
    sliders = {}
    with gui.add_folder("joints (radians)", expand_by_default=False):
        for name, joint in control.joints.items():
            with gui.add_folder(name, expand_by_default=False):
                for axis, letter in enumerate("xyz"):
                    slider = gui.add_slider(letter, min=-LARGEST_ANGLE, max=LARGEST_ANGLE, step=0.01, initial_value=0.0)
                    sliders["rotations", joint, axis] = slider
    return sliders
