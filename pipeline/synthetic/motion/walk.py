"""Motion of a synthetic body: walking on the spot and turning."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.synthetic.motion.motion import Motion

WALK_SEQUENCES = ("WALK-1", "WALK-2", "WALK-3")


def walk_motion(
    frames: int,
    fps: float,
    expression_names: tuple[str, ...],
    joint_names: tuple[str, ...],
    rng: np.random.Generator,
) -> Motion:
    """A walk cycle of sinusoids: hips against shoulders, knees bent in swing, the body lowest at double support; with a turn.

    The amplitudes are those of comfortable walking (Winter, "Biomechanics and motor control of human movement", 2009,
    chapter 3): hip +30/-15, knee up to 60, ankle +-10 degrees.
    """
    time = np.arange(frames) / fps
    cycle = 2 * np.pi * (rng.uniform(0.85, 1.05) * time + rng.uniform(0, 1))
    rotations = {joint: np.tile(np.eye(3), (frames, 1, 1)) for joint in joint_names}

    def turn(joint: str, axis: str, radians: np.ndarray | float) -> None:
        angle = np.broadcast_to(radians, (frames,))
        rotations[joint] = Rotation.from_euler(axis, angle[:, None]).as_matrix() @ rotations[joint]

    for side, sign, phase in (("L", 1.0, cycle), ("R", -1.0, cycle + np.pi)):
        hip = np.radians(7 + 22 * np.sin(phase))
        knee = np.radians(8 + 24 * (1 + np.cos(phase)))  # most bent in forward swing
        turn(f"upperleg01.{side}", "y", sign * np.radians(4))
        turn(f"upperleg01.{side}", "x", -hip)  # forward is -y: a leg swings forward by a negative rotation about x
        turn(f"lowerleg01.{side}", "x", knee)
        turn(f"foot.{side}", "x", np.radians(-8 * np.sin(phase)) + 0.15 * (hip - knee))
        turn(f"upperarm01.{side}", "y", sign * np.radians(32))  # from the A-pose down to the side
        turn(f"upperarm01.{side}", "x", np.radians(9 + 17 * np.sin(phase)))  # opposite to the leg of its side
        turn(f"lowerarm01.{side}", "x", np.radians(8 + 7 * np.sin(phase)))
    turn("spine03", "z", np.radians(5) * np.sin(cycle))
    turn("spine01", "z", np.radians(4) * np.sin(cycle))
    turn("head", "z", np.radians(-6) * np.sin(cycle))
    start, speed = rng.uniform(-np.pi, np.pi), rng.choice([-1, 1]) * rng.uniform(0.4, 0.9)
    turn("root", "y", np.radians(2) * np.cos(cycle))
    turn("root", "z", start + speed * time)
    pose = np.stack([Rotation.from_matrix(rotations[joint]).as_rotvec() for joint in joint_names], axis=1)
    translation = np.stack([0.02 * np.sin(cycle), 0.01 * np.cos(2 * cycle), 0.018 * np.cos(2 * cycle)], axis=1)
    expression = np.zeros((frames, len(expression_names)))
    return Motion(expression, pose, translation)
