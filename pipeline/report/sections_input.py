"""Sections of the report about the input: capture, frames, sample, mattes, keypoints. Each returns markup."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.capture.record import Capture
from pipeline.report import images as image_tools
from pipeline.report import page, plots
from pipeline.report.context import Context

MOST_MARKS = 1500  # with more frames, dropped ones are not drawn
FACE_COLOR, POSE_COLOR = (64, 190, 235), (250, 160, 60)


def capture(context: Context) -> str:
    """Facts of the capture, the rig in 3D, the checks of `ingest`."""
    record = context.capture
    facts = page.table(("what", "value"), _facts(record))
    rig = page.plot(
        plots.rig(record.cameras, context.roles, _subject(context)),
        "Cameras as pyramids, with their names; axes in metres from the middle of the triangulated points of the subject.",
    )
    rows = [(check["what"], bool(check["ok"]), _text(check.get("detail", ""))) for check in sorted(record.checks, key=lambda check: bool(check["ok"]))]
    return (
        facts + rig + page.heading(f"Checks of the input: {sum(row[1] for row in rows)} of {len(rows)} passed") + page.table(("what", "result", "detail"), rows)
    )


def member(context: Context) -> str:
    """A capture of a group in brief: facts, and one frame of a few cameras."""
    splits = [frame["split"] for frame in context.sample["frames"]]
    facts = [*_facts(context.capture), ("frames", f"{splits.count('train')} train, {splits.count('test')} test")]
    names, frame = context.shown_cameras(4), context.shown_frame
    return page.table(("what", "value"), facts) + page.strip(photo(context, context.images.open(name).read(frame), context.label(name)) for name in names)


def frames(context: Context) -> str:
    """One frame of every camera after undistortion, crop, resize and colour correction."""
    frame = context.shown_frame
    strip = page.strip(photo(context, context.images.open(name).read(frame), context.label(name)) for name in context.shown_cameras())
    sizes = sorted({f"{camera.width} x {camera.height}" for camera in context.images.cameras})
    text = f"Frame {frame}. {len(context.images.frames)} frames of {len(context.images.cameras)} cameras, {', '.join(sizes)} pixels."
    return page.paragraph(text) + strip


def sample(context: Context) -> str:
    """Training, test and dropped frames, with reasons."""
    record, known = context.sample, {frame.id: frame for frame in context.images.frames}
    split = {**{frame["id"]: frame["split"] for frame in record["frames"]}, **{frame["id"]: "dropped" for frame in record["dropped"]}}
    rows: dict[str, list[tuple[int, str]]] = {}
    for name, value in split.items():
        if name in known:
            rows.setdefault(known[name].sequence, []).append((known[name].frame, value))
    if len(split) > MOST_MARKS:
        rows = {name: [mark for mark in marks if mark[1] != "dropped"] for name, marks in rows.items()}
    counts = {value: list(split.values()).count(value) for value in ("train", "test", "dropped")}
    text = f"{counts['train']} training frames (blue), {counts['test']} test frames (orange), {counts['dropped']} dropped (grey)."
    rules = page.bullets(record["rules"])
    dropped = page.table(("dropped", "reason"), [(frame["id"], _text(frame["why"])) for frame in record["dropped"][:20]]) if record["dropped"] else ""
    return page.paragraph(text) + page.plot(plots.timeline(list(rows.items()))) + rules + dropped


def matte(context: Context) -> str:
    """The clean plate, the frame, and the foreground over a chequered board."""
    frame, members = context.shown_frame, []
    for name in context.shown_cameras(4):
        archive = context.images.open(name)
        cut = photo(context, image_tools.over_board(context.mattes.open(name).read(frame)), "foreground")
        plate = [photo(context, archive.read("plate"), "clean plate")] if "plate" in archive else []
        members.append(page.group([*plate, photo(context, archive.read(frame), "frame"), cut], context.label(name), 460))
    return page.strip(members)


def keypoints(context: Context) -> str:
    """Detections drawn on the frames, and detection rates."""
    points, frame = context.keypoints, context.shown_frame
    cameras, names = points["cameras"].tolist(), points["frames"].tolist()
    found = {part: np.isfinite(points[part][..., 0]).any(-1) for part in ("face", "pose")}  # [F, C]
    strip = page.strip(_annotated(context, name, cameras.index(name), names.index(frame)) for name in context.shown_cameras() if name in cameras)
    face, pose = (100 * found[part].mean(0) for part in ("face", "pose"))
    rows = [(context.label(name), round(float(face[i])), round(float(pose[i]))) for i, name in enumerate(cameras)]
    return strip + page.table(("camera", "frames with a face, %", "frames with a body, %"), rows) + page.paragraph(_explained(context))


def _explained(context: Context) -> str:
    """What the two percentages mean."""
    record = context.manifests.get("keypoints", {})
    stride = record.get("settings", {}).get("pose_stride", 1)
    text = "Faces that contradict those of the other cameras are dropped and do not count."
    if record.get("cells", {}).get("model") == "head" and isinstance(stride, int) and stride > 1:
        text += (
            f" The body is looked for in every {stride}th frame (keypoints.pose_stride), and where no face was found: {100 / stride:.0f} % is what to expect."
        )
    return text


def _annotated(context: Context, camera: str, index: int, frame: int) -> str:
    points, image = context.keypoints, context.images.open(camera).read(context.shown_frame)
    shown = context.images.by_name[camera].width
    radius = max(0.8, 0.9 * shown / context.settings.image_width)
    image = image_tools.with_points(image, points["face"][frame, index, :, :2], FACE_COLOR, radius)
    return photo(context, image_tools.with_points(image, points["pose"][frame, index, :, :2], POSE_COLOR, 2.2 * radius), context.label(camera))


def photo(context: Context, image: np.ndarray, caption: str) -> str:
    """An image (uint8 RGB) in the width and quality of the settings."""
    return page.figure(image, caption, widest=context.settings.image_width, quality=context.settings.jpeg_quality)


def _subject(context: Context) -> np.ndarray | None:
    if not context.files.fit.is_file():
        return None
    points = context.fit["points3d"]
    return points[len(points) // 2]


def _facts(record: Capture) -> list[tuple[str, str]]:
    sizes = sorted({f"{camera.width} x {camera.height}" for camera in record.cameras})
    sequences = ", ".join(f"{name} ({sequence['frames']} frames)" for name, sequence in record.sequences.items())
    plates = sum(path is not None for path in record.plates.values())
    return [
        ("kind", record.kind),
        ("cameras", f"{len(record.cameras)}, {', '.join(sizes)} pixels, {record.fps:g} frames per second"),
        ("sequences", sequences),
        ("clean plates", f"of {plates} cameras" if plates else "none"),
        ("colour calibration", f"of {len(record.color)} cameras" if record.color else "none"),
    ]


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= 300 else text[:297] + "..."
