"""Motions of bodies that walk: where they go, and where their feet stand."""

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.motion.joints import slots_of
from pipeline.motion.read import read_motion
from pipeline.motion.retarget import retarget
from pipeline.motion.settings import RetargetOptions
from tests.unit.motion_bodies import MIXAMO, MIXAMO_PARENTS, degrees, matrices, rest_target, t_pose, target_of, values
from tests.unit.motion_files import write_bvh


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
