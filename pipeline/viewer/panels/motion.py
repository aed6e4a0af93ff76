"""Motion files that are dropped in."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from pipeline.io.errors import InputError
from pipeline.motion.read import read_motion
from pipeline.motion.retarget import retarget
from pipeline.motion.settings import RetargetOptions
from pipeline.motion.target import Target
from pipeline.viewer.panels.events import on_click
from pipeline.viewer.scene import ShownAvatar
from pipeline.viewer.session import Session

EVERY = "all avatars"


def add_motion_panel(gui: Any, session: Session) -> None:
    """Upload a motion of any form, and let it move one avatar or all."""
    movable = {avatar.opened.name: avatar for avatar in session.scene.avatars if avatar.body}
    if not movable:
        gui.add_markdown("This avatar has no body to move.")
        return
    gui.add_markdown("BVH, AMASS, AIST++, FLAME, Live Link Face, ARKit, MediaPipe: see docs/motion.md.")
    whom = gui.add_dropdown("avatar", [EVERY, *movable], visible=len(movable) > 1)
    upload = gui.add_upload_button("motion file of this computer")
    absolute = gui.add_checkbox("absolute", False, hint="expressions and places as the motion has them, not relative to the driver's neutral")
    smooth = gui.add_slider("smoothing (s)", min=0.0, max=1.0, step=0.01, initial_value=0.0)
    tracked = gui.add_button("tracked frames", hint="in place of the motion")
    facts = gui.add_markdown("")

    def chosen() -> list[ShownAvatar]:
        return list(movable.values()) if whom.value == EVERY else [movable[whom.value]]

    @on_click(session, upload)
    def received() -> None:
        options = RetargetOptions(absolute=absolute.value, smooth=float(smooth.value))
        facts.content = f"reading {upload.value.name} ..."
        try:
            facts.content = "  \n".join(apply_motion(avatar, upload.value.name, upload.value.content, options) for avatar in chosen())
        except InputError:
            facts.content = ""
            raise
        session.set_frames()

    @on_click(session, tracked)
    def back() -> None:
        for avatar in chosen():
            avatar.motion = None
        facts.content = ""
        session.set_frames()


def apply_motion(avatar: ShownAvatar, name: str, content: bytes, options: RetargetOptions) -> str:
    """Let the motion of a file move an avatar; a line about it. Raises InputError where it is none, or nothing of it is known to the avatar's body."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"motion{Path(name).suffix}"
        path.write_bytes(content)
        try:
            motion = read_motion(path)
        except InputError as error:  # say the name that the user knows
            raise InputError(str(error).replace(str(path), name)) from None
    assert avatar.body
    done = retarget(motion, Target.of(avatar.body), options)
    avatar.motion = done.poses, motion.fps
    joints, expressions = (len(done.facts[what]) for what in ("joints", "expressions"))
    return f"{avatar.opened.name}: {name}, {len(motion)} frames at {motion.fps:g} per second; {joints} joints and {expressions} expressions"
