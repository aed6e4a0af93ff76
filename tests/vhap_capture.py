"""A capture in the form in which VHAP exports tracked sequences for GaussianAvatars, rendered from a stand-in of FLAME: a UNION of sequences, or one of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from pipeline.body.model import ParametricModel
from pipeline.capture.camera import Camera
from pipeline.capture.forms.transforms import camera_entry
from pipeline.capture.mesh_view import view_mesh
from pipeline.io.arrays import save_npz
from pipeline.io.packed import encode_png
from pipeline.mesh.topology import vertex_normals

SERIALS = ("222200042", "222200044", "222200046", "222200040", "222200036", "222200037")
LIGHT = np.array([0.3, 0.5, 0.8]) / np.linalg.norm([0.3, 0.5, 0.8])


@dataclass(frozen=True)
class Export:
    """What is exported. steps: of each sequence. principal: of the image's width and height, from the upper left corner."""

    sequences: tuple[str, ...] = ("EMO-1", "EXP-2", "EXP-3")
    steps: int = 10
    width: int = 160
    height: int = 234
    principal: tuple[float, float] = (0.46, 0.55)
    offset: float = 0.002  # metres, of static_offset

    def folder(self, sequence: str) -> str:
        return f"306_{sequence}_v16_DS4_whiteBg_staticOffset_maskBelowLine"


def write_union(root: Path, model: ParametricModel, export: Export = Export(), seed: int = 0) -> Path:
    """Write the sequences and a UNION folder over them beside each other; the last sequence tests, the last camera validates. Returns the UNION folder."""
    splits: dict[str, list[dict[str, Any]]] = {"train": [], "val": [], "test": []}
    subject = _subject(model, export, np.random.default_rng(seed))
    for number, sequence in enumerate(export.sequences):
        entries = _write_sequence(root / export.folder(sequence), model, subject, export, number)
        last = len(SERIALS) - 1
        for entry in entries:
            split = "test" if number == len(export.sequences) - 1 else "val" if entry["camera_index"] == last else "train"
            moved = {key: f"../{export.folder(sequence)}/{entry[key]}" for key in ("file_path", "fg_mask_path", "flame_param_path")}
            splits[split].append(entry | moved | {"timestep_index": entry["timestep_index"] + number * export.steps})
    union = root / "UNION10_306_EMO1234EXP234589_v16_DS4_whiteBg_staticOffset_maskBelowLine"
    union.mkdir()
    for split, entries in splits.items():
        write_transforms(union / f"transforms_{split}.json", entries)
    return union


def write_single(root: Path, model: ParametricModel, export: Export = Export(), seed: int = 0) -> Path:
    """Write one sequence with its own split: the first 70 % of the time train, the last camera validates on them, the rest tests. Returns its folder."""
    folder = root / export.folder(export.sequences[0])
    entries = _write_sequence(folder, model, _subject(model, export, np.random.default_rng(seed)), export, 0)
    end, last = int(np.ceil(0.7 * export.steps)), len(SERIALS) - 1
    split_of = [("test" if e["timestep_index"] >= end else "val" if e["camera_index"] == last else "train") for e in entries]
    for split in ("train", "val", "test"):
        write_transforms(folder / f"transforms_{split}.json", [entry for entry, own in zip(entries, split_of) if own == split])
    write_transforms(folder / "transforms.json", entries)
    return folder


def write_transforms(path: Path, entries: list[dict[str, Any]]) -> None:
    """A transforms file as VHAP writes it: the intrinsics of the last image once more at the top."""
    common = {name: entries[-1][name] for name in ("cx", "cy", "fl_x", "fl_y", "h", "w", "camera_angle_x")}
    indices = {f"{name}_indices": sorted({entry[f"{name}_index"] for entry in entries}) for name in ("timestep", "camera")}
    path.write_text(json.dumps({"frames": entries, **common, **indices}))


def _subject(model: ParametricModel, export: Export, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Shape, smooth vertex offsets and colours of one person."""
    template = model.template.numpy().astype(np.float64)
    unit = (template - template.mean(0)) / template.std()
    waves = np.sin(unit @ rng.normal(0, 2.0, (3, 9)) + rng.uniform(0, 6, 9))
    colors = np.clip(np.array([0.75, 0.55, 0.45]) + waves[:, :6] @ rng.normal(0, 0.09, (6, 3)), 0.05, 0.95)
    shape = np.zeros(300)
    shape[:10] = rng.normal(0, 0.7, 10)
    return {"shape": shape, "static_offset": export.offset * waves[:, 6:], "colors": colors}


def _write_sequence(folder: Path, model: ParametricModel, subject: dict[str, np.ndarray], export: Export, number: int) -> list[dict[str, Any]]:
    """Images, mattes and parameters of a sequence, in a world of its own; returns its entries."""
    rng = np.random.default_rng(100 + number)
    shift = rng.normal(0, 0.05, 3)  # VHAP moves every sequence so that its mean head is at the origin
    motion = _motion(model, export.steps, rng)
    for name in ("images", "fg_masks", "flame_param"):
        (folder / name).mkdir(parents=True)
    vertices = _posed(model, subject, motion)
    colors = subject["colors"]
    entries = []
    for step in range(export.steps):
        parameters = {name: value[step : step + 1] for name, value in motion.items()}
        parameters["translation"] = parameters["translation"] + shift
        constant = {"shape": subject["shape"], "static_offset": subject["static_offset"][None]}
        save_npz(folder / "flame_param" / f"{step:05d}.npz", {name: np.asarray(value, np.float32) for name, value in (parameters | constant).items()})
        normals = vertex_normals(torch.from_numpy(vertices[step : step + 1]), model.faces).numpy()[0]
        lit = colors * (0.45 + 0.55 * np.clip(normals @ LIGHT, 0, 1))[:, None]
        for index, camera in enumerate(cameras(export, vertices.mean((0, 1)))):
            name = f"{step:05d}_{index:02d}.png"
            image, alpha = _render(camera, vertices[step], model.faces.numpy(), lit)
            (folder / "images" / name).write_bytes(encode_png(image))
            (folder / "fg_masks" / name).write_bytes(encode_png(alpha))
            moved = replace(camera, t=camera.t - camera.R @ shift)
            entry = camera_entry(moved) | {"cy": camera.height - camera.K[1, 2]}
            indices = {
                "timestep_index": step,
                "timestep_index_original": step,
                "timestep_id": f"{step:04d}",
                "camera_index": index,
                "camera_id": SERIALS[index],
            }
            paths = {"file_path": f"images/{name}", "fg_mask_path": f"fg_masks/{name}", "flame_param_path": f"flame_param/{step:05d}.npz"}
            entries.append(entry | indices | paths)
    return entries


def cameras(export: Export, target: np.ndarray) -> list[Camera]:
    """Cameras in an arc of 1 m around a head that faces +z with y up, the last one in front."""
    made = []
    for angle in (-0.8, -0.45, -0.15, 0.3, 0.7, 0.05):
        centre = target + np.array([np.sin(angle), 0.1 * np.cos(3 * angle), np.cos(angle)])
        z = (target - centre) / np.linalg.norm(target - centre)
        x = np.cross(z, [0.0, 1.0, 0.0])
        x /= np.linalg.norm(x)
        R = np.stack([x, np.cross(z, x), z])
        focal, (px, py) = 2.3 * export.width, export.principal
        K = np.array([[focal, 0, px * export.width], [0, focal, py * export.height], [0, 0, 1]])
        made.append(Camera(f"{len(made):02d}", export.width, export.height, K, R, -R @ centre))
    return made


def _motion(model: ParametricModel, steps: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """FLAME parameters [T, ...] of a head that moves a little and talks."""
    time = np.linspace(0, 1, steps)[:, None]

    def wave(width: int, size: float) -> np.ndarray:
        return size * np.sin(2 * np.pi * (time * rng.uniform(0.4, 1.2, width) + rng.uniform(0, 1, width)))

    expression = np.zeros((steps, 100))
    expression[:, :8] = wave(8, 0.5)
    jaw = np.concatenate([0.12 * (1 + wave(1, 1.0)), np.zeros((steps, 2))], axis=1)
    return {
        "expr": expression, "rotation": wave(3, 0.06), "neck_pose": wave(3, 0.06), "jaw_pose": jaw, "eyes_pose": wave(6, 0.05), "translation": wave(3, 0.006)
    }  # fmt: skip


def _posed(model: ParametricModel, subject: dict[str, np.ndarray], motion: dict[str, np.ndarray]) -> np.ndarray:
    """World vertices [T, V, 3] float64."""
    poses = np.concatenate([motion[name] for name in ("rotation", "neck_pose", "jaw_pose", "eyes_pose")], axis=1).reshape(len(motion["expr"]), 5, 3)
    arrays = (subject["shape"], motion["expr"], poses, motion["translation"])
    offsets = torch.from_numpy(subject["static_offset"]).float()
    return model.pose_vertices(*(torch.from_numpy(array).float() for array in arrays), 1.0, offsets).vertices.numpy().astype(np.float64)


def _render(camera: Camera, vertices: np.ndarray, faces: np.ndarray, colors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """RGB over white and matte, uint8, of smoothly coloured vertices; 3 x 3 samples per pixel."""
    view = view_mesh(camera, vertices, faces, 3)
    cover = (view.buffers.face_id >= 0).astype(np.float32)
    image = view.buffers.interpolate(colors, faces).astype(np.float32) + (1 - cover)[..., None]
    small = cv2.resize(np.dstack([image, cover]), (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    values = np.clip(small * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(values[..., :3]), np.ascontiguousarray(values[..., 3])
