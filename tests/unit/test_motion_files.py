"""Motion files of every form: what is read is what was written, and what cannot be right is named."""

import json
import pickle

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.body.smpl_joints import joints_of
from pipeline.io.errors import InputError
from pipeline.motion.motion import Motion, load_motion, save_motion
from pipeline.motion.read import read_motion
from tests.unit.motion_files import TO_YUP, write_arkit, write_bvh, write_livelink, write_mediapipe

RNG = np.random.default_rng(5)
NAMES = ("Hips", "LeftUpLeg", "LeftLeg", "LeftFoot", "RightUpLeg", "RightLeg", "RightFoot", "Spine", "Head")
PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7)
REST = np.array([[0, 0, 0.9], [0.1, 0, 0.9], [0.1, 0, 0.5], [0.1, 0, 0.1], [-0.1, 0, 0.9], [-0.1, 0, 0.5], [-0.1, 0, 0.1], [0, 0, 1.1], [0, 0, 1.5]])
FACE = ("jawOpen", "mouthSmileLeft", "eyeBlinkRight", "tongueOut")
_IDENTITY = np.eye(3)


def rotations(*shape, size=0.6):
    return Rotation.from_rotvec(size * RNG.normal(size=(int(np.prod(shape)), 3))).as_matrix().reshape(*shape, 3, 3)


def angle(first, second):
    """Largest angle in degrees between matrices."""
    return np.degrees(np.arccos(np.clip((np.einsum("...ab,...ab->...", first, second) - 1) / 2, -1, 1)).max())


def matrices(motion):
    return Rotation.from_rotvec(motion.rotations.reshape(-1, 3)).as_matrix().reshape(*motion.rotations.shape, 3)


@pytest.mark.parametrize("order", ["ZXY", "XYZ", "YZX"])
@pytest.mark.parametrize(("unit", "axes"), [(0.01, TO_YUP), (1.0, np.eye(3)), (0.001, Rotation.from_euler("z", 90, degrees=True).as_matrix())])
def test_a_bvh_of_any_order_unit_and_axes_gives_the_same_motion(tmp_path, order, unit, axes):
    local, root = rotations(6, len(NAMES)), REST[0] + RNG.normal(size=(6, 3))
    motion = read_motion(write_bvh(tmp_path / "a.bvh", NAMES, PARENTS, REST, local, root, 30, order=order, unit=unit, axes=axes))
    assert motion.joints == NAMES and motion.parents == PARENTS and motion.fps == pytest.approx(30, rel=1e-5)
    assert angle(matrices(motion), local) < 1e-4
    np.testing.assert_allclose(motion.rest - motion.rest[0], REST - REST[0], atol=1e-5)
    np.testing.assert_allclose(np.diff(motion.translation, axis=0), np.diff(root, axis=0), atol=1e-5)


def test_a_calibration_pose_before_a_bvh_s_motion_is_left_out(tmp_path, capsys):
    local = np.tile(rotations(1, len(NAMES), size=0.3), (12, 1, 1, 1))
    local = local @ Rotation.from_rotvec(0.01 * np.arange(12)[:, None] * [1, 0, 0]).as_matrix()[:, None]
    local[0] = Rotation.from_rotvec([0, 0, 1.4]).as_matrix()
    motion = read_motion(write_bvh(tmp_path / "a.bvh", NAMES, PARENTS, REST, local, np.zeros((12, 3)), 30))
    assert len(motion) == 11 and angle(matrices(motion), local[1:]) < 1e-4
    assert "calibration pose" in capsys.readouterr().err


def amass(poses, trans, **others):
    return {"poses": poses, "trans": trans, "betas": np.zeros(16), "dmpls": np.zeros((len(poses), 8)), "gender": np.array(b"male"), **others}


@pytest.mark.parametrize("joints", [24, 52, 55])
def test_amass_and_aist_poses_become_rotations_in_our_axes(tmp_path, joints):
    poses, trans = 0.4 * RNG.normal(size=(5, joints, 3)), RNG.normal(size=(5, 3))
    np.savez(tmp_path / "a.npz", **amass(poses.reshape(5, -1), trans, mocap_framerate=np.float64(120)))
    motion = read_motion(tmp_path / "a.npz")
    names, parents = joints_of(joints)
    assert (motion.joints, motion.parents, motion.fps) == (names, parents, 120)
    # SMPL faces z, its y is up: a turn of its head about its up axis is one about ours; AMASS' world is ours
    own = Rotation.from_rotvec(poses[:, 12]).as_matrix()
    assert angle(matrices(motion)[:, 12], TO_YUP.T @ own @ TO_YUP) < 1e-4
    assert angle(matrices(motion)[:, 0], Rotation.from_rotvec(poses[:, 0]).as_matrix() @ TO_YUP) < 1e-4
    np.testing.assert_allclose(motion.translation, trans)


def test_amass_parts_are_the_same_as_the_whole(tmp_path):
    poses, trans = 0.4 * RNG.normal(size=(4, 165)), RNG.normal(size=(4, 3))
    np.savez(tmp_path / "a.npz", **amass(poses, trans, mocap_frame_rate=np.float64(60), surface_model_type=np.array("smplx")))
    parts = {"root_orient": poses[:, :3], "pose_body": poses[:, 3:66], "pose_jaw": poses[:, 66:69], "pose_eye": poses[:, 69:75], "pose_hand": poses[:, 75:]}
    np.savez(tmp_path / "b.npz", **parts, trans=trans, mocap_frame_rate=np.float64(60))
    whole, joined = read_motion(tmp_path / "a.npz"), read_motion(tmp_path / "b.npz")
    assert whole.joints == joined.joints
    np.testing.assert_array_equal(whole.rotations, joined.rotations)


def test_aist_centimetres_become_metres_and_its_world_stands_up(tmp_path):
    poses, trans = 0.3 * RNG.normal(size=(4, 24, 3)), 100 * RNG.normal(size=(4, 3))
    values = {"smpl_poses": poses.reshape(4, 72), "smpl_trans": trans, "smpl_scaling": np.array([93.0]), "smpl_loss": 0.1}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(values))
    motion = read_motion(tmp_path / "a.pkl")
    assert motion.fps == 60
    np.testing.assert_allclose(motion.translation, trans @ TO_YUP / 100)
    assert angle(matrices(motion), TO_YUP.T @ Rotation.from_rotvec(poses.reshape(-1, 3)).as_matrix().reshape(4, 24, 3, 3) @ TO_YUP) < 1e-4


@pytest.mark.parametrize("folder", [False, True])
def test_flame_parameters_in_one_file_or_one_per_step(tmp_path, folder):
    steps = {"translation": 3, "rotation": 3, "neck_pose": 3, "jaw_pose": 3, "eyes_pose": 6, "expr": 100}
    arrays = {name: RNG.normal(size=(7, width)).astype(np.float32) for name, width in steps.items()}
    shape = {"shape": np.zeros(300, np.float32), "static_offset": np.zeros((1, 10, 3), np.float32)}
    (tmp_path / "flame_param").mkdir()
    for number in range(7):
        np.savez(tmp_path / "flame_param" / f"{number:05d}.npz", **{name: array[number : number + 1] for name, array in arrays.items()}, **shape)
    np.savez(tmp_path / "all.npz", **arrays, **shape)
    motion = read_motion(tmp_path if folder else tmp_path / "all.npz")
    assert motion.joints == ("root", "neck", "jaw", "left_eye", "right_eye") and len(motion.expressions) == 100
    vectors = np.stack([arrays["rotation"], arrays["neck_pose"], arrays["jaw_pose"], arrays["eyes_pose"][:, :3], arrays["eyes_pose"][:, 3:]], axis=1)
    # a rotation vector turns like any vector when the axes do
    np.testing.assert_allclose(matrices(motion), Rotation.from_rotvec((vectors @ TO_YUP).reshape(-1, 3)).as_matrix().reshape(7, 5, 3, 3), atol=1e-6)
    np.testing.assert_allclose(motion.translation, arrays["translation"] @ TO_YUP, atol=1e-6)
    np.testing.assert_array_equal(motion.expression, arrays["expr"])


@pytest.mark.parametrize("columns", [61, 51])
def test_live_link_columns_go_by_name_and_missing_frames_are_filled(tmp_path, columns):
    expression, angles = RNG.random((90, 4)), 0.3 * RNG.normal(size=(90, 9))
    expression[40] = (expression[39] + expression[41]) / 2
    angles[40] = (angles[39] + angles[41]) / 2
    order = [2, 0, 3, 1]
    path = write_livelink(tmp_path / "a.csv", [FACE[i] for i in order], expression[:, order], angles, columns=columns, first_frame=20, skip=(40,))
    motion = read_motion(path)
    assert motion.fps == 60 and len(motion) == 90
    for number, name in enumerate(FACE):
        column = [column.casefold() for column in motion.expressions].index(name.casefold())
        np.testing.assert_allclose(motion.expression[:, column], expression[:, number], atol=1e-6)
    # yaw about up, pitch about left, roll about forward, one at a time
    if columns == 61:
        up, left, forward = ([0, 0, 1], [1, 0, 0], [0, -1, 0])
        expected = _IDENTITY
        for axis, column in ((up, 0), (left, 1), (forward, 2)):
            expected = expected @ Rotation.from_rotvec(angles[:, column, None] * np.array(axis)).as_matrix()
        assert angle(matrices(motion)[:, motion.joints.index("head")], expected) < 1e-4
    else:
        assert not motion.rotations.any()


@pytest.mark.parametrize("write", [write_arkit, write_mediapipe])
def test_json_recordings_of_expressions(tmp_path, write):
    expression, R = RNG.random((8, 4)), rotations(8, size=0.3)
    motion = read_motion(write(tmp_path / "a.json", FACE, expression, R, 30))
    assert motion.fps == pytest.approx(30)
    names = [name for name in FACE if write is write_arkit or name != "tongueOut"]
    assert motion.expressions == tuple(names)
    np.testing.assert_allclose(motion.expression, expression[:, [FACE.index(name) for name in names]])
    assert angle(matrices(motion)[:, 0], TO_YUP.T @ R @ TO_YUP) < 1e-4


def test_a_table_of_weights_is_read(tmp_path):
    weights = RNG.random((5, 2)).tolist()
    (tmp_path / "a.json").write_text(json.dumps({"exportFps": 60, "facsNames": ["jawOpen", "mouthFunnel"], "weightMat": weights}))
    motion = read_motion(tmp_path / "a.json")
    assert (motion.fps, motion.expressions) == (60, ("jawOpen", "mouthFunnel"))
    np.testing.assert_allclose(motion.expression, weights)


def motion(frames=5):
    vectors, names = 0.3 * RNG.normal(size=(frames, 2, 3)), tuple(f"a_{i:06d}" for i in range(frames))
    return Motion(("root", "head"), (-1, 0), vectors, RNG.normal(size=(frames, 3)), 30.0, ("jawOpen",), RNG.random((frames, 1)), np.zeros((2, 3)), names, True)


def test_our_own_form_keeps_everything(tmp_path):
    one = motion()
    save_motion(tmp_path / "a.npz", one)
    two = read_motion(tmp_path / "a.npz")
    for name in ("rotations", "translation", "expression", "rest", "world"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert [getattr(one, name) for name in ("joints", "parents", "fps", "expressions", "frames", "model")] == [
        getattr(two, name) for name in ("joints", "parents", "fps", "expressions", "frames", "model")
    ]


def test_another_rate_follows_the_shortest_arc_and_comes_back():
    one = motion(7)
    two = one.resampled(60)
    assert len(two) == 13 and two.fps == 60
    np.testing.assert_allclose(two.rotations[::2], one.rotations, atol=1e-9)
    first, second = (Rotation.from_rotvec(one.rotations[t, 1]) for t in (2, 3))
    half = Rotation.from_rotvec(two.rotations[5, 1])
    assert (first.inv() * half).magnitude() == pytest.approx((half.inv() * second).magnitude(), abs=1e-9)
    assert (first.inv() * half).magnitude() + (half.inv() * second).magnitude() == pytest.approx((first.inv() * second).magnitude(), abs=1e-9)
    np.testing.assert_allclose(two.resampled(30).expression, one.expression)
    assert one.resampled(10).frames == (one.frames[0], one.frames[3], one.frames[6])


BVH = write_bvh


def hostile(tmp_path, case):
    """A file of one kind of damage."""
    path = tmp_path / "a.bvh"
    good = BVH(path, NAMES, PARENTS, REST, rotations(3, len(NAMES)), np.zeros((3, 3)), 30).read_text()
    head, _, tail = good.partition("MOTION")
    lines = tail.strip().splitlines()
    texts = {
        "truncated": good[: int(len(good) * 0.8)],
        "too few frames": good.replace("Frames: 3", "Frames: 5"),
        "absurd frames": good.replace("Frames: 3", "Frames: 99999999999"),
        "nan": good.replace(lines[2], " ".join(["nan", *lines[2].split()[1:]])),
        "words": good.replace(lines[2], lines[2] + " x"),
        "channels": good.replace("CHANNELS 3 ", "CHANNELS 300 ", 1),
        "twice": good.replace("Zrotation Xrotation Yrotation", "Zrotation Zrotation Yrotation", 1),
        "no time": good.replace("Frame Time: 0.03333333", "Frame Time: 0"),
        "no bracket": good.replace("}", "", 1),
        "two roots": good.replace("JOINT LeftUpLeg", "ROOT LeftUpLeg"),
        "deep": "HIERARCHY\nROOT a\n{\n" + "JOINT b\n{\n" * 5000 + "MOTION\nFrames: 1\nFrame Time: 1\n0\n",
        "empty": "HIERARCHY\n",
    }
    path.write_text(texts[case])
    return path


@pytest.mark.parametrize(
    "case", ["truncated", "too few frames", "absurd frames", "nan", "words", "channels", "twice", "no time", "no bracket", "two roots", "deep", "empty"]
)
def test_a_damaged_bvh_is_named(tmp_path, case):
    with pytest.raises(InputError, match="a.bvh") as error:
        read_motion(hostile(tmp_path, case))
    assert "found:" in str(error.value) or "finite" in str(error.value)


CSV = "Timecode,BlendShapeCount,JawOpen,HeadYaw\n"
BAD = {
    "cell.csv": (CSV + "11:00:00:00.0,2,abc,0\n", "line 2, column 'JawOpen'"),
    "nan.csv": (CSV + "11:00:00:00.0,2,0,nan\n", "line 2, column 'HeadYaw'"),
    "short.csv": (CSV + "11:00:00:00.0,2,0\n", "line 2 has 3 cells"),
    "twice.csv": ("Timecode,JawOpen,jawopen\n11:00:00:00.0,0,0\n", "a column twice"),
    "none.csv": (CSV, "no frames"),
    "wide.csv": (",".join(f"c{i}" for i in range(2000)) + "\n" + ",".join(["0"] * 2000), "2000 columns"),
    "other.json": ('{"a": 1}', "is no recording of expressions"),
    "nan.json": ('[{"jawOpen": NaN}]', "not valid JSON"),
    "flat.json": ('[{"jawOpen": 0.1, "transform": [1, 2, 3]}]', "is no recording"),
    "table.json": ('{"names": ["a", "b"], "weights": [[0, 1], [2]]}', "is no recording"),
    "zero.json": ('{"names": ["jawOpen"], "weights": [[0.5]], "fps": 1e9}', "an impossible frame rate"),
    "noise.txt": ("hello", "a motion of no known form"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_with_a_text_is_named(tmp_path, name):
    text, problem = BAD[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=problem) as error:
        read_motion(tmp_path / name)
    assert name in str(error.value) and "expected:" in str(error.value)


def test_what_is_wrong_with_arrays_is_named(tmp_path):
    poses, trans, rate = np.zeros((3, 156)), np.zeros((3, 3)), {"mocap_framerate": np.float64(30)}
    cases = {
        "no rate": (amass(poses, trans), "states no frame rate"),
        "rate": (amass(poses, trans, mocap_framerate=np.float64(np.nan)), "an impossible frame rate"),
        "nan": (amass(np.full((3, 156), np.nan), trans, **rate), "not finite"),
        "width": (amass(np.zeros((3, 99)), trans, **rate), "poses of an unknown body"),
        "frames": (amass(poses, np.zeros((2, 3)), **rate), "has a wrong shape"),
        "none": (amass(np.zeros((0, 156)), np.zeros((0, 3)), **rate), "0 frames"),
        "other": ({"weights": poses}, "an npz with other arrays"),
        "flame": ({"jaw_pose": np.zeros((2, 3)), "expr": np.zeros((3, 100))}, "lacks the array"),
    }
    for case, (arrays, problem) in cases.items():
        np.savez(tmp_path / "a.npz", **arrays)
        with pytest.raises(InputError, match=problem) as error:
            read_motion(tmp_path / "a.npz")
        assert "a.npz" in str(error.value), case


def test_a_pickle_that_executes_is_named_and_does_nothing(tmp_path):
    class Evil:
        def __reduce__(self):
            return (__import__("os").mkdir, (str(tmp_path / "made"),))

    for number, value in enumerate((Evil(), {"smpl_poses": Evil(), "smpl_trans": np.zeros((1, 3))})):
        (tmp_path / f"{number}.pkl").write_bytes(pickle.dumps(value))
        with pytest.raises(InputError, match="mkdir"):
            read_motion(tmp_path / f"{number}.pkl")
    assert not (tmp_path / "made").exists()
    (tmp_path / "b.pkl").write_bytes(pickle.dumps({"smpl_poses": np.zeros((3, 70)), "smpl_trans": np.zeros((3, 3))}))
    with pytest.raises(InputError, match="'smpl_poses' has a wrong shape"):
        read_motion(tmp_path / "b.pkl")


def test_a_damaged_motion_of_our_own_is_named(tmp_path):
    save_motion(tmp_path / "a.npz", motion())
    arrays = dict(np.load(tmp_path / "a.npz"))
    for change, problem in (
        ({"parents": np.array([0, -1])}, "parents"),
        ({"rotations": np.full((5, 2, 3), np.inf)}, "not finite"),
        ({"frames": np.array(["a"])}, "not complete"),
        ({"fps": np.array(0.0)}, "impossible frame rate"),
    ):
        np.savez(tmp_path / "b.npz", **(arrays | change))
        with pytest.raises(InputError, match=problem):
            load_motion(tmp_path / "b.npz")
    with pytest.raises(InputError, match="no such motion"):
        read_motion(tmp_path / "c.bvh")
