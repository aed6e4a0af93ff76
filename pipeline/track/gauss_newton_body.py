"""The parametric model as the fit sees it: few joints, any surface points, analytic derivatives.

A joint that never turns moves rigidly with its parent, so the skeleton is reduced to the joints that are free; nothing is lost by it.
For a fixed pose, linear blend skinning is linear in (rest points, rest joints), and both are linear in the shape coefficients: derivatives
with respect to identity and expression are therefore the skinning of the basis itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.geometry.rotations import matrix_to_rotvec, rotvec_to_matrix, skew


@dataclass(frozen=True)
class Points:
    """Points on the model's skin: template [N, 3], basis [N, 3, K] (identity then expression), weights [N, A] over free joints."""

    template: np.ndarray
    basis: np.ndarray
    weights: np.ndarray


@dataclass
class State:
    """What the fit looks for. Rotations are local, of the free joints [F, A, 3, 3]; translation [F, 3] and shift [L, 3] in metres."""

    identity: np.ndarray
    expression: np.ndarray
    rotations: np.ndarray
    translation: np.ndarray
    scale: float
    shift: np.ndarray
    offsets: np.ndarray

    @property
    def frames(self) -> int:
        return len(self.translation)

    def coefficients(self, frame: int) -> np.ndarray:
        """[K] identity and expression of one frame."""
        return np.concatenate([self.identity, self.expression[frame]])

    def select(self, frames: np.ndarray) -> State:
        """The same shape at fewer frames."""
        return replace(self, expression=self.expression[frames], rotations=self.rotations[frames], translation=self.translation[frames])

    def moved(self, frame_step: np.ndarray, identity_step: np.ndarray, shift_step: np.ndarray) -> State:
        """The state after a step of the solver; frame_step [F, 3A + 3 + E], rotations by left-multiplied increments, expression kept in [0, 1]."""
        count = self.rotations.shape[1]
        turn, slide, face = np.split(frame_step, [3 * count, 3 * count + 3], axis=1)
        turn = turn.reshape(-1, count, 3)
        turn = turn * np.minimum(1.0, 0.6 / np.maximum(np.linalg.norm(turn, axis=-1, keepdims=True), 1e-9))
        return replace(
            self,
            identity=self.identity + identity_step,
            shift=self.shift + shift_step.reshape(self.shift.shape),
            rotations=rotvec_to_matrix(turn) @ self.rotations,
            translation=self.translation + slide,
            expression=np.clip(self.expression + face, 0.0, 1.0),
        )


@dataclass(frozen=True)
class Posed:
    """The free joints of one frame: world rotations G and positions T, rest positions, and how the coefficients move them."""

    G: np.ndarray
    T: np.ndarray
    rest: np.ndarray
    parent: np.ndarray
    joint_shift: np.ndarray


@dataclass(frozen=True)
class Rig:
    """Numpy copy of a `ParametricModel` with `joints` free. faces [F, 3]; basis [V, 3, K]; weights [V, A]; joints [A, 3]; joint_basis [A, 3, K]."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    full: tuple[int, ...]
    joint_count: int
    identity_size: int
    template: np.ndarray
    basis: np.ndarray
    weights: np.ndarray
    joints: np.ndarray
    joint_basis: np.ndarray
    faces: np.ndarray
    regressor: object
    descends: np.ndarray = field(repr=False)

    @staticmethod
    def of(model, joints: list[str]) -> Rig:
        """Reduce `model` to the joints named (the root is always free; names the model lacks are passed over)."""
        names = list(model.joint_names)
        free = [0] + sorted(names.index(name) for name in set(joints) if name in names and names.index(name) != 0)
        owner = _owners(np.asarray(model.parents), free)
        lbs = _numpy(model.lbs_weights)
        weights = np.stack([lbs[:, owner == k].sum(1) for k in range(len(free))], 1)
        basis = np.concatenate([_numpy(model.identity_basis), _numpy(model.expression_basis)]).transpose(1, 2, 0)
        regressor, template = _sparse(model.joint_regressor)[free], _numpy(model.template)
        joint_basis = (regressor @ basis.reshape(len(template), -1)).reshape(len(free), 3, -1)
        parents = tuple(-1 if k == 0 else int(owner[int(model.parents[j])]) for k, j in enumerate(free))
        descends = np.eye(len(free))
        for k in range(len(free) - 1, 0, -1):
            descends[parents[k]] += descends[k]
        return Rig(
            tuple(names[j] for j in free), parents, tuple(free), len(names), len(model.identity_basis), template, np.ascontiguousarray(basis, np.float32),
            weights.astype(np.float32), regressor @ template, joint_basis, np.asarray(model.faces, np.int64), regressor, descends,
        )  # fmt: skip

    @property
    def frame_size(self) -> int:
        """Number of unknowns per frame: rotations, translation, expression."""
        return 3 * len(self.names) + 3 + self.basis.shape[2] - self.identity_size

    def start(self, frames: int, shifts: int) -> State:
        """The rest pose of the mean person at the origin, with `shifts` landmarks."""
        rotations = np.tile(np.eye(3), (frames, len(self.names), 1, 1))
        expression = np.zeros((frames, self.basis.shape[2] - self.identity_size))
        return State(np.zeros(self.identity_size), expression, rotations, np.zeros((frames, 3)), 1.0, np.zeros((shifts, 3)), np.zeros_like(self.template))

    def points(self, vertices: np.ndarray, weights: np.ndarray, offsets: np.ndarray | None = None) -> Points:
        """Skin points as weighted means: vertices [N, M] indices, weights [N, M]; `offsets` [V, 3] are added to the template."""
        b = np.asarray(weights, np.float32)
        template = self.template if offsets is None else self.template + offsets
        basis = np.matmul(b[:, None], self.basis[vertices].reshape(*b.shape, -1)).reshape(len(b), 3, -1)
        return Points(np.einsum("nk,nkx->nx", b, template[vertices]), basis, np.einsum("nk,nka->na", b, self.weights[vertices]))

    def posed(self, state: State, frame: int) -> Posed:
        """The skeleton of one frame."""
        rest = self.joints + self.regressor @ state.offsets + self.joint_basis @ state.coefficients(frame)
        G, T, shift, parent = [], [], [], []
        for a, up in enumerate(self.parents):
            above = np.eye(3) if up < 0 else G[up]
            parent.append(above)
            G.append(above @ state.rotations[frame, a])
            T.append(rest[0] if up < 0 else T[up] + G[up] @ (rest[a] - rest[up]))
            shift.append(self.joint_basis[0] if up < 0 else shift[up] + G[up] @ (self.joint_basis[a] - self.joint_basis[up]))
        G = np.array(G)
        return Posed(G, np.array(T), rest, np.array(parent), np.array(shift) - G @ self.joint_basis)

    def place(self, posed: Posed, state: State, frame: int, points: Points, shift: np.ndarray | float = 0.0) -> np.ndarray:
        """World positions [N, 3] of skin points, `shift` [N, 3] added in the rest pose."""
        rest = points.template + points.basis @ state.coefficients(frame).astype(np.float32) + shift
        move = np.concatenate([posed.G, (posed.T - np.einsum("axy,ay->ax", posed.G, posed.rest))[..., None]], 2)
        blend = (points.weights @ move.reshape(-1, 12)).reshape(-1, 3, 4)
        return state.scale * ((blend[..., :3] @ rest[..., None])[..., 0] + blend[..., 3]) + state.translation[frame]

    def place_with_jacobian(self, posed: Posed, state: State, frame: int, points: Points, shift: np.ndarray | float, shared: bool):
        """As `place`, with derivatives.

        Returns:
            world [N, 3], per frame unknowns [N, 3, 3A + 3 + E], identity [N, 3, I] (None unless `shared`), rest position [N, 3, 3].
        """
        s, count = state.scale, len(points.template)
        rest = points.template + points.basis @ state.coefficients(frame).astype(np.float32) + shift
        carried = (rest[None] - posed.rest[:, None]) @ posed.G.swapaxes(1, 2) + posed.T[:, None]  # [A, N, 3]: as each joint alone would place the points
        weighted = points.weights.T[..., None] * carried
        world = s * weighted.sum(0) + state.translation[frame]
        below = (self.descends @ weighted.reshape(len(weighted), -1)).reshape(weighted.shape) - (self.descends @ points.weights.T)[..., None] * posed.T[:, None]
        turn = skew(-s * below.astype(np.float32)) @ posed.parent[:, None].astype(np.float32)  # a local axis g turns with g x below
        blend = (s * points.weights @ posed.G.reshape(len(posed.G), 9)).reshape(count, 3, 3).astype(np.float32)
        start = 0 if shared else self.identity_size
        basis, joint_shift = points.basis[..., start:], posed.joint_shift[..., start:].astype(np.float32)
        shape = blend @ basis + (np.float32(s) * points.weights @ joint_shift.reshape(len(joint_shift), -1)).reshape(count, 3, -1)
        split = self.identity_size if shared else 0
        slide = np.broadcast_to(np.eye(3, dtype=np.float32), (count, 3, 3))
        per_frame = np.concatenate([turn.transpose(1, 2, 0, 3).reshape(count, 3, -1), slide, shape[..., split:]], 2, dtype=np.float32)
        return world, per_frame, shape[..., :split] if shared else None, blend

    def vertices(self, state: State, frame: int) -> np.ndarray:
        """World vertices [V, 3] of one frame, float64."""
        skin = Points(self.template + state.offsets, self.basis, self.weights)
        return self.place(self.posed(state, frame), state, frame, skin)

    def full_pose(self, rotations: np.ndarray) -> np.ndarray:
        """Axis-angle [F, J, 3] of all joints of the model from rotations [F, A, 3, 3] of the free ones."""
        pose = np.zeros((len(rotations), self.joint_count, 3), np.float32)
        pose[:, list(self.full)] = matrix_to_rotvec(rotations)
        return pose


def _owners(parents: np.ndarray, free: list[int]) -> np.ndarray:
    """For every joint, which free joint (position in `free`) carries it. Parents stand before children."""
    owner = np.zeros(len(parents), np.int64)
    for j in range(len(parents)):
        owner[j] = free.index(j) if j in free else owner[parents[j]]
    return owner


def _numpy(array) -> np.ndarray:  # noqa: ANN001
    return np.asarray(array.detach() if hasattr(array, "detach") else array, np.float64)


def _sparse(matrix):  # noqa: ANN001, ANN202
    """scipy CSR of a torch sparse, torch dense, scipy or numpy matrix."""
    from scipy.sparse import csr_matrix

    if hasattr(matrix, "to_dense"):
        matrix = matrix.detach().to_dense().double().numpy()
    return csr_matrix(matrix)
