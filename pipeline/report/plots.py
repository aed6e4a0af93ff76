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


def curves(series: Sequence[tuple[str, np.ndarray, np.ndarray]], x_label: str) -> str:
    """One small panel per (name, x [N], y [N])."""
    plt = _pyplot("curves")
    columns = min(3, len(series))
    rows = -(-len(series) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(10, 2.5 * rows), squeeze=False, layout="constrained")
    for axis in axes.flat[len(series) :]:
        axis.set_axis_off()
    for axis, (name, x, y) in zip(axes.flat, series):
        axis.plot(x, y, color=_COLORS[0], linewidth=1.3)
        axis.set_title(name, fontsize=10, loc="left")
        axis.set_xlabel(x_label)
        if np.nanmin(y) > 0 and np.nanmax(y) > 30 * np.nanmin(y):
            axis.set_yscale("log")
    return _svg(figure)


def rig(cameras: Sequence[Camera], roles: dict[str, str], points: np.ndarray | None) -> str:
    """The cameras as pyramids around the subject, in two views; the cameras' mean up direction is up.

    Args:
        roles: camera -> train or val. points: [P, 3] metres of the subject, or None.
    """
    plt = _pyplot("rig")
    figure = plt.figure(figsize=(10, 4.4), layout="constrained")
    turn, cloud = _upright(cameras), np.zeros((0, 3)) if points is None else points[np.isfinite(points).all(-1)]
    cloud = cloud[:: max(1, -(-len(cloud) // POINT_LIMIT))] @ turn.T
    centres = np.stack([camera.centre for camera in cameras]) @ turn.T
    target = np.median(cloud, axis=0) if len(cloud) else centres.mean(0)
    depth = 0.18 * max(1e-6, float(np.median(np.linalg.norm(centres - target, axis=1))))
    corners = {camera.name: _pyramid(camera, depth) @ turn.T for camera in cameras}
    everything = np.concatenate([cloud, *corners.values()])
    for column, (elevation, azimuth, title) in enumerate(((22, -65, "from the side"), (89.9, -90, "from above"))):
        axis = figure.add_subplot(1, 2, column + 1, projection="3d", elev=elevation, azim=azimuth, proj_type="ortho")
        axis.scatter(*cloud.T, s=1.5, color=_COLORS[2], linewidths=0, depthshade=False)
        for camera in cameras:
            color = SPLIT_COLORS[roles.get(camera.name, "train")]
            axis.plot(*corners[camera.name][[1, 2, 3, 4, 1, 0, 2, 0, 3, 0, 4]].T, color=color, linewidth=0.9)
            axis.text(*corners[camera.name][0], camera.name, fontsize=6.5, color=_INK)
        _equal_box(axis, everything)
        axis.set_title(title, fontsize=9, loc="left")
    return _svg(figure)


def cloud(points: np.ndarray, cameras: Sequence[Camera]) -> str:
    """Points [P, 3] from the front, the side and above, centimetres."""
    plt = _pyplot("cloud")
    turned = points[np.isfinite(points).all(-1)] @ _upright(cameras).T * 100
    turned = turned[:: max(1, -(-len(turned) // (2 * POINT_LIMIT)))]
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
    for axis, (x, y, title) in zip(axes, ((0, 2, "from the cameras"), (1, 2, "from the side"), (0, 1, "from above"))):
        axis.scatter(turned[:, x], turned[:, y], s=2.5, color=_COLORS[2], linewidths=0)
        axis.set_aspect("equal", "datalim")
        axis.locator_params(nbins=5)
        axis.set_title(title, fontsize=9, loc="left")
        axis.set_xlabel("cm")
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
    axis.set_xlabel("frame")
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
    low, high = points.min(0), points.max(0)
    middle, reach = (low + high) / 2, max(float((high - low).max()), 1e-6) / 2
    for limit, centre in zip((axis.set_xlim, axis.set_ylim, axis.set_zlim), middle):
        limit(centre - reach, centre + reach)
    axis.set_box_aspect((1, 1, 1), zoom=1.25)
    for part in (axis.xaxis, axis.yaxis, axis.zaxis):
        part.set_pane_color((0, 0, 0, 0))
        part.set_ticklabels([])
        part.line.set_color((0.5, 0.5, 0.5, 0.4))
        part._axinfo["grid"].update(color="#8884", linewidth=0.4)
        part._axinfo["tick"].update(inward_factor=0, outward_factor=0)
