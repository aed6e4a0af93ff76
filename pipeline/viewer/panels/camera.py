"""Where the camera is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.capture.trajectory import Step, Trajectory, read_trajectory, write_trajectory
from pipeline.viewer.panels.events import on_click, on_user
from pipeline.viewer.session import Session
from pipeline.viewer.viewpoint import Viewpoint


def add_camera_panel(gui: Any, session: Session) -> None:
    """Field of view, cameras of the capture, a camera that is kept in a file, and where the camera is now."""
    fov = gui.add_slider("field of view (degrees)", min=1.0, max=120.0, step=0.5, initial_value=_degrees(session.home.viewpoint.fov))
    size = gui.add_slider("image size", min=64, max=4096, step=16, initial_value=session.quality.size, hint="longest side in pixels when nothing moves")
    home = gui.add_button("reset camera")
    on_user(session, fov)(lambda: session.go_to(replace(session.viewpoint, fov=float(np.radians(fov.value)))))
    on_user(session, size)(lambda: setattr(session.quality, "size", int(size.value)))
    on_click(session, home)(lambda: session.go_to(session.home.viewpoint))
    for avatar in session.scene.avatars:
        if cameras := {camera.name: camera for camera in avatar.opened.cameras}:
            label = "camera" if len(session.scene.avatars) == 1 else f"camera of {avatar.opened.name}"
            chosen = gui.add_dropdown(label, ["", *cameras])

            @on_user(session, chosen)
            def jump(cameras: dict = cameras, chosen: Any = chosen, avatar: Any = avatar) -> None:
                if chosen.value in cameras:
                    view = Viewpoint.of(cameras[chosen.value])
                    session.go_to(replace(view, position=view.position + avatar.offset))

    _add_kept_camera(gui, session)
    readout = gui.add_markdown("")

    def follow() -> None:
        view = session.viewpoint
        place = ", ".join(f"{value:.3f}" for value in view.position)
        turn = ", ".join(f"{value:.3f}" for value in view.wxyz)
        text = f"position {place} m  \nquaternion wxyz {turn}"
        if readout.content != text:
            readout.content = text
        if abs(fov.value - _degrees(view.fov)) > 0.05:
            fov.value = _degrees(view.fov)

    session.on_frame.append(follow)


def _add_kept_camera(gui: Any, session: Session) -> None:
    """A camera that the next start of the viewer begins with."""
    path = session.folder / "camera.json"
    keep = gui.add_button("keep this camera", hint=f"in {path}; the viewer then starts there")
    forget = gui.add_button("forget it")

    @on_click(session, keep)
    def save() -> None:
        write_trajectory(path, Trajectory([Step(session.viewpoint.camera(*session.canvas()))]))
        session.tell(str(path), "Kept")

    on_click(session, forget)(lambda: path.unlink(missing_ok=True))


def kept_camera(session: Session) -> Viewpoint | None:
    """The camera that was kept. Raises InputError for a file that is none."""
    path = session.folder / "camera.json"
    return Viewpoint.of(read_trajectory(path).steps[0].camera) if path.is_file() else None


def _degrees(fov: float) -> float:
    return round(float(np.clip(np.degrees(fov), 1, 120)), 1)
