"""Evaluation of a capture: pairs of render and truth, and mean metrics over images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from pipeline.capture.processed import read_image_set
from pipeline.contract.layout import Layout
from pipeline.evaluation.metrics import compare
from pipeline.evaluation.truth import CameraTargets, NovelTargets, novel_cameras
from pipeline.io.errors import InputError
from pipeline.io.files import read_json
from pipeline.io.packed import PackedImages
from pipeline.io.parallel import map_processes
from pipeline.report.settings import EvaluateSettings

SPLITS = {
    "train": "training cameras at training frames, as many as were rendered",
    "val": "validation cameras (kept out of tracking, colours and training) at training frames",
    "test": "all cameras at test frames (tracked, never trained on)",
    "novel": "cameras of the synthetic ground truth that the pipeline never saw, at training frames",
}
DEFINITIONS = {
    **SPLITS,
    "image": "render and truth over white; metrics are means over images",
    "psnr": "dB, -10 log10 of the mean squared error over pixels and channels together; at most 100",
    "ssim": "Gaussian window of 11 pixels, sigma 1.5, whole windows only, mean over channels",
    "l1": "mean absolute difference, colours 0 to 1",
    "_box": "on the bounding box of the truth's alpha above 0.5; images without alpha do not count",
}
Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """Images of one camera to compare. splits: frame id -> split."""

    camera: str
    novel: bool
    splits: dict[str, str]


def plan_jobs(layout: Layout) -> list[Job]:
    """One job per rendered camera. Raises InputError where frames, sample or renders cannot be read."""
    remedy = f"./c2a run {layout.results.name} --from sample"
    sample = read_json(layout.sample, remedy=remedy)
    split_of = {frame["id"]: frame["split"] for frame in sample["frames"]}
    jobs = []
    for camera in [c.name for c in read_image_set(layout.frames_json, layout.frames).cameras] + novel_cameras(layout):
        novel, path = camera not in sample["cameras"], layout.render / f"{camera}.zip"
        if not path.is_file():
            continue
        rendered = set(PackedImages(path).names())
        splits = {frame: _split(frame_split, "novel" if novel else sample["cameras"][camera]) for frame, frame_split in split_of.items() if frame in rendered}
        jobs.append(Job(camera, novel, {frame: split for frame, split in splits.items() if split}))
    if not any(job.splits for job in jobs):
        raise InputError(
            "no render belongs to a sampled frame",
            file=layout.render,
            expected="zips named as the cameras, images named as the frames",
            remedy=remedy.replace("sample", "render"),
        )
    return jobs


def evaluate_camera(layout: Layout, job: Job, settings: EvaluateSettings) -> list[Row]:
    """Metrics of every image of one camera: rows with split, camera, frame, those of `metrics.compare`, and lpips with weights."""
    targets = NovelTargets(layout, job.camera) if job.novel else CameraTargets(layout, job.camera)
    renders, rows = PackedImages(layout.render / f"{job.camera}.zip"), []
    perceptual = load_lpips(settings)
    for frame, split in job.splits.items():
        target = targets.read(frame)
        image = rendered_over_white(renders.read(frame), target.visible, job.novel)
        truth, alpha = (fitted(picture, image.shape) for picture in (target.image, target.alpha))
        row: Row = {"split": split, "camera": job.camera, "frame": frame, **compare(image, truth, alpha)}
        if perceptual:
            row["lpips"] = perceptual.distance(image, truth)
        rows.append({name: round(value, 5) if isinstance(value, float) else value for name, value in row.items()})
    return rows


def evaluate(layout: Layout, settings: EvaluateSettings, workers: int) -> dict[str, Any]:
    """The part of metrics.json that is computed from images."""
    perceptual = load_lpips(settings)  # fails before any work if the weights are unreadable
    jobs = plan_jobs(layout)
    rows = [row for part in map_processes(evaluate_camera, [(layout, job, settings) for job in jobs], workers, "evaluate") for row in part]
    cameras = {split: sorted({row["camera"] for row in rows if row["split"] == split}) for split in SPLITS}
    return {
        **{split: mean_figures(row for row in rows if row["split"] == split) for split in SPLITS},
        "missing": {split: _why_missing(split) for split in SPLITS if not cameras[split]},
        "lpips": perceptual.name if perceptual else None,
        "lpips_reason": "" if perceptual else "no weights: evaluate.lpips_backbone and evaluate.lpips_linear in config.yaml are empty",
        "per_camera": {
            split: {name: mean_figures(row for row in rows if (row["split"], row["camera"]) == (split, name)) for name in names}
            for split, names in cameras.items()
            if names
        },
        "worst": sorted((row for row in rows if row["split"] != "train"), key=_badness)[: settings.worst],
        "images": rows,
        "definitions": DEFINITIONS,
    }


def mean_figures(rows: Iterable[Row]) -> dict[str, Any] | None:
    """Mean of every metric over the rows that have it, and the number of images; None without rows."""
    rows = list(rows)
    if not rows:
        return None
    names = [name for name in rows[0] if name not in ("split", "camera", "frame")]
    columns = {name: [row[name] for row in rows if row[name] is not None] for name in names}
    return {**{name: round(float(np.mean(values)), 5) if values else None for name, values in columns.items()}, "images": len(rows)}


def load_lpips(settings: EvaluateSettings):  # noqa: ANN201  (Lpips or None; importing its name would import torch)
    """The perceptual distance, or None without weights. Raises InputError where only one of the two files is set or one is invalid."""
    if bool(settings.lpips_backbone) != bool(settings.lpips_linear):
        raise InputError(
            "LPIPS needs two files", found=settings, expected="both evaluate.lpips_backbone and evaluate.lpips_linear, or neither", remedy="correct config.yaml"
        )
    if not settings.lpips_backbone:
        return None
    from pipeline.evaluation.lpips import Lpips

    return Lpips(settings.lpips_backbone, settings.lpips_linear)


def rendered_over_white(render: np.ndarray, visible: np.ndarray, novel: bool = False) -> np.ndarray:
    """A stored render (uint8 RGBA, RGB already over white) as float32 [H, W, 3], white in padding."""
    image = render[..., :3].astype(np.float32) / 255
    return image if novel else np.where(visible[..., None], image, np.float32(1))


def fitted(picture: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The truth at the render's size; the truth of novel cameras has the raw size."""
    if picture.shape[:2] == shape[:2]:
        return picture
    return cv2.resize(picture, shape[1::-1], interpolation=cv2.INTER_AREA)


def _split(frame: str, camera: str) -> str:
    if camera == "novel":
        return "novel" if frame == "train" else ""
    return "test" if frame == "test" else camera


def _why_missing(split: str) -> str:
    return f"no render of {SPLITS[split]}"


def _badness(row: Row) -> tuple[float, str, str]:
    return (row["psnr"] if row["psnr_box"] is None else row["psnr_box"], row["camera"], row["frame"])
