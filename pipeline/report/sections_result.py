"""Sections of the report about results: mesh, initialisation, training, renders, metrics."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.evaluation.evaluate import camera_label, fitted, rendered_over_white
from pipeline.evaluation.truth import CameraTargets, NovelTargets, novel_cameras
from pipeline.io.color_map import FULL_ERROR, error_map
from pipeline.io.errors import InputError
from pipeline.io.packed import PackedImages, read_image
from pipeline.io.video import decode
from pipeline.report import images as image_tools
from pipeline.report import page, plots
from pipeline.report.context import Context
from pipeline.report.records import read_log

SPLIT_TITLES = {"val": "Validation cameras", "novel": "Novel camera", "test": "Test frames", "train": "Training images"}
GROUP_EDGE = 38  # pixels of a group's row beside its images
FIGURES = ("psnr_box", "ssim_box", "psnr", "ssim", "l1", "lpips")
_CURVES = {"loss": "loss", "psnr": "PSNR of the training image, dB", "splats": "splats"}  # shown first, under these names

_ALPHA = {
    "truth": "the synthetic ground truth",
    "matte": "the captures' own mattes",
    "both": "the synthetic ground truth where there is one, else the captures' own mattes",
}


def fit(context: Context) -> str:
    """The mesh over the frames, the triangulated points, residuals per camera."""
    record, stills = context.fit, []
    videos = sorted(context.files.overlay.glob("*.mp4"))
    for i in image_tools.even_choice(len(videos), 8):
        stills.append(_photo(context, _still(videos[i], context), context.label(videos[i].stem)))
    points = record["points3d"][len(record["points3d"]) // 2]
    caption = f"{int(np.isfinite(points).all(-1).sum())} points triangulated at frame {record['frames'][len(record['frames']) // 2]}."
    rows = [(context.label(str(name)), round(float(value), 2) if np.isfinite(value) else None) for name, value in zip(record["cameras"], record["residual_px"])]
    drawing = (
        page.plot(plots.cloud(points, context.images.cameras), caption)
        if np.isfinite(points).any()
        else page.paragraph("No points were triangulated at this frame.")
    )
    return page.strip(stills) + drawing + page.table(("camera", "median residual of visible stable points, pixels"), rows)


def init(context: Context) -> str:
    """The splats before training, from a few cameras."""
    from pipeline.report.untrained import render_untrained

    names = context.shown_cameras(4)
    images = render_untrained(context.layout, [context.images.by_name[name] for name in names], context.shown_frame, context.number)
    return page.strip(_photo(context, image, context.label(name)) for name, image in zip(names, images))


def train(context: Context) -> str:
    """Every column of train.csv over the steps."""
    log = read_log(context.layout.train_log)
    steps = log.pop("step", np.arange(len(next(iter(log.values())))))
    names = [name for name in _CURVES if name in log] + [name for name in log if name not in (*_CURVES, "seconds")]
    series = [(_CURVES.get(name, name), steps[np.isfinite(log[name])], log[name][np.isfinite(log[name])]) for name in names]
    last = ", ".join(f"{name} {log[name][-1]:.4g}" for name in (*_CURVES, "seconds") if name in log)
    curves = page.plot(plots.curves([s for s in series if len(s[1])], "step")) + page.paragraph(f"At the last row: {last}.")
    strips = sorted(context.layout.validation.glob("*.png"))
    if not strips:
        return curves
    shown = [strips[i] for i in image_tools.even_choice(len(strips), 4)]
    width = 3 * context.settings.image_width
    figures = (page.figure(read_image(path), f"step {int(path.stem)}", widest=width, quality=context.settings.jpeg_quality) for path in shown)
    return curves + page.heading("A validation view during training: truth, render, difference") + page.strip(figures)


def renders(context: Context) -> str:
    """Truth, render and error of the best, median and worst image of every split."""
    parts = [page.paragraph(f"Each group: truth, render, and their difference (black: equal; brightest: {FULL_ERROR:g} of full scale or more).")]
    own = [row for row in context.metrics["images"] if row["subject"] == context.subject.name]
    for split, rows in _by_split(own).items():
        ordered = sorted(rows, key=_rank)
        chosen = {"best": ordered[-1], "median": ordered[len(ordered) // 2], "worst": ordered[0]} if len(ordered) > 2 else dict(enumerate(ordered))
        members = [_compared(context, str(name), row) for name, row in chosen.items()]
        parts += [page.heading(SPLIT_TITLES.get(split, split)), page.strip(members)]
    return "".join(parts)


def videos(context: Context) -> str:
    """Every video of the render stage: small ones embedded, others by name."""
    files = sorted(context.renders.glob("*.mp4"))
    if not files:
        raise InputError("contains no videos", file=context.renders)
    limit = context.settings.video_limit_mb * 1e6
    large = [f"{path.name} ({path.stat().st_size / 1e6:.1f} MB)" for path in files if path.stat().st_size > limit]
    shown = [page.video(path, path.stem.replace("_", " "), context.settings.image_width) for path in files if path.stat().st_size <= limit]
    return page.strip(shown) + (
        page.paragraph(f"Too large for this page, see {context.renders.relative_to(context.layout.avatar_folder)}/: {', '.join(large)}.") if large else ""
    )


def metrics(context: Context) -> str:
    """Metrics by split and camera, their definitions, and the worst images."""
    record = context.metrics
    rows = [_row(SPLIT_TITLES[split], record[split]) for split in SPLIT_TITLES if record.get(split)]
    absent = [page.paragraph(f"{SPLIT_TITLES.get(split, split)}: {why}.") for split, why in record["missing"].items()]
    if record["lpips"] is None:
        absent.append(page.paragraph(f"LPIPS is absent: {record['lpips_reason']}."))
    header = ("", "PSNR box", "SSIM box", "PSNR", "SSIM", "L1", "LPIPS", "images")
    cameras = [_row(f"{split}: {name}", figures) for split in SPLIT_TITLES for name, figures in record["per_camera"].get(split, {}).items()]
    worst = [(row["split"], camera_label(row, context.layout), row["frame"], row["psnr_box"], row["ssim_box"]) for row in record["worst"]]
    meaning = [(name.replace("_box", "... box"), text) for name, text in record["definitions"].items()]
    source = _ALPHA[record["alpha_source"]]
    subjects = [_row(f"{split}: {name}", figures) for split in SPLIT_TITLES for name, figures in record["per_subject"].get(split, {}).items()]
    by_subject = [page.heading("By capture"), page.table(header, subjects)] if context.layout.group else []
    parts = [
        page.table(header, rows),
        *absent,
        page.paragraph(f"Alpha comes from {source}."),
        *by_subject,
        page.heading("By camera"),
        page.table(header, cameras),
    ]
    parts += [
        page.heading("Worst images"),
        page.table(("split", "camera", "frame", "PSNR box", "SSIM box"), worst),
        page.heading("Definitions"),
        page.table(("term", "meaning"), meaning),
    ]
    return "".join(parts)


def _compared(context: Context, name: str, row: dict[str, Any]) -> str:
    camera, frame, novel = row["camera"], row["frame"], row["camera"] in novel_cameras(context.files)
    target = (NovelTargets if novel else CameraTargets)(context.files, camera).read(frame)
    image = rendered_over_white(PackedImages(context.renders / f"{camera}.zip").read(frame), target.visible, novel)
    truth, alpha = (fitted(part, image.shape) for part in (target.image, target.alpha))
    window = image_tools.around(alpha)
    truth, image = truth[window], image[window]
    shown = [image_tools.to_bytes(truth), image_tools.to_bytes(image), error_map(image, truth)]
    box = "" if row["psnr_box"] is None else f", {row['psnr_box']:.2f} dB on the box"
    width = min(image.shape[1], context.settings.image_width)
    return page.group([_photo(context, image, "") for image in shown], f"{name}: {camera}, {frame}{box}", len(shown) * width + GROUP_EDGE)


def _still(path: Path, context: Context) -> np.ndarray:
    """The shown frame of a video of the fitted frames, or its last frame if it is shorter."""
    frames = context.fit["frames"].tolist()
    wanted = frames.index(context.shown_frame) if context.shown_frame in frames else 0
    return deque(itertools.islice(decode(path), wanted + 1), maxlen=1)[0][1]


def _photo(context: Context, image: np.ndarray, caption: str) -> str:
    return page.figure(image, caption, widest=context.settings.image_width, quality=context.settings.jpeg_quality)


def _by_split(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found = {split: [row for row in rows if row["split"] == split] for split in SPLIT_TITLES}
    return {split: chosen for split, chosen in found.items() if chosen and split != "train"}


def _rank(row: dict[str, Any]) -> float:
    return row["psnr"] if row["psnr_box"] is None else row["psnr_box"]


def _row(name: str, figures: dict[str, Any]) -> tuple[Any, ...]:
    return (name, *(figures.get(key) for key in FIGURES), figures["images"])
