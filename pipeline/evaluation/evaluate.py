"""Evaluation of an avatar: pairs of render and truth, and mean metrics over images."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.capture.processed import read_image_set
from pipeline.contract.layout import Layout, Subject
from pipeline.evaluation.metrics import compare
from pipeline.evaluation.settings import EvaluateSettings
from pipeline.evaluation.truth import CameraTargets, NovelTargets, novel_cameras, truth_folder
from pipeline.io.errors import InputError
from pipeline.io.files import read_json
from pipeline.io.packed import PackedImages
from pipeline.io.parallel import map_processes

SPLITS = {
    "train": "training cameras at training frames, as many as were rendered",
    "val": "held-out cameras (kept out of tracking, colours and training) at training frames",
    "test": "all cameras at test frames (tracked, never trained on)",
    "novel": "cameras of the synthetic ground truth that the pipeline never saw, at training frames",
}
DEFINITIONS = {
    **SPLITS,
    "image": "render and ground truth over white; metrics are means over images",
    "psnr": "dB, -10 log10 of the mean squared error over pixels and channels together; at most 100",
    "ssim": "Gaussian window of 11 pixels, sigma 1.5, whole windows only, mean over channels",
    "l1": "mean absolute difference, colours 0 to 1",
    "_box": "in the bounding box of the ground truth's alpha above 0.5; images without alpha do not count",
}
Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """Images of one camera to compare.

    Attributes:
        renders: zip of the camera's renders.
        splits: frame id -> split.
    """

    subject: Subject
    camera: str
    novel: bool
    renders: Path
    splits: dict[str, str]


def plan_jobs(layout: Layout) -> list[Job]:
    """One job per rendered camera of every subject. Raises InputError where frames, sample or renders cannot be read."""
    return [job for subject in layout.subjects for job in _plan_subject(subject, layout.renders(subject.name), layout.results.name)]


def _plan_subject(subject: Subject, renders: Path, name: str) -> list[Job]:
    sample = read_json(subject.layout.sample, remedy=f"./c2a run {subject.name} --from sample")
    split_of = {frame["id"]: frame["split"] for frame in sample["frames"]}
    cameras = [camera.name for camera in read_image_set(subject.layout.frames_json, subject.layout.frames).cameras]
    jobs = []
    for camera in cameras + novel_cameras(subject.layout):
        novel, path = camera not in sample["cameras"], renders / f"{camera}.zip"
        if not path.is_file():
            continue
        rendered = set(PackedImages(path).names())
        splits = {frame: _split(frame_split, "novel" if novel else sample["cameras"][camera]) for frame, frame_split in split_of.items() if frame in rendered}
        jobs.append(Job(subject, camera, novel, path, {frame: split for frame, split in splits.items() if split}))
    if not any(job.splits for job in jobs):
        raise InputError(
            "no render belongs to a sampled frame",
            file=renders,
            expected="zips named as the cameras, images named as the frames",
            remedy=f"./c2a run {name} --from render",
        )
    return jobs


def evaluate_camera(job: Job, settings: EvaluateSettings) -> list[Row]:
    """Metrics of every image of one camera: rows with subject, split, camera, frame, those of `metrics.compare`, and lpips with weights."""
    targets = NovelTargets(job.subject.layout, job.camera) if job.novel else CameraTargets(job.subject.layout, job.camera)
    renders, rows = PackedImages(job.renders), []
    perceptual = load_lpips(settings)
    for frame, split in job.splits.items():
        target = targets.read(frame)
        image = rendered_over_white(renders.read(frame), target.visible, job.novel)
        truth, alpha = (fitted(part, image.shape) for part in (target.image, target.alpha))
        row: Row = {"subject": job.subject.name, "split": split, "camera": job.camera, "frame": frame, **compare(image, truth, alpha)}
        if perceptual:
            row["lpips"] = perceptual.distance(image, truth)
        rows.append({name: round(value, 5) if isinstance(value, float) else value for name, value in row.items()})
    return rows


def evaluate(layout: Layout, settings: EvaluateSettings, workers: int) -> dict[str, Any]:
    """The part of metrics.json that is computed from images."""
    perceptual = load_lpips(settings)  # fails before any work if the weights are unreadable
    jobs = plan_jobs(layout)
    rows = [row for part in map_processes(evaluate_camera, [(job, settings) for job in jobs], workers, "cameras") for row in part]
    splits = {split: [row for row in rows if row["split"] == split] for split in SPLITS}
    return {
        **{split: mean_figures(chosen) for split, chosen in splits.items()},
        "missing": {split: _why_missing(split) for split, chosen in splits.items() if not chosen},
        "lpips": perceptual.name if perceptual else None,
        "lpips_reason": "" if perceptual else "no weights: evaluate.lpips_backbone and evaluate.lpips_linear in config.yaml are empty",
        "per_subject": {split: _means_by(chosen, lambda row: row["subject"]) for split, chosen in splits.items() if chosen},
        "per_camera": {split: _means_by(chosen, lambda row: camera_label(row, layout)) for split, chosen in splits.items() if chosen},
        "worst": sorted((row for row in rows if row["split"] != "train"), key=_badness)[: settings.worst],
        "images": rows,
        "definitions": DEFINITIONS,
    }


def camera_label(row: Row, layout: Layout) -> str:
    """The camera of a row; of a group with the name of the capture, whose cameras may have the same names."""
    return f"{row['subject']}: {row['camera']}" if layout.group else row["camera"]


def alpha_source(layout: Layout) -> str:
    """Where alpha comes from: the ground "truth" of synthetic captures, the "matte" of real ones, or "both" in a group that has both kinds."""
    sources = {"truth" if truth_folder(subject.layout) else "matte" for subject in layout.subjects}
    return sources.pop() if len(sources) == 1 else "both"


def _means_by(rows: list[Row], label: Callable[[Row], str]) -> dict[str, Any]:
    labels = sorted({label(row) for row in rows})
    return {name: mean_figures(row for row in rows if label(row) == name) for name in labels}


def mean_figures(rows: Iterable[Row]) -> dict[str, Any] | None:
    """Mean of every metric over the rows that have it, and the number of images; None without rows."""
    rows = list(rows)
    if not rows:
        return None
    names = [name for name in rows[0] if name not in ("subject", "split", "camera", "frame")]
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


def fitted(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The truth at the render's size; the truth of novel cameras has the raw size."""
    if image.shape[:2] == shape[:2]:
        return image
    return cv2.resize(image, shape[1::-1], interpolation=cv2.INTER_AREA)


def _split(frame: str, camera: str) -> str:
    if camera == "novel":
        return "novel" if frame == "train" else ""
    return "test" if frame == "test" else camera


def _why_missing(split: str) -> str:
    return f"no render of {SPLITS[split]}"


def _badness(row: Row) -> tuple[float, str, str, str]:
    return (row["psnr"] if row["psnr_box"] is None else row["psnr_box"], row["subject"], row["camera"], row["frame"])
