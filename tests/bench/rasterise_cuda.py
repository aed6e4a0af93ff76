"""The CUDA half of `python -m tests.bench.rasterise`: forward + backward as called from Python, against gsplat where it is installed."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch

from pipeline.splat.rasterise import rasterise
from pipeline.splat.splats import Splats, Views
from tests.bench import gsplat_peer
from tests.bench.machine import machine
from tests.bench.scene import head, orbit


class CudaCase(NamedTuple):
    splats: int
    width: int
    height: int
    degree: int
    views: int = 1


CASES = [
    CudaCase(30_000, 550, 802, 0), CudaCase(100_000, 550, 802, 0), CudaCase(100_000, 1100, 1604, 0), CudaCase(300_000, 2048, 2048, 0),
    CudaCase(100_000, 550, 802, 3), CudaCase(100_000, 550, 802, 0, 16),
]  # fmt: skip
QUICK = [CASES[1], CASES[5]]


def wall_ms(step: Callable, calls: int = 20, repetitions: int = 9) -> float:
    """Median milliseconds of a call among calls that follow each other, each group ended by a synchronisation."""
    times = []
    for _ in range(repetitions):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(calls):
            step()
        torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start) / calls)
    return statistics.median(times)


def kernel_ms(step: Callable, calls: int = 10) -> tuple[float, dict[str, float]]:
    """Milliseconds of all kernels of one call, and by kernel."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        for _ in range(calls):
            step()
        torch.cuda.synchronize()
    by_name = {event.key: event.self_device_time_total / 1000 / calls for event in profiler.key_averages() if event.self_device_time_total > 0}
    return sum(by_name.values()), dict(sorted(by_name.items(), key=lambda item: -item[1]))


def graph_ms(step: Callable, replays: int = 30) -> float:
    """Median milliseconds of one replay of the call captured as a CUDA graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    times = []
    for _ in range(replays + 3):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times[3:])


def our_step(splats: Splats, views: Views, background: torch.Tensor, gradient: torch.Tensor) -> Callable:
    leaves = [getattr(splats, name).detach().clone().requires_grad_() for name in ("means", "quats", "log_scales", "opacities", "sh")]

    def step() -> None:
        image = rasterise(Splats(*leaves), views, background).image
        torch.autograd.grad(image, leaves, gradient)

    return step


def their_step(splats: Splats, views: Views, background: torch.Tensor, gradient: torch.Tensor, *, one_by_one: bool = False, packed: bool = False) -> Callable:
    parts = [Views(views.K[i : i + 1], views.R[i : i + 1], views.t[i : i + 1], views.width, views.height) for i in range(len(views))] if one_by_one else [views]
    drawers = [gsplat_peer.drawer(splats, part, background, packed) for part in parts]

    def step() -> None:
        for i, (draw, leaves) in enumerate(drawers):
            torch.autograd.grad(draw(), list(leaves.values()), gradient[i : i + 1] if one_by_one else gradient)

    return step


def measure(case: CudaCase, peer: bool, repetitions: int) -> dict:
    """One row: milliseconds per call of this project's rasteriser, and of gsplat's fastest way."""
    splats, views = head(case.splats, case.width, case.height, case.degree)
    views = orbit(views, case.views)
    splats = Splats(*(getattr(splats, name).cuda() for name in ("means", "quats", "log_scales", "opacities", "sh")))
    views = Views(views.K.cuda(), views.R.cuda(), views.t.cuda(), views.width, views.height)
    background, gradient = torch.ones(3, device="cuda"), torch.randn(case.views, case.height, case.width, 3, device="cuda")

    def timed(step: Callable) -> tuple[float, float, dict]:
        for _ in range(5):
            step()
        wall = wall_ms(step, repetitions=repetitions)
        return wall, *kernel_ms(step)

    step = our_step(splats, views, background, gradient)
    wall, gpu, kernels = timed(step)
    row = {**case._asdict(), "wall_ms": wall, "gpu_ms": gpu, "graph_ms": graph_ms(step), "kernels_ms": kernels}
    if peer:
        ways = {"": {}} if case.views == 1 else {"batch": {}, "packed batch": {"packed": True}, "one by one": {"one_by_one": True}}
        theirs = {name: timed(their_step(splats, views, background, gradient, **options)) for name, options in ways.items()}
        row |= {"gsplat_wall_ms": min(x[0] for x in theirs.values()), "gsplat_gpu_ms": min(x[1] for x in theirs.values())}
        row |= {"gsplat_ways": {name: {"wall_ms": x[0], "gpu_ms": x[1]} for name, x in theirs.items()}}
        row |= {"gsplat_kernels_ms": min(theirs.values(), key=lambda x: x[1])[2]}
    return row


def run(quick: bool) -> dict:
    """Print the table; returns it with the machine's description."""
    peer = gsplat_peer.available()
    facts = machine(torch.device("cuda"))
    print(json.dumps(facts) + ("" if peer else "; gsplat is not installed: no ratios"))
    print(f"{'splats, image':34} {'wall ms':>8} {'GPU ms':>8} {'graph':>8} {'gsplat wall':>12} {'GPU':>8} {'wall x':>8} {'GPU x':>8}")
    rows = []
    for case in QUICK if quick else CASES:
        row = measure(case, peer, 5 if quick else 9)
        cells = f"{case.splats:>7} {case.width}x{case.height} SH {case.degree}, {case.views:>2} view{'s' if case.views > 1 else ' '}"
        print(f"{cells:34} {row['wall_ms']:8.3f} {row['gpu_ms']:8.3f} {row['graph_ms']:8.3f}", end="")
        if peer:
            print(
                f" {row['gsplat_wall_ms']:12.3f} {row['gsplat_gpu_ms']:8.3f} {row['wall_ms'] / row['gsplat_wall_ms']:8.2f} {row['gpu_ms'] / row['gsplat_gpu_ms']:8.2f}",
                end="",
            )
        print(flush=True)
        rows.append(row)
    return {"machine": facts, "rows": rows}
