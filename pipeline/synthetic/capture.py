"""A whole made-up capture on disk: raw data as NeRSemble delivers them, and the truth apart."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.capture.camera import Camera
from pipeline.capture.processed import frame_id
from pipeline.io.arrays import load_npz, save_npz
from pipeline.io.errors import InputError
from pipeline.io.files import TEMPORARY, write_bytes, write_json
from pipeline.io.packed import packed_writer
from pipeline.io.parallel import map_processes
from pipeline.io.video import write_video
from pipeline.synthetic.appearance import Look
from pipeline.synthetic.backdrop import make_backdrop
from pipeline.synthetic.camera_rig import make_light, make_rig, random_world
from pipeline.synthetic.chance import capture_rng
from pipeline.synthetic.image import compose, expose, render_person, scene_at
from pipeline.synthetic.noise import lattice
from pipeline.synthetic.settings import SynthesiseSettings
from pipeline.synthetic.shade import Light


def synthesise(settings: SynthesiseSettings, out: Path, capture_id: str, threads: int) -> dict[str, Any]:
    """Make the capture `capture_id`: `out/raw` (NeRSemble v1 layout) and `out/truth`. Both stand complete afterwards, or neither does.

    An older capture in `out` is replaced. Returns facts: counts, cameras, sequences, the person's look.

    Raises InputError for settings that make no sense and for a folder that holds anything else.
    """
    out = Path(out)
    _check(settings, out, capture_id)
    folder = out.with_name(f"{TEMPORARY}{uuid.uuid4().hex[:8]}-{out.name}")
    try:
        facts = _build(settings, folder, capture_id, threads)
        shutil.rmtree(out, ignore_errors=True)
        folder.rename(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return facts


def _check(settings: SynthesiseSettings, out: Path, capture_id: str) -> None:
    foreign = sorted(entry.name for entry in out.iterdir() if entry.name not in ("raw", "truth")) if out.is_dir() else []
    if foreign:
        raise InputError(
            "holds other files than a made-up capture, which would replace them",
            file=out,
            found=", ".join(foreign[:5]),
            remedy="give the capture a folder of its own",
        )
    limits = {"width": (32, 4096), "height": (32, 4096), "cameras": (1, 16), "frames": (1, 100000), "fps": (1, 240), "seed": (0, 2**32 - 1)}
    limits |= {"supersample": (1, 4), "variety": (0, 2), "noise": (0, 20)}
    for name, (low, high) in limits.items():
        if not low <= getattr(settings, name) <= high:
            raise InputError(f"synthesise: {name} is out of range", found=getattr(settings, name), expected=f"{low} to {high}")
    if settings.width % 2 or settings.height % 2:
        raise InputError("synthesise: H.264 needs an even picture size", found=f"{settings.width}x{settings.height}")
    if settings.subject not in ("head", "body"):
        raise InputError("synthesise: no such subject", found=settings.subject, expected="head or body")
    if len(set(settings.sequences)) != len(settings.sequences) or "BACKGROUND" in settings.sequences:
        raise InputError("synthesise: sequences need different names other than BACKGROUND", found=", ".join(settings.sequences))
    if not capture_id or "/" in capture_id:
        raise InputError("synthesise: the capture's id must be a folder name", found=repr(capture_id))


def _build(settings: SynthesiseSettings, folder: Path, capture_id: str, threads: int) -> dict[str, Any]:
    from pipeline.synthetic.subject import make_subject, make_take, scenes, sequence_names  # torch, which the workers do not need

    subject, names = make_subject(settings, capture_id), sequence_names(settings)
    rng = capture_rng(settings, capture_id, "rig")
    to_world = random_world(rng)
    cameras, novel = make_rig(settings, subject.target, to_world, rng)
    light = make_light(rng, to_world[0], subject.look.skin)
    takes = [make_take(subject, settings, capture_id, index, to_world) for index in range(len(names))]
    scratch = folder / "scratch"
    for take in takes:
        save_npz(scratch / f"{take.name}.npz", scenes(subject, take), compress=False)
    _write_calibration(folder, capture_id, cameras)
    jobs = [(settings, folder, capture_id, camera, light, subject.look, names, to_world, camera is novel) for camera in [*cameras, novel]]
    map_processes(film, jobs, threads, "synthesise")
    shutil.rmtree(scratch)
    _write_truth(folder / "truth", subject, takes, novel)
    return {
        "subject": settings.subject,
        "cameras": [camera.name for camera in cameras],
        "novel": novel.name,
        "sequences": {take.name: len(take.vertices) for take in takes},
        "pictures": (len(cameras) + 1) * sum(len(take.vertices) for take in takes),
        "look": {name: np.round(value, 4).tolist() for name, value in subject.look._asdict().items() if abs(np.max(value)) < 1e5},
    }


def film(
    settings: SynthesiseSettings,
    folder: Path,
    capture_id: str,
    camera: Camera,
    light: Light,
    look: Look,
    names: tuple[str, ...],
    to_world: tuple,
    is_novel: bool,
) -> None:
    """All that one camera records: plate, videos and true alpha; of the novel camera only what it would see of the person."""
    rng = capture_rng(settings, capture_id, f"camera {camera.name}")
    plate = make_backdrop(camera, to_world, capture_rng(settings, capture_id, "wall"))
    table = lattice(capture_rng(settings, capture_id, "paint"))
    truth = folder / "truth" / ("novel" if is_novel else "alpha") / f"{camera.name}.zip"
    if not is_novel:
        background = folder / "raw" / "sequence_BACKGROUND_part-1" / capture_id / "BACKGROUND" / f"image_{camera.name}.jpg"
        _write_jpeg(background, expose(plate, 1.0, 0.3 * settings.noise, rng))
    gain = 1 + 0.012 * float(np.clip(rng.standard_normal(), -1.5, 1.5))
    with packed_writer(truth) as archive:
        for name in names:
            pictures = _people(settings, folder, camera, light, look, table, name)
            if is_novel:
                for frame, (colour, alpha) in enumerate(pictures):
                    archive.add(frame_id(name, frame), _bytes(np.dstack([colour, alpha])))
                continue
            video = folder / "raw" / f"sequence_{name}_part-1" / capture_id / name / f"cam_{camera.name}.mp4"
            write_video(video, _recorded(pictures, plate, gain, settings.noise, rng, archive, name), settings.fps)


def _people(settings, folder, camera, light, look, table, name):
    """Colour and alpha of every frame of a sequence, one after the other."""
    arrays = load_npz(folder / "scratch" / f"{name}.npz")
    for frame in range(len(arrays["vertices"])):
        yield render_person(scene_at(arrays, frame), light, look, table, camera, settings.supersample)


def _recorded(pictures, plate, gain, noise, rng, archive, name):
    """Frames for the video; their alpha goes into the archive on the way."""
    for frame, (colour, alpha) in enumerate(pictures):
        archive.add(frame_id(name, frame), _bytes(alpha))
        yield expose(compose(colour, alpha, plate), gain, noise, rng)


def _bytes(values: np.ndarray) -> np.ndarray:
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


def _write_truth(folder: Path, subject, takes, novel: Camera) -> None:
    ids = [frame_id(take.name, frame) for take in takes for frame in range(len(take.vertices))]
    arrays = {name: np.concatenate([getattr(take, name) for take in takes]) for name in ("vertices", "pose", "expression", "translation")}
    save_npz(folder / "truth.npz", {"frames": np.array(ids), "model": np.array(subject.model.name), "identity": subject.identity, **arrays}, compress=False)
    write_json(folder / "novel.json", {"convention": "opencv", "cameras": [novel.to_json()]})
