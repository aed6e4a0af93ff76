"""Triangle frames and the map from a triangle's frame to the world."""

from __future__ import annotations

import pytest
import torch
from scipy.spatial.transform import Rotation
from torch.testing import assert_close

from pipeline.avatars.rigged.binding import bind, bind_reference
from pipeline.geometry.rotations import matrix_to_quat, quat_multiply, quat_rotate
from pipeline.geometry.triangle_frames import triangle_frames


def random_mesh(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    vertices = torch.randn(12, 3, generator=generator, dtype=torch.float64)
    faces = torch.stack([torch.randperm(12, generator=generator)[:3] for _ in range(9)])
    return vertices.to(dtype), faces


def random_splats(faces: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(4)
    binding = torch.randint(0, faces, (30,), generator=generator)
    means, quats, log_scales = (torch.randn(30, n, generator=generator, dtype=torch.float64).to(dtype) for n in (3, 4, 3))
    return binding, means, quats, log_scales


def random_motion() -> tuple[torch.Tensor, torch.Tensor]:
    rotation = torch.from_numpy(Rotation.random(random_state=5).as_matrix())
    return rotation, torch.tensor([0.3, -2.0, 0.7], dtype=torch.float64)


def test_frames_are_right_handed_and_lie_in_the_triangle():
    vertices, faces = random_mesh()
    T, R, s = triangle_frames(vertices, faces)
    assert_close(R.transpose(1, 2) @ R, torch.eye(3, dtype=torch.float64).expand_as(R))
    assert_close(torch.linalg.det(R), torch.ones(len(R), dtype=torch.float64))
    corners = vertices[faces]
    assert_close(T, corners.mean(1))
    local = torch.einsum("fck,fnc->fnk", R, corners - T[:, None])
    assert local[..., 1].abs().max() < 1e-12  # the normal is the second axis
    edge = local[:, 1] - local[:, 0]
    assert_close(edge[:, 0], torch.linalg.norm(corners[:, 1] - corners[:, 0], dim=1))
    height = local[:, 0, 2] - local[:, 2, 2]
    assert (height > 0).all()
    assert_close(s, (edge[:, 0] + height) / 2)


def test_a_collapsed_triangle_stays_finite():
    vertices = torch.zeros(3, 3, requires_grad=True)
    parts = triangle_frames(vertices, torch.tensor([[0, 1, 2]]))
    sum(part.sum() for part in parts).backward()
    assert torch.isfinite(vertices.grad).all() and all(torch.isfinite(part).all() for part in parts)


def test_world_to_local_undoes_local_to_world():
    vertices, faces = random_mesh()
    binding, means, quats, log_scales = random_splats(len(faces))
    world_means, world_quats, world_scales = bind(vertices, faces, binding, means, quats, log_scales)
    T, R, s = (part[binding] for part in triangle_frames(vertices, faces))
    assert_close(torch.einsum("nck,nc->nk", R, world_means - T) / s[:, None], means)
    assert_close(world_scales - s.log()[:, None], log_scales)
    back = quat_multiply(matrix_to_quat(R.transpose(1, 2)), world_quats)
    assert_close(back * torch.sign((back * quats).sum(1, keepdim=True)), quats)  # q and -q are the same rotation


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_rigid_motion_of_the_mesh_moves_the_splats_rigidly(dtype):
    vertices, faces = random_mesh()
    splats = random_splats(len(faces), dtype)
    rotation, shift = random_motion()
    still = bind(vertices.to(dtype), faces, *splats)
    moved = bind((vertices @ rotation.T + shift).to(dtype), faces, *splats)
    rotation, shift = rotation.to(dtype), shift.to(dtype)
    tolerance = {"atol": 2e-5, "rtol": 2e-5} if dtype == torch.float32 else {"atol": 1e-10, "rtol": 1e-10}
    assert_close(moved[0], still[0] @ rotation.T + shift, **tolerance)
    assert_close(moved[2], still[2], **tolerance)
    for axis in torch.eye(3, dtype=dtype):  # q and -q are the same rotation, so compare what they do
        before, after = (quat_rotate(torch.nn.functional.normalize(q, dim=1), axis.expand(len(q), 3)) for q in (still[1], moved[1]))
        assert_close(after, before @ rotation.T, **tolerance)


def test_reference_agrees_with_finite_differences():
    vertices, faces = random_mesh()
    binding, *floats = random_splats(len(faces))
    inputs = [x.clone().requires_grad_() for x in (vertices, *floats)]
    assert torch.autograd.gradcheck(lambda v, m, q, s: bind_reference(v, faces, binding, m, q, s), inputs)


def test_compiled_map_agrees_with_the_reference_in_values_and_gradients():
    vertices, faces = random_mesh()
    binding, *floats = random_splats(len(faces))
    results = []
    for function, dtype in ((bind, torch.float32), (bind_reference, torch.float64)):
        inputs = [x.to(dtype).clone().requires_grad_() for x in (vertices, *floats)]
        outputs = function(inputs[0], faces, binding, *inputs[1:])
        sum((torch.sin(3 * x) * (1 + i)).sum() for i, x in enumerate(outputs)).backward()
        results.append([x.detach().double() for x in (*outputs, *(x.grad for x in inputs))])
    for compiled, reference in zip(*results):
        assert_close(compiled, reference, atol=2e-5 * float(reference.abs().max()), rtol=2e-4)
