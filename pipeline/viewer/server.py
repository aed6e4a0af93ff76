"""The server that a browser connects to."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pipeline.contract.layout import Layout
from pipeline.io.errors import InputError
from pipeline.viewer.address import free_port, is_own_page
from pipeline.viewer.attach import AttachedTraining
from pipeline.viewer.home import Home, home_of
from pipeline.viewer.opened import OpenedAvatar
from pipeline.viewer.panels.body import add_body_panel
from pipeline.viewer.panels.camera import add_camera_panel, kept_camera
from pipeline.viewer.panels.record import add_record_panel
from pipeline.viewer.panels.show import add_show_panel
from pipeline.viewer.panels.time import add_time_panel
from pipeline.viewer.panels.training import add_training_panel
from pipeline.viewer.scene import DRAWING, Scene, ShownAvatar
from pipeline.viewer.session import Session

SPACING = 1.2  # between avatars that stand side by side, in their widths
NICE = 15  # of a viewer beside a training


@dataclass(frozen=True)
class ServerSettings:
    """host, port: where to listen; port 0 = any that is free. folder: where files that the browser saves go. size: longest side of whole images, pixels."""

    host: str
    port: int
    folder: Path
    size: int


class ViewerServer:
    """Serves a scene to any number of browsers; each has a session of its own."""

    def __init__(self, avatars: Sequence[OpenedAvatar], device: torch.device, settings: ServerSettings):
        """Begin to listen. Raises InputError where host or port cannot be used."""
        self.avatars, self.settings, self._device = list(avatars), settings, device
        _, self.home = beside_one_another(self.avatars)
        self.sessions: dict[int, Session] = {}
        self.panels: list[Callable[[Any, Session], None]] = []
        port = free_port(settings.host, settings.port)
        import viser

        warnings.filterwarnings("ignore", "Queued a .* on a closed connection")  # of a page that was closed while an image for it was drawn
        with contextlib.redirect_stdout(io.StringIO()):  # its own words; the caller prints the address
            self._server = viser.ViserServer(host=settings.host, port=port, label=", ".join(a.name for a in self.avatars), verbose=False)
        self._server.request_share_url = _refused  # type: ignore[method-assign]  # any browser may ask for a tunnel through a public server
        self._server.gui.configure_theme(show_logo=False, show_share_button=False, control_width="large")
        self._server.scene.set_up_direction(tuple(self.home.up))
        self._set_first_camera(self.home)
        self._server.on_client_connect(self._connect)
        self._server.on_client_disconnect(self._disconnect)

    @property
    def address(self) -> str:
        """What to open in a browser."""
        host = self.settings.host
        shown = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self._server.get_port()}"

    def wait(self) -> None:
        """Serve until Ctrl-C, or until the process is ended."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        while True:
            time.sleep(3600)

    def stop(self) -> None:
        """Close all connections."""
        for session in list(self.sessions.values()):
            session.close()
        with contextlib.redirect_stdout(io.StringIO()):
            self._server.stop()

    def replace(self, avatars: Sequence[OpenedAvatar]) -> None:
        """Show newer states of the same avatars everywhere."""
        with DRAWING:
            self.avatars = list(avatars)
            for session in list(self.sessions.values()):
                for shown, opened in zip(session.scene.avatars, avatars):
                    shown.replace(opened)
        for session in list(self.sessions.values()):
            session.player.set_count(session.scene.frame_count, time.monotonic())
            session.changed()

    def _set_first_camera(self, home: Home) -> None:
        first = self._server.initial_camera
        first.position, first.look_at, first.up = home.viewpoint.position, home.target, home.up
        first.fov = home.viewpoint.fov

    def _connect(self, client: Any) -> None:
        if not self._is_own(client):
            return
        scene = Scene(beside_one_another(self.avatars)[0], self._device)
        session = Session(client, scene, self.home, self.settings.folder, self.settings.size)
        self.sessions[client.client_id] = session
        gui = client.gui
        figures = gui.add_markdown("")
        session.on_drawn.append(lambda text: setattr(figures, "content", text))
        on_tab = {"show": add_show_panel, "body": add_body_panel, "camera": add_camera_panel, "record": add_record_panel}
        for add in self.panels:
            add(gui, session)
        add_time_panel(gui, session)
        tabs = gui.add_tab_group()
        for name, add in on_tab.items():
            with tabs.add_tab(name):
                add(gui, session)
        try:
            if kept := kept_camera(session):
                session.go_to(kept)
        except InputError as error:
            session.tell(str(error))
        session.start()

    def _disconnect(self, client: Any) -> None:
        if session := self.sessions.pop(client.client_id, None):
            session.close()

    def _is_own(self, client: Any) -> bool:
        """Whether the page was loaded from this server: a page of another site, open in the same browser, could connect as well."""
        connection = self._server._websock_server._live_connections.get(client.client_id)
        request = connection.request if connection else None
        return request is not None and is_own_page(request.headers.get("Origin"), request.headers.get("Host", ""), self.settings.host)


def serve(avatars: Sequence[OpenedAvatar], device: torch.device, settings: ServerSettings) -> None:
    """Show avatars until Ctrl-C. Raises InputError where host or port cannot be used."""
    _run(ViewerServer(avatars, device, settings))


def serve_training(name: str, layout: Layout, device: torch.device, settings: ServerSettings) -> None:
    """Follow a training until Ctrl-C; before it has an avatar, wait for one. Raises InputError as `serve`, and where there is no such training."""
    training = AttachedTraining(name, layout, device)
    with contextlib.suppress(OSError):
        os.nice(NICE)  # the training comes first
    try:
        if not training.update():
            print(f"waiting for an avatar of {name} (its training is{' ' if training.is_running else ' not '}running); Ctrl-C ends", flush=True)
            training.wait_for_avatar()
        server = ViewerServer(training.avatars, device, settings)
        server.panels.append(lambda gui, session: add_training_panel(gui, session, training))
        training.follow(lambda: bool(server.sessions), server.replace)
        _run(server)
    except KeyboardInterrupt:
        print()
    finally:
        training.close()


def _run(server: ViewerServer) -> None:
    print(f"open {server.address} in a browser; Ctrl-C ends", flush=True)
    try:
        server.wait()
    except KeyboardInterrupt:
        print()
    finally:
        server.stop()


def beside_one_another(avatars: Sequence[OpenedAvatar]) -> tuple[list[ShownAvatar], Home]:
    """Avatars from left to right as the camera sees them, so that none covers another; and a camera that sees all. One avatar stays where it is."""
    homes = [home_of(opened) for opened in avatars]
    first, right = homes[0], homes[0].viewpoint.rotation[:, 0]
    step = SPACING * max(home.width for home in homes) * right
    shown = [ShownAvatar(opened, first.target - home.target + number * step) for number, (opened, home) in enumerate(zip(avatars, homes))]
    target = first.target + (len(avatars) - 1) / 2 * step
    back = len(avatars) * (first.viewpoint.position - first.target)
    return shown, replace(first, target=target, viewpoint=replace(first.viewpoint, position=target + back))


def _refused(*_: Any, **__: Any) -> None:
    return None
