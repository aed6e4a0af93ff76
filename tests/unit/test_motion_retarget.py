"""Motions on bodies: what was driven is what comes out, whatever the form, the names and the rest pose in between."""

import numpy as np
import pytest

from pipeline.body.smpl_joints import joints_of
from pipeline.motion.joints import slots_of
from pipeline.motion.motion import Motion
from pipeline.motion.read import read_motion
from pipeline.motion.retarget import retarget
from pipeline.motion.settings import RetargetOptions
from pipeline.motion.target import Target
from tests.unit.motion_bodies import MIXAMO, MIXAMO_PARENTS, MODELS, PLAIN, chain, degrees, matrices, rest_target, t_pose, tracked, values, write_fit
from tests.unit.motion_files import TO_YUP, write_bvh

RNG = np.random.default_rng(11)
SIDED = {"upperarm01": ("Arm", "Shoulder"), "lowerarm01": ("ForeArm", "Elbow"), "wrist": ("Hand", "Wrist"), "clavicle": ("Shoulder", "Collar")}
SIDED |= {"upperleg01": ("UpLeg", "Hip"), "lowerleg01": ("Leg", "Knee"), "foot": ("Foot", "Ankle")}
MIDDLE = {"root": ("Hips", "Hips"), "head": ("Head", "Head"), "neck01": ("Neck", "Neck")}
LIMBS = [("upperarm01", "lowerarm01"), ("lowerarm01", "wrist"), ("upperleg01", "lowerleg01"), ("lowerleg01", "foot")]


def between(first, second):
    """Largest angle in degrees between directions [..., 3]."""
    cosine = (first * second).sum(-1) / np.linalg.norm(first, axis=-1) / np.linalg.norm(second, axis=-1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1))).max()


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
