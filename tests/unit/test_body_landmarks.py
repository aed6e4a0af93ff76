"""What was baked must look like a person: sides, regions, landmarks where the anatomy has them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.body.model import load_model

MIRROR = torch.tensor([-1.0, 1.0, 1.0])
FACE_PAIRS = [(33, 263), (133, 362), (61, 291), (78, 308), (159, 386), (145, 374), (105, 334), (70, 300), (50, 280), (468, 473), (98, 327)]
"""MediaPipe's numbers of the same place on the person's right and left."""


@pytest.fixture(scope="module", params=["anny_head", "anny_body"])
def model(request):
    return load_model(request.param)


def test_face_landmarks_mirror_each_other(model):
    table, points = model.landmarks["mediapipe_face"], model.landmarks["mediapipe_face"].points(model.template)
    for right, left in FACE_PAIRS:
        assert table.valid[right] and table.valid[left]
        assert points[left, 0] > 0.005, "left is +x"
        assert (points[right] * MIRROR - points[left]).norm() < 0.004, (right, left)


def test_face_landmarks_sit_where_they_belong(model):
    points = model.landmarks["mediapipe_face"].points(model.template)
    table = model.landmarks["mediapipe_face"]
    assert table.valid.sum() >= 374
    for iris, eye in ((468, "eye_right"), (473, "eye_left")):
        assert model.regions[eye][table.vertices[iris][table.weights[iris] > 0]].all()
        centre = model.rest_joints[model.joint_names.index("eye.L" if eye == "eye_left" else "eye.R")]
        assert (points[iris] - centre)[1] < -0.008, "the iris is in front of the eye's centre: the face looks along -y"
    for lip in (13, 14, 0, 17):
        assert model.regions["lips"][table.vertices[lip][table.weights[lip] > 0.3]].any(), lip
    upper, lower, nose, chin = points[0], points[17], points[1], points[199]
    assert nose[2] > upper[2] > lower[2] > chin[2]
    assert nose[1] < upper[1] < points[33][1]


def test_an_open_mouth_parts_the_inner_lips(model):
    parameters = model.zeros(1)
    parameters["expression"][0, model.expression_names.index("jawOpen")] = 1.0
    closed = model.landmarks["mediapipe_face"].points(model.template)
    opened = model.landmarks["mediapipe_face"].points(model.pose_vertices(**parameters).vertices)[0]
    assert (closed[13] - closed[14]).norm() < 0.006
    assert opened[13, 2] - opened[14, 2] > 0.015


def test_pose_points_follow_the_joints():
    model = load_model("anny_body")
    table = model.landmarks["mediapipe_pose"]
    assert table.valid.all()
    points = model.landmarks["mediapipe_pose"].points(model.template)
    pairs = [(a, a + 1) for a in range(11, 33, 2)] + [(7, 8)]
    for left, right in pairs:
        assert points[left, 0] > 0 and (points[right] * MIRROR - points[left]).norm() < 0.006, (left, right)
    for point, joint in ((11, "upperarm01.L"), (13, "lowerarm01.L"), (24, "upperleg01.R"), (26, "lowerleg01.R"), (28, "foot.R")):
        assert (points[point] - model.rest_joints[model.joint_names.index(joint)]).norm() < 0.003, joint
    bent = model.zeros(1)
    bent["pose"][0, model.joint_names.index("lowerleg01.L")] = torch.tensor([1.2, 0.0, 0.0])
    posed = model.pose_vertices(**bent)
    moved = model.landmarks["mediapipe_pose"].points(posed.vertices)[0]
    assert (moved[25] - posed.joints[0, model.joint_names.index("lowerleg01.L")]).norm() < 0.03
    assert (moved[27] - points[27]).norm() > 0.3


def test_tables_average_and_pass_gradients(model):
    table = model.landmarks["mediapipe_face"]
    torch.testing.assert_close(table.weights.sum(dim=1), torch.ones(len(table.weights)), atol=1e-5, rtol=0)
    assert (table.weights >= 0).all()
    vertices = model.template.clone().requires_grad_()
    table.points(vertices)[1].sum().backward()
    touched = np.flatnonzero(vertices.grad.abs().sum(dim=1).numpy())
    assert set(touched) == set(table.vertices[1][table.weights[1] > 0].tolist())


def test_regions_do_not_contradict_each_other(model):
    r = model.regions
    assert not (r["skin"] & (r["inner_mouth"] | r["tongue"] | r["eye_socket"] | r["eye_left"] | r["eye_right"])).any()
    assert (r["outer_skin"] == (r["skin"] | r["eye_front"])).all()
    for part in ("face", "scalp", "ears", "lips", "eyelids", "neck", "torso", "arms"):
        assert r[part].any() and (r["skin"] | ~r[part]).all(), part
    assert not (r["face"] & r["scalp"]).any()
    x = model.template[:, 0].numpy()
    assert x[r["eye_left"]].min() > 0 > x[r["eye_right"]].max()
    covered = np.any(
        [r[name] for name in ("face", "scalp", "ears", "neck", "torso", "arms", "lips", "eyelids") + (("legs", "hands", "feet") if "feet" in r else ())], axis=0
    )
    assert covered[r["skin"]].all()


def test_two_cuts_of_one_mesh_share_their_face():
    head, body = load_model("anny_head"), load_model("anny_body")
    shapes = []
    for model in (head, body):
        points = model.landmarks["mediapipe_face"].points(model.template)[model.landmarks["mediapipe_face"].valid]
        shapes.append(points - points.mean(dim=0))
    assert (shapes[0] - shapes[1]).norm(dim=-1).mean() < 0.004  # the mean persons differ: the body's sample has children
