"""The initial splats: where they are placed, and which colours they get."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.avatars.rigged.binding import bind
from pipeline.avatars.rigged.initialise import initial_splats
from pipeline.avatars.rigged.settings import InitSettings
from pipeline.avatars.rigged.surface_colors import surface_colors
from pipeline.avatars.rigged.surface_sampling import local_coordinates, scatter
from pipeline.capture.camera import Camera
from pipeline.capture.processed import ImageSet
from tests.unit import rigged_toy as toy


def test_every_triangle_gets_a_point_and_large_ones_more():
    vertices, faces = toy.sphere()
    face, barycentric, spacing = scatter(vertices, faces, 1000, seed=0)
    counts = np.bincount(face, minlength=len(faces))
    corners = vertices[faces]
    areas = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    assert counts.min() >= 1 and abs(len(face) - 1000) < 0.05 * 1000
    assert np.abs(counts - areas * len(face) / areas.sum()).max() <= 1
    assert (barycentric >= 0).all() and np.allclose(barycentric.sum(1), 1)
    assert np.allclose(spacing**2 * counts[face], areas[face])


def test_local_coordinates_lead_back_to_the_surface():
    vertices, faces = toy.sphere()
    face, barycentric, _ = scatter(vertices, faces, 400, seed=0)
    avatar = toy.avatar()
    local, _ = local_coordinates(vertices, faces, face, barycentric)
    count = len(face)
    means = bind(
        torch.from_numpy(vertices),
        avatar.body.faces,
        torch.from_numpy(face),
        torch.from_numpy(local),
        torch.ones(count, 4).double(),
        torch.zeros(count, 3).double(),
    )[0]
    np.testing.assert_allclose(means.numpy(), np.einsum("nk,nkc->nc", barycentric, vertices[faces[face]]), atol=1e-12)


def test_colors_come_from_the_images_that_show_a_point():
    vertices, faces = toy.sphere()
    face, barycentric = np.arange(len(faces)), np.full((len(faces), 3), 1 / 3)
    front = toy.cameras(1)[0]
    turn = np.diag([-1.0, 1.0, -1.0])
    back = Camera("back", front.width, front.height, front.K, turn, front.t)
    red, blue = (np.broadcast_to(np.uint8(color), (40, 48, 4)) for color in ([255, 0, 0, 255], [0, 0, 255, 255]))
    colors, seen = surface_colors([(vertices, front, red), (vertices, back, blue)], faces, face, barycentric)
    z = vertices[faces].mean(1)[:, 2]
    assert seen.mean() > 0.6
    np.testing.assert_allclose(colors[seen & (z < -0.05)], [[1, 0, 0]] * int((seen & (z < -0.05)).sum()))
    np.testing.assert_allclose(colors[seen & (z > 0.05)], [[0, 0, 1]] * int((seen & (z > 0.05)).sum()))


def test_hidden_points_take_the_nearest_color_and_no_image_means_grey():
    vertices, faces = toy.sphere()
    face, barycentric = np.arange(len(faces)), np.full((len(faces), 3), 1 / 3)
    green = np.broadcast_to(np.uint8([0, 255, 0, 255]), (40, 48, 4))
    colors, seen = surface_colors([(vertices, toy.cameras(1)[0], green)], faces, face, barycentric)
    assert not seen.all() and np.allclose(colors, [0, 1, 0])
    assert np.allclose(surface_colors([], faces, face, barycentric)[0], 0.5)


def test_one_round_grey_splat_in_the_middle_of_each_triangle():
    avatar = toy.avatar()
    nothing = ImageSet(None, (), (), {}, {})
    arrays = initial_splats(avatar.body, nothing, (), toy.FRAMES, InitSettings(placement="one", color_frames=0, opacity=0.1))
    assert arrays["binding"].tolist() == list(range(len(avatar.body.faces))) and not arrays["sh_dc"].any() and not arrays["log_scales"].any()
    np.testing.assert_allclose(arrays["means"], 0, atol=1e-6)
    np.testing.assert_allclose(1 / (1 + np.exp(-arrays["opacities"])), 0.1, rtol=1e-6)
