"""How long training takes to a quality: `python -m tests.bench.train --device cuda [--quick] [--json FILE] [--folder DIR]`.

The synthetic head of `tests.bench.head`: 16 cameras at 550x802, 100 instants, the tracked body the truth with noise. The same schedule is run with steps captured
and, with --peers, launched one by one. PSNR over white on held-out cameras; the time that measuring it takes is not counted.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import statistics
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from pipeline.avatars.render import render_views
from pipeline.avatars.rigged.avatar import RiggedAvatar
from pipeline.avatars.rigged.initialise import initial_splats
from pipeline.avatars.rigged.posed_body import PosedBody
from pipeline.avatars.rigged.settings import InitSettings, RiggedTrainSettings
from pipeline.capture.camera import Camera
from pipeline.capture.processed import ImageSet
from pipeline.geometry.spread import spread
from pipeline.io.packed import encode_png
from pipeline.splat.rasterise import rasterise
from pipeline.splat.splats import Views
from pipeline.training.images import Source, TrainingImages
from pipeline.training.trainer import Trainer
from tests.bench import gsplat_peer
from tests.bench.head import bench_settings, make_head
from tests.bench.machine import machine
from tests.bench.step import plain_torch

MEMORY_MB = 8000  # for images: all of them fit
LEVELS = (30.0, 32.0, 34.0)


def schedule(quick: bool) -> RiggedTrainSettings:
    """12,000 steps to 100,000 splats."""
    whole = RiggedTrainSettings(
        iterations=12000, sh_degree=3, sh_every=1000, densify_from=500, densify_until=7000, densify_every=500, max_splats=100_000, log_every=100, lr_end=0.02,
        densify_gradient=2e-6,
    )  # fmt: skip
    return replace(whole, iterations=60, densify_from=20, densify_every=20, densify_until=40, log_every=10) if quick else whole


def quarter(settings: RiggedTrainSettings) -> RiggedTrainSettings:
    """The same with a quarter of the steps."""
    return replace(settings, **{name: getattr(settings, name) // 4 for name in ("iterations", "sh_every", "densify_from", "densify_until", "densify_every")})


def prepare(images: ImageSet, fit: Path, cameras: list[str], settings: RiggedTrainSettings, device: torch.device, splats: int) -> Trainer:
    """A training from its initialisation on."""
    body = PosedBody.from_fit(fit)
    arrays = initial_splats(body, images, cameras, body.frames, InitSettings(splats=splats))
    avatar = RiggedAvatar(body.to(device), "head", settings)
    avatar.initialise(arrays)
    data = TrainingImages([Source(images, cameras, body.frames, body.frames)], memory_mb=MEMORY_MB, device=device)
    return Trainer(avatar, data, settings)


def held_out_psnr(trainer: Trainer, truth: dict, cameras: list[Camera]) -> float:
    """Mean PSNR in dB over white; truth: uint8 [H, W, 3] by camera name and frame number."""
    values = []
    trainer.avatar.eval()
    for frame in sorted({frame for _, frame in truth}):
        for camera, image in zip(cameras, render_views(trainer.avatar, frame, cameras, trainer.images.device)):
            error = np.square((image[..., :3].astype(np.float32) - truth[camera.name, frame]) / 255).mean()
            values.append(-10 * np.log10(max(error, 1e-10)))
    trainer.avatar.train()
    return float(np.mean(values))


def true_images(images: ImageSet, cameras: list[str], count: int = 10) -> dict:
    """Images over white of some frames, evenly spread."""
    numbers = spread(len(images.frames), count)
    over = {}
    for name in cameras:
        archive = images.open(name)
        for i in numbers:
            rgba = archive.read(images.frames[i].id).astype(np.float32)
            alpha = rgba[..., 3:] / 255
            over[name, int(i)] = rgba[..., :3] * alpha + 255 * (1 - alpha)
    return over


def run(trainer: Trainer, truth: dict, cameras: list[Camera], every: int) -> dict:
    """Train to the end; wall seconds to each level, of all, and the PSNR on the way."""
    seconds, curve, device, events = 0.0, [], trainer.images.device, timed_density(trainer)
    while trainer.done < trainer.settings.iterations:
        start, goal = time.perf_counter(), min(trainer.done + every, trainer.settings.iterations)
        while trainer.done < goal:
            trainer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds += time.perf_counter() - start
        curve.append((trainer.done, round(seconds, 2), round(held_out_psnr(trainer, truth, cameras), 2), trainer.avatar.splat_count))
    reached = {f"{level:.0f} dB": next((at for _, at, psnr, _ in curve if psnr >= level), None) for level in LEVELS}
    density = {"events": len(events), "median_ms": round(statistics.median(events), 1) if events else None}
    return {"seconds": round(seconds, 2), "psnr": curve[-1][2], "splats": curve[-1][3], "seconds_to": reached, "density": density, "curve": curve}


def timed_density(trainer: Trainer) -> list[float]:
    """A list that fills with the milliseconds of each change of the splats: choosing, making the new tensors, carrying the optimiser along."""
    times, avatar, change = [], trainer.avatar, trainer.avatar.after_step

    def timed(step: int, *rest: object) -> None:
        if not avatar.restructures_after(step):
            return change(step, *rest)
        start = time.perf_counter()
        change(step, *rest)
        if trainer.images.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))

    avatar.after_step = timed
    return times


def drawing_memory(avatar: RiggedAvatar, camera: Camera) -> dict[str, float]:
    """Most GPU memory, in MB, that one view and its gradient take beside the splats: of this project's rasteriser, and of gsplat where it is installed."""
    with torch.no_grad():
        splats = avatar.pose(0).splats
    leaves = replace(splats, **{name: getattr(splats, name).detach().requires_grad_() for name in ("means", "quats", "log_scales", "opacities", "sh")})
    views, white = Views.from_cameras([camera], "cuda"), torch.ones(3, device="cuda")
    drawers = {"ours": lambda: rasterise(leaves, views, white).image}
    if gsplat_peer.available():
        drawers["gsplat"] = gsplat_peer.drawer(splats, views, white)[0]
    used = {}
    for name, draw in drawers.items():
        for _ in range(3):  # the first calls find out how much they need
            torch.cuda.synchronize()
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            draw().square().mean().backward()
            used[name] = round((torch.cuda.max_memory_allocated() - before) / 2**20, 1)
    return used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="a small head, few steps")
    parser.add_argument("--peers", action="store_true", help="also a schedule of a quarter: captured, eager, and in plain torch operations")
    parser.add_argument("--folder", type=Path, default=Path("work/bench"), help="where the synthetic head is kept")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    device, settings = torch.device(arguments.device), schedule(arguments.quick)
    start = time.perf_counter()
    images, fit, cameras, held_out = make_head(arguments.folder, bench_settings(arguments.quick), arguments.threads)
    print(f"head made in {time.perf_counter() - start:.0f} s", flush=True)
    viewers, truth = [images.by_name[name] for name in held_out], true_images(images, held_out)
    splats, every = (6000, 20) if arguments.quick else (30_000, 250)
    result = {"machine": machine(device), "settings": asdict(settings)}
    variants = {"first run, kernels compiled in it": (settings, contextlib.nullcontext), "again": (settings, contextlib.nullcontext)}
    if arguments.peers:
        short = quarter(settings)
        eager = replace(short, graph=False)
        variants |= {"a quarter, captured": (short, contextlib.nullcontext), "a quarter, eager": (eager, contextlib.nullcontext)}
        variants |= {"a quarter, plain torch": (eager, plain_torch)}
    for name, (variant, patched) in variants.items():
        trainer = None
        gc.collect()  # the timing of density control ties a training to itself
        with patched():
            trainer = prepare(images, fit, cameras, variant, device, splats)
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            result[name] = run(trainer, truth, viewers, every)
        if device.type == "cuda":
            result[name]["peak_gpu_mb"] = torch.cuda.max_memory_allocated() // 2**20
        print(name, json.dumps({key: value for key, value in result[name].items() if key != "curve"}), flush=True)
        print(
            "  "
            + "  ".join(f"{step}: {psnr} dB, {at} s, {count}" for step, at, psnr, count in result[name]["curve"][:: max(len(result[name]["curve"]) // 12, 1)]),
            flush=True,
        )
        if name == "again":
            if arguments.json:
                image = np.concatenate([render_views(trainer.avatar, 0, [camera], device)[0][..., :3] for camera in viewers], axis=1)
                arguments.json.with_suffix(".png").write_bytes(encode_png(image))
            if device.type == "cuda":
                result["memory of a view, forward + backward, MB"] = drawing_memory(trainer.avatar, viewers[0])
                print(result["memory of a view, forward + backward, MB"], flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
