"""Writes a synthetic capture: raw data in the layout of NeRSemble v1, and the ground truth apart from it."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from pipeline.capture.camera import Camera
from pipeline.capture.processed import frame_id
from pipeline.io.arrays import load_npz, save_npz
from pipeline.io.errors import InputError
from pipeline.io.files import TEMPORARY, write_bytes, write_json
from pipeline.io.packed import PackedWriter, packed_writer
from pipeline.io.parallel import map_processes
from pipeline.io.video import write_video
from pipeline.synthetic.appearance import Appearance
from pipeline.synthetic.camera_rig import Rigid, make_rig, random_world
from pipeline.synthetic.rendering.lighting import Light, make_light
from pipeline.synthetic.rendering.noise import lattice
from pipeline.synthetic.rendering.render import compose, expose, render_subject, scene_at
from pipeline.synthetic.rendering.studio_background import render_background
from pipeline.synthetic.rng import capture_rng
from pipeline.synthetic.settings import SynthesiseSettings

if TYPE_CHECKING:
    from pipeline.synthetic.sequence import PosedSequence
    from pipeline.synthetic.subject import Subject


def synthesise(settings: SynthesiseSettings, out: Path, capture_id: str, threads: int) -> dict[str, Any]:
    """Write the capture `capture_id`: `out/raw` (NeRSemble v1 layout) and `out/truth`, both complete or neither.

    An older capture in `out` is replaced.

    Returns:
        facts: counts, cameras, sequences, the subject's appearance.

    Raises:
        InputError: settings contradict each other, or the folder holds other files.
    """
    out = Path(out)
    _check(settings, out, capture_id)
    folder = out.with_name(f"{TEMPORARY}{uuid.uuid4().hex[:8]}-{out.name}")
    try:
        facts = _write(settings, folder, capture_id, threads)
        shutil.rmtree(out, ignore_errors=True)
        folder.rename(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return facts


def _check(settings: SynthesiseSettings, out: Path, capture_id: str) -> None:
    foreign = sorted(entry.name for entry in out.iterdir() if entry.name not in ("raw", "truth")) if out.is_dir() else []
    if foreign:
        raise InputError(
            "holds other files than a synthetic capture, which would replace them",
            file=out,
            found=", ".join(foreign[:5]),
            remedy="give the capture a folder of its own",
        )
    if settings.width % 2 or settings.height % 2:
        raise InputError("synthesise: H.264 needs an even image size", found=f"{settings.width}x{settings.height}")
    if settings.subject not in ("head", "body"):
        raise InputError("synthesise: no such subject", found=settings.subject, expected="head or body")
    if len(set(settings.sequences)) != len(settings.sequences) or "BACKGROUND" in settings.sequences:
        found = ", ".join(settings.sequences)
        raise InputError("synthesise: sequences need different names other than BACKGROUND", found=found)
    if not capture_id or "/" in capture_id:
        raise InputError("synthesise: the capture's id must be a folder name", found=repr(capture_id))


def _write(settings: SynthesiseSettings, folder: Path, capture_id: str, threads: int) -> dict[str, Any]:
    # these import torch, which the worker processes do not need
    from pipeline.synthetic.sequence import make_sequence, scene_arrays, sequence_names
    from pipeline.synthetic.subject import make_subject

    subject, names = make_subject(settings, capture_id), sequence_names(settings)
    rng = capture_rng(settings, capture_id, "rig")
    to_world = random_world(rng)
    cameras, novel = make_rig(settings, subject.target, to_world, rng)
    light = make_light(rng, to_world[0], subject.appearance.skin)
    sequences = [make_sequence(subject, settings, capture_id, index, to_world) for index in range(len(names))]
    scratch = folder / "scratch"
    for sequence in sequences:
        save_npz(scratch / f"{sequence.name}.npz", scene_arrays(subject, sequence), compress=False)
    _write_calibration(folder, capture_id, cameras)
    common = (settings, folder, capture_id, light, subject.appearance, names, to_world)
    map_processes(write_camera, [(*common, camera, camera is novel) for camera in [*cameras, novel]], threads, "cameras")
    shutil.rmtree(scratch)
    _write_truth(folder / "truth", subject, sequences, novel)
    return {
        "subject": settings.subject,
        "cameras": [camera.name for camera in cameras],
        "novel": novel.name,
        "sequences": {sequence.name: len(sequence.vertices) for sequence in sequences},
        "images": (len(cameras) + 1) * sum(len(sequence.vertices) for sequence in sequences),
        "look": {
            name: np.round(value, 4).tolist()
            for name, value in subject.appearance._asdict().items()
            if abs(np.max(value)) < 1e5  # no end of clothes that are unlimited
        },
    }


def write_camera(
    settings: SynthesiseSettings,
    folder: Path,
    capture_id: str,
    light: Light,
    appearance: Appearance,
    names: tuple[str, ...],
    to_world: Rigid,
    camera: Camera,
    is_novel: bool,
) -> None:
    """Write plate, videos and true alpha of one camera; of the novel camera only RGBA images of the subject."""
    rng = capture_rng(settings, capture_id, f"camera {camera.name}")
    plate = render_background(camera, to_world, capture_rng(settings, capture_id, "wall"))
    table = lattice(capture_rng(settings, capture_id, "paint"))
    truth = folder / "truth" / ("novel" if is_novel else "alpha") / f"{camera.name}.zip"
    if not is_novel:
        file = folder / "raw" / "sequence_BACKGROUND_part-1" / capture_id / "BACKGROUND" / f"image_{camera.name}.jpg"
        _write_jpeg(file, expose(plate, 1.0, 0.3 * settings.noise, rng))
    gain = 1 + 0.012 * float(np.clip(rng.standard_normal(), -1.5, 1.5))
    with packed_writer(truth) as archive:
        for name in names:
            arrays = load_npz(folder / "scratch" / f"{name}.npz")
            renders = _renders(arrays, light, appearance, table, camera, settings.supersample)
            if is_novel:
                for frame, (colour, alpha) in enumerate(renders):
                    archive.add(frame_id(name, frame), _to_uint8(np.dstack([colour, alpha])))
                continue
            video = folder / "raw" / f"sequence_{name}_part-1" / capture_id / name / f"cam_{camera.name}.mp4"
            write_video(video, _recorded(renders, plate, gain, settings.noise, rng, archive, name), settings.fps)


def _renders(
    arrays: dict[str, np.ndarray],
    light: Light,
    appearance: Appearance,
    table: np.ndarray,
    camera: Camera,
    samples: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Colour and alpha of every frame of a sequence."""
    for frame in range(len(arrays["vertices"])):
        yield render_subject(scene_at(arrays, frame), light, appearance, table, camera, samples)


def _recorded(
    renders: Iterable[tuple[np.ndarray, np.ndarray]],
    plate: np.ndarray,
    gain: float,
    noise: float,
    rng: np.random.Generator,
    archive: PackedWriter,
    name: str,
) -> Iterator[np.ndarray]:
    """Frames of a sequence's video; adds their alpha to the archive."""
    for frame, (colour, alpha) in enumerate(renders):
        archive.add(frame_id(name, frame), _to_uint8(alpha))
        yield expose(compose(colour, alpha, plate), gain, noise, rng)


def _to_uint8(values: np.ndarray) -> np.ndarray:
    return np.clip(values * 255 + 0.5, 0, 255).astype(np.uint8)


def _write_jpeg(path: Path, image: np.ndarray) -> None:
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 98])
    if not done:
        raise RuntimeError(f"cannot encode {path}")
    write_bytes(path, data.tobytes())


def _write_calibration(folder: Path, capture_id: str, cameras: list[Camera]) -> None:
    """`camera_params.json` of NeRSemble v1: world-to-camera matrices and one K."""
    matrices = {}
    for camera in cameras:
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = camera.R, camera.t
        matrices[camera.name] = matrix.tolist()
    first = cameras[0]
    record = {"world_2_cam": matrices, "intrinsics": first.K.tolist(), "height": first.height, "width": first.width}
    write_json(folder / "raw" / "camera_params" / capture_id / "camera_params.json", record)


def _write_truth(folder: Path, subject: Subject, sequences: Sequence[PosedSequence], novel: Camera) -> None:
    """truth.npz (vertices and parameters of all frames) and novel.json."""
    ids = [frame_id(sequence.name, frame) for sequence in sequences for frame in range(len(sequence.vertices))]
    names = ("vertices", "pose", "expression", "translation")
    per_frame = {name: np.concatenate([getattr(sequence, name) for sequence in sequences]) for name in names}
    arrays = {"frames": np.array(ids), "model": np.array(subject.model.name), "identity": subject.identity, **per_frame}
    save_npz(folder / "truth.npz", arrays, compress=False)
    write_json(folder / "novel.json", {"convention": "opencv", "cameras": [novel.to_json()]})
