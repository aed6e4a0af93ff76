"""A small scene as COLMAP and Blender deliver them: a painted ball, alone or in a painted round room, rendered ray by ray."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.avatars.orbit import look_at
from pipeline.capture.camera import Camera

SIZE, FINE = 64, 2  # pixels; samples per pixel and axis
BALL, ROOM = 0.6, 4.0  # radii


def ring(count: int, dist: tuple[float, ...] = (), size: int = SIZE) -> list[Camera]:
    """Cameras all around, at several heights, looking at the ball."""
    K = np.array([[1.1 * size, 0, 0.5 * size + 1.5], [0, 1.1 * size, 0.5 * size - 1], [0, 0, 1]])
    cameras = []
    for i in range(count):
        angle = 2 * np.pi * i / count
        centre = 2.0 * np.array([np.cos(angle), 0.35 * np.sin(2.4 * i), np.sin(angle)])
        cameras.append(look_at(Camera(f"view{i:03d}", size, size, K, np.eye(3), np.zeros(3), dist), centre, np.zeros(3), np.array([0, 1.0, 0])))
    return cameras


def paint(points: np.ndarray) -> np.ndarray:
    """Colours in 0..1 of points [..., 3]: broad waves, others on the ball than in the room."""
    scale = np.where(np.linalg.norm(points, axis=-1, keepdims=True) > 1, 0.9, 5.0)
    return 0.5 + 0.4 * np.sin(scale * points[..., [0, 1, 2]] + scale * points[..., [1, 2, 0]] + [0.0, 1.0, 2.0])


def photograph(camera: Camera, room: bool) -> np.ndarray:
    """RGBA uint8 [H, W, 4], alpha straight: what a camera, distorted or not, sees."""
    grid = (np.arange(camera.width * FINE) + 0.5) / FINE
    pixels = camera.undistort_points(np.stack(np.meshgrid(grid, grid), -1))
    rays = np.concatenate([(pixels - camera.K[:2, 2]) / [camera.K[0, 0], camera.K[1, 1]], np.ones((*pixels.shape[:2], 1))], -1) @ camera.R
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    along = rays @ camera.centre
    under = along**2 - camera.centre @ camera.centre + BALL**2
    hit = under > 0
    near, far = -along - np.sqrt(np.maximum(under, 0)), -along + np.sqrt(along**2 - camera.centre @ camera.centre + ROOM**2)
    points = camera.centre + rays * np.where(hit, near, far)[..., None]
    alpha = np.ones_like(near) if room else hit.astype(float)
    values = np.concatenate([paint(points) * alpha[..., None], alpha[..., None]], -1)
    mean = values.reshape(camera.height, FINE, camera.width, FINE, 4).mean((1, 3))
    colour = mean[..., :3] / np.maximum(mean[..., 3:], 1e-9)
    return np.round(255 * np.concatenate([colour, mean[..., 3:]], -1)).astype(np.uint8)


def surface_points(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points [N, 3] on ball and room, and their colours uint8 [N, 3]."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(count, 3))
    points *= np.where(np.arange(count) < count // 2, BALL, ROOM)[:, None] / np.linalg.norm(points, axis=1, keepdims=True)
    return points, np.round(255 * paint(points)).astype(np.uint8)


def write_image(path: Path, rgba: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA if rgba.shape[-1] == 4 else cv2.COLOR_RGB2BGR))


def colmap_scene(root: Path, count: int = 24, *, k1: float = 0.0, points: int = 1200, size: int = SIZE) -> list[Camera]:
    """images/ and sparse/0/ as text; k1: radial distortion of the images."""
    cameras = ring(count, (k1, 0.0, 0.0, 0.0) if k1 else (), size)
    sparse = root / "sparse" / "0"
    sparse.mkdir(parents=True)
    K = cameras[0].K
    model = f"SIMPLE_RADIAL {size} {size} {K[0, 0]!r} {K[0, 2]!r} {K[1, 2]!r} {k1!r}".replace("np.float64(", "").replace(")", "")
    (sparse / "cameras.txt").write_text(f"# Camera list\n1 {model}\n")
    lines = []
    for number, camera in enumerate(cameras):
        write_image(root / "images" / f"{camera.name}.png", photograph(camera, True)[..., :3])
        quat = Rotation.from_matrix(camera.R).as_quat(scalar_first=True)
        lines.append(" ".join(map(str, [count - number, *quat.tolist(), *camera.t.tolist(), 1, f"{camera.name}.png"])) + "\n1.5 2.5 -1")
    (sparse / "images.txt").write_text("# Image list\n" + "\n".join(reversed(lines)) + "\n")  # in another order than by name
    xyz, rgb = surface_points(points)
    rows = [f"{i} {x} {y} {z} {r} {g} {b} 0.5 1 2 3 4" for i, ((x, y, z), (r, g, b)) in enumerate(zip(xyz.tolist(), rgb.tolist()))]
    (sparse / "points3D.txt").write_text("# 3D point list\n" + "\n".join(rows) + "\n")
    return cameras


def to_binary(sparse: Path) -> None:
    """The model's text files as binary ones (written after COLMAP's description, by this test's own code)."""
    rows = {name: [r for r in (sparse / f"{name}.txt").read_text().splitlines() if not r.startswith("#")] for name in ("cameras", "images", "points3D")}
    _, _, width, height, *numbers = rows["cameras"][0].split()
    (sparse / "cameras.bin").write_bytes(struct.pack("<QiiQQ4d", 1, 1, 2, int(width), int(height), *map(float, numbers)))
    images = b""
    for row in rows["images"][::2]:
        key, *pose, camera, name = row.split()
        images += struct.pack("<i7di", int(key), *map(float, pose), int(camera)) + name.encode() + b"\0" + struct.pack("<Qddq", 1, 1.5, 2.5, -1)
    (sparse / "images.bin").write_bytes(struct.pack("<Q", len(rows["images"]) // 2) + images)
    points = b""
    for row in rows["points3D"]:
        key, x, y, z, r, g, b, error, *track = row.split()
        body = struct.pack("<Q3d3Bd", int(key), float(x), float(y), float(z), int(r), int(g), int(b), float(error))
        points += body + struct.pack(f"<Q{len(track)}i", len(track) // 2, *map(int, track))
    (sparse / "points3D.bin").write_bytes(struct.pack("<Q", len(rows["points3D"])) + points)
    for name in rows:
        (sparse / f"{name}.txt").unlink()


def blender_scene(root: Path, counts: dict[str, int], size: int = SIZE) -> dict[str, list[Camera]]:
    """transforms_<split>.json and <split>/r_<i>.png with alpha; the file names lack their ending, as in NeRF's scenes."""
    every, made = ring(sum(counts.values()), size=size), {}
    K = np.array([[1.1 * size, 0, size / 2], [0, 1.1 * size, size / 2], [0, 0, 1]])
    order = np.random.default_rng(1).permutation(len(every)).tolist()
    for split, count in counts.items():
        own, frames = [order.pop() for _ in range(count)], []
        cameras = [Camera(f"{split}_r_{i}", size, size, K, every[n].R, every[n].t) for i, n in enumerate(own)]
        for i, camera in enumerate(cameras):
            write_image(root / split / f"r_{i}.png", photograph(camera, False))
            pose = np.eye(4)
            pose[:3, :3], pose[:3, 3] = camera.R.T @ np.diag([1.0, -1, -1]), camera.centre
            frames.append({"file_path": f"./{split}/r_{i}", "rotation": 0.01, "transform_matrix": pose.tolist()})
        (root / f"transforms_{split}.json").write_text(json.dumps({"camera_angle_x": 2 * np.arctan(0.5 / 1.1), "frames": frames}))
        made[split] = cameras
    return made
