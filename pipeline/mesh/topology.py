"""Connectivity and normals of triangle meshes: everything that depends on which vertices are joined."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse
import torch


def face_normals(vertices: torch.Tensor, faces: torch.Tensor, *, unit: bool = True) -> torch.Tensor:
    """Normals of the triangles, right-handed about the corner order. vertices [...,V,3], faces [F,3] int64 -> [...,F,3]; with unit=False their length
    is twice the area of the triangle (in the squared unit of the vertices)."""
    a, b, c = (vertices[..., faces[:, corner], :] for corner in range(3))
    normals = torch.linalg.cross(b - a, c - a)
    return torch.nn.functional.normalize(normals, dim=-1) if unit else normals


def vertex_normals(vertices: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
    """Unit area-weighted normals of the vertices, differentiable. vertices [...,V,3], faces [F,3] int64 -> [...,V,3]; 0 where a vertex has no face."""
    normals = face_normals(vertices, faces, unit=False)
    total = torch.zeros_like(vertices)
    for corner in range(3):
        total = total.index_add(-2, faces[:, corner], normals)
    return torch.nn.functional.normalize(total, dim=-1)


def unique_edges(faces: np.ndarray) -> np.ndarray:
    """Every edge once, lower index first, sorted. faces [F,3] -> [E,2] int64."""
    faces = np.asarray(faces, np.int64)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return np.unique(np.sort(edges, axis=1), axis=0)


def vertex_adjacency(faces: np.ndarray, vertex_count: int) -> scipy.sparse.csr_matrix:
    """Symmetric [V,V] matrix with 1 where an edge joins two vertices."""
    edges = unique_edges(faces)
    ones = np.ones(len(edges))
    half = scipy.sparse.coo_matrix((ones, (edges[:, 0], edges[:, 1])), shape=(vertex_count, vertex_count))
    return (half + half.T).tocsr()


def uniform_laplacian(faces: np.ndarray, vertex_count: int) -> scipy.sparse.csr_matrix:
    """[V,V] matrix L with (L x)_i = x_i - mean of the neighbours of i (the umbrella operator; Taubin, "A signal processing approach to fair surface
    design", 1995). The rows of vertices without an edge are 0."""
    adjacency = vertex_adjacency(faces, vertex_count)
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    means = scipy.sparse.diags(1.0 / np.maximum(degree, 1)) @ adjacency
    return (scipy.sparse.diags((degree > 0).astype(float)) - means).tocsr()


def adjacent_faces(faces: np.ndarray) -> np.ndarray:
    """Faces across each edge. faces [F,3] -> [F,3] int64: the face sharing the edge from corner k to corner k+1, -1 at a border. Where more than two
    faces meet in an edge they are joined in the order in which they are listed, each to the next."""
    faces = np.asarray(faces, np.int64)
    edges = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1), axis=-1).reshape(-1, 2)
    order = np.lexsort((edges[:, 1], edges[:, 0]))
    same = (edges[order[1:]] == edges[order[:-1]]).all(axis=1)
    neighbour = np.full(len(edges), -1, np.int64)
    neighbour[order[1:][same]] = order[:-1][same] // 3
    neighbour[order[:-1][same]] = order[1:][same] // 3
    return neighbour.reshape(-1, 3)


class Submesh(NamedTuple):
    """Part of a mesh: `faces` [F',3] int64 in the new numbering, `vertex_ids` [V'] old index of each new vertex, `face_ids` [F'] old index of each face,
    `new_index` [V] new index of each old vertex, -1 where it is left out."""

    faces: np.ndarray
    vertex_ids: np.ndarray
    face_ids: np.ndarray
    new_index: np.ndarray


def submesh(faces: np.ndarray, keep: np.ndarray) -> Submesh:
    """The faces whose three vertices are all kept. faces [F,3], keep [V] bool. Kept vertices stay in order, also those that lose every face."""
    faces = np.asarray(faces, np.int64)
    vertex_ids = np.flatnonzero(keep)
    new_index = np.full(len(keep), -1, np.int64)
    new_index[vertex_ids] = np.arange(len(vertex_ids))
    face_ids = np.flatnonzero(keep[faces].all(axis=1))
    return Submesh(new_index[faces[face_ids]], vertex_ids, face_ids, new_index)
