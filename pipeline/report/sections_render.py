"""Sections of the report about the trained avatar: renders, videos, metrics. Each returns markup."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.evaluation.evaluate import camera_label, fitted, rendered_over_white
from pipeline.evaluation.truth import CameraTargets, NovelTargets, novel_cameras
from pipeline.io.color_map import FULL_ERROR, error_map
from pipeline.io.errors import InputError
from pipeline.io.packed import PackedImages
from pipeline.report import images as image_tools
from pipeline.report import page
from pipeline.report.context import Context
from pipeline.report.records import rank
from pipeline.report.sections_input import photo

SPLIT_TITLES = {"val": "Held-out cameras (val)", "novel": "Novel camera (novel)", "test": "Test frames (test)", "train": "Training images (train)"}
TOP_SUBJECTS = 3  # captures of a group with whose orbits the page begins
GROUP_EDGE = 38  # pixels of a group's row beside its images
FIGURES = ("psnr_box", "ssim_box", "psnr", "ssim", "l1", "lpips")

_ALPHA = {
    "truth": "the synthetic ground truth",
    "matte": "the mattes of the captures",
    "both": "the synthetic ground truth where there is one, else the mattes of the captures",
}


def renders(context: Context) -> str:
    """Ground truth, render and error of the best, median and worst image of every split."""
    scale = (
        f"mean absolute difference of the colours, which go from 0 to 1; black: 0, red to orange: about {FULL_ERROR / 2:g}, pale yellow: {FULL_ERROR:g} or more"
    )
    parts = [page.paragraph(f"Each row: ground truth, render, and their difference ({scale}).")]
    own = [row for row in context.metrics["images"] if row["subject"] == context.subject.name]
    for split, rows in by_split(own).items():
        ordered = sorted(rows, key=rank)
        chosen = {"best": ordered[-1], "median": ordered[len(ordered) // 2], "worst": ordered[0]} if len(ordered) > 2 else dict(enumerate(ordered))
        members = [_compared(context, str(name), row) for name, row in chosen.items()]
        parts += [page.heading(SPLIT_TITLES.get(split, split)), page.strip(members)]
    return "".join(parts)


def videos(context: Context) -> str:
    """Every video of the render stage but the orbit, which the page begins with: small ones embedded, others as links."""
    files = [path for path in sorted(context.renders.glob("*.mp4")) if path.stem != "orbit" or context.number >= TOP_SUBJECTS]
    if not files and context.orbit.is_file():
        return page.paragraph("The capture has one instant: its only video is the orbit, above.")
    if not files:
        raise InputError("contains no videos", file=context.renders)
    return page.paragraph("Left: ground truth; right: render.") + page.strip(video(context, path) for path in files)


def video(context: Context, path: Path) -> str:
    """A video, or a link to a large one."""
    size, title = path.stat().st_size / 1e6, path.stem.replace("_", " ")
    if size <= context.settings.video_limit_mb:
        return page.video(path, title, context.settings.image_width)
    return f"<figure>{page.link(path, context.folder, f'{path.name} ({size:.1f} MB)')}</figure>"


def metrics(context: Context) -> str:
    """Metrics by split and camera, their definitions, and the worst images."""
    record = context.metrics
    rows = [_row(SPLIT_TITLES[split], record[split]) for split in SPLIT_TITLES if record.get(split)]
    absent = [page.paragraph(f"{SPLIT_TITLES.get(split, split)}: {why}.") for split, why in record["missing"].items()]
    if record["lpips"] is None:
        absent.append(page.paragraph(f"LPIPS not computed: {record['lpips_reason']}."))
    header = ("", "PSNR in box, dB", "SSIM in box", "PSNR, dB", "SSIM", "L1", "LPIPS", "images")
    cameras = [_row(f"{split}: {name}", figures) for split in SPLIT_TITLES for name, figures in record["per_camera"].get(split, {}).items()]
    worst = [(row["split"], camera_label(row, context.layout), row["frame"], row["psnr_box"], row["ssim_box"]) for row in record["worst"]]
    meaning = [(name.replace("_box", "in box"), text) for name, text in record["definitions"].items()]
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
        page.table(("split", "camera", "frame", "PSNR in box, dB", "SSIM in box"), worst),
        page.heading("Glossary"),
        page.table(("term", "meaning"), meaning),
    ]
    return "".join(parts)


def pair(context: Context, row: dict[str, Any]) -> tuple[list[np.ndarray], str]:
    """Ground truth and render (uint8) and their difference of an image of metrics.json, cut to the subject; and its PSNR as text."""
    camera, frame, novel = row["camera"], row["frame"], row["camera"] in novel_cameras(context.files)
    target = (NovelTargets if novel else CameraTargets)(context.files, camera).read(frame)
    image = rendered_over_white(PackedImages(context.renders / f"{camera}.zip").read(frame), target.visible, novel)
    truth, alpha = (fitted(part, image.shape) for part in (target.image, target.alpha))
    window = image_tools.around(alpha)
    truth, image = truth[window], image[window]
    box = "" if row["psnr_box"] is None else f", {row['psnr_box']:.2f} dB in the bounding box"
    return [image_tools.to_bytes(truth), image_tools.to_bytes(image), error_map(image, truth)], box


def _compared(context: Context, name: str, row: dict[str, Any]) -> str:
    shown, box = pair(context, row)
    width = min(shown[0].shape[1], context.settings.image_width)
    return page.group([photo(context, image, "") for image in shown], f"{name}: {row['camera']}, {row['frame']}{box}", len(shown) * width + GROUP_EDGE)


def by_split(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found = {split: [row for row in rows if row["split"] == split] for split in SPLIT_TITLES}
    return {split: chosen for split, chosen in found.items() if chosen and split != "train"}


def _row(name: str, figures: dict[str, Any]) -> tuple[Any, ...]:
    return (name, *(figures.get(key) for key in FIGURES), figures["images"])
