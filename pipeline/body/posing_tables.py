"""Constant tensors of a model for posing it on a GPU, computed once."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from pipeline.body.model import ParametricModel

RUN = 512  # vertices whose forces on one joint are summed by one program


@dataclass(frozen=True, eq=False)
class PosingTables:
    """Constant tensors of a model with V vertices, J joints and E expression components. Points are the vertices, then the joints.

    Attributes:
        rest: [V + J, 3] mean points. basis: [E + P, 3 (V + J)] their expression components, then their pose correctives: P = 9 (J - 1), or 0 without.
        parents: int32 [J], -1 at the root. chains: int32 [D, J] each joint, its parent, its parent's parent ...; -1 above the root.
        joints, weights: [K, V] int32 and float32, the joints that move a vertex; weight 0 where there are fewer than K.
        run_start: int32 [R + 1] of runs of at most RUN entries in `run_vertices` and `run_weights`. run_joint: int32 [R], the joint that moves all vertices of
            a run; joint J moves every vertex with weight 1. Runs of a joint and of all joints below it follow each other.
        below_start, below_end: int32 [J + 1] the runs of a joint and of all joints below it.
        regressed_start: int32 [J + 1], regressed_vertices, regressed_weights: the joint regressor by joint.
        regressing_joints, regressing_weights: [L, V], the same by vertex.
    """

    rest: Tensor
    basis: Tensor
    parents: Tensor
    chains: Tensor
    joints: Tensor
    weights: Tensor
    run_start: Tensor
    run_joint: Tensor
    run_vertices: Tensor
    run_weights: Tensor
    below_start: Tensor
    below_end: Tensor
    regressed_start: Tensor
    regressed_vertices: Tensor
    regressed_weights: Tensor
    regressing_joints: Tensor
    regressing_weights: Tensor

    @staticmethod
    def of(model: ParametricModel) -> PosingTables:
        """The tables of a model whose identity is part of its template (identity_basis is not read), on its device."""
        weights, regressor = model.lbs_weights.cpu().numpy(), model.joint_regressor.to_dense().cpu().numpy()
        joints, moved = _by_column(weights.T)
        regressing, shares = _by_column(regressor)
        counts = (regressor != 0).sum(1)
        owner, vertex = np.nonzero(regressor)
        arrays = {
            "parents": np.array(model.parents),
            "chains": _chains(model.parents),
            "joints": joints,
            "weights": moved,
            **_runs(weights, *_visits(model.parents)),
            "regressed_start": np.concatenate([[0], np.cumsum(counts)]),
            "regressed_vertices": vertex,
            "regressed_weights": regressor[owner, vertex],
            "regressing_joints": regressing,
            "regressing_weights": shares,
        }
        tensors = {name: _tensor(array).to(model.template.device) for name, array in arrays.items()}
        basis = torch.cat([model.expression_basis.flatten(1), model.expression_joints.flatten(1)], dim=1).contiguous()
        if len(model.pose_basis):
            basis = torch.cat([basis, torch.nn.functional.pad(model.pose_basis.flatten(1), (0, 3 * len(model.parents)))])
        return PosingTables(torch.cat([model.template, model.rest_joints]), basis, **tensors)

    @property
    def vertex_count(self) -> int:
        """V."""
        return self.joints.shape[1]

    @property
    def joint_count(self) -> int:
        """J."""
        return self.chains.shape[1]

    def to(self, device: torch.device | str) -> PosingTables:
        """The same tables on another device."""
        moved = {f.name: getattr(self, f.name).to(device) for f in fields(self) if isinstance(getattr(self, f.name), Tensor)}
        return replace(self, **moved)


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32 if array.dtype.kind == "f" else np.int32))


def _chains(parents: tuple[int, ...]) -> np.ndarray:
    """[D, J] ancestors of each joint from itself upwards, -1 when there are no more."""
    rows = [np.arange(len(parents))]
    above = np.array([*parents, -1])
    while (rows[-1] >= 0).any():
        rows.append(above[rows[-1]])
    return np.array(rows[:-1])


def _visits(parents: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """When a walk through the tree (children in their order, depth first) enters each joint, and how many joints it has entered when it leaves it."""
    sizes = np.ones(len(parents), np.int64)
    for joint in range(len(parents) - 1, 0, -1):
        sizes[parents[joint]] += sizes[joint]
    entered, next_child = np.zeros(len(parents), np.int64), np.zeros(len(parents), np.int64)
    next_child[0] = 1  # when the next child of a joint is entered
    for joint in range(1, len(parents)):
        parent = parents[joint]
        entered[joint] = next_child[parent]
        next_child[parent] += sizes[joint]
        next_child[joint] = entered[joint] + 1
    return entered, entered + sizes


def _by_column(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers and values [K, columns] of what is not 0 in each column, padded with row 0 and value 0."""
    rows = np.argsort(matrix == 0, axis=0, kind="stable")[: max(1, int((matrix != 0).sum(0).max()))]
    values = np.take_along_axis(matrix, rows, axis=0)
    return np.where(values == 0, 0, rows), values


def _runs(weights: np.ndarray, entered: np.ndarray, left: np.ndarray) -> dict[str, np.ndarray]:
    """The `run_` and `below_` tables of PosingTables."""
    joints = [*np.argsort(entered), len(entered)]
    matrix = np.concatenate([weights, np.ones((len(weights), 1), np.float32)], axis=1).T[joints]
    owner, column = np.nonzero(matrix)
    begins = np.searchsorted(owner, np.arange(len(matrix) + 1))
    starts = [np.arange(begins[row], begins[row + 1], RUN) for row in range(len(matrix))]
    counts = [len(row) for row in starts]
    first = np.concatenate([[0], np.cumsum(counts)])
    return {
        "run_start": np.concatenate([*starts, begins[-1:]]),
        "run_joint": np.repeat(joints, counts),
        "run_vertices": column,
        "run_weights": matrix[owner, column],
        "below_start": np.append(first[entered], first[-2]),
        "below_end": np.append(first[left], first[-1]),
    }
