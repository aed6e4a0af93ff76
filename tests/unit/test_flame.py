"""FLAME from the user's files: stand-ins of their exact structure against the published formula in float64, teeth, gradients, the GPU's kernels, bad files."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from pipeline.body.importers import importer
from pipeline.body.importers.flame_teeth import COLUMNS, LE, LOWER_LIP, UE, UPPER_LIP, UR
from pipeline.body.importers.importer import import_model
from pipeline.body.model import load_model
from pipeline.contract.bodies import body_kind, use_folder
from pipeline.io.errors import InputError
from pipeline.track.gauss_newton_body import GaussNewtonBody
from pipeline.track.joints import free_joints
from tests.flame_standin import EXPRESSION, FACES, IDENTITY, JOINTS, VERTICES, flame_arrays, flame_vertices, write_flame, write_masks
from tests.hostile.case import Payload


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("flame")
    write_flame(place / "generic_model.pkl")
    write_masks(place / "FLAME_masks.pkl")
    return place


@pytest.fixture(autouse=True)
def no_landmarks(monkeypatch):
    """MediaPipe looks at 150 images of an imported model; what it finds is another test's matter."""
    monkeypatch.setattr(importer, "detections", lambda model: [[] for _ in range(478)])


@pytest.fixture(scope="module")
def model(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importer, "detections", lambda model: [[] for _ in range(478)])
        import_model("flame", [folder / "generic_model.pkl"], folder / "flame.npz", folder / "FLAME_masks.pkl", teeth=True)
    return load_model(folder / "flame.npz")


def parameters(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    pose = 0.3 * rng.normal(size=(JOINTS, 3))
    return {"shape": rng.normal(size=IDENTITY), "expression": rng.normal(size=EXPRESSION), "pose": pose, "translation": rng.normal(size=3)}


def tensors(p: dict[str, np.ndarray]) -> list[torch.Tensor]:
    return [torch.from_numpy(p["shape"]).float(), *(torch.from_numpy(p[name]).float()[None] for name in ("expression", "pose", "translation"))]


@pytest.mark.parametrize("seed", range(3))
def test_vertices_and_joints_are_those_of_the_formula(model, seed):
    p = parameters(seed)
    offsets = np.random.default_rng(seed).normal(0, 0.002, (VERTICES, 3))
    vertices, joints = flame_vertices(flame_arrays(), **p, offsets=offsets)
    with_teeth = torch.nn.functional.pad(torch.from_numpy(offsets).float(), (0, 0, 0, model.vertex_count - VERTICES))
    posed = model.pose_vertices(*tensors(p), offsets=with_teeth)
    assert np.abs(posed.vertices[0, :VERTICES].numpy() - vertices).max() < 1e-5
    assert np.abs(posed.joints[0].numpy() - joints).max() < 1e-5


def test_structure_and_regions(model):
    assert (model.vertex_count, len(model.faces)) == (5143, 10144) and len(model.pose_basis) == 36
    assert torch.equal(model.faces[:FACES], torch.from_numpy(flame_arrays()["f"].astype(np.int64)))
    assert model.joint_names == ("root", "neck", "jaw", "left_eye", "right_eye") and model.traits.kind == "head" and not model.traits.bounded
    assert model.regions["teeth"].sum() == 120 and model.regions["lips"][list(UPPER_LIP)].all()
    weights = model.lbs_weights.numpy()
    for region, joint in (("teeth_upper", 1), ("teeth_lower", 2), ("eye_left", 3), ("eye_right", 4)):
        assert (weights[model.regions[region], joint] > 0.9).all(), region
    assert (weights[model.regions["teeth"]].max(1) == 1).all()
    assert (model.template[model.regions["eye_left"], 0] > 0).all()


def test_teeth_lie_behind_the_lips_and_face_outwards(model):
    rest = model.template.numpy()[VERTICES:].reshape(8, COLUMNS, 3)
    lips = model.template.numpy()[[list(UPPER_LIP), list(LOWER_LIP)]]
    d = np.linalg.norm(lips[0] - lips[1], axis=-1).mean()
    middle = lips.mean(0)
    np.testing.assert_allclose(rest[UE][:, [0, 2]], middle[:, [0, 2]] - [0, 1.5 * d], atol=1e-6)
    np.testing.assert_allclose(rest[UE][:, 1], middle[:, 1].mean() + 0.1 * d, atol=1e-6)
    np.testing.assert_allclose(rest[UR] - rest[UE], np.tile([0, 2 * d, 0], (COLUMNS, 1)), atol=1e-6)
    np.testing.assert_allclose(rest[LE] - rest[UE], np.tile([0, -0.2 * d, -0.4 * d], (COLUMNS, 1)), atol=1e-6)
    a, b, c = (model.template.numpy()[model.faces.numpy()[FACES:, corner]] for corner in range(3))
    normals = np.cross(b - a, c - a).reshape(6, 28, 3)
    # front, back and cutting edge of the upper teeth, then of the lower ones
    for strip, (axis, sign) in enumerate(((2, 1), (2, -1), (1, -1), (2, 1), (2, -1), (1, 1))):
        assert (sign * normals[strip, :, axis] > 0).all(), strip
    moved = flame_arrays()["shapedirs"].transpose(2, 0, 1)[:IDENTITY][:, [list(UPPER_LIP), list(LOWER_LIP)]].mean(1)
    np.testing.assert_allclose(model.identity_basis[:, VERTICES:].numpy(), np.tile(moved, (1, 8, 1)), atol=1e-8)
    assert not model.expression_basis[:, VERTICES:].any() and not model.pose_basis[:, VERTICES:].any()


def test_gradients_are_those_of_finite_differences(model):
    light = model.subset(np.r_[np.arange(0, VERTICES, 700), VERTICES + 3])
    doubles = {
        f.name: value.double() for f in dataclasses.fields(light) if isinstance(value := getattr(light, f.name), torch.Tensor) and value.is_floating_point()
    }
    light = dataclasses.replace(light, **doubles)
    p = [x.double() for x in tensors(parameters(5))]

    def vertices(shape, expression, pose, translation):
        whole = torch.cat([shape, p[0][3:]]), torch.cat([expression, p[1][:, 3:]], dim=1)
        return light.pose_vertices(*whole, pose, translation).vertices

    inputs = (p[0][:3], p[1][:, :3], p[2], p[3])
    assert torch.autograd.gradcheck(vertices, [value.clone().requires_grad_() for value in inputs])


def test_the_fit_poses_it_as_the_model_does(model):
    light = model.subset(np.arange(0, model.vertex_count, 40))
    body, p = GaussNewtonBody.of(light, free_joints(light, "head")), parameters(6)
    p["pose"] *= 0.4  # the fit's steps are bounded
    assert body.names == model.joint_names
    state = body.initial_state(1, 0)
    step = np.concatenate([p["pose"].ravel(), p["translation"], p["expression"]])[None]
    state = state.updated(step, p["shape"], np.zeros(0))
    assert state.expression.min() < 0 and state.expression.max() > 1
    expected = light.pose_vertices(*tensors(p)).vertices[0]
    np.testing.assert_allclose(body.vertices(state, 0), expected.numpy(), atol=1e-5)


def test_it_is_used_by_name(model, folder, monkeypatch):
    monkeypatch.setenv("C2A_BODIES", "")
    use_folder(folder)
    assert body_kind("flame") == "head" and load_model("flame").vertex_count == 5143
    with pytest.raises(InputError, match=r"(?s)no body model 'flame2025'.*anny_body.*|flame"):
        load_model("flame2025")


FLAT = np.zeros((VERTICES, 3, 400), np.uint8)  # shapedirs of a file that is quickly written


def test_without_teeth_and_masks(tmp_path):
    import_model("flame", [write_flame(tmp_path / "flat.pkl", shapedirs=FLAT)], tmp_path / "plain.npz")
    plain = load_model(tmp_path / "plain.npz")
    assert (plain.vertex_count, len(plain.faces)) == (5023, 9976)
    assert plain.regions["eye_left"].sum() == 72 and "lips" not in plain.regions


def test_texture_coordinates_come_from_the_template(tmp_path):
    faces = flame_arrays()["f"] + 1
    rows = [f"v {x} {y} {z}" for x, y, z in flame_arrays()["v_template"]] + [f"vt {n / 5118} 0.5" for n in range(5118)]
    rows += [f"f {a}/{a} {b}/{b} {c}/{c}" for a, b, c in faces]
    (tmp_path / "head_template.obj").write_text("\n".join(rows))
    files = [write_flame(tmp_path / "flat.pkl", shapedirs=FLAT), tmp_path / "head_template.obj"]
    import_model("flame", files, tmp_path / "textured.npz", teeth=True)
    model = load_model(tmp_path / "textured.npz")
    assert len(model.uv) == 5118 + 120 and torch.equal(model.uv_faces[:FACES], model.faces[:FACES])
    teeth = model.uv[model.uv_faces[FACES:]]
    assert 0.38 - 1e-6 <= teeth[..., 0].min() and teeth[..., 0].max() <= 0.62 + 1e-6 and teeth[..., 1].min() > 0.95
    assert torch.equal(model.uv_faces[FACES:] - 5118, model.faces[FACES:] - VERTICES)


BAD = {
    "v_template": (lambda: flame_arrays()["v_template"][:-1], "'v_template' has a wrong shape"),
    "shapedirs": (lambda: FLAT[..., :100], "'shapedirs' has a wrong shape"),
    "posedirs": (lambda: None, "lacks the array 'posedirs'"),
    "weights": (lambda: flame_arrays()["weights"] * np.nan, "'weights' is not finite"),
    "f": (lambda: flame_arrays()["f"] + 1, "'f' points at what is not there"),
    "J_regressor": (lambda: flame_arrays()["J_regressor"] * 2, "regressor weights of a joint do not add up"),
    "kintree_table": (lambda: flame_arrays()["kintree_table"] * 0 + 4, "the joints are no tree"),
    "bs_type": (lambda: Payload(), "posix.system"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_model_is_named_and_nothing_is_written(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, words = BAD[name]
    path, out = write_flame(tmp_path / "bad.pkl", **({"shapedirs": FLAT} | {name: make()})), tmp_path / "bodies" / "bad.npz"
    with pytest.raises(InputError, match=words) as caught:
        import_model("flame", [path], out)
    assert "bad.pkl" in str(caught.value) and "next:" in str(caught.value)
    assert not out.exists() and not (tmp_path / "EXECUTED").exists() and not list(tmp_path.glob("**/.partial*"))


MASKS = {
    "lips": (None, "lacks the region 'lips'"),
    "scalp": (np.array([5023]), "'scalp' is no list of vertices of FLAME"),
    "neck": (np.array([0.5]), "'neck' is no list of vertices of FLAME"),
}


@pytest.mark.parametrize("name", [*MASKS, "missing"])
def test_wrong_masks_are_named(name, folder, tmp_path):
    value, words = MASKS.get(name, (None, "no such file"))
    path = tmp_path / "none.pkl" if name == "missing" else write_masks(tmp_path / "masks.pkl", **{name: value})
    with pytest.raises(InputError, match=words):
        import_model("flame", [folder / "generic_model.pkl"], tmp_path / "x.npz", path)
    assert not (tmp_path / "x.npz").exists()


def test_the_file_says_where_it_comes_from(folder, model):
    with np.load(folder / "flame.npz") as arrays:
        facts = json.loads(str(arrays["facts"]))
    assert set(facts["files"]) == {"generic_model.pkl", "FLAME_masks.pkl"} and facts["source"] == "FLAME"
