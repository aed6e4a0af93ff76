"""Stage `train`: the avatar learns from the training images of its subjects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline.capture.sample import Sample
    from pipeline.contract.layout import Layout, Subject
    from pipeline.stages.job import AvatarJob
    from pipeline.training.images import Source


def run(job: AvatarJob) -> dict[str, Any]:
    """Write avatar.npz, train.csv, validation images, snapshots and the method's own files; an interrupted training resumes. Returns facts for the manifest.

    Raises InputError where an input cannot be read, Interrupted (after a checkpoint) on SIGTERM and SIGINT.
    """
    import functools

    import torch

    from pipeline.capture.sample import read_sample
    from pipeline.io.progress import log
    from pipeline.machine.backend import use_backend
    from pipeline.machine.device import choose_device, describe
    from pipeline.training import results
    from pipeline.training.images import TrainingImages
    from pipeline.training.loop import Places, train
    from pipeline.training.trainer import Trainer
    from pipeline.training.validation import Validation
    from pipeline.training.watch import Watch

    layout, method = job.layout, job.method
    samples = [read_sample(subject.layout.sample) for subject in job.subjects]
    images_used = sum(len(sample.train) * len(sample.train_cameras) for sample in samples)
    settings = job.settings.for_images(images_used)
    if settings.iterations < job.settings.iterations:
        log(f"train: {settings.iterations} of {job.settings.iterations} steps: {images_used} images, each used {settings.max_visits} times (train.max_visits)")
    torch.set_num_threads(job.threads)
    torch.manual_seed(settings.seed)
    torch.backends.cudnn.deterministic = True  # a resumed training equals one that never stopped
    device = choose_device(settings.device)
    with use_backend(settings.backend):
        avatar = method.function("build")(settings, job.subjects, job.inputs.init, device)
        sources, held_out = _sources(job.subjects, samples, avatar.subjects)
        memory = settings.memory_mb if device.type == "cpu" else max(settings.memory_mb, torch.cuda.mem_get_info(device)[0] // 2**21)
        images = TrainingImages(sources, frames=settings.frames_per_step, views=settings.views_per_frame, memory_mb=memory, device=device)
        trainer = Trainer(avatar, images, settings)
        places = Places(job.scratch, layout.boards, layout.trained)
        keys = results.training_keys(settings, _inputs(layout, method.reads), job.stage.version)
        validation = Validation(sources, held_out, device, [sample.test for sample in samples], settings.val_images)
        save = functools.partial(results.save_avatar, trainer, method.name)
        facts = train(trainer, validation, places, keys, Watch(layout.watch, save), save)
        results.save_avatar(trainer, method.name, job.outputs.avatar)
        avatar.eval().export_files({name: getattr(job.outputs, name) for name in method.outputs})
        results.save_curve(places, job.outputs.train_log, job.outputs.validation)
        facts["snapshots"] = results.save_snapshots(places, settings.snapshots, job.outputs.snapshots)
    return facts | {"device": describe(device)} | results.facts(trainer)


def _sources(subjects: Sequence[Subject], samples: Sequence[Sample], frames: Any) -> tuple[list[Source], list[tuple[str, ...]]]:
    """The training images of each subject, and the cameras that are held out. frames: the avatar's frame ids by subject."""
    from pipeline.capture.processed import read_image_set
    from pipeline.training.images import Source

    sources, held_out = [], []
    for subject, sample in zip(subjects, samples):
        layout = subject.layout
        processed = read_image_set(layout.frames_json, layout.frames)
        images = read_image_set(layout.alpha_json, layout.alpha)
        sources.append(Source(images, sample.train_cameras, sample.train, frames[subject.name], processed))
        held_out.append(sample.val_cameras)
    return sources, held_out


def _inputs(layout: Layout, reads: Sequence[str]) -> list[Path]:
    """Files whose bytes decide what a training results in. reads: what the method reads of a capture."""
    names = [name for name in ("fit", "sample", "alpha_json", "frames_json") if name in reads]
    return [layout.init, *(getattr(member, name) for member in layout.members for name in names)]
