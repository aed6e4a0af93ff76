"""A tiny parametric model and everything trained from it, small enough for unit tests."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.avatars.render import render_views
from pipeline.avatars.rigged.avatar import RiggedAvatar
from pipeline.avatars.rigged.initialise import initial_splats
from pipeline.avatars.rigged.posed_body import PosedBody
from pipeline.avatars.rigged.settings import InitSettings, RiggedTrainSettings
from pipeline.body.model import ParametricModel
from pipeline.capture.camera import Camera
from pipeline.capture.processed import Frame, ImageSet, frame_id, read_image_set, write_image_set
from pipeline.io.packed import packed_writer

FRAMES = tuple(frame_id("take", i) for i in range(3))


def sphere(rings: int = 7, sectors: int = 10, radius: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [V, 3] and faces [F, 3] (normals outward) of a closed sphere."""
    polar, around = np.meshgrid(np.linspace(0, np.pi, rings + 1)[1:-1], np.linspace(0, 2 * np.pi, sectors, endpoint=False), indexing="ij")
    middle = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], -1).reshape(-1, 3)
    vertices = radius * np.concatenate([[[0, 0, 1]], middle, [[0, 0, -1]]])
    faces = []
    for s in range(sectors):
        after = (s + 1) % sectors
        faces.append([0, 1 + s, 1 + after])
        for r in range(rings - 2):
            a, b = 1 + r * sectors, 1 + (r + 1) * sectors
            faces += [[a + s, b + s, b + after], [a + s, b + after, a + after]]
        last = 1 + (rings - 2) * sectors
        faces.append([last + s, len(vertices) - 1, last + after])
    return vertices, np.array(faces)


def model() -> ParametricModel:
    """A sphere with two joints, one identity and two expression components."""
    vertices, faces = (torch.from_numpy(x) for x in sphere())
    template, generator = vertices.float(), torch.Generator().manual_seed(0)
    count = len(template)
    regressor = torch.full((2, count), 1 / count)
    upper = torch.sigmoid(60 * template[:, 2])
    identity, expression = 0.005 * torch.randn(1, count, 3, generator=generator), 0.01 * torch.randn(2, count, 3, generator=generator)
    return ParametricModel(
        name="sphere",
        template=template,
        faces=faces.long(),
        identity_basis=identity,
        expression_basis=expression,
        pose_basis=torch.zeros(0, count, 3),
        expression_names=("a", "b"),
        joint_names=("root", "top"),
        parents=(-1, 0),
        joint_regressor=regressor.to_sparse(),
        lbs_weights=torch.stack([1 - upper, upper], dim=1),
        uv=torch.zeros(0, 2),
        uv_faces=torch.zeros(0, 3, dtype=torch.int64),
        regions={},
        landmarks={},
        vertex_ids=torch.arange(count),
        rest_joints=regressor @ template,
        identity_joints=torch.einsum("jv,ivc->ijc", regressor, identity),
        expression_joints=torch.einsum("jv,ivc->ijc", regressor, expression),
        facts={},
    )


def fit() -> dict[str, np.ndarray]:
    """The arrays of a fit.npz for `model`, three frames of a slow turn."""
    rng = np.random.default_rng(1)
    count = len(sphere()[0])
    return {
        "model": np.array("sphere"),
        "frames": np.array(FRAMES),
        "identity": np.array([0.3], np.float32),
        "offsets": np.zeros((count, 3), np.float32),
        "scale": np.float32(1.0),
        "pose": (0.1 * rng.normal(size=(3, 2, 3))).astype(np.float32),
        "expression": (0.2 * rng.random((3, 2))).astype(np.float32),
        "translation": (0.01 * rng.normal(size=(3, 3))).astype(np.float32),
    }


def cameras(count: int = 2) -> tuple[Camera, ...]:
    """Cameras half a metre away, side by side, 48 x 40 pixels."""
    K = np.array([[70.0, 0, 24], [0, 70.0, 20], [0, 0, 1]])
    made = []
    for i in range(count):
        angle = 0.5 * (i - (count - 1) / 2)
        R = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        made.append(Camera(f"c{i}", 48, 40, K, R, np.array([0, 0, 0.5])))
    return tuple(made)


def body() -> PosedBody:
    """The sphere of `model` with the motion of `fit`."""
    return PosedBody(model(), fit())


def avatar(settings: RiggedTrainSettings | None = None, sh_degree: int = 1, device: str = "cpu") -> RiggedAvatar:
    """A sphere with one grey splat per triangle or more. settings: of a training; None for one that is only drawn."""
    made = RiggedAvatar(body().to(device), "toy", settings)
    nothing = ImageSet(None, (), (), {}, {})
    arrays = initial_splats(made.body, nothing, (), FRAMES, InitSettings(splats=300))
    rest = np.zeros((len(arrays["binding"]), (sh_degree + 1) ** 2 - 1, 3), np.float32)
    made.initialise({**arrays, "sh_rest": rest})
    return made


def images(folder, views: tuple[Camera, ...]) -> ImageSet:  # noqa: ANN001  (a Path)
    """RGBA images of a coloured sphere from each camera at each frame."""
    painted = avatar()
    generator = torch.Generator().manual_seed(2)
    painted.local["sh_dc"].data.copy_(torch.randn(painted.local["sh_dc"].shape, generator=generator))
    folder.mkdir(parents=True)
    for camera in views:
        with packed_writer(folder / f"{camera.name}.zip") as writer:
            for i, name in enumerate(FRAMES):
                writer.add(name, render_views(painted, i, [camera])[0])
    frames = tuple(Frame(name, "take", i, i / 25) for i, name in enumerate(FRAMES))
    write_image_set(folder.parent / "alpha.json", folder, views, frames, {})
    return read_image_set(folder.parent / "alpha.json", folder)
