"""Posing in Triton, under Triton's interpreter, against `ParametricModel.pose_vertices` in double precision."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from pipeline.body.model import ParametricModel
from pipeline.body.posing_tables import PosingTables
from tests.unit.rigged_toy import model as toy
from tests.unit.triton_interpreter import interpreted

posing = interpreted("pipeline.body.posing_gpu")
PARENTS = (-1, 0, 0, 1, 3, 2, 3)  # not in the order of a walk through the tree


def crooked() -> ParametricModel:
    """The toy with seven joints, of which a vertex follows one to three, and joints regressed from five vertices or so each."""
    plain, generator = toy(), torch.Generator().manual_seed(7)
    count, joints = plain.vertex_count, len(PARENTS)
    weights = torch.rand(count, joints, generator=generator)
    weights[weights < weights.sort(dim=1, descending=True).values[:, 2:3]] = 0
    regressor = torch.rand(joints, count, generator=generator)
    regressor[regressor < 0.9] = 0
    weights, regressor = (x / x.sum(1, keepdim=True) for x in (weights, regressor))
    joints_of = {name: torch.einsum("jv,ivc->ijc", regressor, getattr(plain, f"{name}_basis")) for name in ("identity", "expression")}
    return replace(
        plain,
        parents=PARENTS,
        lbs_weights=weights,
        joint_regressor=regressor.to_sparse(),
        rest_joints=regressor @ plain.template,
        identity_joints=joints_of["identity"],
        expression_joints=joints_of["expression"],
    )


def corrected() -> ParametricModel:
    """The same with pose correctives, of the size of a nose."""
    model = crooked()
    shape = (9 * (len(PARENTS) - 1), model.vertex_count, 3)
    return replace(model, pose_basis=0.02 * torch.randn(shape, generator=torch.Generator().manual_seed(8)))


def with_identity(model: ParametricModel) -> ParametricModel:
    return replace(model, identity_basis=model.identity_basis[:0], identity_joints=model.identity_joints[:0])


def double(model: ParametricModel) -> ParametricModel:
    return replace(model, **{f.name: x.double() for f in fields(model) if isinstance(x := getattr(model, f.name), torch.Tensor) and x.is_floating_point()})


def parameters(model: ParametricModel, frames: int) -> list[torch.Tensor]:
    """Offsets, expression, pose and translation; one joint at rest, one turned by more than half a turn."""
    generator = torch.Generator().manual_seed(1)
    joints = len(model.parents)
    shapes = ((model.vertex_count, 3), (frames, len(model.expression_basis)), (frames, joints, 3), (frames, 3))
    tensors = [scale * torch.randn(shape, generator=generator) for shape, scale in zip(shapes, (0.01, 1.0, 0.5, 0.3))]
    tensors[2][0, 0], tensors[2][0, 1] = torch.tensor([2.0, -2.5, 0.7]), 0
    return tensors


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("make", [toy, crooked, corrected])
def test_posing_agrees_with_the_model_in_values_and_gradients(make, frames):
    model = with_identity(make())
    results, scale = [], 1.3
    for dtype in (torch.float32, torch.float64):
        inputs = [x.to(dtype).requires_grad_() for x in parameters(model, frames)]
        offsets, expression, pose, translation = inputs
        if dtype == torch.float32:
            vertices = posing.pose_vertices(PosingTables.of(model), offsets, expression, pose, translation, scale)
        else:
            vertices = double(model).pose_vertices(torch.zeros(0, dtype=dtype), expression, pose, translation, scale, offsets).vertices
        (vertices * torch.sin(torch.arange(vertices.numel(), dtype=dtype)).view_as(vertices)).sum().backward()
        results.append([x.detach().double() for x in (vertices, *(x.grad for x in inputs))])
    for ours, reference in zip(*results):
        assert_close(ours, reference, rtol=1e-4, atol=1e-5 * float(reference.abs().max()))


def test_offsets_of_a_light_model_move_no_joint():
    whole = crooked()
    model = with_identity(replace(whole, uv_faces=whole.faces).subset(np.arange(0, whole.vertex_count, 2)))
    offsets, expression, pose, translation = parameters(model, 1)
    expected = model.pose_vertices(torch.zeros(0), expression, pose, translation, 1.0, offsets).vertices
    assert_close(posing.pose_vertices(PosingTables.of(model), offsets, expression, pose, translation, 1.0), expected, rtol=1e-5, atol=1e-6)
