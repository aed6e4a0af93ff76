"""What of the avatars is shown, and how."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

from pipeline.avatars.mesh_layer import MeshColors
from pipeline.avatars.view import ViewOptions
from pipeline.viewer.panels.events import on_click, on_user
from pipeline.viewer.session import Session

MESHES = {"surface": "surface", "normals": "normals", "points per face": "counts"}
assert set(MESHES.values()) == set(get_args(MeshColors))


def add_show_panel(gui: Any, session: Session) -> None:
    """Splats and mesh, their blend, background, sizes; the avatars and where they stand; regions of the body."""
    options = session.options
    splats = gui.add_dropdown("splats", get_args(get_type_hints(ViewOptions)["splats"]), initial_value=options.splats)
    scale = gui.add_slider("splat scale", min=0.01, max=2.0, step=0.01, initial_value=1.0)
    background = gui.add_rgb("background", initial_value=options.background)
    on_user(session, splats, scale, background)(lambda: session.show(splats=splats.value, scale=float(scale.value), background=tuple(background.value)))
    bodies = [body for avatar in session.scene.avatars if (body := avatar.body)]
    if len(bodies) == len(session.scene.avatars):
        mesh = gui.add_dropdown("mesh", list(MESHES))
        opacity = gui.add_slider("mesh opacity", min=0.0, max=1.0, step=0.01, initial_value=0.0)
        on_user(session, mesh, opacity)(lambda: session.show(mesh=MESHES[mesh.value], mesh_opacity=float(opacity.value)))
        names = [name for name in bodies[0].shaped.regions if all(name in body.shaped.regions for body in bodies)]
        if names:
            _add_regions(gui, session, names)
    if len(session.scene.avatars) > 1:
        _add_avatars(gui, session)


def _add_regions(gui: Any, session: Session, names: list[str]) -> None:
    """A box for each region; only those that are ticked are shown, and with none ticked all."""
    with gui.add_folder("regions", expand_by_default=False):
        gui.add_markdown("Tick regions to see nothing else.")
        boxes = {name: gui.add_checkbox(name, False) for name in names}
        clear = gui.add_button("show all")

    @on_user(session, *boxes.values())
    def chosen() -> None:
        session.show(regions=tuple(name for name, box in boxes.items() if box.value))

    @on_click(session, clear)
    def all_of_them() -> None:
        for box in boxes.values():
            box.value = False
        session.show(regions=())


def _add_avatars(gui: Any, session: Session) -> None:
    """Of several avatars each can be hidden and moved."""
    with gui.add_folder("avatars"):
        for avatar in session.scene.avatars:
            shown = gui.add_checkbox(avatar.opened.name, True)
            offset = gui.add_vector3("moved by (m)", tuple(avatar.offset), step=0.01)
            on_user(session, shown)(lambda avatar=avatar, shown=shown: setattr(avatar, "visible", shown.value))
            on_user(session, offset)(lambda avatar=avatar, offset=offset: avatar.move(offset.value))
