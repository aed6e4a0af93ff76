"""Posing on a GPU (Triton): four kernels forward, three and a product with the basis backward, with the derivative written by hand.

A model with pose correctives takes one kernel more each way: its correctives are further components beside those of the expression.
"""

from __future__ import annotations

import torch
import triton
from torch import Tensor

from pipeline.body import posing_kernels as kernels
from pipeline.body.posing_tables import RUN, PosingTables

_POINTS, _VERTICES, _ROWS = 64, 64, 1024  # values of points, vertices, and regressor entries per program or step


def pose_vertices(tables: PosingTables, offsets: Tensor, expression: Tensor, pose: Tensor, translation: Tensor, scale: float) -> Tensor:
    """`ParametricModel.pose_vertices(...).vertices` [B, V, 3] of a model whose identity is part of its template; differentiable in all tensors.

    Args:
        offsets: [V, 3] metres at rest. expression: [B, E]. pose: [B, J, 3] axis-angle, radians. translation: [B, 3] metres.
    """
    return _Pose.apply(tables, offsets, expression, pose, translation, scale)


class _Pose(torch.autograd.Function):
    @staticmethod
    def forward(ctx, tables, offsets, expression, pose, translation, scale):
        offsets, expression, pose, translation = (x.detach().contiguous() for x in (offsets, expression, pose, translation))
        frames, vertices, joints, values = len(pose), tables.vertex_count, tables.joint_count, tables.rest.numel()
        rest, points, lanes = offsets.new_empty(joints, 3), offsets.new_empty(frames, values), triton.next_power_of_2(joints)
        expressions, components = expression.shape[1], len(tables.basis)
        if components > expressions:
            weights = offsets.new_empty(frames, components)
            kernels.coefficients[(frames,)](expression, pose, weights, expressions, joints, EXPRESSIONS=triton.next_power_of_2(expressions), LANES=lanes)
            expression = weights
        kernels.rest_joints[(joints,)](
            tables.rest, offsets, tables.regressed_start, tables.regressed_vertices, tables.regressed_weights, rest, vertices, BLOCK=_ROWS
        )
        kernels.shape[(triton.cdiv(values, _POINTS), frames)](
            tables.rest, offsets, rest, expression, tables.basis, points, 3 * vertices, values, components, ROWS=16, BLOCK=_POINTS
        )
        local, moves = offsets.new_empty(frames, 12 * joints), offsets.new_empty(frames, 12 * joints)
        kernels.kinematics[(frames,)](pose, points, tables.chains, local, moves, vertices, joints, len(tables.chains), LANES=lanes)
        posed = offsets.new_empty(frames, vertices, 3)
        kernels.skin[(triton.cdiv(vertices, _VERTICES), frames)](
            points, moves, tables.joints, tables.weights, translation, posed, scale, vertices, joints, K=len(tables.joints), BLOCK=_VERTICES, num_warps=2
        )
        ctx.save_for_backward(pose, points, moves)
        ctx.tables, ctx.scale, ctx.expressions = tables, scale, expressions
        return posed

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_posed):
        pose, points, moves = ctx.saved_tensors
        tables, d_posed = ctx.tables, d_posed.contiguous()
        frames, vertices, joints = len(pose), tables.vertex_count, tables.joint_count
        runs = len(tables.run_joint)
        partial = points.new_empty(frames, runs, 8)
        kernels.sum_runs[(runs, frames)](
            points, moves, d_posed, tables.run_start, tables.run_joint, tables.run_vertices, tables.run_weights, partial, vertices, joints, BLOCK=RUN
        )
        d_pose, d_translation, d_points = torch.empty_like(pose), pose.new_empty(frames, 3), torch.empty_like(points)
        below = tables.parents, tables.below_start, tables.below_end
        kernels.kinematics_backward[(joints + 1, frames)](
            pose, points, moves, partial, *below, d_pose, d_translation, d_points, ctx.scale, vertices, joints, runs, BLOCK=256
        )
        d_offsets = points.new_empty(vertices, 3)
        kernels.skin_backward[(triton.cdiv(vertices, _VERTICES),)](
            d_posed, moves, tables.joints, tables.weights, tables.regressing_joints, tables.regressing_weights, d_points, d_offsets,
            ctx.scale, vertices, joints, frames, K=len(tables.joints), L=len(tables.regressing_joints), BLOCK=_VERTICES, num_warps=2,
        )  # fmt: skip
        d_weights = _components(d_points, tables.basis)
        if d_weights.shape[1] > ctx.expressions:
            lanes = triton.next_power_of_2(joints)
            kernels.coefficients_backward[(frames,)](pose, d_weights, d_pose, ctx.expressions, joints, LANES=lanes)
            d_weights = d_weights[:, : ctx.expressions]
        return None, d_offsets, d_weights, d_pose, d_translation, None


def _components(d_points: Tensor, basis: Tensor) -> Tensor:
    """[B, E + P] derivative by the components of the basis."""
    return torch.mv(basis, d_points[0])[None] if len(d_points) == 1 else d_points @ basis.T  # one row: the product with a vector is faster
