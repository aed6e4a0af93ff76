"""A synthetic head before many cameras, as training data: images and mattes as they come out of preprocessing, and a tracked body.

Made where it is needed from a seed: 17 cameras at 550x802 and 100 instants take half a minute on 16 cores. The body is the truth with noise of the size a
fit has. Two cameras are held out, 15 train.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.capture.processed import Frame, ImageSet, frame_id, read_image_set, write_image_set
from pipeline.io.arrays import load_npz, save_npz
from pipeline.io.packed import packed_writer
from pipeline.io.parallel import map_processes
from pipeline.synthetic.camera_rig import make_rig, random_world
from pipeline.synthetic.rendering.lighting import make_light
from pipeline.synthetic.rendering.noise import lattice
from pipeline.synthetic.rendering.render import render_subject, scene_at
from pipeline.synthetic.rng import capture_rng
from pipeline.synthetic.settings import SynthesiseSettings

ID = "bench"
NOISE = {"pose": 0.004, "expression": 0.02, "translation": 0.0004}  # radians, weights, metres: standard deviations


def make_head(folder: Path, settings: SynthesiseSettings, threads: int, noise: float = 1.0) -> tuple[ImageSet, Path, list[str], list[str]]:
    """RGBA images, a fit.npz, and the names of training and held-out cameras; what is there already is kept. noise: times NOISE."""
    fit = folder / "fit.npz"
    if not fit.is_file():
        _film(folder, settings, threads, noise)
    images = read_image_set(folder / "alpha.json", folder / "alpha")
    names = [camera.name for camera in images.cameras]
    held_out = ["novel", names[3]]
    return images, fit, [name for name in names if name not in held_out], held_out


def _film(folder: Path, settings: SynthesiseSettings, threads: int, noise: float) -> None:
    from pipeline.synthetic.sequence import make_sequence, scene_arrays
    from pipeline.synthetic.subject import make_subject

    subject = make_subject(settings, ID)
    rng = capture_rng(settings, ID, "rig")
    to_world = random_world(rng)
    cameras, novel = make_rig(settings, subject.target, to_world, rng)
    light = make_light(rng, to_world[0], subject.appearance.skin)
    takes = [make_sequence(subject, settings, ID, number, to_world) for number in range(len(settings.sequences))]
    for take in takes:
        save_npz(folder / f"scene_{take.name}.npz", scene_arrays(subject, take), compress=False)
    table = lattice(capture_rng(settings, ID, "paint"))
    cameras = [*cameras, novel]
    map_processes(
        _camera, [(folder, settings.sequences, camera, light, subject.appearance, table, settings.supersample) for camera in cameras], threads, "images"
    )
    frames = tuple(Frame(frame_id(take.name, i), take.name, i, i / settings.fps) for take in takes for i in range(len(take.vertices)))
    write_image_set(folder / "alpha.json", folder / "alpha", tuple(cameras), frames, {})
    tracked = {name: np.concatenate([getattr(take, name) for take in takes]) for name in NOISE}
    noisy = {name: tracked[name] + noise * rng.normal(0, sigma, tracked[name].shape) for name, sigma in NOISE.items()}
    rest = {"identity": subject.identity, "offsets": np.zeros((len(subject.model.template), 3)), "scale": np.float32(1)}
    arrays = {name: np.asarray(value, np.float32) for name, value in {**noisy, **rest}.items()}
    save_npz(folder / "fit.npz", {"model": np.array(subject.model.name), "frames": np.array([frame.id for frame in frames]), **arrays})


def _camera(folder: Path, sequences: Sequence[str], camera: Camera, light, look, table, supersample: int) -> None:  # noqa: ANN001
    with packed_writer(folder / "alpha" / f"{camera.name}.zip") as archive:
        for name in sequences:
            arrays = load_npz(folder / f"scene_{name}.npz")
            for frame in range(len(arrays["vertices"])):
                colour, alpha = render_subject(scene_at(arrays, frame), light, look, table, camera, supersample)
                archive.add(frame_id(name, frame), np.clip(np.dstack([colour, alpha]) * 255 + 0.5, 0, 255).astype(np.uint8))


def bench_settings(quick: bool) -> SynthesiseSettings:
    """550x802, 16 cameras and the novel one, 100 instants; quick: a fifth of each."""
    whole = SynthesiseSettings(width=550, height=802, cameras=16, sequences=("take",), frames=100, supersample=2)
    return replace(whole, width=128, height=186, cameras=5, frames=6) if quick else whole
