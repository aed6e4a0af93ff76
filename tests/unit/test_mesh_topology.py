"""Connectivity and normals on meshes whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.mesh.topology import face_normals, uniform_laplacian, unique_edges, vertex_normals


@pytest.fixture
def sphere() -> tuple[torch.Tensor, torch.Tensor]:
    """An octahedron split three times and pushed onto the unit sphere, outward faces."""
    vertices = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    faces = [(0, 2, 4), (2, 1, 4), (1, 3, 4), (3, 0, 4), (2, 0, 5), (1, 2, 5), (3, 1, 5), (0, 3, 5)]
    for _ in range(3):
        middle: dict[tuple[int, int], int] = {}
        split = []
        for face in faces:
            m = []
            for a, b in zip(face, (*face[1:], face[0])):
                key = (min(a, b), max(a, b))
                if key not in middle:
                    middle[key] = len(vertices)
                    vertices.append(tuple((np.array(vertices[a]) + vertices[b]) / 2))
                m.append(middle[key])
            split += [(face[0], m[0], m[2]), (face[1], m[1], m[0]), (face[2], m[2], m[1]), tuple(m)]
        faces = split
    points = torch.tensor(vertices, dtype=torch.float64)
    return points / points.norm(dim=-1, keepdim=True), torch.tensor(faces)


def test_normals_of_a_sphere_point_outwards(sphere):
    vertices, faces = sphere
    normals = vertex_normals(torch.stack([vertices, 2 * vertices]), faces)
    assert normals.shape == (2, len(vertices), 3)
    assert (normals * vertices).sum(-1).min() > 0.995
    area = face_normals(vertices, faces, unit=False).norm(dim=-1).sum() / 2
    assert abs(area / (4 * np.pi) - 1) < 0.02


def test_normals_have_gradients(sphere):
    vertices, faces = sphere
    some = vertices[:8].clone().requires_grad_()
    some_faces = torch.tensor([[0, 2, 4], [2, 1, 4], [1, 3, 4]])
    assert torch.autograd.gradcheck(lambda v: vertex_normals(v, some_faces), some)


def test_edges_of_a_closed_surface(sphere):
    vertices, faces = sphere
    edges = unique_edges(faces.numpy())
    assert len(vertices) - len(edges) + len(faces) == 2  # Euler


def test_laplacian_is_distance_to_the_mean_of_the_neighbours(sphere):
    vertices, faces = sphere
    laplacian = uniform_laplacian(faces.numpy(), len(vertices) + 1)
    assert abs(laplacian @ np.ones(len(vertices) + 1)).max() < 1e-12
    edges = unique_edges(faces.numpy())
    around = np.concatenate([edges[edges[:, 0] == 5][:, 1], edges[edges[:, 1] == 5][:, 0]])
    points = np.concatenate([vertices.numpy(), np.zeros((1, 3))])
    np.testing.assert_allclose((laplacian @ points)[5], points[5] - points[around].mean(axis=0), atol=1e-12)
