"""Sections of the report about how the avatar came to be: model fit, initialisation, training. Each returns markup."""

from __future__ import annotations

import itertools
from collections import deque
from pathlib import Path

import numpy as np

from pipeline.io.packed import read_image
from pipeline.io.video import decode
from pipeline.report import images as image_tools
from pipeline.report import page, plots
from pipeline.report.context import Context
from pipeline.report.records import read_log
from pipeline.report.sections_input import photo

_CURVES = {
    "loss": "Loss (sum of the terms)",
    "psnr": "PSNR, training images, dB",
    "val_psnr": "PSNR, held-out cameras (box), dB",
    "test_psnr": "PSNR, held-out frames (box), dB",
    "val_ssim": "SSIM, held-out cameras (box)",
    "test_ssim": "SSIM, held-out frames (box)",
    "splats": "Number of splats",
    "rate": "Speed, steps per second",
    "l1": "Loss term: L1 of the image",
    "dssim": "Loss term: 1 - SSIM of the image",
    "alpha": "Loss term: alpha against the matte",
}
"""Columns of train.csv that are shown first, and their titles."""


def fit(context: Context) -> str:
    """The mesh over the frames, the triangulated points, residuals per camera."""
    from pipeline.track.overlay import LONG_PX  # imports torch

    record, stills = context.fit, []
    videos = sorted(context.files.overlay.glob("*.mp4"))
    for i in image_tools.even_choice(len(videos), 8):
        stills.append(photo(context, _still(videos[i], context), context.label(videos[i].stem)))
    rows = [(context.label(str(name)), round(float(value), 2) if np.isfinite(value) else None) for name, value in zip(record["cameras"], record["residual_px"])]
    legend = f"Blue: the fitted model. Lines: from its landmarks to the detections they are fitted to, green up to {LONG_PX:g} px, red above."
    if overlap := context.manifests.get("fit", {}).get("facts", {}).get("overlap", {}).get("stored"):
        rows = [(context.label(str(name)), value) for name, value in overlap.items()]
        meaning = "The parameters came with the dataset. Overlap: of the model's silhouette with the matte, intersection over union, mean of a few frames."
        return page.strip(stills) + page.paragraph("Blue: the model.") + page.table(("camera", "overlap"), rows) + page.paragraph(meaning)
    residuals = page.table(("camera", "median residual, px"), rows)
    meaning = "Residual: distance in the image between the stable landmarks that a camera sees and their detections. Held-out cameras take no part in the fit."
    return page.strip(stills) + page.paragraph(legend) + _points(context) + residuals + page.paragraph(meaning)


def _points(context: Context) -> str:
    """The triangulated points of the middle frame."""
    middle = len(context.fit["points3d"]) // 2
    points, frame = context.fit["points3d"][middle], context.fit["frames"][middle]
    found, near = int(np.isfinite(points).all(-1).sum()), plots.within(points)
    if not found:
        return page.paragraph(f"No points were triangulated at frame {frame}.")
    far = found - int(near.sum())
    caption = f"{found} triangulated points at frame {frame}." + (f" {far} of them are outliers, and lie outside the plots." if far else "")
    return page.plot(plots.cloud(points[near], context.images.cameras), caption)


def init(context: Context) -> str:
    """The splats before training, from a few cameras."""
    from pipeline.report.untrained import render_untrained

    names = context.shown_cameras(4)
    images = render_untrained(context.layout, [context.images.by_name[name] for name in names], context.shown_frame, context.number)
    return page.strip(photo(context, image, context.label(name)) for name, image in zip(names, images))


def train(context: Context) -> str:
    """Every column of train.csv over the steps."""
    log = read_log(context.layout.train_log)
    steps = log.pop("step", np.arange(len(next(iter(log.values())))))
    names = [name for name in _CURVES if name in log] + [name for name in log if name not in (*_CURVES, "seconds")]
    shown = [(_CURVES.get(name, f"Loss term: {name.replace('_', ' ')}"), name, np.isfinite(log[name])) for name in names]
    series = [(title, steps[known], log[name][known]) for title, name, known in shown if known.any()]
    last = [f"loss {log['loss'][-1]:.4g}"] if "loss" in log else []
    last += [f"PSNR of the training images {log['psnr'][-1]:.1f} dB"] if "psnr" in log else []
    last += [f"{log['splats'][-1]:,.0f} splats"] if "splats" in log else []
    last += [f"{log['seconds'][-1]:,.0f} s of training"] if "seconds" in log else []
    meaning = "Losses and terms are means over the steps since the row before; PSNR is that of one step's images."
    curves = page.plot(plots.curves(series, "training step"), meaning) + page.paragraph(f"Final values: {', '.join(last)}.")
    kinds = (("[0-9]*.png", "A held-out camera"), ("test_*.png", "A held-out frame"))
    return curves + "".join(_strips(context, pattern, what) for pattern, what in kinds)


def _strips(context: Context, pattern: str, what: str) -> str:
    """Some of the images that were rendered during training."""
    strips = sorted(context.layout.validation.glob(pattern))
    if not strips:
        return ""
    chosen = [strips[i] for i in image_tools.even_choice(len(strips), 4)]
    width = 3 * context.settings.image_width
    steps = (f"step {int(path.stem.removeprefix('test_'))}" for path in chosen)
    figures = (page.figure(read_image(path), step, widest=width, quality=context.settings.jpeg_quality) for path, step in zip(chosen, steps))
    return page.heading(f"{what} during training: ground truth, render, difference") + page.strip(figures)


def _still(path: Path, context: Context) -> np.ndarray:
    """The shown frame of a video of the fitted frames, or its last frame if it is shorter."""
    frames = context.fit["frames"].tolist()
    wanted = frames.index(context.shown_frame) if context.shown_frame in frames else 0
    return deque(itertools.islice(decode(path), wanted + 1), maxlen=1)[0][1]
