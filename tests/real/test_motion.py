"""Walks of the CMU motion capture database on our body: upright, forwards, with feet that stand still."""

import numpy as np
import pytest
import torch

from pipeline.body.model import load_model
from pipeline.motion.read import read_motion
from pipeline.motion.retarget import retarget
from pipeline.motion.settings import RetargetOptions
from pipeline.motion.target import Target
from tests.real.support import real_capture

TOES = {"131_01": ("LeftToe", "RightToe"), "131_03": ("LeftToe", "RightToe"), "05_20-mb": ("LeftToeBase", "RightToeBase")}


@pytest.fixture(scope="module")
def target():
    model = load_model("anny_body")
    return Target.tracked(model, np.zeros((1, len(model.parents), 3)), np.zeros((1, 3)), np.zeros((1, 52)))


def driver_s_joints(path, names):
    """World positions [T, J, 3] of joints of a BVH, from its text alone: y up, in its own unit."""
    from scipy.spatial.transform import Rotation

    head, _, tail = path.read_text().partition("MOTION")
    rows = np.array([line.split() for line in tail.strip().splitlines()[2:]], float)
    stack, at, positions, column = [], [], {}, 0
    eye = np.tile(np.eye(3), (len(rows), 1, 1))
    for line in head.splitlines():
        words = line.split()
        if words[:1] in (["ROOT"], ["JOINT"], ["End"]):
            at.append(words[1])
        elif words[:1] == ["OFFSET"]:
            R, t = stack[-1] if stack else (eye, np.zeros((len(rows), 3)))
            t = t + R @ np.array(words[1:], float)
            stack.append((R, t))
        elif words[:1] == ["CHANNELS"]:
            R, t = stack[-1]
            if words[1] == "6":
                t, column = rows[:, :3], 3
            order = "".join(word[0] for word in words[-3:])
            stack[-1] = (R @ Rotation.from_euler(order, rows[:, column : column + 3], degrees=True).as_matrix(), t)
            column += 3
        elif words == ["}"]:
            positions[at.pop()] = stack.pop()[1]
    return np.stack([positions[name] for name in names], axis=1)


@pytest.mark.parametrize("fps", [None, 30])
@pytest.mark.parametrize("name", TOES)
def test_the_feet_of_a_cmu_walk_slide_less_than_3_mm_per_frame(target, name, fps):
    path = real_capture("bvh-cmu") / f"{name}.bvh"
    motion = read_motion(path)
    theirs = driver_s_joints(path, TOES[name])[-len(motion) :]
    motion, step = (motion, 1) if fps is None else (motion.at(slice(None, None, 4)), 4)
    motion = motion if fps is None else type(motion)(**{**vars(motion), "fps": motion.fps / 4})
    theirs = theirs[::step]
    driven = retarget(motion, target, RetargetOptions())
    stacked = [torch.stack([getattr(pose, part) for pose in driven.poses]) for part in ("rotations", "translation")]
    zeros = target.model.zeros(len(driven.poses))
    posed = target.model.subset(torch.arange(8)).pose_vertices(zeros["identity"], zeros["expression"], *stacked)
    slides = []
    for number, side in enumerate("LR"):
        speed = np.linalg.norm(np.diff(theirs[:, number], axis=0), axis=1) * motion.fps * 0.056  # metres per second: a unit is 5.6 cm
        low = theirs[:, number, 1] < np.percentile(theirs[:, number, 1], 5) + 0.03 / 0.056
        ball = posed.joints[:, target.model.joint_names.index(f"toe2-1.{side}")].numpy()
        slides.append(np.linalg.norm(np.diff(ball[:, :2], axis=0), axis=1)[(speed < 0.1) & low[1:]])
    slide = 1000 * np.concatenate(slides)
    print(f"{name} at {motion.fps:.0f}: {len(slide)} contacts, {slide.mean():.2f} mm/frame, 95 % below {np.percentile(slide, 95):.2f}")
    assert len(slide) > 50 and slide.mean() < 3
    head, root = (posed.joints[:, target.model.joint_names.index(joint)].numpy() for joint in ("head", "root"))
    assert np.median(head[:, 2] - root[:, 2]) > 0.6  # upright
