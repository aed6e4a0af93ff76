"""SMPL, SMPL-X, BFM, GNM and ICT from files of their structure with random content: the formula holds, units and names are right, wrong files are named."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.io import savemat

from pipeline.body.importers import importer
from pipeline.body.importers.ict import KEPT, NEUTRAL, RANGES
from pipeline.body.importers.ict import VERTICES as ICT_VERTICES
from pipeline.body.importers.importer import check_request, import_model
from pipeline.body.model import load_model
from pipeline.body.smpl_joints import SMPL_JOINTS, SMPLX_JOINTS
from pipeline.io.errors import InputError
from tests.flame_standin import flame_vertices
from tests.python2_pickles import chumpy, python2_pickle

RNG = np.random.default_rng(3)
SMPL_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)


@pytest.fixture(autouse=True)
def no_landmarks(monkeypatch):
    monkeypatch.setattr(importer, "detections", lambda model: [[] for _ in range(478)])


def smpl_arrays(vertices: int, parents: tuple[int, ...], components: int) -> dict[str, np.ndarray]:
    """Random tables; few values, so that they are quickly written."""
    joints = len(parents)
    weights = RNG.random((vertices, 4))
    dense, posedirs = np.zeros((vertices, joints)), np.zeros((vertices, 3, 9 * (joints - 1)), np.float32)
    posedirs[..., ::23] = 0.01 * RNG.normal(size=posedirs[..., ::23].shape)
    dense[np.arange(vertices)[:, None], RNG.permuted(np.tile(np.arange(joints), (vertices, 1)), axis=1)[:, :4]] = weights / weights.sum(1, keepdims=True)
    regressor = np.zeros((joints, vertices))
    regressor[:, RNG.integers(vertices, size=30)] = 1 / 30
    regressor /= regressor.sum(1, keepdims=True)
    return {
        "v_template": RNG.uniform(-0.9, 0.9, (vertices, 3)),
        "shapedirs": np.tile(0.01 * RNG.normal(size=(vertices, 3, 5)).astype(np.float32), -(-components // 5))[..., :components],
        "posedirs": posedirs,
        "J_regressor": regressor,
        "weights": dense,
        "kintree_table": np.array([[2**32 - 1, *parents[1:]], range(joints)], np.int64),
        "f": RNG.integers(vertices, size=(50, 3)).astype(np.uint32),
    }


def agrees(model, arrays, parents, identity: int) -> None:
    sizes = (len(model.identity_basis), len(model.expression_basis))
    shape, expression = (RNG.normal(size=size) for size in sizes)
    pose, translation = 0.4 * RNG.normal(size=(len(parents), 3)), RNG.normal(size=3)
    vertices, joints = flame_vertices(arrays, shape, expression, pose, translation, parents=parents)
    posed = model.pose_vertices(torch.from_numpy(shape).float(), *(torch.from_numpy(x).float()[None] for x in (expression, pose, translation)))
    assert sizes[0] == identity and np.abs(posed.vertices[0].numpy() - vertices).max() < 1e-5 and np.abs(posed.joints[0].numpy() - joints).max() < 1e-5


def test_smpl(tmp_path):
    arrays = smpl_arrays(6890, SMPL_PARENTS, 10)
    (tmp_path / "basic_model.pkl").write_bytes(python2_pickle({**arrays, "shapedirs": chumpy(arrays["shapedirs"])}))
    import_model("smpl", [tmp_path / "basic_model.pkl"], tmp_path / "smpl.npz")
    model = load_model(tmp_path / "smpl.npz")
    assert model.joint_names == SMPL_JOINTS and model.traits.kind == "body" and "left_knee" in model.traits.free["body"]
    agrees(model, arrays, SMPL_PARENTS, 10)


def test_smplx(tmp_path):
    parents = (
        *SMPL_PARENTS[:22],
        15,
        15,
        15,
        *(20 if finger % 3 == 0 else 24 + finger for finger in range(15)),
        *(21 if f % 3 == 0 else 39 + f for f in range(15)),
    )
    arrays = smpl_arrays(10475, parents, 400) | {"joint2num": np.array({"Pelvis": 0})}
    np.savez(tmp_path / "SMPLX_NEUTRAL.npz", **arrays)
    import_model("smplx", [tmp_path / "SMPLX_NEUTRAL.npz"], tmp_path / "smplx.npz")
    model = load_model(tmp_path / "smplx.npz")
    assert model.joint_names == SMPLX_JOINTS and len(model.parents) == 55 and len(model.expression_basis) == 100 and model.traits.roles["jaw"] == "jaw"
    agrees(model, arrays, parents, 300)
    with pytest.raises(InputError, match="SMPL"):
        import_model("smpl", [tmp_path / "SMPLX_NEUTRAL.npz"], tmp_path / "x.npz")


@pytest.mark.parametrize("original", [False, True])
def test_bfm_is_in_metres_and_counts_from_one(tmp_path, original):
    count = 500
    mean = RNG.uniform(-9e4, 9e4, (count, 3))  # micrometres
    basis, sigma = RNG.normal(size=(3 * count, 4)), np.array([900.0, 500, 300, 100])
    faces = RNG.integers(1, count + 1, (40, 3))
    expression = np.zeros((3 * count, 0)) if original else 300 * RNG.normal(size=(3 * count, 3))
    tables = {"shapeMU": mean.reshape(-1, 1), "shapePC": basis, "shapeEV": sigma[:, None], "tl": faces}
    if not original:
        tables = {"meanshape": mean.reshape(1, -1), "idBase": basis * sigma, "exBase": expression, "tri": faces}
    savemat(tmp_path / "bfm.mat", tables, do_compression=True)
    import_model("bfm", [tmp_path / "bfm.mat"], tmp_path / "bfm.npz")
    model = load_model(tmp_path / "bfm.npz")
    coefficients = RNG.normal(size=4), RNG.normal(size=expression.shape[1])
    expected = 1e-6 * (mean.ravel() + basis @ (sigma * coefficients[0]) + expression @ coefficients[1]).reshape(-1, 3)
    shaped = model.shape_vertices(*(torch.from_numpy(x).float() for x in (coefficients[0], coefficients[1][None])))
    np.testing.assert_allclose(shaped[0].numpy(), expected, atol=1e-7)
    assert torch.equal(model.faces, torch.from_numpy(faces - 1)) and model.joint_names == ("root",)
    posed = model.pose_vertices(torch.zeros(4), torch.zeros(1, expression.shape[1]), torch.tensor([[[0.3, 0, 0]]]), torch.zeros(1, 3))
    torch.testing.assert_close(posed.vertices.mean(1), model.template.mean(0)[None], atol=1e-6, rtol=0)


def gnm_arrays(**changed: np.ndarray) -> dict[str, np.ndarray]:
    count, joints = 300, 4
    weights = RNG.dirichlet(np.ones(joints), count).T
    arrays = {
        "template_vertex_positions": RNG.uniform(-0.15, 0.15, (count, 3)),
        "vertex_identity_basis": 0.01 * RNG.normal(size=(5, count, 3)),
        "expression_basis": 0.01 * RNG.normal(size=(6, count, 3)),
        "skinning_weights": weights,
        "joint_regressor": RNG.dirichlet(np.ones(count), joints),
        "joint_parent_indices": np.array([-1, 0, 1, 1]),
        "joint_names": np.array(["neck", "head", "left_eye", "right_eye"]),
        "expression_names": np.array([f"mouth_{n}" for n in range(6)]),
        "triangles": RNG.integers(count, size=(20, 3)),
        "triangle_uvs": RNG.random((20, 3, 2)),
        "pose_correctives_regressor": np.zeros((36, 3 * count)),
        "vertex_groups": (RNG.random((2, count)) > 0.5).astype(float),
        "vertex_group_names": np.array(["left_eye", "lips"]),
    }
    return arrays | changed


def test_gnm(tmp_path):
    arrays = gnm_arrays()
    np.savez(tmp_path / "gnm_head.npz", **arrays)
    import_model("gnm", [tmp_path / "gnm_head.npz"], tmp_path / "gnm.npz")
    model = load_model(tmp_path / "gnm.npz")
    assert model.traits.roles == {"eye_left": "left_eye", "eye_right": "right_eye", "head": "head"} and not len(model.pose_basis)
    np.testing.assert_array_equal(model.regions["lips"], arrays["vertex_groups"][1] > 0.5)
    np.testing.assert_allclose(model.uv[model.uv_faces].numpy(), arrays["triangle_uvs"], atol=1e-6)
    theirs = {"v_template": arrays["template_vertex_positions"], "posedirs": np.zeros((300, 3, 27)), "J_regressor": arrays["joint_regressor"]}
    both = np.concatenate([arrays["vertex_identity_basis"], arrays["expression_basis"]]).transpose(1, 2, 0)
    agrees(model, {**theirs, "shapedirs": both, "weights": arrays["skinning_weights"].T}, (-1, 0, 1, 1), 5)


def test_correctives_of_the_root_have_no_place(tmp_path):
    np.savez(tmp_path / "gnm_head.npz", **gnm_arrays(pose_correctives_regressor=np.ones((36, 900))))
    with pytest.raises(InputError, match="other pose correctives"):
        import_model("gnm", [tmp_path / "gnm_head.npz"], tmp_path / "gnm.npz")


def obj(vertices: np.ndarray, faces: str) -> str:
    return "mtllib x.mtl\n" + "".join(f"v {x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in vertices) + "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n" + faces


def test_ict(tmp_path):
    neutral = np.round(RNG.uniform(-15, 15, (ICT_VERTICES, 3)), 3)  # centimetres
    moved = {"identity000": neutral + [1, 0, 0], "identity001": neutral + [0, 2, 0], "eyeBlink_L": neutral + [0, 0, 0.5], "jawOpen": neutral - [0, 0.5, 0]}
    faces = "f 1/1 2/2 3/3 4/4\nf 26000/1 26001/2 26002/3\n"
    for name, vertices in {NEUTRAL.removesuffix(".obj"): neutral, **moved}.items():
        (tmp_path / f"{name}.obj").write_text(obj(vertices, faces))
    import_model("ict", [tmp_path], tmp_path / "ict.npz")
    model = load_model(tmp_path / "ict.npz")
    assert model.expression_names == ("eyeBlinkLeft", "jawOpen") and model.traits.bounded and model.vertex_count == KEPT
    assert model.faces.tolist() == [[0, 1, 2], [0, 2, 3]] and model.uv_faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    np.testing.assert_allclose(model.identity_basis[:, 5].numpy(), [[0.01, 0, 0], [0, 0.02, 0]], atol=1e-7)
    np.testing.assert_allclose(model.expression_basis[0, 7].numpy(), [0, 0, 0.005], atol=1e-7)
    first, end = RANGES["eye_left"]
    np.testing.assert_allclose(model.rest_joints[1].numpy(), neutral[first:end].mean(0) / 100, atol=1e-5)


@pytest.mark.parametrize("size", [1.0, 0.08, 5000])
def test_a_head_of_no_known_unit_is_named(tmp_path, size):
    np.savez(tmp_path / "gnm_head.npz", **gnm_arrays(template_vertex_positions=RNG.uniform(-0.5, 0.5, (300, 3)) * size))
    with pytest.raises(InputError, match="size of a head"):
        import_model("gnm", [tmp_path / "gnm_head.npz"], tmp_path / "gnm.npz")


@pytest.mark.parametrize(
    "kind, files, options",
    [("makehuman", ["a"], {}), ("flame", [], {}), ("smpl", ["a", "b"], {}), ("smplx", ["a"], {"teeth": True}), ("bfm", ["a"], {"masks": "m"})],
)
def test_requests_that_no_format_takes_are_named(kind, files, options):
    with pytest.raises(InputError, match="next:"):
        check_request(kind, files, options.get("masks"), options.get("teeth", False))
