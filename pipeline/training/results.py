"""What a finished training leaves: avatar.npz, the curve, validation images, and facts."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.contract.keys import result_settings
from pipeline.contract.layout import snapshot_name
from pipeline.io.arrays import save_npz
from pipeline.io.files import atomic_path, digest, publish_folder, sha256
from pipeline.io.progress import log
from pipeline.training.checkpoint import Keys
from pipeline.training.curve import CURVE
from pipeline.training.loop import Places
from pipeline.training.settings import TrainSettings
from pipeline.training.trainer import Trainer


def training_keys(settings: TrainSettings, inputs: Sequence[Path], version: int) -> Keys:
    """Digests of everything the result depends on: the stage's version, its settings and the bytes of all inputs."""
    hashes = [sha256(path) for path in inputs]
    every = result_settings(settings)
    others = {name: value for name, value in every.items() if name not in ("iterations", "lengthen")}
    return Keys(*(digest({"version": version, "settings": values, "inputs": hashes}) for values in (every, others)))


def save_avatar(trainer: Trainer, method: str, path: Path) -> None:
    """Write avatar.npz: the avatar's own arrays, and the colour map of every camera with its subject."""
    names = [(subject, name) for subject, source in enumerate(trainer.images.sources) for name in source.cameras]
    arrays = {
        "method": np.array(method),
        **trainer.avatar.export(),
        "cameras": np.array([name for _, name in names]),
        "camera_subject": np.array([subject for subject, _ in names]),
        "camera_color": trainer.objective.color.maps().detach().cpu().numpy(),
    }
    save_npz(path, arrays, compress=False)


def save_curve(places: Places, train_log: Path, validation: Path) -> None:
    """Copy train.csv and the validation images to where they are published."""
    with atomic_path(train_log) as temporary:
        shutil.copyfile(places.folder / CURVE, temporary)
    places.validation.mkdir(exist_ok=True)
    publish_folder(sorted(places.validation.glob("*.png")), validation)


def save_snapshots(places: Places, steps: Sequence[int], folder: Path) -> list[int]:
    """Publish copies of the snapshots of these steps: a job that is killed now finds them again. Returns the steps of those that there are."""
    made = [step for step in sorted(set(steps)) if places.snapshot(step).is_file()]
    if others := sorted(set(steps) - set(made)):
        log(f"train: no snapshots of the steps {', '.join(map(str, others))}: this training did not pass them, or not since they are in train.snapshots")
    copies = places.folder / "published"
    copies.mkdir(exist_ok=True)
    publish_folder([Path(shutil.copyfile(places.snapshot(step), copies / snapshot_name(step))) for step in made], folder)
    return made


def facts(trainer: Trainer) -> dict[str, Any]:
    """Facts for the manifest: the gains of the cameras' colours, and what training changed in the avatar."""
    maps, sources = trainer.objective.color.maps().detach().cpu().numpy(), trainer.images.sources
    subjects = list(trainer.avatar.subjects)
    names = [name if len(sources) == 1 else f"{subject}/{name}" for subject, source in zip(subjects, sources) for name in source.cameras]
    return {"camera_gain": {name: [round(float(x), 4) for x in np.diagonal(m[:, :3])] for name, m in zip(names, maps)}, **trainer.avatar.facts()}
