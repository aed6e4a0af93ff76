"""The parametric model for Gauss-Newton: few joints, any surface points, analytic derivatives, in NumPy.

A joint that never turns moves rigidly with its parent, so the skeleton is reduced exactly to the free joints. For a
fixed pose, linear blend skinning is linear in (rest points, rest joints), and both are linear in the shape coefficients:
derivatives with respect to identity and expression are therefore the skinning of the basis itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_matrix

from pipeline.body.model import ParametricModel
from pipeline.geometry.rotations import matrix_to_rotvec, skew
from pipeline.track.state import State


@dataclass(frozen=True)
class SurfacePoints:
    """Points on the skin.

    Attributes:
        template: [N, 3]. basis: [N, 3, K], identity, then expression. weights: [N, A] over free joints.
        correctives: [N, 3, 9 (A - 1)] over the rotations of all free joints but the root, or [N, 3, 0].
    """

    template: np.ndarray
    basis: np.ndarray
    weights: np.ndarray
    correctives: np.ndarray


class PosedJoints(NamedTuple):
    """The free joints of one frame, before scale and translation.

    Attributes:
        local: [A, 3, 3] relative to the joint's parent. rotation: [A, 3, 3] relative to the rest pose. parent_rotation: [A, 3, 3] the same of each joint's
            parent.
        position: [A, 3] posed. rest: [A, 3] in the rest pose.
        basis: [A, 3, K] derivatives of (position - rotation @ rest) with respect to the shape coefficients.
    """

    local: np.ndarray
    rotation: np.ndarray
    parent_rotation: np.ndarray
    position: np.ndarray
    rest: np.ndarray
    basis: np.ndarray


class PosedPoints(NamedTuple):
    """World positions of surface points, and their derivatives.

    Attributes:
        world: [N, 3].
        d_frame: [N, 3, 3A + 3 + E] with respect to the frame's unknowns: rotations, translation, expression.
        d_identity: [N, 3, I]; [N, 3, 0] where identity is not optimised.
        d_rest: [N, 3, 3] with respect to the rest position.
    """

    world: np.ndarray
    d_frame: np.ndarray
    d_identity: np.ndarray
    d_rest: np.ndarray


@dataclass(frozen=True)
class GaussNewtonBody:
    """A `ParametricModel` reduced to its free joints.

    Attributes:
        names: [A] free joints, the root first. parents: [A] index of the free parent, -1 for the root.
        model_joints: [A] index of each free joint in the model, which has `model_joint_count`.
        identity_size: I; K = I + E shape coefficients.
        template: [V, 3]. basis: [V, 3, K] float32. weights: [V, A] float32. correctives: [V, 3, 9 (A - 1)] float32 or [V, 3, 0]. faces: [F, 3] int64.
        joints: [A, 3] rest positions. joint_basis: [A, 3, K]. regressor: sparse [A, V].
        descendants: [A, A], 1 where the column's joint is the row's joint or below it.
        bounded: expressions are weights from 0 to 1, else of unit variance.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    model_joints: tuple[int, ...]
    model_joint_count: int
    identity_size: int
    template: np.ndarray
    basis: np.ndarray
    weights: np.ndarray
    correctives: np.ndarray
    joints: np.ndarray
    joint_basis: np.ndarray
    faces: np.ndarray
    regressor: csr_matrix
    descendants: np.ndarray = field(repr=False)
    bounded: bool = True

    @staticmethod
    def of(model: ParametricModel, joints: list[str]) -> GaussNewtonBody:
        """Reduce `model` to the named joints. The root is always free; names that the model lacks are ignored."""
        names = list(model.joint_names)
        free = [0] + sorted(names.index(name) for name in set(joints) if name in names and names.index(name) != 0)
        owner = _free_ancestor(model.parents, free)
        skinning = _numpy(model.lbs_weights)
        weights = np.stack([skinning[:, owner == k].sum(1) for k in range(len(free))], 1)
        template = _numpy(model.template)
        basis = np.concatenate([_numpy(model.identity_basis), _numpy(model.expression_basis)]).transpose(1, 2, 0)
        correctives = _numpy(model.pose_basis).reshape(-1, 9, len(template), 3)[[j - 1 for j in free[1:]] if len(model.pose_basis) else []]
        regressor = csr_matrix(_numpy(model.joint_regressor.to_dense()))[free]
        parents = tuple(-1 if k == 0 else int(owner[model.parents[j]]) for k, j in enumerate(free))
        descendants = np.eye(len(free))
        for k in range(len(free) - 1, 0, -1):
            descendants[parents[k]] += descendants[k]
        return GaussNewtonBody(
            names=tuple(names[j] for j in free),
            parents=parents,
            model_joints=tuple(free),
            model_joint_count=len(names),
            identity_size=len(model.identity_basis),
            template=template,
            basis=np.ascontiguousarray(basis, np.float32),
            weights=weights.astype(np.float32),
            correctives=np.ascontiguousarray(correctives.reshape(-1, len(template), 3).transpose(1, 2, 0), np.float32),
            joints=_numpy(model.rest_joints)[free],
            joint_basis=_numpy(torch.cat([model.identity_joints, model.expression_joints]))[:, free].transpose(1, 2, 0),
            faces=model.faces.numpy().astype(np.int64),
            regressor=regressor,
            descendants=descendants,
            bounded=model.traits.bounded,
        )

    @property
    def expression_size(self) -> int:
        """E."""
        return self.basis.shape[2] - self.identity_size

    @property
    def frame_size(self) -> int:
        """Number of unknowns per frame: rotations, translation, expression."""
        return 3 * len(self.names) + 3 + self.expression_size

    def initial_state(self, frames: int, landmarks: int) -> State:
        """The rest pose of the mean shape at the origin."""
        return State(
            identity=np.zeros(self.identity_size),
            expression=np.zeros((frames, self.expression_size)),
            rotations=np.tile(np.eye(3), (frames, len(self.names), 1, 1)),
            translation=np.zeros((frames, 3)),
            scale=1.0,
            landmark_offsets=np.zeros((landmarks, 3)),
            vertex_offsets=np.zeros_like(self.template),
            bounds=(0.0, 1.0) if self.bounded else (-np.inf, np.inf),
        )

    def surface_points(
        self,
        vertices: np.ndarray,
        weights: np.ndarray,
        offsets: np.ndarray | None = None,
    ) -> SurfacePoints:
        """Points as weighted means of vertices.

        Args:
            vertices: [N, M] indices. weights: [N, M].
            offsets: [V, 3], added to the template.
        """
        b = np.asarray(weights, np.float32)
        template = self.template if offsets is None else self.template + offsets
        basis = np.matmul(b[:, None], self.basis[vertices].reshape(*b.shape, -1)).reshape(len(b), 3, -1)
        skinning = np.einsum("nk,nka->na", b, self.weights[vertices])
        correctives = np.matmul(b[:, None], self.correctives[vertices].reshape(*b.shape, -1)).reshape(len(b), 3, -1)
        return SurfacePoints(np.einsum("nk,nkx->nx", b, template[vertices]), basis, skinning, correctives)

    def pose_joints(self, state: State, frame: int) -> PosedJoints:
        """The skeleton of one frame."""
        rest = self.joints + self.regressor @ state.vertex_offsets + self.joint_basis @ state.coefficients(frame)
        rotations: list[np.ndarray] = []
        parent_rotations: list[np.ndarray] = []
        positions: list[np.ndarray] = []
        bases: list[np.ndarray] = []
        for a, up in enumerate(self.parents):
            parent_rotations.append(np.eye(3) if up < 0 else rotations[up])
            rotations.append(parent_rotations[a] @ state.rotations[frame, a])
            if up < 0:
                positions.append(rest[0])
                bases.append(self.joint_basis[0])
            else:
                positions.append(positions[up] + rotations[up] @ (rest[a] - rest[up]))
                bases.append(bases[up] + rotations[up] @ (self.joint_basis[a] - self.joint_basis[up]))
        rotation = np.array(rotations)
        basis = np.array(bases) - rotation @ self.joint_basis
        return PosedJoints(state.rotations[frame], rotation, np.array(parent_rotations), np.array(positions), rest, basis)

    def pose_points(
        self,
        joints: PosedJoints,
        state: State,
        frame: int,
        points: SurfacePoints,
        offset: np.ndarray | float = 0.0,
    ) -> np.ndarray:
        """World positions [N, 3] of surface points, with `offset` [N, 3] added in the rest pose."""
        rest = _at_rest(joints, state, frame, points, offset)
        move = joints.position - np.einsum("axy,ay->ax", joints.rotation, joints.rest)
        transforms = np.concatenate([joints.rotation, move[..., None]], 2)
        blend = (points.weights @ transforms.reshape(-1, 12)).reshape(-1, 3, 4)
        posed = (blend[..., :3] @ rest[..., None])[..., 0] + blend[..., 3]
        return state.scale * posed + state.translation[frame]

    def pose_points_with_derivatives(
        self,
        joints: PosedJoints,
        state: State,
        frame: int,
        points: SurfacePoints,
        offset: np.ndarray | float,
        identity: bool,
    ) -> PosedPoints:
        """As `pose_points`, with derivatives; with respect to identity only where asked for."""
        s, count = state.scale, len(points.template)
        rest = _at_rest(joints, state, frame, points, offset)
        # [A, N, 3]: the points as each joint alone would place them
        per_joint = (rest[None] - joints.rest[:, None]) @ joints.rotation.swapaxes(1, 2) + joints.position[:, None]
        weighted = points.weights.T[..., None] * per_joint
        world = s * weighted.sum(0) + state.translation[frame]

        # a rotation increment g of a joint moves what hangs on it by (parent rotation @ g) x lever
        below = (self.descendants @ weighted.reshape(len(weighted), -1)).reshape(weighted.shape)
        lever = below - (self.descendants @ points.weights.T)[..., None] * joints.position[:, None]
        d_rotation = skew(-s * lever.astype(np.float32)) @ joints.parent_rotation[:, None].astype(np.float32)

        d_rest = s * points.weights @ joints.rotation.reshape(len(joints.rotation), 9)
        d_rest = d_rest.reshape(count, 3, 3).astype(np.float32)
        if points.correctives.shape[2]:  # it moves the rest points, too
            d_rotation[1:] += d_rest @ _corrective_derivatives(joints, points)
        first = 0 if identity else self.identity_size
        joint_basis = joints.basis[..., first:].astype(np.float32)
        joint_part = (np.float32(s) * points.weights @ joint_basis.reshape(len(joint_basis), -1)).reshape(count, 3, -1)
        d_shape = d_rest @ points.basis[..., first:] + joint_part
        d_translation = np.broadcast_to(np.eye(3, dtype=np.float32), (count, 3, 3))
        split = self.identity_size - first
        d_rotation = d_rotation.transpose(1, 2, 0, 3).reshape(count, 3, -1)
        d_frame = np.concatenate([d_rotation, d_translation, d_shape[..., split:]], 2, dtype=np.float32)
        return PosedPoints(world, d_frame, d_shape[..., :split], d_rest)

    def vertices(self, state: State, frame: int) -> np.ndarray:
        """World vertices [V, 3] of one frame, float64."""
        skin = SurfacePoints(self.template + state.vertex_offsets, self.basis, self.weights, self.correctives)
        return self.pose_points(self.pose_joints(state, frame), state, frame, skin)

    def full_pose(self, rotations: np.ndarray) -> np.ndarray:
        """Axis-angle [F, J, 3] of all joints of the model from rotations [F, A, 3, 3] of the free ones."""
        pose = np.zeros((len(rotations), self.model_joint_count, 3), np.float32)
        pose[:, list(self.model_joints)] = matrix_to_rotvec(rotations)
        return pose


def _at_rest(joints: PosedJoints, state: State, frame: int, points: SurfacePoints, offset: np.ndarray | float) -> np.ndarray:
    """Points [N, 3] before skinning."""
    shaped = points.template + points.basis @ state.coefficients(frame).astype(np.float32) + offset
    if not points.correctives.shape[2]:
        return shaped
    return shaped + points.correctives @ (joints.local[1:] - np.eye(3)).ravel().astype(np.float32)


def _corrective_derivatives(joints: PosedJoints, points: SurfacePoints) -> np.ndarray:
    """[A - 1, N, 3, 3] derivatives of the correctives with respect to rotation increments g of the joints: (1 + skew(g)) R."""
    turned = skew(np.eye(3))[None] @ joints.local[1:, None]  # [A - 1, g, 3, 3]
    by_joint = points.correctives.reshape(len(points.correctives), 3, -1, 9).transpose(2, 0, 1, 3)
    return by_joint @ turned.reshape(len(turned), 1, 3, 9).swapaxes(-1, -2).astype(np.float32)


def _free_ancestor(parents: tuple[int, ...], free: list[int]) -> np.ndarray:
    """[J] position in `free` of the free joint that moves each joint. Parents precede children."""
    owner = np.zeros(len(parents), np.int64)
    for j in range(len(parents)):
        owner[j] = free.index(j) if j in free else owner[parents[j]]
    return owner


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    """float64."""
    return tensor.detach().double().numpy()
