"""A sphere with the components and joints of FLAME: small, and of another number of vertices."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.body.model import ParametricModel
from tests.unit.rigged_toy import model, sphere

JOINTS = ("root", "neck", "jaw", "left_eye", "right_eye")


def tiny_flame() -> ParametricModel:
    """300 identity and 100 expression components, five joints, no correctives."""
    from dataclasses import replace

    vertices, _ = sphere(rings=9, sectors=12)
    _, faces = sphere(rings=9, sectors=12)
    template, generator = torch.from_numpy(vertices).float(), torch.Generator().manual_seed(3)
    count = len(template)
    weights = torch.softmax(40 * template @ torch.randn(3, 5, generator=generator), dim=1)
    regressor = torch.rand(5, count, generator=generator)
    regressor /= regressor.sum(1, keepdim=True)
    identity, expression = (size * torch.randn(n, count, 3, generator=generator) for n, size in ((300, 0.001), (100, 0.002)))
    return replace(
        model(),
        name="tiny",
        template=template,
        faces=torch.from_numpy(faces).long(),
        identity_basis=identity,
        expression_basis=expression,
        pose_basis=torch.zeros(0, count, 3),
        expression_names=tuple(f"expression{i}" for i in range(100)),
        joint_names=JOINTS,
        parents=(-1, 0, 1, 1, 1),
        joint_regressor=regressor.to_sparse(),
        lbs_weights=weights,
        vertex_ids=torch.arange(count),
        rest_joints=regressor @ template,
        identity_joints=torch.einsum("jv,ivc->ijc", regressor, identity),
        expression_joints=torch.einsum("jv,ivc->ijc", regressor, expression),
    )


def random_avatar(seed: int = 0) -> dict[str, np.ndarray]:
    """The arrays of an avatar.npz on `tiny_flame`, three frames."""
    rng, flame = np.random.default_rng(seed), tiny_flame()
    splats = 3 * len(flame.faces)
    sizes = {"means": (splats, 3), "quats": (splats, 4), "log_scales": (splats, 3), "opacities": (splats,), "sh_dc": (splats, 1, 3), "sh_rest": (splats, 15, 3)}
    sizes |= {"identity": (300,), "offsets": (flame.vertex_count, 3), "pose": (3, 5, 3), "expression": (3, 100), "translation": (3, 3)}
    scales = {"log_scales": 0.3, "identity": 0.5, "offsets": 0.002, "pose": 0.1, "translation": 0.01, "sh_rest": 0.1}
    arrays = {name: (scales.get(name, 1.0) * rng.normal(size=size)).astype(np.float32) for name, size in sizes.items()}
    binding = rng.integers(0, len(flame.faces), splats)
    names = np.array([f"take_{i:06d}" for i in range(3)])
    return {"method": np.array("rigged"), "binding": binding, "model": np.array("tiny"), "frames": names, "scale": np.array(1.0, np.float32), **arrays}
