"""Stage `train`: the avatar learns from the training pictures."""

from __future__ import annotations

from typing import Any

from pipeline.stages.job import AvatarJob


def run(job: AvatarJob) -> dict[str, Any]:
    """Write avatar.npz, avatar.ply (posed at the first frame) and train.csv; an interrupted training goes on. Returns facts for the manifest.

    Raises InputError where an input cannot be read, Interrupted (after a checkpoint) on SIGTERM and SIGINT.
    """
    import torch

    from pipeline.avatars.rigged.avatar import RiggedAvatar
    from pipeline.avatars.rigged.posed_body import Rig
    from pipeline.capture.processed import read_image_set
    from pipeline.capture.sample import read_sample
    from pipeline.io.arrays import load_npz
    from pipeline.machine.device import choose_device
    from pipeline.training.camera_color import CameraColor
    from pipeline.training.device_images import open_pictures
    from pipeline.training.loop import Training, train
    from pipeline.training.results import save_avatar, training_keys

    settings, layout = job.settings, job.layout
    torch.set_num_threads(job.threads)
    device = choose_device(settings.device)
    sample, images = read_sample(layout.sample), read_image_set(layout.alpha_json, layout.alpha)
    remedy = f"./c2a run {layout.results.name} --from init"
    avatar = RiggedAvatar(Rig.from_fit(layout.fit, sample.frames, remedy=f"./c2a run {layout.results.name} --from fit")).to(device)
    avatar.initialise(load_npz(layout.init, {"binding": (None,), "means": (None, 3)}, remedy=remedy), settings.sh_degree)
    if not settings.trains_rig():
        avatar.rig.freeze()
    pictures = open_pictures(images, sample.train_cameras, sample.train, avatar.frames, settings, device)
    training = Training(avatar, CameraColor(len(sample.train_cameras)).to(device), pictures, settings)
    folder = layout.scratch("train")
    facts = train(training, folder, layout.boards, training_keys(settings, layout, job.stage.version), layout.trained)
    return facts | {"device": str(device)} | save_avatar(training, sample.train_cameras, folder, layout)
