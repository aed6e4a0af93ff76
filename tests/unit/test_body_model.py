"""The parametric model: what must hold for any person, whatever was baked."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from pipeline.body.model import DATA, load_model
from pipeline.body.skinning import posed_joints
from pipeline.body.store import pack_lbs, quantise_basis, unpack_lbs
from pipeline.geometry.rotations import rotvec_to_matrix_torch
from pipeline.io.errors import InputError


@pytest.fixture(scope="module", params=["anny_head", "anny_body"])
def model(request):
    return load_model(request.param)


@pytest.fixture(scope="module")
def head():
    return load_model("anny_head")


def _random(model, frames: int, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    spread = {"identity": 1.0, "expression": 0.3, "pose": 0.3, "translation": 0.5}
    return {name: spread[name] * torch.randn(value.shape, generator=generator) for name, value in model.zeros(frames).items()}


def test_neutral_parameters_give_the_template(model):
    posed = model.pose_vertices(**model.zeros(2))
    torch.testing.assert_close(posed.vertices, model.template.expand(2, -1, -1), atol=1e-6, rtol=0)
    torch.testing.assert_close(posed.joints, (model.joint_regressor @ model.template).expand(2, -1, -1), atol=1e-6, rtol=0)


def test_root_rotation_is_a_rigid_motion(model):
    parameters = _random(model, 1)
    still = model.pose_vertices(**parameters | {"pose": torch.zeros(1, len(model.parents), 3)})
    turned_pose = torch.zeros(1, len(model.parents), 3)
    turned_pose[0, 0] = torch.tensor([0.4, -1.1, 0.7])
    turned = model.pose_vertices(**parameters | {"pose": turned_pose})
    rotation = rotvec_to_matrix_torch(turned_pose[0, 0])
    root = still.joints[:, :1]
    torch.testing.assert_close(turned.vertices, (still.vertices - root) @ rotation.T + root, atol=2e-6, rtol=0)
    torch.testing.assert_close(turned.joints, (still.joints - root) @ rotation.T + root, atol=2e-6, rtol=0)


def test_scale_and_translation_act_on_the_posed_person(model):
    parameters = _random(model, 2)
    move = parameters.pop("translation")
    plain = model.pose_vertices(**parameters, translation=torch.zeros(2, 3))
    scaled = model.pose_vertices(**parameters, translation=move, scale=1.3)
    torch.testing.assert_close(scaled.vertices, 1.3 * plain.vertices + move[:, None])


def test_joints_are_the_regressor_on_shaped_vertices(model):
    p = _random(model, 2)
    offsets = 0.003 * torch.randn(model.vertex_count, 3, generator=torch.Generator().manual_seed(3))
    shaped = model.shape_vertices(p["identity"], p["expression"], offsets)
    expected = torch.stack([model.joint_regressor @ frame for frame in shaped])
    torch.testing.assert_close(model.shape_joints(p["identity"], p["expression"], offsets), expected, atol=1e-5, rtol=0)


def test_rotating_a_joint_moves_what_hangs_on_it_and_nothing_else(model):
    joint = model.joint_names.index("head")
    parameters = model.zeros(1)
    parameters["pose"][0, joint] = torch.tensor([0.0, 0.0, 0.5])
    moved = (model.pose_vertices(**parameters).vertices[0] - model.template).norm(dim=-1)
    below = {joint} | {j for j, parent in enumerate(model.parents) if parent == joint}
    weight = model.lbs_weights[:, sorted(below)].sum(dim=1)
    assert moved[weight == 0].max() < 1e-6
    radius = (model.template - model.rest_joints[joint])[:, :2].norm(dim=-1)
    rigid = weight > 0.999
    torch.testing.assert_close(moved[rigid], 2 * np.sin(0.25) * radius[rigid], atol=1e-4, rtol=0)


def test_weights_and_regressor_sum_to_one(model):
    torch.testing.assert_close(model.lbs_weights.sum(dim=1), torch.ones(model.vertex_count), atol=1e-5, rtol=0)
    assert model.lbs_weights.min() >= 0
    torch.testing.assert_close(model.joint_regressor.to_dense().sum(dim=1), torch.ones(len(model.parents)), atol=1e-4, rtol=0)
    assert model.parents[0] == -1 and all(0 <= parent < j for j, parent in enumerate(model.parents) if j)


@pytest.mark.parametrize("correct", [False, True])
def test_gradients_are_right_and_flow_to_everything(head, correct):
    light = head.subset(np.arange(0, head.vertex_count, 1200))
    light = with_correctives(light) if correct else light
    double = {f.name: getattr(light, f.name) for f in dataclasses.fields(light)}
    double = {name: value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value for name, value in double.items()}
    model = dataclasses.replace(light, **double)
    pick = {name: value[..., :4].double() for name, value in _random(head, 1).items() if name in ("identity", "expression")}

    def vertices(identity, expression, pose, translation, scale, offsets):
        whole = torch.cat([identity, torch.zeros(len(model.identity_basis) - 4, dtype=torch.float64)])
        acts = torch.cat([expression, torch.zeros(1, len(model.expression_basis) - 4, dtype=torch.float64)], dim=1)
        return model.pose_vertices(whole, acts, pose, translation, scale, offsets).vertices

    pose = torch.zeros(1, len(model.parents), 3, dtype=torch.float64)  # zero: where a careless Rodrigues has no gradient
    inputs = (pick["identity"], pick["expression"], pose, torch.zeros(1, 3).double(), torch.tensor(1.1).double(), torch.zeros(model.vertex_count, 3).double())
    assert torch.autograd.gradcheck(vertices, [value.clone().requires_grad_() for value in inputs])


def with_correctives(model, frames: int = 1):
    """The model with random pose correctives of a millimetre or so."""
    shape = (9 * (len(model.parents) - 1), model.vertex_count, 3)
    return dataclasses.replace(model, pose_basis=0.002 * torch.randn(shape, generator=torch.Generator().manual_seed(5)))


def test_pose_correctives_are_those_of_a_loop_over_joints(head):
    model, parameters = with_correctives(head), _random(head, 2)
    posed = model.pose_vertices(**parameters)
    for frame in range(2):
        local = rotvec_to_matrix_torch(parameters["pose"][frame])
        added = torch.zeros_like(head.template)
        for joint in range(1, len(head.parents)):
            for row in range(3):
                for column in range(3):
                    added += (local[joint, row, column] - float(row == column)) * model.pose_basis[9 * (joint - 1) + 3 * row + column]
        at = {name: value[frame : frame + 1] for name, value in parameters.items() if name != "identity"}
        joints = head.pose_vertices(parameters["identity"], **at).joints
        moved = head.shape_vertices(parameters["identity"], at["expression"])[0] + added
        plain = dataclasses.replace(head, template=moved, identity_basis=head.identity_basis[:0], expression_basis=torch.zeros_like(head.expression_basis))
        rest = head.shape_joints(parameters["identity"], at["expression"])[0]
        plain = dataclasses.replace(plain, rest_joints=rest, identity_joints=head.identity_joints[:0], expression_joints=0 * head.expression_joints)
        expected = plain.pose_vertices(torch.zeros(0), **at)
        torch.testing.assert_close(posed.vertices[frame], expected.vertices[0], atol=2e-6, rtol=0)
        torch.testing.assert_close(posed.joints[frame], joints[0], atol=1e-6, rtol=0)
        assert (posed.vertices[frame] - head.pose_vertices(parameters["identity"], **at).vertices[0]).norm(dim=-1).max() > 2e-3


@pytest.mark.parametrize("correct", [False, True])
def test_subset_poses_the_same_points(head, correct):
    head, parameters = with_correctives(head) if correct else head, _random(head, 3)
    whole = head.pose_vertices(**parameters)
    ids = np.flatnonzero(head.regions["face"])
    light = head.subset(ids)
    part = light.pose_vertices(**parameters)
    torch.testing.assert_close(part.vertices, whole.vertices[:, ids], atol=1e-5, rtol=0)
    torch.testing.assert_close(part.joints, whole.joints, atol=1e-5, rtol=0)
    kept = light.landmarks["mediapipe_face"].valid
    assert 300 < int(kept.sum()) < int(head.landmarks["mediapipe_face"].valid.sum())
    expected = head.landmarks["mediapipe_face"].points(whole.vertices)[:, kept]
    torch.testing.assert_close(light.landmarks["mediapipe_face"].points(part.vertices)[:, kept], expected, atol=1e-5, rtol=0)
    assert light.regions["face"].all() and torch.equal(light.vertex_ids[light.faces], _whole_faces(head, ids))


def _whole_faces(model, ids):
    keep = torch.zeros(model.vertex_count, dtype=torch.bool)
    keep[ids] = True
    return model.faces[keep[model.faces].all(dim=1)]


def test_kinematics_agree_with_a_loop_over_the_chain():
    random = torch.Generator().manual_seed(1)
    parents = (-1, 0, 1, 1, 0, 4)
    pose, joints = torch.randn(2, 6, 3, generator=random).double(), torch.randn(2, 6, 3, generator=random).double()
    rotations, positions = posed_joints(pose, joints, parents)
    for frame in range(2):
        turn, place = [], []
        for joint, parent in enumerate(parents):
            local = torch.linalg.matrix_exp(_cross(pose[frame, joint]))
            turn.append(local if parent < 0 else turn[parent] @ local)
            place.append(joints[frame, 0] if parent < 0 else place[parent] + turn[parent] @ (joints[frame, joint] - joints[frame, parent]))
        torch.testing.assert_close(rotations[frame], torch.stack(turn))
        torch.testing.assert_close(positions[frame], torch.stack(place))


def _cross(v: torch.Tensor) -> torch.Tensor:
    zero = torch.zeros((), dtype=v.dtype)
    return torch.stack([zero, -v[2], v[1], v[2], zero, -v[0], -v[1], v[0], zero]).reshape(3, 3)


def test_file_format_keeps_what_it_is_given():
    random = np.random.default_rng(0)
    basis = random.normal(0, 0.01, (5, 30, 3))
    counts, step = quantise_basis(basis)
    assert np.abs(counts * step - basis).max() <= step * 0.501
    weights = random.dirichlet(np.full(7, 0.2), 30)
    np.testing.assert_allclose(unpack_lbs(*pack_lbs(weights), 7), weights, atol=1e-4)


def test_missing_model_is_named():
    with pytest.raises(InputError, match="no_such_model"):
        load_model("no_such_model")


def test_embedded_files_are_small():
    for path in DATA.glob("*.npz"):
        assert path.stat().st_size < 8e6, path.name
