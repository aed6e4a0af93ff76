"""A results folder as the stages leave it, drawn by hand: a disc that wanders through the pictures of three cameras and a novel one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from pipeline.avatars.registry import DEFAULT_METHOD, METHODS
from pipeline.capture.camera import Camera
from pipeline.capture.processed import Frame, frame_id, write_image_set
from pipeline.contract.layout import Layout
from pipeline.io.arrays import save_npz
from pipeline.io.files import write_json, write_text
from pipeline.io.packed import packed_writer
from pipeline.io.video import write_video

STAGES = tuple(METHODS[DEFAULT_METHOD].table)
SIZE = (48, 64)  # width, height
SEQUENCES = {"EMO": range(0, 3), "SEN": range(10, 12)}  # the second is the test sequence
SPLIT = {"EMO": "train", "SEN": "test"}
ROLES = {"cam_a": "train", "cam_b": "train", "cam_v": "val"}
FOREGROUND = np.array([200, 120, 60])


def make(root: Path, *, size: tuple[int, int] = SIZE, truth: bool = True, noise: float = 4.0) -> Layout:
    """Write everything up to the renders; renders differ from the truth by `noise` grey levels at every pixel of the disc."""
    layout = Layout(root / "results" / "example", root / "work" / "example")
    cameras = tuple(_camera(name, i, size) for i, name in enumerate([*ROLES, "novel"]))
    frames = tuple(Frame(frame_id(name, f), name, f, f / 24) for name, indices in SEQUENCES.items() for f in indices)
    _prepare(layout, cameras[:3], frames, root / "truth" if truth else None)
    if truth:
        _write_truth(root / "truth", cameras, frames)
    _fit(layout, cameras[:3], frames)
    _train(layout, cameras, frames, noise, truth)
    for i, stage in enumerate(STAGES[:-2]):
        write_json(
            layout.manifest(stage),
            {
                "stage": stage,
                "version": 1,
                "facts": {"things": i} | ({"splats": 7} if stage == "train" else {}),
                "outputs": {},
                "timing": {"seconds": 1.5 * i, "peak_memory_mb": 100 * i, "python": "3.11.9"},
            },
        )
    return layout


def make_group(root: Path) -> Layout:
    """A group of two captures, the second without truth; what belongs to the avatar is moved to the group's folder."""
    members = tuple(make(root / name, truth=name == "anna") for name in ("anna", "bob"))
    renamed = []
    for member in members:
        name = member.results.parents[1].name
        target = Layout(root / "results" / name, root / "work" / name)
        target.results.parent.mkdir(parents=True, exist_ok=True)
        member.results.rename(target.results)
        renamed.append(target)
    group = Layout(root / "results" / "family", root / "work" / "family", group=tuple(renamed))
    for member in renamed:
        shutil.move(member.render, group.renders(member.results.name))
    shutil.move(renamed[0].avatar_folder / "manifests", group.avatar_folder / "manifests")
    for name in ("init", "avatar", "train_log"):
        shutil.move(getattr(renamed[0], name), getattr(group, name))
    return group


def disc(camera: Camera, frame: Frame) -> np.ndarray:
    """Alpha of the disc, uint8 [H, W], with soft rims."""
    y, x = np.mgrid[: camera.height, : camera.width] + 0.5
    shift = 2 * np.sin(frame.frame + camera.centre[0])
    return np.rint(np.clip(camera.width / 4 - np.hypot(x - camera.width / 2 - shift, y - camera.height / 2) + 0.5, 0, 1) * 255).astype(np.uint8)


def plate(camera: Camera) -> np.ndarray:
    """The background without the disc, uint8 [H, W, 3]."""
    return np.broadcast_to(np.linspace(40, 120, camera.width)[:, None].astype(np.uint8), (camera.height, camera.width, 3)).copy()


def mixed(alpha: np.ndarray, background: np.ndarray) -> np.ndarray:
    """The disc's colour over a background, uint8 [H, W, 3]."""
    a = alpha[..., None] / 255
    return np.rint(a * FOREGROUND + (1 - a) * background).astype(np.uint8)


def _camera(name: str, index: int, size: tuple[int, int]) -> Camera:
    angle, (width, height) = 0.4 * (index - 1), size
    R = np.diag([1.0, -1.0, -1.0]) @ np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    K = np.array([[1.5 * width, 0, width / 2], [0, 1.5 * width, height / 2], [0, 0, 1]])
    return Camera(name, width, height, K, R, np.array([0, 0, 1.0]))


def _prepare(layout: Layout, cameras: tuple[Camera, ...], frames: tuple[Frame, ...], truth: Path | None) -> None:
    videos = {c.name: {"path": f"{c.name}.mp4", "size": 1, "sha256": "", "width": c.width, "height": c.height, "frames": 12, "fps": 24} for c in cameras}
    write_json(layout.capture, {
        "id": "example", "kind": "synthetic" if truth else "rig", "fps": 24, "cameras": [c.to_json() for c in cameras],
        "sequences": {name: {"frames": len(indices), "videos": videos, "sync": {}} for name, indices in SEQUENCES.items()}, "plates": dict.fromkeys(ROLES), "color": {},
        "truth": str(truth) if truth else None,
        "checks": [{"what": "videos decode to their end", "ok": True, "detail": "6 videos"}, {"what": "plates", "ok": False, "detail": "<none> for cam_a"}],
    })  # fmt: skip
    for camera in cameras:
        with packed_writer(layout.frames / f"{camera.name}.zip") as pictures, packed_writer(layout.alpha / f"{camera.name}.zip") as mattes:
            pictures.add("plate", plate(camera))
            pictures.add("visible", np.full((camera.height, camera.width), 255, np.uint8))
            for frame in frames:
                alpha = disc(camera, frame)
                pictures.add(frame.id, mixed(alpha, plate(camera)))
                mattes.add(frame.id, np.dstack([np.broadcast_to(FOREGROUND, (*alpha.shape, 3)), alpha]).astype(np.uint8))
    write_image_set(layout.frames_json, layout.frames, cameras, frames, {})
    write_image_set(layout.alpha_json, layout.alpha, cameras, frames, {})
    write_json(
        layout.sample,
        {
            "seed": 0,
            "frames": [{"id": f.id, "split": SPLIT[f.sequence]} for f in frames],
            "cameras": ROLES,
            "dropped": [],
            "rules": ["every frame of EMO trains"],
        },
    )


def _write_truth(folder: Path, cameras: tuple[Camera, ...], frames: tuple[Frame, ...]) -> None:
    for camera in cameras:
        novel = camera.name == "novel"
        with packed_writer(folder / ("novel" if novel else "alpha") / f"{camera.name}.zip") as pictures:
            for frame in frames:
                alpha = disc(camera, frame)
                pictures.add(frame.id, np.dstack([np.broadcast_to(FOREGROUND, (*alpha.shape, 3)), alpha]).astype(np.uint8) if novel else alpha)
    write_json(folder / "novel.json", {"convention": "opencv", "cameras": [cameras[-1].to_json()]})


def _fit(layout: Layout, cameras: tuple[Camera, ...], frames: tuple[Frame, ...]) -> None:
    random = np.random.default_rng(0)
    points = random.normal(0, 0.06, (478, 3)).astype(np.float32)
    pixels = np.stack([camera.project(points) for camera in cameras])
    face = np.broadcast_to(np.dstack([pixels, np.ones((*pixels.shape[:2], 1))]), (len(frames), len(cameras), 478, 3)).astype(np.float32).copy()
    face[0, 0] = np.nan
    pose = np.full((len(frames), len(cameras), 33, 3), np.nan, np.float32)
    names = {"cameras": np.array([c.name for c in cameras]), "frames": np.array([f.id for f in frames])}
    save_npz(layout.keypoints, {**names, "face": face, "pose": pose})
    rig = {
        "identity": np.zeros(5),
        "offsets": np.zeros((9, 3)),
        "scale": np.array(1.0),
        "pose": np.zeros((len(frames), 2, 3)),
        "expression": np.zeros((len(frames), 3)),
        "translation": np.zeros((len(frames), 3)),
    }
    save_npz(
        layout.fit,
        {
            "model": np.array("anny_head"),
            **names,
            **rig,
            "points3d": np.broadcast_to(points, (len(frames), 478, 3)),
            "residual_px": np.array([0.9, 1.1, np.nan]),
        },
    )
    layout.overlay.mkdir(parents=True, exist_ok=True)
    for camera in cameras:
        write_video(layout.overlay / f"{camera.name}.mp4", [mixed(disc(camera, frame), plate(camera)) for frame in frames], 24)


def _train(layout: Layout, cameras: tuple[Camera, ...], frames: tuple[Frame, ...], noise: float, truth: bool) -> None:
    arrays = {"means": np.zeros((7, 3), np.float32), "opacities": np.zeros(7, np.float32)}
    save_npz(layout.init, arrays)
    save_npz(layout.avatar, arrays)
    rows = [f"{step},{step / 20},{0.2 / (1 + step / 50):.5f},{20 + step / 30:.3f},{1000 + step}" for step in range(0, 300, 20)]
    write_text(layout.train_log, "step,seconds,loss,psnr,splats\n" + "\n".join(rows) + "\n")
    for camera in cameras if truth else cameras[:3]:
        with packed_writer(layout.render / f"{camera.name}.zip") as pictures:
            for frame in frames:
                alpha = disc(camera, frame)
                image = mixed(alpha, np.full(3, 255)).astype(np.float64) - noise * (alpha[..., None] > 0)
                pictures.add(frame.id, np.dstack([np.clip(image, 0, 255), alpha]).astype(np.uint8))
    for name in ("orbit", "test_cam_a"):
        write_video(layout.render / f"{name}.mp4", [mixed(disc(cameras[0], frame), np.full(3, 255)) for frame in frames], 24)


def metrics_of(layout: Layout) -> dict:
    """metrics.json as it stands."""
    return json.loads(layout.metrics.read_text())
