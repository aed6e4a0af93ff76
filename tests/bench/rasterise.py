"""How long drawing, its gradient and the loss take: `python -m tests.bench.rasterise --device cpu|cuda [--quick] [--json FILE]`.

Splats lie on an ellipsoid of the size of a head that fills most of the image. Times are milliseconds, the best and the median of the repetitions:
the best is what the code costs, the median what it costs beside the machine's other work.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from pipeline.splat.rasterise import rasterise
from pipeline.training.image_loss import image_terms
from pipeline.training.target import Target
from tests.bench import sketch
from tests.bench.scene import head


class Case(NamedTuple):
    splats: int
    width: int
    height: int
    degree: int
    alpha: bool  # whether alpha has a gradient too


CASES = [Case(10_000, 256, 256, 0, False), Case(15_000, 256, 374, 3, True), Case(60_000, 550, 802, 0, False), Case(60_000, 550, 802, 3, True)]


def measure(case: Case, repetitions: int) -> dict[str, list[float]]:
    """Milliseconds of every repetition of forward, loss and backward, the first ones (compilation, caches) left out."""
    splats, views = head(case.splats, case.width, case.height, case.degree)
    for name in ("means", "quats", "log_scales", "opacities", "sh"):
        getattr(splats, name).requires_grad_()
    background, target = torch.ones(3), Target.of(torch.randint(0, 256, (1, case.height, case.width, 4), dtype=torch.uint8))
    gradient = [torch.randn(1, case.height, case.width, 3), torch.randn(1, case.height, case.width) if case.alpha else None]
    times: dict[str, list[float]] = {"forward": [], "backward": [], "loss": []}

    def timed(name: str, function: Callable) -> object:
        start = time.perf_counter()
        result = function()
        times[name].append(1000 * (time.perf_counter() - start))
        return result

    for _ in range(repetitions + 3):
        rendered = timed("forward", lambda: rasterise(splats, views, background))
        outputs = (rendered.image, rendered.alpha) if case.alpha else (rendered.image,)
        timed("backward", lambda outputs=outputs: torch.autograd.backward(outputs, gradient[: len(outputs)]))
        image, alpha = rendered.image.detach().requires_grad_(), rendered.alpha.detach().requires_grad_()
        timed("loss", lambda image=image, alpha=alpha: image_terms(image, alpha, target, background)[0].sum().backward())
    return {name: sorted(values[3:]) for name, values in times.items()}


def report(case: Case, threads: int, times: dict[str, list[float]], single: dict | None, sketch_ms: float | None) -> dict:
    """One row of the table: forward + backward against the same case on one thread, and against the sketch (without SH and alpha) on as many."""
    row = {**case._asdict(), "threads": threads}
    row |= {f"{name}_{kind}_ms": round(values[at], 3) for name, values in times.items() for kind, at in (("best", 0), ("median", len(values) // 2))}
    row["step_best_ms"] = round(row["forward_best_ms"] + row["backward_best_ms"], 3)
    row["backward_to_forward"] = round(row["backward_best_ms"] / row["forward_best_ms"], 2)
    row["faster_than_one_thread"] = round(single["step_best_ms"] / row["step_best_ms"], 2) if single else 1.0
    row |= {"sketch_best_ms": round(sketch_ms, 3), "to_sketch": round(row["step_best_ms"] / sketch_ms, 2)} if sketch_ms else {}
    cells = [f"{case.splats:>6} {case.width}x{case.height} SH {case.degree}{' alpha' if case.alpha else '':6} {threads:>7}"]
    cells += [f"{row[f'{name}_best_ms']:8.2f} {row[f'{name}_median_ms']:8.2f}" for name in ("forward", "backward", "loss")]
    print("  ".join(cells), f"{row['backward_to_forward']:8.2f} {row['faster_than_one_thread']:8.2f} {row.get('to_sketch', float('nan')):8.2f}", flush=True)
    return row


def write(file: Path | None, rows: object) -> None:
    if file:
        file.write_text(json.dumps(rows, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="which backend to measure")
    parser.add_argument("--quick", action="store_true", help="the two small cases, few repetitions")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    arguments = parser.parse_args()
    if arguments.device == "cuda":
        from tests.bench import rasterise_cuda  # needs a GPU

        write(arguments.json, rasterise_cuda.run(arguments.quick))
        return
    cases, repetitions = (CASES[:2], 10) if arguments.quick else (CASES, 30)
    print(
        f"{'splats, image':27} {'threads':>7}  {'forward':>8} {'median':>8}  {'backward':>8} {'median':>8}  {'loss':>8} {'median':>8} {'bwd/fwd':>8} {'x 1 thr':>8} {'/ sketch':>8}"
    )
    rows = []
    for case in cases:
        single = None
        for threads in (1, 2):
            torch.set_num_threads(threads)
            rows.append(report(case, threads, measure(case, repetitions), single, sketch.best_ms(*case[:3], threads, repetitions)))
            single = rows[-1] if single is None else single
    write(arguments.json, rows)


if __name__ == "__main__":
    main()
