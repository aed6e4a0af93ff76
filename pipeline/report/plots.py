"""Plots as SVG in the text colour of the page, for light and dark themes."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from pipeline.capture.camera import Camera

_INK = "#010203"  # replaced by currentColor
_COLORS = ("#2f7fa8", "#c8682b", "#5b9351", "#8a63ad")
SPLIT_COLORS = {"train": _COLORS[0], "val": _COLORS[1], "test": _COLORS[1], "dropped": "#999999"}
POINT_LIMIT = 500  # points drawn of a cloud: more would take megabytes
ROBUST = (5, 95)  # percentiles of a cloud; half their distance beyond them it is cut off, since a wrong point would squash all others


def curves(series: Sequence[tuple[str, np.ndarray, np.ndarray]], x_label: str) -> str:
    """One small panel per (name with unit, x [N], y [N]); values over a wide range on a logarithmic axis."""
    plt = _pyplot("curves")
    columns = min(3, len(series))
    rows = -(-len(series) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(10, 2.5 * rows), squeeze=False, layout="constrained")
    for axis in axes.flat[len(series) :]:
        axis.set_axis_off()
    for axis, (name, x, y) in zip(axes.flat, series):
        axis.plot(x, y, color=_COLORS[0], linewidth=1.3, marker="o" if len(x) < 15 else None, markersize=3)
        log = np.nanmin(y) > 0 and np.nanmax(y) > 30 * np.nanmin(y)
        axis.set_title(name + (" (log scale)" if log else ""), fontsize=10, loc="left")
        axis.set_xlabel(x_label)
        if log:
            axis.set_yscale("log")
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}")
    return _svg(figure)


def within(points: np.ndarray) -> np.ndarray:
    """Which of the points [P, 3] are finite and not far from the others, see ROBUST; bool [P]."""
    finite = np.isfinite(points).all(-1)
    if not finite.any():
        return finite
    low, high = np.percentile(points[finite], ROBUST, axis=0)
    reach = 0.5 * (high - low)
    return finite & (points >= low - reach).all(-1) & (points <= high + reach).all(-1)


MOST_NAMES = 40  # cameras; of more the rig's plot has no names


def rig(cameras: Sequence[Camera], roles: dict[str, str], points: np.ndarray | None) -> str:
    """The cameras as pyramids around the subject, metres, in two views; the cameras' mean up direction is up.

    Args:
        roles: camera -> train or val. points: [P, 3] metres of the subject, or None; the origin of the axes is in their middle.
    """
    plt = _pyplot("rig")
    figure = plt.figure(figsize=(10, 4.8), layout="constrained")
    turn, cloud = _upright(cameras), np.zeros((0, 3)) if points is None else points[within(points)]
    cloud = cloud[:: max(1, -(-len(cloud) // POINT_LIMIT))] @ turn.T
    centres = np.stack([camera.centre for camera in cameras]) @ turn.T
    target = np.median(cloud, axis=0) if len(cloud) else centres.mean(0)
    depth = 0.18 * min(1.0, (MOST_NAMES / len(cameras)) ** 0.5) * max(1e-6, float(np.median(np.linalg.norm(centres - target, axis=1))))
    corners = {camera.name: _pyramid(camera, depth) @ turn.T - target for camera in cameras}
    cloud = cloud - target
    figure.get_layout_engine().set(wspace=0.1)
    above = figure.add_subplot(1, 2, 2, aspect="equal")
    space = figure.add_subplot(1, 2, 1, projection="3d", elev=22, azim=-65, proj_type="ortho")
    for axis, axes in ((space, 3), (above, 2)):
        axis.scatter(*cloud.T[:axes], s=1.5, color=_COLORS[2], linewidths=0)
        for camera in sorted(cameras, key=lambda camera: roles.get(camera.name) == "val"):  # held-out ones over the others
            lines, color = corners[camera.name].T[:axes], SPLIT_COLORS[roles.get(camera.name, "train")]
            axis.plot(*lines[:, [1, 2, 3, 4, 1, 0, 2, 0, 3, 0, 4]], color=color, linewidth=0.9)
            if len(cameras) <= MOST_NAMES:
                axis.text(*lines[:, 0], camera.name, fontsize=6.5, color=_INK)
        axis.set(xlabel="right, m", ylabel="depth, m")
    space.set_zlabel("up, m")
    _equal_box(space, np.concatenate([cloud, *corners.values()]))
    space.set_title("from the side", fontsize=9, loc="left")
    above.set_title("from above", fontsize=9, loc="left")
    names = {"train": "training camera", "val": "held-out camera"}
    shown = [role for role in names if role in {roles.get(camera.name, "train") for camera in cameras}]
    handles = [plt.Line2D([], [], color=SPLIT_COLORS[role], label=names[role]) for role in shown]
    handles += [plt.Line2D([], [], color=_COLORS[2], marker="o", markersize=3, linestyle="", label="points of the subject")] if len(cloud) else []
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return _svg(figure)


def cloud(points: np.ndarray, cameras: Sequence[Camera]) -> str:
    """Finite points [P, 3], metres, from three sides, centimetres from their middle."""
    plt = _pyplot("cloud")
    turned = points @ _upright(cameras).T * 100
    turned = (turned - np.median(turned, axis=0))[:: max(1, -(-len(turned) // (2 * POINT_LIMIT)))]
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
    names = ("right", "depth", "up")
    for axis, (x, y, title) in zip(axes, ((0, 2, "seen from the cameras"), (1, 2, "seen from the side"), (0, 1, "seen from above"))):
        axis.scatter(turned[:, x], turned[:, y], s=2.5, color=_COLORS[2], linewidths=0)
        axis.set_aspect("equal", "datalim")
        axis.locator_params(nbins=5)
        axis.set_title(title, fontsize=9, loc="left")
        axis.set_xlabel(f"{names[x]}, cm")
        axis.set_ylabel(f"{names[y]}, cm")
    return _svg(figure)


def timeline(rows: Sequence[tuple[str, Sequence[tuple[int, str]]]]) -> str:
    """A mark for each frame of each row (name, [(frame, split)]), coloured by its split."""
    plt = _pyplot("timeline")
    figure, axis = plt.subplots(figsize=(10, 0.7 + 0.28 * len(rows)), layout="constrained")
    for height, (_, marks) in enumerate(rows):
        for split in dict.fromkeys(split for _, split in marks):
            x = [frame for frame, name in marks if name == split]
            axis.scatter(x, [height] * len(x), marker="|", s=60, linewidths=1.4, color=SPLIT_COLORS[split])
    axis.set_yticks(range(len(rows)), [name for name, _ in rows])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.xaxis.set_major_locator(plt.MaxNLocator(integer=True))
    axis.set_xlabel("frame number in the video")
    return _svg(figure)


def _pyplot(salt: str):  # noqa: ANN202  (pyplot, a module)
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({
        "svg.fonttype": "none", "svg.hashsalt": salt, "font.family": "sans-serif", "font.size": 8.5, "text.parse_math": False, "figure.facecolor": "none", "axes.facecolor": "none",
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#8885", "grid.linewidth": 0.5, "axes.linewidth": 0.7,
        **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK),
    })  # fmt: skip
    return plt


def _svg(figure) -> str:  # noqa: ANN001
    import matplotlib.pyplot as plt

    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    svg = text.getvalue()
    return svg[svg.index("<svg") :].replace(_INK, "currentColor")


def _upright(cameras: Sequence[Camera]) -> np.ndarray:
    """[3, 3] world to plot: x to the cameras' right, y along their view, z up."""
    up = -np.mean([camera.R[1] for camera in cameras], axis=0)
    up = up / max(float(np.linalg.norm(up)), 1e-9)
    forward = np.mean([camera.R[2] for camera in cameras], axis=0)
    if np.linalg.norm(forward - up * (up @ forward)) < 0.1:  # cameras all around: the first one defines the front
        forward = cameras[0].R[2]
    forward = forward - up * (up @ forward)
    forward = forward / np.linalg.norm(forward)
    return np.stack([np.cross(forward, up), forward, up])


def _pyramid(camera: Camera, depth: float) -> np.ndarray:
    """[5, 3] the camera's centre and the corners of its image at `depth` metres."""
    pixels = np.array([[0, 0], [camera.width, 0], [camera.width, camera.height], [0, camera.height]])
    rays = np.concatenate([(pixels - camera.K[:2, 2]) @ np.linalg.inv(camera.K[:2, :2]).T, np.ones((4, 1))], axis=1)
    return np.concatenate([camera.centre[None], (rays * depth - camera.t) @ camera.R])


def _equal_box(axis, points: np.ndarray) -> None:  # noqa: ANN001
    """A cube around the points, with a few numbers on its axes."""
    low, high = points.min(0), points.max(0)
    middle, reach = (low + high) / 2, max(float((high - low).max()), 1e-6) / 2
    for limit, centre in zip((axis.set_xlim, axis.set_ylim, axis.set_zlim), middle):
        limit(centre - reach, centre + reach)
    axis.set_box_aspect((1, 1, 1), zoom=1.1)
    axis.tick_params(labelsize=7, pad=-2)
    axis.locator_params(nbins=5)
    for part in (axis.xaxis, axis.yaxis, axis.zaxis):
        part.set_pane_color((0, 0, 0, 0))
        part.labelpad = -4
        part.line.set_color((0.5, 0.5, 0.5, 0.4))
        part._axinfo["grid"].update(color="#8884", linewidth=0.4)
        part._axinfo["tick"].update(inward_factor=0, outward_factor=0)
