"""Limits of joint angles."""

from __future__ import annotations

import numpy as np

from pipeline.geometry.rotations import matrix_to_rotvec, rotvec_to_matrix
from pipeline.motion.joints import LIMITS, without_side
from pipeline.motion.target import Target


def limited(rotations: np.ndarray, target: Target, joints: frozenset[int]) -> tuple[np.ndarray, dict[str, int]]:
    """Local rotations [T, J, 3, 3] with no angle from rest above its slot's (or that of any tracked frame), and {joint: frames that were limited}."""
    result, counts = rotations, {}
    for slot, members in target.slots.joints.items():
        limit = np.radians(LIMITS[without_side(slot)])
        for joint in joints.intersection(members):
            most = max(limit, np.linalg.norm(matrix_to_rotvec(target.rotations[:, joint]), axis=-1).max())
            rotvec = matrix_to_rotvec(rotations[:, joint])
            angle = np.linalg.norm(rotvec, axis=-1)
            beyond = angle > most
            if beyond.any():
                result = rotations.copy() if result is rotations else result
                result[beyond, joint] = rotvec_to_matrix(rotvec[beyond] * (most / angle[beyond])[:, None])
                counts[target.model.joint_names[joint]] = int(beyond.sum())
    return result, counts
