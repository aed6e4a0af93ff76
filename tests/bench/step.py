"""What a step of rigged training costs: `python -m tests.bench.step --device cuda [--quick] [--json FILE]`.

A body of FLAME's size (5,143 vertices, 400 shape directions, 5 joints), SH of degree 3, L1 + SSIM, one view. "captured" is the step as training runs it, "eager"
the same kernels launched one by one, "plain torch" the same step with posing, binding, loss, regularisers and Adam in torch's own operations, as published
systems write it (the rasteriser stays ours). Milliseconds are medians over rounds of steps; on a GPU also the sum of its kernels' times.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import torch

from pipeline.avatars.rigged.avatar import RiggedAvatar
from pipeline.avatars.rigged.settings import RiggedTrainSettings
from pipeline.machine.backend import KERNELS, use_backend
from pipeline.splat.splats import Views
from pipeline.training.images import Source, TrainingImages
from pipeline.training.trainer import Trainer
from tests.bench import flame_size
from tests.bench.machine import machine

CASES = [(30_000, 550, 802), (100_000, 550, 802)]
QUICK = [(10_000, 256, 374)]


def settings(graph: bool) -> RiggedTrainSettings:
    """All splats from the start, colours of full degree, no density control and no reading of losses while the clock runs. Rates are next to nothing, since
    random images would teach the splats to be noise: every operation is done, and the scene stays what it is."""
    rates = {field.name: 1e-12 for field in fields(RiggedTrainSettings) if field.name.startswith("lr_") and field.name != "lr_end"}
    still = {"densify_from": 10**6, "densify_until": 0, "lambda_alpha": 0.0, "log_every": 10**6}
    return RiggedTrainSettings(iterations=10**6, sh_degree=3, sh_every=0, graph=graph, **still, **rates)


def new_trainer(folder: Path, splats: int, width: int, height: int, device: torch.device, graph: bool) -> Trainer:
    """A training on random images, ready to step."""
    images, options = flame_size.images(folder, width, height), settings(graph)
    source = Source(images, [camera.name for camera in images.cameras], flame_size.ids(), flame_size.ids())
    return Trainer(flame_size.avatar(splats, options, device), TrainingImages([source], memory_mb=1000, device=device), options)


@contextlib.contextmanager
def plain_torch() -> Iterator[None]:
    """PyTorch's own operations in place of our kernels around the rasteriser."""
    tf32, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False  # SSIM's variances cancel: TF32 would cost quality
    with use_backend("reference", set(KERNELS) - {"rasterise"}):
        yield
    torch.backends.cudnn.allow_tf32 = tf32


def milliseconds(run: Trainer, steps: int, rounds: int) -> float:
    """Wall time of a step: median over rounds."""
    for _ in range(5):
        run.step()
    times = []
    for _ in range(rounds):
        _wait(run.images.device)
        start = time.perf_counter()
        for _ in range(steps):
            run.step()
        _wait(run.images.device)
        times.append((time.perf_counter() - start) / steps * 1000)
    return statistics.median(times)


def kernel_milliseconds(run: Trainer, steps: int = 20) -> tuple[float, list[tuple[str, float]]]:
    """Sum of the GPU times of a step's kernels, and those that take most."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        for _ in range(steps):
            run.step()
        torch.cuda.synchronize()
    spent = [(event.key, event.self_device_time_total / steps / 1000) for event in profile.key_averages()]
    return sum(time for _, time in spent), sorted(spent, key=lambda pair: -pair[1])[:26]


def frames_per_second(avatar: RiggedAvatar, width: int, height: int, device: torch.device, count: int = 300) -> dict[str, float]:
    """Posing and drawing one frame after the other: called from Python, and as one CUDA graph that reads its frame number on the device."""
    focal = height / 0.30
    K = torch.tensor([[[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]], device=device)
    views = Views(K, torch.eye(3, device=device)[None], torch.tensor([[0.0, 0.0, 1.0]], device=device), width, height)
    frame = torch.zeros((), dtype=torch.int64, device=device)
    avatar.eval()

    def draw() -> torch.Tensor:
        return avatar.draw(avatar.pose(frame), views).image

    rates = {}
    with torch.no_grad():
        for name, function in {"called": draw, "captured": _captured(draw)}.items() if device.type == "cuda" else {"called": draw}.items():
            for _ in range(5):
                function()
            _wait(device)
            start = time.perf_counter()
            for i in range(count):
                frame.fill_(i % flame_size.FRAMES)
                function()
            _wait(device)
            rates[name] = round(count / (time.perf_counter() - start), 1)
    return rates


def _captured(draw):  # noqa: ANN001, ANN202
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream), torch.no_grad():
        for _ in range(3):
            draw()
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            draw()
    return graph.replay


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def measure(case: tuple[int, int, int], device: torch.device, steps: int, rounds: int) -> dict:
    """One row of the table."""
    row: dict = {"splats": case[0], "width": case[1], "height": case[2]}
    variants = {"captured": (True, contextlib.nullcontext), "eager": (False, contextlib.nullcontext), "plain_torch": (False, plain_torch)}
    if device.type != "cuda":
        variants = {"eager": variants["eager"]}
    for name, (graph, patched) in variants.items():
        with tempfile.TemporaryDirectory() as folder, patched():
            run = new_trainer(Path(folder), *case, device, graph)
            row[f"{name}_ms"] = round(milliseconds(run, steps if name == "captured" else max(steps // 5, 2), rounds), 3)
            if name == "captured":
                total, largest = kernel_milliseconds(run)
                row["frames_per_second"] = frames_per_second(run.avatar, case[1], case[2], device)
                row |= {"captured_gpu_ms": round(total, 3), "kernels": [f"{time:.3f} {kernel[:60]}" for kernel, time in largest]}
                row["gpu_busy"] = round(total / row["captured_ms"], 3)
    for name in ("eager", "plain_torch"):
        if "captured_ms" in row:
            row[f"{name}_over_captured"] = round(row[f"{name}_ms"] / row["captured_ms"], 1)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="one small case")
    parser.add_argument("--json", type=Path, help="also write the table here")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    steps = 200 if device.type == "cuda" else 3
    rows = [measure(case, device, steps, 5) for case in (QUICK if arguments.quick or device.type == "cpu" else CASES)]
    print(json.dumps(machine(device)))
    for row in rows:
        print("\n".join(f"{key:>24}  {value}" for key, value in row.items() if key != "kernels"))
        print("\n".join(f"{'':>26}{line}" for line in row.get("kernels", [])))
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine(device), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
