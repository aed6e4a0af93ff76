"""A synthetic rigged avatar of the size that FLAME avatars have: what a step costs depends on counts alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from pipeline.avatars.rigged.avatar import RiggedAvatar
from pipeline.avatars.rigged.posed_body import PosedBody
from pipeline.avatars.rigged.settings import RiggedTrainSettings
from pipeline.body.model import ParametricModel
from pipeline.capture.camera import Camera
from pipeline.capture.processed import Frame, ImageSet, frame_id, read_image_set, write_image_set
from pipeline.io.packed import packed_writer
from pipeline.splat.harmonics import SH_C0

VERTICES, DIRECTIONS, JOINTS, FRAMES = 5143, 400, 5, 8
_RINGS, _SECTORS = 69, 76  # of a sphere with about as many vertices
_AXES = np.array([0.08, 0.12, 0.10])  # metres


def ellipsoid() -> tuple[np.ndarray, np.ndarray]:
    """Vertices [5143, 3] metres and faces [F, 3] of something as large as a head; the vertices that a sphere of rings has too few belong to no face."""
    polar, around = np.meshgrid(np.linspace(0.02, np.pi - 0.02, _RINGS), np.linspace(0, 2 * np.pi, _SECTORS, endpoint=False), indexing="ij")
    points = np.stack([np.sin(polar) * np.cos(around), np.cos(polar), np.sin(polar) * np.sin(around)], -1).reshape(-1, 3) * _AXES
    points = np.concatenate([points, np.zeros((max(VERTICES - len(points), 0), 3))])[:VERTICES]
    row, column = np.meshgrid(np.arange(_RINGS - 1), np.arange(_SECTORS), indexing="ij")
    a, b = (row * _SECTORS + column).ravel(), (row * _SECTORS + (column + 1) % _SECTORS).ravel()
    faces = np.concatenate([np.stack([a, b, a + _SECTORS], 1), np.stack([b, b + _SECTORS, a + _SECTORS], 1)])
    return points, faces[(faces < VERTICES).all(1)]


def model() -> ParametricModel:
    """All 400 shape directions are expressions here, so that every step adds all of them up."""
    g = torch.Generator().manual_seed(0)
    vertices, faces = ellipsoid()
    template = torch.from_numpy(vertices).float()
    regressor = torch.zeros(JOINTS, VERTICES)
    regressor[torch.arange(JOINTS).repeat_interleave(20), torch.randint(VERTICES, (JOINTS * 20,), generator=g)] = 1 / 20
    basis = 1e-3 * torch.randn(DIRECTIONS, VERTICES, 3, generator=g)
    return ParametricModel(
        name="flame size",
        template=template,
        faces=torch.from_numpy(faces),
        identity_basis=torch.zeros(0, VERTICES, 3),
        expression_basis=basis,
        pose_basis=torch.zeros(0, VERTICES, 3),
        expression_names=tuple(map(str, range(DIRECTIONS))),
        joint_names=tuple(map(str, range(JOINTS))),
        parents=(-1, 0, 1, 1, 1),
        joint_regressor=regressor.to_sparse(),
        lbs_weights=torch.softmax(4 * torch.rand(VERTICES, JOINTS, generator=g), 1),
        uv=torch.zeros(0, 2),
        uv_faces=torch.zeros(0, 3, dtype=torch.int64),
        regions={},
        landmarks={},
        vertex_ids=torch.arange(VERTICES),
        rest_joints=regressor @ template,
        identity_joints=torch.zeros(0, JOINTS, 3),
        expression_joints=torch.einsum("jv,evc->ejc", regressor, basis),
        facts={},
    )


def avatar(splats: int, settings: RiggedTrainSettings, device: torch.device) -> RiggedAvatar:
    """`splats` splats spread over the triangles, of random colours, ready to be trained."""
    rng = np.random.default_rng(0)
    fit = {"model": np.array("flame size"), "frames": np.array(ids()), "identity": np.zeros(0), "offsets": np.zeros((VERTICES, 3)), "scale": np.float32(1)}
    fit |= {
        "pose": 0.02 * rng.normal(size=(FRAMES, JOINTS, 3)),
        "expression": 0.02 * rng.normal(size=(FRAMES, DIRECTIONS)),
        "translation": np.zeros((FRAMES, 3)),
    }
    made = RiggedAvatar(PosedBody(model(), fit).to(device), "flame", settings)
    corners, faces = ellipsoid()
    a, b, c = corners[faces].transpose(1, 0, 2)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)  # as `init` spreads them
    rest = {"means": 0.5 * rng.normal(size=(splats, 3)), "quats": rng.normal(size=(splats, 4)), "log_scales": rng.normal(-2.5, 0.5, (splats, 3))}
    rest |= {"opacities": rng.normal(0.5, 1, splats), "sh_dc": (rng.random((splats, 1, 3)) - 0.5) / SH_C0, "sh_rest": 0.05 * rng.normal(size=(splats, 15, 3))}
    made.initialise({"binding": np.sort(rng.choice(len(area), splats, p=area / area.sum())), **rest})
    return made.to(device)


def ids() -> list[str]:
    """Names of the frames."""
    return [frame_id("take", i) for i in range(FRAMES)]


def images(folder: Path, width: int, height: int) -> ImageSet:
    """Random images of two cameras at every frame."""
    rng = np.random.default_rng(1)
    focal = height / 0.30
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
    cameras = tuple(Camera(f"c{i}", width, height, K, np.eye(3), np.array([0, 0, 1.0 + 0.01 * i])) for i in range(2))
    for camera in cameras:
        with packed_writer(folder / "alpha" / f"{camera.name}.zip") as writer:
            for name in ids():
                writer.add(name, rng.integers(0, 256, (height, width, 4), dtype=np.uint8))
    write_image_set(folder / "alpha.json", folder / "alpha", cameras, tuple(Frame(name, "take", i, i / 25) for i, name in enumerate(ids())), {})
    return read_image_set(folder / "alpha.json", folder / "alpha")
