"""The two linear models of a bake: a PCA basis of shapes, and joints as weighted sums of vertices."""

from __future__ import annotations

import numpy as np

VERTEX_NOISE = 1e-2
"""Metres of independent noise per vertex assumed by the joint regressor: the ridge term that keeps its weights
small."""


def principal_components(samples: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """PCA of shapes [N, V, 3]: mean [V, 3] and basis [count, V, 3]; a coefficient of 1 is one standard deviation.

    Uses the [N, N] Gram matrix. The largest entry of each component is positive, so that repeated bakes are equal.
    """
    mean = samples.mean(axis=0)
    centred = (samples - mean).reshape(len(samples), -1)
    values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
    order = np.argsort(-values)[:count]
    basis = (vectors[:, order].T @ centred) / np.sqrt(len(samples) - 1)
    largest = np.take_along_axis(basis, np.abs(basis).argmax(axis=1)[:, None], axis=1)
    return mean, (basis * np.sign(largest)).reshape(count, *mean.shape).astype(np.float32)


def held_out_error(mean: np.ndarray, basis: np.ndarray, people: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Distances between held-out shapes [N, V, 3] and their projections onto the basis, in mm over the vertices
    `mask`."""
    flat = basis.reshape(len(basis), -1).astype(np.float64)
    centred = (people - mean).reshape(len(people), -1)
    coefficients = np.linalg.solve(flat @ flat.T, flat @ centred.T).T
    distance = np.linalg.norm((centred - coefficients @ flat).reshape(people.shape), axis=-1)[:, mask] * 1000
    return {
        "mean_mm": round(float(distance.mean()), 3),
        "p95_mm": round(float(np.percentile(distance, 95)), 3),
        "max_mm": round(float(distance.max()), 3),
        "people": len(people),
    }


def joint_regressor(
    vertices: np.ndarray,
    joints: np.ndarray,
    allowed: list[np.ndarray],
    nearest: int = 1200,
    used: int = 300,
) -> np.ndarray:
    """Sparse weights [J, V], rows sum to 1, that give joints [N, J, 3] from vertices [N, V, 3].

    Each joint uses at most 2 * `used` of its `allowed` vertices ([V] bool per joint), evenly subsampled from the
    `nearest` ones. The weights are those of the mean plus a ridge regression of the residual, with VERTEX_NOISE.
    """
    regressor = np.zeros((joints.shape[1], vertices.shape[1]))
    mean_vertices, mean_joints = vertices.mean(axis=0), joints.mean(axis=0)
    for joint, mask in enumerate(allowed):
        ids = np.flatnonzero(mask)
        distance = np.linalg.norm(mean_vertices[ids] - mean_joints[joint], axis=1)
        ids = ids[np.argsort(distance, kind="stable")[:nearest]]
        ids = ids[:: max(1, len(ids) // used)]
        ring = vertices[:, ids].transpose(0, 2, 1).reshape(-1, len(ids)).astype(np.float64)
        centre = ring.mean(axis=1, keepdims=True)
        ring = ring - centre
        residual = joints[:, joint].reshape(-1) - centre[:, 0]
        ridge = len(ring) * VERTEX_NOISE**2 * np.eye(len(ids))
        regressor[joint, ids] = 1 / len(ids) + np.linalg.solve(ring.T @ ring + ridge, ring.T @ residual)
    return regressor


def joint_error(regressor: np.ndarray, vertices: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Mean distance [J] in mm over people between regressed and true joints."""
    regressed = np.einsum("jv,nvc->njc", regressor, vertices, optimize=True)
    return np.linalg.norm(regressed - joints, axis=-1).mean(axis=0) * 1000
