"""Motions on bodies: what was driven is what comes out, whatever the form, the names and the rest pose in between."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.body.model import load_model
from pipeline.body.smpl_joints import joints_of
from pipeline.io.errors import InputError
from pipeline.motion.guard import clamped
from pipeline.motion.joints import slots_of
from pipeline.motion.motion import Motion
from pipeline.motion.read import read_motion
from pipeline.motion.retarget import retarget
from pipeline.motion.settings import RetargetOptions
from pipeline.motion.target import Target
from tests.unit.motion_files import TO_YUP, write_arkit, write_bvh, write_livelink, write_mediapipe

RNG = np.random.default_rng(11)
PLAIN = RetargetOptions(absolute=True, feet=False, limits=False)
MODELS = {name: load_model(name) for name in ("anny_body", "anny_head")}
SIDED = {"upperarm01": ("Arm", "Shoulder"), "lowerarm01": ("ForeArm", "Elbow"), "wrist": ("Hand", "Wrist"), "clavicle": ("Shoulder", "Collar")}
SIDED |= {"upperleg01": ("UpLeg", "Hip"), "lowerleg01": ("Leg", "Knee"), "foot": ("Foot", "Ankle")}
MIDDLE = {"root": ("Hips", "Hips"), "head": ("Head", "Head"), "neck01": ("Neck", "Neck")}
LIMBS = [("upperarm01", "lowerarm01"), ("lowerarm01", "wrist"), ("upperleg01", "lowerleg01"), ("lowerleg01", "foot")]


def matrices(vectors):
    vectors = np.asarray(vectors, np.float64)
    return Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(*vectors.shape, 3)


def degrees(first, second):
    return np.degrees(np.arccos(np.clip((np.einsum("...ab,...ab->...", first, second) - 1) / 2, -1, 1)).max())


def between(first, second):
    """Largest angle in degrees between directions [..., 3]."""
    cosine = (first * second).sum(-1) / np.linalg.norm(first, axis=-1) / np.linalg.norm(second, axis=-1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1))).max()


def chain(local, parents):
    """Global rotations [T, J, 3, 3]."""
    R = [None] * len(parents)
    for joint, parent in enumerate(parents):
        R[joint] = local[:, joint] if parent < 0 else R[parent] @ local[:, joint]
    return np.stack(R, axis=1)


def values(result):
    """Rotation matrices, translations and expressions of poses."""
    poses = result.poses
    return tuple(np.stack([getattr(pose, name).numpy() for pose in poses]) for name in ("rotations", "translation", "expression"))


def tracked(name, frames=9, size=0.15, seed=3):
    """Tracked rotations, translations and expressions of a body before a camera, in a world that is y down."""
    rng, model = np.random.default_rng(seed), MODELS[name]
    pose = size * rng.normal(size=(frames, len(model.parents), 3))
    world = Rotation.from_euler("x", 90, degrees=True) * Rotation.from_euler("z", 20, degrees=True)
    pose[:, 0] = (world * Rotation.from_rotvec(0.05 * rng.normal(size=(frames, 3)))).as_rotvec()
    return pose, [0.3, 0.2, 2.0] + 0.05 * rng.normal(size=(frames, 3)), np.clip(0.3 * rng.normal(size=(frames, 52)), 0, 1)


def target_of(name, **options):
    return Target.tracked(MODELS[name], *tracked(name, **options))


def rest_target(name="anny_body"):
    """A body at rest in its own axes."""
    model = MODELS[name]
    return Target.tracked(model, np.zeros((1, len(model.parents), 3)), np.zeros((1, 3)), np.zeros((1, 52)))


def write_fit(path, name, pose, translation, expression, scale=1.0):
    model = MODELS[name]
    identity, offsets = np.zeros(len(model.identity_basis), np.float32), np.zeros((model.vertex_count, 3), np.float32)
    frames = np.array([f"take_{i:06d}" for i in range(len(pose))])
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = {"pose": pose, "translation": translation, "expression": expression}
    np.savez(path, model=name, frames=frames, identity=identity, offsets=offsets, scale=np.float32(scale), **parts)


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_a_capture_s_fit_drives_its_own_avatar_as_it_was_tracked(tmp_path, name, absolute):
    pose, translation, expression = tracked(name)
    write_fit(tmp_path / "anna" / "fit.npz", name, pose, 2 * translation, expression, scale=2.0)
    motion = read_motion("anna", tmp_path)
    assert motion.frames[3] == "take_000003" and motion.model
    target = Target.tracked(MODELS[name], pose, 2 * translation, expression, 2.0)
    rotations, places, weights = values(retarget(motion, target, RetargetOptions(absolute=absolute)))
    assert degrees(matrices(rotations), matrices(pose)) < 0.1
    np.testing.assert_allclose(places, 2 * translation, atol=1e-4)
    np.testing.assert_allclose(weights, expression, atol=1e-5)


def named_skeleton(column):
    """The joints of anny_body under other names, and which of them the names tell."""
    names, known = [], []
    for name in MODELS["anny_body"].joint_names:
        stem, _, side = name.partition(".")
        known.append(stem in SIDED or stem in MIDDLE)
        word = SIDED.get(stem, MIDDLE.get(stem, (f"x{len(names)}",) * 2))[column]
        names.append(("mixamorig:" if column == 0 and known[-1] else "") + {"L": "Left", "R": "Right", "": ""}[side if known[-1] else ""] + word)
    return names, np.array(known)


@pytest.mark.parametrize("column", [0, 1])
def test_a_motion_through_a_bvh_of_other_names_comes_back_within_a_degree(tmp_path, column):
    model, target = MODELS["anny_body"], rest_target()
    names, known = named_skeleton(column)
    vectors = np.where(known[:, None], 0.4, 0) * RNG.normal(size=(6, len(names), 3))
    vectors[:, [list(model.joint_names).index(name) for name in ("neck01", "head")]] = 0  # shared out along the neck
    root = RNG.normal(size=(6, 3))
    path = write_bvh(tmp_path / "a.bvh", names, model.parents, target.rest, matrices(vectors), root, 30)
    result = retarget(read_motion(path), target, PLAIN)
    rotations, places, _ = values(result)
    assert degrees(matrices(rotations), matrices(vectors)) < 1
    np.testing.assert_allclose(np.diff(places, axis=0), np.diff(root, axis=0), atol=1e-3)


def t_pose(names, parents, slots):
    """Rest positions of a T-posed skeleton with limbs of its own lengths, straight ones."""
    offsets = {"thigh": (0.12, 0, -0.08), "shin": (0, 0, -0.45), "foot": (0, 0, -0.4), "toe": (0, -0.13, -0.05), "collar": (0.05, 0, 0.1)}
    offsets |= {"upperarm": (0.12, 0, 0), "forearm": (0.3, 0, 0), "hand": (0.27, 0, 0)}
    rest = np.zeros((len(names), 3))
    part = {joint: slot for slot, joints in slots.joints.items() for joint in joints}
    for joint, parent in enumerate(parents):
        slot = part.get(joint, "spine")
        x, y, z = offsets.get(slot.split()[-1], (0, 0, 0.15 if parent >= 0 else 0))
        rest[joint] = (rest[parent] if parent >= 0 else 0) + np.array([-x if slot.startswith("right") else x, y, z])
    return rest


MIXAMO = ["Hips", "Spine", "Spine1", "Spine2", "Neck", "Head"]
MIXAMO += [f"{side}{part}" for side in ("Left", "Right") for part in ("Shoulder", "Arm", "ForeArm", "Hand", "UpLeg", "Leg", "Foot", "ToeBase")]
MIXAMO_PARENTS = [-1, 0, 1, 2, 3, 4, 3, 6, 7, 8, 0, 10, 11, 12, 3, 14, 15, 16, 0, 18, 19, 20]


@pytest.mark.parametrize("form", ["bvh", "smpl"])
def test_the_limbs_of_our_a_pose_point_where_those_of_a_t_posed_driver_point(tmp_path, form):
    if form == "bvh":
        names, parents = MIXAMO, MIXAMO_PARENTS
        rest = t_pose(names, parents, slots_of(names))
        local = matrices(0.4 * RNG.normal(size=(8, len(names), 3)))
        motion = read_motion(write_bvh(tmp_path / "a.bvh", names, parents, rest, local, np.zeros((8, 3)), 30, order="XYZ"))
    else:
        names, parents = joints_of(24)
        poses = 0.4 * RNG.normal(size=(8, 24, 3))
        np.savez(tmp_path / "a.npz", poses=poses.reshape(8, 72), trans=np.zeros((8, 3)), mocap_framerate=30.0)
        motion = read_motion(tmp_path / "a.npz")
        local, rest = TO_YUP.T @ matrices(poses) @ TO_YUP, motion.rest
        local[:, 0] = matrices(poses[:, 0]) @ TO_YUP
    target = rest_target()
    rotations, _, _ = values(retarget(motion, target, PLAIN))
    theirs, ours = chain(local, parents), chain(matrices(rotations), target.parents)
    model, slots = list(target.model.joint_names), slots_of(names)
    words = {"upperarm01": "upperarm", "lowerarm01": "forearm", "wrist": "hand", "upperleg01": "thigh", "lowerleg01": "shin", "foot": "foot"}
    for side, letter in (("left", "L"), ("right", "R")):
        for first, second in LIMBS:
            i, j = model.index(f"{first}.{letter}"), model.index(f"{second}.{letter}")
            k, n = slots.first(f"{side} {words[first]}"), slots.first(f"{side} {words[second]}")
            bone = np.einsum("tab,b->ta", ours[:, i], target.rest[j] - target.rest[i])
            assert between(bone, np.einsum("tab,b->ta", theirs[:, k], rest[n] - rest[k])) < 1, (side, first)
    for ours_name, slot in (("spine01", "spine"), ("head", "neck"), ("root", "hips")):  # trunk and head turn as the driver's
        assert degrees(ours[:, model.index(ours_name)], theirs[:, slots.last(slot)]) < 1


def test_a_t_posed_driver_at_rest_lifts_our_arms_level_and_leaves_no_twist():
    motion = Motion(tuple(MIXAMO), tuple(MIXAMO_PARENTS), np.zeros((2, 22, 3)), np.zeros((2, 3)), 30.0, rest=t_pose(MIXAMO, MIXAMO_PARENTS, slots_of(MIXAMO)))
    target = rest_target()
    rotations, _, _ = values(retarget(motion, target, PLAIN))
    model = list(target.model.joint_names)
    elbow = rotations[0, model.index("lowerarm01.L")]
    joints = [target.rest[model.index(f"{name}.L")] for name in ("upperarm01", "lowerarm01", "wrist")]
    hinge = np.cross(joints[1] - joints[0], joints[2] - joints[1])
    assert np.linalg.norm(np.cross(elbow, hinge)) < 1e-3 * np.linalg.norm(elbow) * np.linalg.norm(hinge) and elbow @ hinge < 0  # straightened about its hinge


def test_expressions_and_the_head_come_back_through_every_face_form(tmp_path):
    target = target_of("anny_head")
    names = target.model.expression_names
    expression = np.clip(RNG.random((8, 52)), 0, 1)
    angles = 0.3 * RNG.normal(size=(8, 9))
    R = Rotation.from_euler("YXZ", angles[:, :3]).as_matrix()
    files = {
        "livelink": write_livelink(tmp_path / "a.csv", names, expression, angles),
        "arkit": write_arkit(tmp_path / "b.json", names, expression, R, 30),
        "mediapipe": write_mediapipe(tmp_path / "c.json", names, expression, R, 30),
    }
    joints = list(target.model.joint_names)
    for form, path in files.items():
        rotations, _, weights = values(retarget(read_motion(path), target, PLAIN))
        compared = [i for i, name in enumerate(names) if form != "mediapipe" or name != "tongueOut"]
        assert np.abs(weights - expression)[:, compared].max() < 0.05, form
        ours = chain(matrices(rotations), target.parents)
        turned = np.swapaxes(ours[:, 0], -1, -2) @ ours[:, joints.index("head")]
        assert degrees(turned, TO_YUP.T @ R @ TO_YUP) < 1, form
        eyes = rotations[:, [joints.index("eye.L"), joints.index("eye.R")]]
        assert np.ptp(eyes, axis=0).max() < 1e-6, form  # eyeLook turns them, and once


@pytest.mark.parametrize("neutral", [None, 2])
@pytest.mark.parametrize("form", ["fit", "arkit", "flame"])
def test_the_neutral_of_the_driver_leaves_the_avatar_neutral(tmp_path, form, neutral):
    target = target_of("anny_head", seed=8)
    held = np.array([1, 0, 1, 0, 1, 0, 1])  # the driver leaves its neutral in some frames, to both sides
    if neutral is None:
        held = np.array([0, 0, 0, 1, 0, -1, 0])
    else:
        held[neutral] = 0
    if form == "fit":
        pose, translation, expression = (part[:1] + held.reshape(-1, *[1] * (part.ndim - 1)) * 0.1 for part in tracked("anny_head", seed=9))
        write_fit(tmp_path / "fit.npz", "anny_head", pose, translation, np.clip(expression, 0, 1) + 0.1, 1.0)
        motion = read_motion(tmp_path / "fit.npz")
    elif form == "arkit":
        expression, R = 0.3 + 0.2 * np.outer(held, np.ones(52)), Rotation.from_rotvec(np.outer(0.2 * held, [1, 0, 0])).as_matrix()
        turned = Rotation.from_euler("xyz", [0.3, 0.5, 0.2]).as_matrix()  # the phone stands beside
        motion = read_motion(write_arkit(tmp_path / "a.json", target.model.expression_names, expression, turned @ R, 30))
    else:
        arrays = {"rotation": np.array([3.0, 0.1, 0.2]), "neck_pose": np.array([0.1, 0, 0]), "jaw_pose": np.array([0.2, 0, 0]), "eyes_pose": np.full(6, 0.1)}
        moved = {name: base + 0.1 * held[:, None] for name, base in arrays.items()}
        np.savez(tmp_path / "a.npz", **moved, translation=0.1 * held[:, None] * np.ones(3), expr=np.zeros((7, 100)))
        motion = replace(read_motion(tmp_path / "a.npz"), expressions=(), expression=np.zeros((7, 0)))
    result = retarget(motion, target, RetargetOptions(neutral=neutral))
    rotations, places, weights = values(result)
    at = held == 0
    own = target.poses(target.neutral_rotations()[None], target.roots.mean(0)[None], target.neutral_expression()[None])[0]
    # the mean of a symmetric motion is its neutral; for other means the tolerance says how far the two are apart
    assert degrees(matrices(rotations[at]), matrices(own.rotations.numpy())[None]) < 1
    np.testing.assert_allclose(weights[at], np.broadcast_to(own.expression.numpy(), weights[at].shape), atol=1e-5)
    np.testing.assert_allclose(places[at], np.broadcast_to(own.translation.numpy(), places[at].shape), atol=1e-4)
    assert degrees(matrices(rotations[~at]), matrices(own.rotations.numpy())[None]) > 2


def flame_body():
    """A stand-in of FLAME's structure: five joints, y up, 100 components; the eyes are farther in front of the neck's joint than above it."""
    head = MODELS["anny_head"]
    count, joints = head.vertex_count, np.array([[0, -0.13, -0.03], [0, -0.03, -0.02], [0, 0.01, 0.02], [0.03, 0.04, 0.08], [-0.03, 0.04, 0.08]], np.float32)
    import torch

    return replace(
        head,
        joint_names=("root", "neck", "jaw", "left_eye", "right_eye"),
        parents=(-1, 0, 1, 1, 1),
        rest_joints=torch.from_numpy(joints),
        expression_names=tuple(f"expression_{i:03d}" for i in range(100)),
        lbs_weights=torch.zeros(count, 5),
    )


def test_flame_parameters_drive_a_flame_body_as_they_are_and_no_other_face(tmp_path, capsys):
    steps = {"rotation": 3, "neck_pose": 3, "jaw_pose": 3, "eyes_pose": 6, "translation": 3, "expr": 100}
    arrays = {name: 0.2 * RNG.normal(size=(6, width)) for name, width in steps.items()}
    np.savez(tmp_path / "a.npz", **arrays)
    motion = read_motion(tmp_path / "a.npz")
    own = 0.1 * RNG.normal(size=(4, 5, 3))
    target = Target.tracked(flame_body(), own, np.zeros((4, 3)), np.zeros((4, 100)))
    rotations, places, weights = values(retarget(motion, target, RetargetOptions(absolute=True, limits=False)))
    vectors = np.stack([arrays["rotation"], arrays["neck_pose"], arrays["jaw_pose"], arrays["eyes_pose"][:, :3], arrays["eyes_pose"][:, 3:]], axis=1)
    assert degrees(matrices(rotations), matrices(vectors)) < 1e-3
    np.testing.assert_allclose(places, arrays["translation"], atol=1e-5)
    np.testing.assert_allclose(weights, arrays["expr"], atol=1e-5)
    with pytest.raises(InputError, match="components of another model's basis") as error:
        retarget(motion, target_of("anny_head"))
    assert "--no-expressions" in str(error.value)
    assert retarget(motion, target_of("anny_head"), RetargetOptions(expressions=False)).facts["joints"]


def test_unknown_names_are_named_once_and_left_out(capsys):
    target = rest_target("anny_head")
    known = Motion(("head",), (-1,), np.zeros((2, 1, 3)), np.zeros((2, 3)), 30.0, ("jawOpen", "wiggleEars"), np.ones((2, 2)))
    result = retarget(known, target, PLAIN)
    assert result.facts["unknown_expressions"] == ["wiggleEars"]
    assert capsys.readouterr().err.count("wiggleEars") == 1
    strange = replace(known, joints=("tail",), expressions=("wiggleEars",), expression=np.ones((2, 1)))
    with pytest.raises(InputError, match="nothing of this motion is known") as error:
        retarget(strange, target)
    assert "tail" in str(error.value)
    with pytest.raises(InputError, match="no such neutral frame"):
        retarget(known, target, RetargetOptions(neutral=2))


def test_limits_smoothing_and_guard():
    target = target_of("anny_head")
    vectors = np.zeros((31, 1, 3))
    vectors[15, 0] = [2.5, 0, 0]
    jump = Motion(("head",), (-1,), vectors, np.zeros((31, 3)), 30.0)
    joints = list(target.model.joint_names)
    head = [joints.index(name) for name in ("neck01", "neck02", "neck03", "head")]
    free = values(retarget(jump, target, PLAIN))[0][:, head]
    result = retarget(replace(jump, rotations=np.tile([np.pi - 0.01, 0, 0], (31, 1, 1))), target, RetargetOptions(absolute=True))
    assert not result.facts["limited"]  # shared out, no joint of the neck bends too far
    jaw = Motion(("jaw",), (-1,), np.tile([1.5, 0, 0], (4, 1, 1)), np.zeros((4, 3)), 30.0)
    result = retarget(jaw, target, RetargetOptions(absolute=True))
    assert result.facts["limited"] == {"jaw": 4}
    assert np.linalg.norm(values(result)[0][:, joints.index("jaw")], axis=-1) == pytest.approx(np.radians(40), abs=1e-5)
    calm = values(retarget(jump, target, replace(PLAIN, smooth=0.1)))[0][:, head]
    steps = [np.abs(np.diff(rotations, axis=0)).max() for rotations in (free, calm)]
    assert steps[1] < 0.3 * steps[0] and np.abs(calm[15] - calm[13]).max() > 0
    np.testing.assert_allclose(calm[15 - 6 : 15], calm[16 : 15 + 7][::-1], atol=1e-4)  # no delay
    guarded = values(retarget(jump, target, replace(PLAIN, guard=True)))
    relative = target.rotations[:, 1:]
    deviation = Rotation.from_matrix(relative.reshape(-1, 3, 3)).as_rotvec().reshape(len(relative), -1)
    result = guarded[0][:, 1:].reshape(31, -1)
    _, scales, axes = np.linalg.svd(deviation - deviation.mean(0), full_matrices=False)
    coefficients = (result - deviation.mean(0)) @ axes[:-1].T / (scales[:-1] / np.sqrt(len(deviation) - 1))
    assert np.abs(coefficients).max() < 2 + 1e-3


def test_the_guard_keeps_what_was_tracked_within_two_sigma():
    values_ = RNG.normal(size=(200, 6)) * [3, 2, 1, 0.5, 0.1, 0]
    inner = np.abs((values_ - values_.mean(0)) @ np.linalg.svd(values_ - values_.mean(0), full_matrices=False)[2].T)
    inside = (inner <= 2 * inner.std(0)).all(1) & (inner <= 1.9 * np.sqrt((inner**2).mean(0)) + 1e-9).all(1)
    assert inside.sum() > 20
    np.testing.assert_allclose(clamped(values_[inside], values_), values_[inside], atol=1e-9)
    far = clamped(100 * values_, values_)
    assert np.abs(far - values_.mean(0)).max() < 2 * 3.5 * 1.5


def walking(steps=6, fps=60, thigh=0.5, shin=0.42):
    """A Mixamo skeleton with longer thighs than ours that walks: its feet stand still by construction, legs by two-bone geometry. Rest pose: T."""
    rest = t_pose(MIXAMO, MIXAMO_PARENTS, slots_of(MIXAMO))
    index = {name: number for number, name in enumerate(MIXAMO)}
    for side, sign in (("Left", 1), ("Right", -1)):
        rest[index[f"{side}UpLeg"]] = [0.1 * sign, 0, -0.05]
        for name, length in (("Leg", thigh), ("Foot", thigh + shin), ("ToeBase", thigh + shin)):
            rest[index[f"{side}{name}"]] = [0.1 * sign, -0.14 * (name == "ToeBase"), -0.05 - length - 0.04 * (name == "ToeBase")]
    half = int(0.6 * fps)  # frames of a step
    count, stride = steps * half, 0.55
    time = np.arange(count) / half
    root = np.stack([np.zeros(count), -stride / 1 * time, 0.87 + 0.0 * time], axis=1)
    local = np.tile(np.eye(3), (count, len(MIXAMO), 1, 1))
    standing = {}
    for side, phase in (("Left", 0), ("Right", 1)):
        cycle = (time + phase) % 2
        number = (time + phase) // 2
        start = -stride * (2 * number - phase) - stride / 2
        swing = np.clip(cycle - 1, 0, 1)
        ease = swing * swing * (3 - 2 * swing)
        ankle = np.stack([rest[index[f"{side}Foot"], 0] * np.ones(count), start - 2 * stride * ease, 0.02 + 0.12 * np.sin(np.pi * swing)], axis=1)
        hip = root + rest[index[f"{side}UpLeg"]]
        reach = ankle - hip
        length = np.linalg.norm(reach, axis=1)
        assert length.max() < thigh + shin
        bend = np.arccos((thigh**2 + length**2 - shin**2) / (2 * thigh * length))
        knee = np.arccos((thigh**2 + shin**2 - length**2) / (2 * thigh * shin))
        swung = np.arctan2(-reach[:, 1], -reach[:, 2])  # forward is -y: about x by a negative angle
        local[:, index[f"{side}UpLeg"]] = Rotation.from_rotvec(np.outer(-(swung + bend), [1, 0, 0])).as_matrix()
        local[:, index[f"{side}Leg"]] = Rotation.from_rotvec(np.outer(np.pi - knee, [1, 0, 0])).as_matrix()
        local[:, index[f"{side}Foot"]] = Rotation.from_rotvec(np.outer(swung + bend - (np.pi - knee), [1, 0, 0])).as_matrix()
        standing[side] = cycle < 1
    return local, root, rest, standing, fps


def test_the_feet_of_a_walk_stand_where_the_driver_s_do(tmp_path):
    local, root, rest, standing, fps = walking()
    motion = read_motion(write_bvh(tmp_path / "a.bvh", MIXAMO, MIXAMO_PARENTS, rest, local, root, fps))
    target = rest_target()
    result, free = (retarget(motion, target, RetargetOptions(feet=feet)) for feet in (True, False))
    import torch

    weights = target.model.lbs_weights.numpy()
    slid = {}
    for name, driven in (("kept", result), ("free", free)):
        rotations, places, _ = (torch.as_tensor(part, dtype=torch.float32) for part in values(driven))
        zeros = target.model.zeros(len(rotations))
        vertices = target.model.pose_vertices(zeros["identity"], zeros["expression"], rotations, places).vertices.numpy()
        moved = []
        for side, letter in (("Left", "L"), ("Right", "R")):
            skin = weights[:, [i for i, joint in enumerate(target.model.joint_names) if joint == f"foot.{letter}"]].sum(1) > 0.9
            steps = np.linalg.norm(np.diff(vertices[:, skin, :2], axis=0), axis=-1).mean(1)
            still = standing[side][1:] & standing[side][:-1] & np.roll(standing[side], 2)[1:] & np.roll(standing[side], -3)[1:]
            still[:5] = still[-5:] = False
            moved.append(steps[still])
            if name == "kept":
                low = vertices[1:][still][:, skin, 2].min(1)
                assert np.ptp(low) < 0.01 and abs(low.mean() - target.ground()) < 0.01  # on the ground
        slid[name] = 1000 * np.concatenate(moved).mean()
    assert slid["kept"] < 0.5 < slid["free"]
    assert slid["kept"] < 3 and result.facts["feet"]["slide_mm"]["mean"] < 0.1
    travelled = np.diff(values(result)[1][[0, -1]], axis=0)[0]
    expected = (root[-1] - root[0]) * target.leg / 0.92
    np.testing.assert_allclose(travelled[:2], expected[:2], atol=0.05)


def test_a_body_motion_starts_where_the_avatar_was_tracked_and_faces_its_way(tmp_path):
    local, root, rest, _, fps = walking(steps=2)
    turn = Rotation.from_euler("z", 130, degrees=True).as_matrix()
    local[:, 0] = turn @ local[:, 0]
    motion = read_motion(write_bvh(tmp_path / "a.bvh", MIXAMO, MIXAMO_PARENTS, rest, local, root @ turn.T, fps))
    target = target_of("anny_body", size=0.02)
    rotations, places, _ = values(retarget(motion, target, RetargetOptions(neutral=0)))
    ahead = -target.world[:, 1]
    own = target.poses(target.neutral_rotations()[None], target.roots.mean(0)[None], target.neutral_expression()[None])[0]
    assert degrees(matrices(rotations[:1, 0]), matrices(own.rotations.numpy()[0])[None]) < 6
    walked = places[-1] - places[0]
    assert walked @ ahead > 0.95 * np.linalg.norm(walked) > 0.3
    np.testing.assert_allclose(target.world[:, 2], [0, -1, 0], atol=1e-6)  # the world of this capture is y down
    assert np.abs((places[0] - own.translation.numpy()) @ ahead) < 0.15
