"""Quality over training time of whole recipes: `python -m tests.bench.recipes gaussian_avatars standard --device cuda [--quick] [--json FILE]`.

The synthetic head of `tests.bench.head` from 16 cameras at 550x802: 15 cameras and the first sequence train; two cameras (one of them the novel one) and the second
sequence are held out. Each preset trains from its own initialisation to its end. PSNR over white in the subject's box, of images evenly spread; the time that
measuring takes is not counted, that of compiling kernels is (run twice for a warm cache).

The noise of the tracked parameters moves the face by 1.1 mm (RMS), as the part of our fit's error that changes over time does on such a capture (1.2 mm).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.avatars.registry import method_of
from pipeline.avatars.render import render_views
from pipeline.avatars.rigged.avatar import RiggedAvatar
from pipeline.avatars.rigged.initialise import initial_splats
from pipeline.avatars.rigged.posed_body import PosedBody
from pipeline.capture.processed import ImageSet
from pipeline.evaluation.metrics import alpha_box, psnr
from pipeline.geometry.spread import spread
from pipeline.io.files import write_json
from pipeline.io.packed import encode_png
from pipeline.training.images import Source, TrainingImages
from pipeline.training.results import save_avatar
from pipeline.training.trainer import Trainer
from tests.bench.head import bench_settings, make_head
from tests.bench.machine import machine

SEQUENCES = ("take", "other")
NOISE = 0.5
MEMORY_MB = 20_000  # for images: all of them fit
FRAMES = 8  # measured of each split
MEASURED = 24  # times in a training
Truth = dict[tuple[str, str], np.ndarray]  # (camera, frame) -> RGBA


def make_trainer(images: ImageSet, fit: Path, cameras: Sequence[str], preset: Mapping[str, Any], device: torch.device, threads: int) -> Trainer:
    """A training with the settings of a preset, from its initialisation on. Frames of the second sequence are tracked only."""
    torch.set_num_threads(threads)
    method, body = method_of("rigged"), PosedBody.from_fit(fit)
    frames = tuple(name for name in body.frames if name.startswith(SEQUENCES[0]))
    arrays = initial_splats(body, images, cameras, frames, method.settings["init"](**preset.get("init", {})))
    settings = method.settings["train"](**preset.get("train", {})).for_images(len(frames) * len(cameras))
    avatar = RiggedAvatar(body.to(device), "head", settings)
    avatar.initialise(arrays)
    torch.manual_seed(settings.seed)
    return Trainer(avatar, TrainingImages([Source(images, cameras, frames, body.frames)], memory_mb=MEMORY_MB, device=device), settings)


def truths(images: ImageSet, cameras: Sequence[str], held_out: Sequence[str]) -> dict[str, Truth]:
    """The images to compare with: of held-out cameras at training frames, and of a few cameras at frames of the held-out sequence."""
    ids = {name: [frame.id for frame in images.frames if frame.sequence == name] for name in SEQUENCES}
    few = {name: [names[i] for i in spread(len(names), FRAMES)] for name, names in ids.items()}
    splits = {"held-out cameras": (held_out, few[SEQUENCES[0]]), "held-out sequence": (cameras[:: max(len(cameras) // 4, 1)], few[SEQUENCES[1]])}
    return {split: {(name, frame): images.open(name).read(frame) for name in names for frame in frames} for split, (names, frames) in splits.items()}


def measure(trainer: Trainer, images: ImageSet, truth: Truth) -> float:
    """Mean PSNR in dB over white, in the subject's box."""
    avatar, values = trainer.avatar, []
    index = next(iter(avatar.subjects.values()))
    avatar.eval()
    for (name, frame), rgba in truth.items():
        colour, alpha = rgba[..., :3] / 255, rgba[..., 3:] / 255
        (drawn,) = render_views(avatar, index.index(frame), [images.by_name[name]], trainer.images.device)
        box = alpha_box(alpha[..., 0]) or (slice(None), slice(None))
        values.append(psnr(drawn[..., :3][box] / 255, (colour * alpha + 1 - alpha)[box]))
    avatar.train()
    return float(np.mean(values))


def train(trainer: Trainer, images: ImageSet, splits: Mapping[str, Truth]) -> list[dict[str, float]]:
    """Train to the end; step, seconds, splats and PSNR of each split on the way, closer together at the beginning."""
    curve, seconds, total = [], 0.0, trainer.settings.iterations
    for goal in np.unique(np.geomspace(min(500, total), total, MEASURED).round().astype(int)):
        start = time.perf_counter()
        while trainer.done < goal:
            trainer.step()
        trainer.settle()
        if trainer.images.device.type == "cuda":
            torch.cuda.synchronize()
        seconds += time.perf_counter() - start
        measured = {split: round(measure(trainer, images, truth), 3) for split, truth in splits.items()}
        curve.append({"step": trainer.done, "seconds": round(seconds, 2), "splats": trainer.avatar.splat_count, **measured})
        print(json.dumps(curve[-1]), flush=True)
    return curve


def reached(curves: Mapping[str, list[dict[str, float]]], of: str) -> dict[str, dict[str, float | None]]:
    """Seconds after which each recipe has the final PSNR of recipe `of`, and how much higher it ends, by split."""
    final = curves[of][-1]
    splits = [name for name in final if name not in ("step", "seconds", "splats")]
    return {
        f"{recipe}, {split}": {
            "seconds": next((point["seconds"] for point in curve if point[split] >= final[split]), None),
            "higher_by_db": round(curve[-1][split] - final[split], 3),
        }
        for recipe, curve in curves.items()
        for split in splits
    }


def plot(curves: Mapping[str, list[dict[str, float]]], path: Path) -> None:
    """Both splits of all recipes over seconds, as a PNG."""
    from matplotlib.figure import Figure

    splits = [name for name in next(iter(curves.values()))[0] if name not in ("step", "seconds", "splats")]
    figure = Figure(figsize=(5.5 * len(splits), 4.2), layout="constrained")
    for axes, split in zip(figure.subplots(1, len(splits), squeeze=False)[0], splits):
        for recipe, curve in curves.items():
            axes.plot([point["seconds"] for point in curve], [point[split] for point in curve], marker=".", label=recipe)
        axes.set(xscale="log", xlabel="seconds of training", ylabel="PSNR in the subject's box, dB", title=split)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small", loc="lower right")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("presets", nargs="*", help="none: plot what --json holds")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="a small head, few steps")
    parser.add_argument("--folder", type=Path, default=Path("work/recipes"), help="where the synthetic head is kept")
    parser.add_argument("--frames", type=int, default=60, help="of each sequence")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of train, for all presets")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not options.presets:
        plot(json.loads(options.json.read_text())["curves"], options.json.with_suffix(".png"))
        return
    device, scene = torch.device(options.device), replace(bench_settings(options.quick), sequences=SEQUENCES)
    scene = scene if options.quick else replace(scene, frames=options.frames)
    images, fit, cameras, held_out = make_head(options.folder, scene, options.threads, NOISE)
    splits, curves = truths(images, cameras, held_out), {}
    changes = {key: json.loads(value) for key, _, value in (text.partition("=") for text in options.set)}
    for name in options.presets:
        preset = method_of("rigged").preset(name)
        preset = {**preset, "train": {**preset.get("train", {}), **changes}}
        print(name, json.dumps(preset), flush=True)
        trainer = make_trainer(images, fit, cameras, preset, device, options.threads)
        curves[name] = train(trainer, images, splits)
        if options.json:
            save_avatar(trainer, "rigged", options.json.with_name(f"{options.json.stem}_{name}.npz"))
            views = [images.by_name[camera] for camera in held_out]
            trainer.avatar.eval()
            drawn = np.concatenate([image[..., :3] for image in render_views(trainer.avatar, 0, views, device)], axis=1)
            options.json.with_name(f"{options.json.stem}_{name}.png").write_bytes(encode_png(drawn))
    record = {"machine": machine(device), "curves": curves, "reached": reached(curves, options.presets[0])}
    print(json.dumps(record["reached"], indent=1), flush=True)
    if options.json:
        write_json(options.json, record)


if __name__ == "__main__":
    main()
