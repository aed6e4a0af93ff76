"""Normals, edges, adjacency and Laplacian of triangle meshes."""

from __future__ import annotations

import numpy as np
import scipy.sparse
import torch


def face_normals(vertices: torch.Tensor, faces: torch.Tensor, *, unit: bool = True) -> torch.Tensor:
    """Normals [..., F, 3] of the triangles, right-handed in the order of the corners.

    Args:
        vertices: [..., V, 3]. faces: [F, 3] int64.
        unit: normalise; else the length of a normal is twice the area of its triangle.
    """
    a, b, c = (vertices[..., faces[:, corner], :] for corner in range(3))
    normals = torch.linalg.cross(b - a, c - a)
    return torch.nn.functional.normalize(normals, dim=-1) if unit else normals


def vertex_normals(vertices: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
    """Unit area-weighted normals [..., V, 3] of the vertices, differentiable; 0 for a vertex without faces.

    Args:
        vertices: [..., V, 3]. faces: [F, 3] int64.
    """
    normals = face_normals(vertices, faces, unit=False)
    total = torch.zeros_like(vertices)
    for corner in range(3):
        total = total.index_add(-2, faces[:, corner], normals)
    return torch.nn.functional.normalize(total, dim=-1)


def unique_edges(faces: np.ndarray) -> np.ndarray:
    """Every edge of faces [F, 3] once: [E, 2] int64, lower index first, sorted."""
    faces = np.asarray(faces, np.int64)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return np.unique(np.sort(edges, axis=1), axis=0)


def vertex_adjacency(faces: np.ndarray, vertex_count: int) -> scipy.sparse.csr_matrix:
    """Symmetric [V, V] matrix with 1 where an edge connects two vertices."""
    edges = unique_edges(faces)
    ones = np.ones(len(edges))
    half = scipy.sparse.coo_matrix((ones, (edges[:, 0], edges[:, 1])), shape=(vertex_count, vertex_count))
    return (half + half.T).tocsr()


def uniform_laplacian(faces: np.ndarray, vertex_count: int) -> scipy.sparse.csr_matrix:
    """[V, V] matrix L with (L x)_i = x_i - mean of the neighbours of i.

    The umbrella operator (Taubin, "A signal processing approach to fair surface design", 1995). Rows of vertices
    without edges are 0.
    """
    adjacency = vertex_adjacency(faces, vertex_count)
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    means = scipy.sparse.diags(1.0 / np.maximum(degree, 1)) @ adjacency
    return (scipy.sparse.diags((degree > 0).astype(float)) - means).tocsr()
