"""Motions of faces on avatars: whatever the form, what was driven is what comes out, and a neutral driver leaves the avatar neutral."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.io.errors import InputError
from pipeline.motion.motion import Motion
from pipeline.motion.read import read_motion
from pipeline.motion.retarget import retarget
from pipeline.motion.settings import RetargetOptions
from pipeline.motion.target import Target
from tests.unit.motion_bodies import MODELS, PLAIN, chain, degrees, matrices, rest_target, target_of, tracked, values, write_fit
from tests.unit.motion_files import TO_YUP, write_arkit, write_livelink, write_mediapipe

RNG = np.random.default_rng(11)


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
