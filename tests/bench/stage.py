"""What the `train` stage adds to its steps: `python -m tests.bench.stage --device cuda [--quick] [--preset NAME] [--set KEY=VALUE ...] [--json FILE]`.

The synthetic head of `tests.bench.head` (16 cameras at 550x802, 100 instants, of which the last ten are held out) lies on disk as a processed capture. On it run:
the stage once, which compiles the kernels; the steps alone, without `loop.train`; the stage as a run calls it; and on a GPU a part of it again under the profiler.

Rates count from the first density change to the last step. "captured" is the rate between density changes: the same step of the same scene again and
again; "steps alone" has the changes too. Seconds of the stage are those of the host by what it does, a wait for the GPU counts where it happens.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from pipeline.avatars.registry import method_of
from pipeline.avatars.render import camera_colors, render_views
from pipeline.avatars.splats.density import DensityControl
from pipeline.capture.processed import read_image_set, write_image_set
from pipeline.capture.sample import read_sample
from pipeline.contract.layout import Layout
from pipeline.evaluation.metrics import alpha_box, psnr
from pipeline.geometry.spread import spread
from pipeline.io.files import write_json
from pipeline.stages import train as stage
from pipeline.stages.job import AvatarJob, make_job
from pipeline.training import loop, results
from pipeline.training.images import TrainingImages
from pipeline.training.trainer import Trainer
from pipeline.training.validation import Validation
from tests.bench.head import bench_settings, make_head
from tests.bench.machine import machine

QUICK = {
    "init": {"splats": 3000},
    "train": {"iterations": 60, "densify_from": 20, "densify_every": 20, "densify_until": 40, "max_splats": 14000, "log_every": 10},
}
WARM = 4  # steps after a density change: one runs eagerly, one is captured
PROFILED = 600  # steps of each window
TIMED: list[tuple[Any, str, str]] = [
    (TrainingImages, "__init__", "reading images"),
    (Validation, "__init__", "reading validation images"),
    (Trainer, "step", "steps"),
    (Trainer, "settle", "checking steps (waits for the GPU)"),
    (DensityControl, "after_step", "density control"),
    (loop._Loop, "_report", "train.csv and monitor (waits for the GPU)"),
    (Validation, "run", "validation"),
    (loop._Loop, "_save", "checkpoints"),
    (loop, "keep_last", "last checkpoint"),
    (results, "training_keys", "hashing inputs"),
    (results, "save_avatar", "writing the avatar"),
]


class Stopped(Exception):
    """Ends the stage early: all measurements are made."""


def processed_capture(folder: Path, quick: bool, threads: int) -> Layout:
    """The head as the stages before `init` leave a capture; what is there already is kept."""
    layout = Layout(folder / "results" / "head", folder / "work" / "head")
    images, _, cameras, (_, val_camera) = make_head(layout.results, bench_settings(quick), threads)
    layout.frames.mkdir(exist_ok=True)
    for camera in images.cameras:
        with contextlib.suppress(FileExistsError):
            os.link(images.path(camera.name), layout.frames / f"{camera.name}.zip")
    write_image_set(layout.frames_json, layout.frames, images.cameras, images.frames, {})
    ids = [frame.id for frame in images.frames]
    test = ids[-max(len(ids) // 10, 1) :]
    roles = dict.fromkeys(cameras, "train") | {val_camera: "val"}
    write_json(layout.sample, {"frames": [{"id": name, "split": "test" if name in test else "train"} for name in ids], "cameras": roles})
    return layout


class Stopwatch:
    """Seconds by what was going on; what went on inside of it counts for itself."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._inside: list[float] = []

    @contextlib.contextmanager
    def of(self, label: str) -> Iterator[None]:
        start = time.perf_counter()
        self._inside.append(0.0)
        try:
            yield
        finally:
            whole = time.perf_counter() - start
            self.seconds[label] += whole - self._inside.pop()
            if self._inside:
                self._inside[-1] += whole

    def around(self, function: Callable[..., Any], label: str) -> Callable[..., Any]:
        """The function, timed."""

        @functools.wraps(function)
        def timed(*args: Any, **options: Any) -> Any:
            with self.of(label):
                return function(*args, **options)

        return timed


def run_stage(job: AvatarJob) -> dict[str, Any]:
    """The stage from its beginning, whatever an earlier run left."""
    for left in (job.scratch, job.layout.boards):
        shutil.rmtree(left, ignore_errors=True)
    job.layout.trained.unlink(missing_ok=True)
    return stage.run(job)


def steps_alone(job: AvatarJob) -> dict[str, float]:
    """Steps per second of the trainer that the stage makes, called one after the other."""
    settings, rates = replace(job.settings, log_every=job.settings.iterations), {}

    def train(trainer: Trainer, *_: Any) -> None:
        trained_to(trainer, settings.densify_from)
        begin, seconds, steps, changes = now(trainer), 0.0, 0, 0
        while trainer.done < settings.iterations:
            trained_to(trainer, min(trainer.done + WARM, settings.iterations))
            start, first = now(trainer), trainer.done
            while trainer.done < settings.iterations and not trainer.avatar.restructures_after(trainer.done + 1):
                trainer.step()
            seconds, steps = seconds + now(trainer) - start, steps + trainer.done - first
            if trainer.done < settings.iterations:
                changes += 1
                trainer.step()
        whole, captured = now(trainer) - begin, steps / seconds
        every = settings.iterations - settings.densify_from
        added = 1000 * (whole - every / captured) / max(changes, 1)
        rates.update(captured_per_second=captured, steps_alone_per_second=every / whole, ms_per_density_change=added, splats=trainer.avatar.splat_count)
        raise Stopped

    with mock.patch.object(loop, "train", train), contextlib.suppress(Stopped):
        run_stage(replace(job, settings=settings))
    return rates


def timed_stage(job: AvatarJob) -> dict[str, Any]:
    """The stage's rate, where its seconds go, and its own facts."""
    stopwatch, step, marks = Stopwatch(), Trainer.step, {}

    def marked(trainer: Trainer) -> bool:
        valid = step(trainer)
        if trainer.done in (job.settings.densify_from, job.settings.iterations):
            marks[trainer.done] = time.perf_counter()
        return valid

    with contextlib.ExitStack() as stack, stopwatch.of("the rest"):
        stack.enter_context(mock.patch.object(Trainer, "step", marked))
        for owner, name, label in TIMED:
            stack.enter_context(mock.patch.object(owner, name, stopwatch.around(getattr(owner, name), label)))
        facts = run_stage(job)
    first, last = marks[job.settings.densify_from], marks[job.settings.iterations]
    rate = (job.settings.iterations - job.settings.densify_from) / (last - first)
    return {"stage_per_second": rate, "seconds": dict(stopwatch.seconds.most_common()), "facts": {key: facts[key] for key in ("steps", "seconds", "splats")}}


def busy_shares(job: AvatarJob) -> dict[str, float]:
    """Share of the time in which a kernel or a copy runs on the GPU, in windows of the stage's steps: while splats are added, and after."""
    iterations, step, shares = job.settings.iterations, Trainer.step, {}
    count = min(PROFILED, iterations // 8)
    windows: list[tuple[int, torch.profiler.profile]] = []

    def profiled(trainer: Trainer) -> bool:
        if trainer.done in (iterations // 4, 3 * iterations // 4):
            torch.cuda.synchronize()
            windows.append((trainer.done, torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA])))
            windows[-1][1].start()
        valid = step(trainer)
        if windows and trainer.done == windows[-1][0] + count:
            torch.cuda.synchronize()
            first, profile = windows[-1]
            profile.stop()
            shares[f"steps {first} to {trainer.done}"] = busy(profile)
            if len(shares) == 2:
                raise Stopped
        return valid

    with mock.patch.object(Trainer, "step", profiled), contextlib.suppress(Stopped):
        run_stage(job)
    return shares


def busy(profile: torch.profiler.profile) -> float:
    """Share of the time between the first and the last event on the GPU in which there was one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profile.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    spans = sorted((event["ts"], event["ts"] + event["dur"]) for event in events if event.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset"))
    covered, reached = 0.0, spans[0][0]
    for begin, end in spans:
        covered += max(end - max(begin, reached), 0.0)
        reached = max(end, reached)
    return covered / (reached - spans[0][0])


def held_out_psnr(job: AvatarJob, frames: int = 10) -> dict[str, dict[str, float]]:
    """PSNR over white on the image and on the subject's box: cameras that were not trained with at training frames, and all others at held-out frames."""
    sample, images = read_sample(job.layout.sample), read_image_set(job.layout.alpha_json, job.layout.alpha)
    avatar = job.method.function("open_avatar")(job.layout.avatar, job.settings.device)
    index = next(iter(avatar.subjects.values()))
    unseen = [camera.name for camera in images.cameras if camera.name not in sample.train_cameras]
    few = [sample.train[i] for i in spread(len(sample.train), frames)]
    splits = {"unseen cameras": (unseen, few, None), "held-out frames": (sample.train_cameras, sample.test, camera_colors(job.layout.avatar))}
    quality = {}
    for split, (names, ids, colors) in splits.items():
        figures = []
        for name in names:
            archive = images.open(name)
            for frame in ids:
                rgba = archive.read(frame) / 255
                truth = rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]
                (drawn,) = render_views(avatar, index.index(frame), [images.by_name[name]], job.settings.device, colors)
                image, box = drawn[..., :3] / 255, alpha_box(rgba[..., 3]) or (slice(None), slice(None))
                figures.append((psnr(image, truth), psnr(image[box], truth[box])))
        quality[split] = dict(zip(("image", "box"), map(float, np.mean(figures, axis=0))))
    return quality


def trained_to(trainer: Trainer, step: int) -> None:
    while trainer.done < step:
        trainer.step()


def now(trainer: Trainer) -> float:
    """Seconds, after the GPU has finished."""
    if trainer.images.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def make_settings(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Settings of `init` and `train`: a preset, what --quick makes small, and what --set says."""
    preset = method_of("rigged").preset(arguments.preset)
    stages = {name: {**preset.get(name, {}), **(QUICK[name] if arguments.quick else {})} for name in QUICK}
    for text in arguments.set:
        key, _, value = text.partition("=")
        with contextlib.suppress(json.JSONDecodeError):
            value = json.loads(value)
        stages["train"][key] = value
    stages["train"]["device"] = arguments.device
    return stages


def report(record: dict[str, Any]) -> None:
    """Print a record."""
    print(json.dumps(record["machine"]))
    for name in ("captured_per_second", "steps_alone_per_second", "stage_per_second", "stage_over_captured", "ms_per_density_change"):
        print(f"{name:>24}  {record[name]:.3f}" if name == "stage_over_captured" else f"{name:>24}  {record[name]:.1f}")
    for window, share in record["gpu_busy"].items():
        print(f"{'GPU busy':>24}  {share:.3f}  {window}")
    print(f"{'seconds of the stage':>24}  {sum(record['seconds'].values()):.1f}")
    for label, seconds in record["seconds"].items():
        print(f"{seconds:>24.2f}  {label}")
    for split, figures in record["psnr"].items():
        print(f"{split:>24}  {figures['image']:.2f} dB, on the box {figures['box']:.2f} dB")
    print(json.dumps(record["facts"]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="a small head, few steps")
    parser.add_argument("--preset", default="standard")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of train; may be repeated")
    parser.add_argument("--folder", type=Path, default=Path("work/bench"), help="where the synthetic head is kept")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    method, values = method_of("rigged"), make_settings(arguments)
    layout = processed_capture(arguments.folder, arguments.quick, arguments.threads)
    method.function("initialise")(method.settings["init"](**values["init"]), layout.subjects, layout.init, arguments.threads)
    settings = method.settings["train"](**values["train"])
    job = make_job("train", settings, method, layout, None, arguments.threads)
    assert isinstance(job, AvatarJob)
    run_stage(job)  # compiles every kernel
    record = {"machine": machine(torch.device(arguments.device)), "settings": {**values, "train": asdict(settings)}, **steps_alone(job), **timed_stage(job)}
    record["stage_over_captured"] = record["stage_per_second"] / record["captured_per_second"]
    record["psnr"] = held_out_psnr(job)
    record["gpu_busy"] = busy_shares(job) if arguments.device == "cuda" else {}
    report(record)
    if arguments.json:
        write_json(arguments.json, record)


if __name__ == "__main__":
    main()
