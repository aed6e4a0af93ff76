"""Forward kinematics and linear blend skinning (SMPL: Loper et al. 2015, eq. 2 to 4 and 9), batched and differentiable."""

from __future__ import annotations

from functools import lru_cache

import torch

from pipeline.geometry.rotations import rotvec_to_matrix_torch


@lru_cache
def _levels(parents: tuple[int, ...]) -> tuple[list[tuple[list[int], list[int]]], list[int]]:
    """Joints sorted by depth: [(joints, index of each parent in the level above)], and the inverse order."""
    depth = [0] * len(parents)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            depth[joint] = depth[parent] + 1
    levels: list[tuple[list[int], list[int]]] = []
    for level in range(max(depth) + 1):
        joints = [joint for joint in range(len(parents)) if depth[joint] == level]
        levels.append((joints, [levels[-1][0].index(parents[joint]) for joint in joints] if level else []))
    order = [joint for joints, _ in levels for joint in joints]
    return levels, sorted(range(len(order)), key=order.__getitem__)


def posed_joints(pose: torch.Tensor, joints: torch.Tensor, parents: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Forward kinematics: rotations [B, J, 3, 3] relative to the rest pose and positions [B, J, 3] of the joints.

    Args:
        pose: [B, J, 3] rotation vector of each joint in the rotated axes of its parent, radians.
        joints: [B, J, 3] positions at rest. parents: [J], -1 for the root, which is first.
    """
    local = rotvec_to_matrix_torch(pose)
    bones = joints - joints[:, [max(parent, 0) for parent in parents]]
    levels, inverse_order = _levels(parents)
    rotations, positions = [local[:, :1]], [joints[:, :1]]
    for level, parent_index in levels[1:]:
        parent_rotation = rotations[-1][:, parent_index]
        positions.append(positions[-1][:, parent_index] + (parent_rotation * bones[:, level, None]).sum(-1))
        rotations.append(parent_rotation @ local[:, level])
    return torch.cat(rotations, dim=1)[:, inverse_order], torch.cat(positions, dim=1)[:, inverse_order]


def correctives(pose: torch.Tensor) -> torch.Tensor:
    """Coefficients [B, 9 (J - 1)] of a pose basis: R - I of each joint of pose [B, J, 3] but the first, row by row (SMPL, eq. 9)."""
    return (rotvec_to_matrix_torch(pose[:, 1:]) - torch.eye(3, dtype=pose.dtype, device=pose.device)).flatten(1)


def linear_blend_skinning(
    vertices: torch.Tensor,
    weights: torch.Tensor,
    rotations: torch.Tensor,
    translations: torch.Tensor,
) -> torch.Tensor:
    """Blend the joints' transforms x -> R x + t at every vertex: [B, V, 3].

    Args:
        vertices: [B, V, 3]. weights: [V, J]. rotations: [B, J, 3, 3]. translations: [B, J, 3].
    """
    # One matrix product and separate x, y, z planes: several times faster than one small matrix per vertex.
    transforms = torch.cat([rotations, translations[..., None]], dim=-1).flatten(2).transpose(1, 2)
    blended = (transforms.reshape(-1, weights.shape[1]) @ weights.t()).view(len(vertices), 3, 4, len(weights))
    return ((blended[:, :, :3] * vertices.transpose(1, 2)[:, None]).sum(2) + blended[:, :, 3]).transpose(1, 2)
