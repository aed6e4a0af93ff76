"""How a posed avatar is shown: background, subsets, sizes, depth, and the mesh over it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from pipeline.avatars.mesh_layer import face_mask, mesh_layer, splats_per_face
from pipeline.avatars.render import render_views
from pipeline.avatars.splats.avatar import LOCAL
from pipeline.avatars.view import PosedView, ViewOptions, view_image
from pipeline.io.color_map import color_map
from pipeline.io.errors import InputError
from pipeline.splat.splats import Views
from tests.unit import flat_avatar, rigged_toy

CAMERA = rigged_toy.cameras(1)[0]
REGIONS = {"upper": rigged_toy.sphere()[0][:, 2] > 0, "left": rigged_toy.sphere()[0][:, 0] > -0.01}


@pytest.fixture(scope="module")
def avatar():
    made = rigged_toy.avatar()
    made.body.shaped = replace(made.body.shaped, regions=REGIONS)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        made.local["sh_dc"].copy_(torch.randn(made.local["sh_dc"].shape, generator=generator))
    return made.eval()


def test_without_options_it_is_what_evaluation_renders(avatar):
    assert np.array_equal(view_image(avatar, 1, CAMERA), render_views(avatar, 1, [CAMERA])[0])
    assert np.array_equal(view_image(avatar, avatar.body.pose_at(1), CAMERA), view_image(avatar, 1, CAMERA))


@torch.no_grad()
def test_a_background_shows_where_alpha_leaves_it(avatar):
    drawn = avatar.draw(avatar.pose(0), Views.from_cameras([CAMERA]))
    image, alpha = drawn.image[0].double().numpy(), drawn.alpha[0, ..., None].double().numpy()
    expected = np.clip(image + (1 - alpha) * np.array([10, 200, 90]) / 255, 0, 1) * 255
    seen = view_image(avatar, 0, CAMERA, ViewOptions(background=(10, 200, 90)))
    assert np.abs(seen[..., :3] - expected).max() <= 0.51 and np.abs(seen[..., 3] - 255 * alpha[..., 0]).max() <= 0.51


def test_alpha_is_shown_over_black_whatever_the_background(avatar):
    seen = view_image(avatar, 0, CAMERA, ViewOptions(splats="alpha"))
    assert (seen == seen[..., 3:]).all() and seen.max() == 255 and seen.min() == 0


def test_a_region_has_the_faces_with_all_three_vertices_in_it(avatar):
    mask = face_mask(avatar.body, ["upper", "left"])
    expected = [any(all(REGIONS[name][v] for v in face) for name in REGIONS) for face in avatar.body.faces.tolist()]
    assert mask.tolist() == expected and 0 < mask.sum() < len(mask)


def test_regions_show_what_an_avatar_of_their_splats_alone_shows(avatar):
    kept = torch.from_numpy(face_mask(avatar.body, ["left"]))[avatar.binding]
    part = rigged_toy.avatar()
    part.set_splats(avatar.binding[kept], {name: avatar.local[name][kept] for name in LOCAL})
    seen = view_image(avatar, 2, CAMERA, ViewOptions(regions=("left",)))
    assert np.abs(seen.astype(int) - view_image(part.eval(), 2, CAMERA)).max() <= 1
    assert 0 < (seen[..., 3] > 0).sum() < 0.8 * (view_image(avatar, 2, CAMERA)[..., 3] > 0).sum()


def test_scale_multiplies_the_sizes_of_the_splats(avatar):
    larger = rigged_toy.avatar()
    larger.set_splats(avatar.binding, {**avatar.local, "log_scales": avatar.local["log_scales"] + np.log(0.3)})
    seen = view_image(avatar, 0, CAMERA, ViewOptions(scale=0.3))
    assert np.abs(seen.astype(int) - view_image(larger.eval(), 0, CAMERA)).max() <= 1
    assert seen[..., 3].mean() < 0.9 * view_image(avatar, 0, CAMERA)[..., 3].mean()


def test_depth_is_that_of_the_drawing_and_its_colours_span_the_stated_range(avatar):
    depth = PosedView(avatar, 0).depth(CAMERA)
    assert 0.38 < depth[depth > 0].min() < 0.42 and depth.max() < 0.51  # a sphere of 0.1 m, 0.5 m away
    seen = view_image(avatar, 0, CAMERA, ViewOptions(splats="depth", depth_range=(0.2, 0.3)))  # everything is farther
    last = color_map(np.array([[1.0]]), 0, 1)[0, 0]
    solid = seen[..., 3] == 255
    assert solid.any() and (seen[solid][:, :3] == last).all()
    own = view_image(avatar, 0, CAMERA, ViewOptions(splats="depth"))
    near, far = depth[depth > 0].min(), depth.max()
    assert np.array_equal(own, view_image(avatar, 0, CAMERA, ViewOptions(splats="depth", depth_range=(float(near), float(far)))))


def test_the_mesh_lies_over_the_splats_with_its_opacity(avatar):
    mesh = view_image(avatar, 0, CAMERA, ViewOptions(splats="none", mesh_opacity=1, background=(0, 0, 0))).astype(float)
    splats = view_image(avatar, 0, CAMERA, ViewOptions(background=(0, 0, 0))).astype(float)
    seen = view_image(avatar, 0, CAMERA, ViewOptions(mesh_opacity=0.3))
    expected = 0.3 * mesh + (1 - 0.3 * mesh[..., 3:] / 255) * splats
    expected[..., :3] += 255 - expected[..., 3:]
    assert np.abs(seen - expected).max() < 1.5 and (mesh[..., 3] == 255).sum() > 300


def test_a_mesh_is_lit_by_the_angle_to_the_camera_and_covers_its_area():
    for degrees in (0, 60):
        turn = np.array([[1, 0, 0], [0, np.cos(np.radians(degrees)), 0], [0, np.sin(np.radians(degrees)), 1]])
        vertices = np.array([[-0.1, -0.1, 0], [0.1, -0.1, 0], [-0.1, 0.1, 0.0]]) @ turn.T
        image = mesh_layer(CAMERA, vertices, np.array([[0, 1, 2]]), "surface", None, samples=4)
        pixels = CAMERA.project(vertices)
        (ax, ay), (bx, by) = pixels[1] - pixels[0], pixels[2] - pixels[0]
        area = abs(ax * by - ay * bx) / 2
        assert image[..., 3].sum() / 255 == pytest.approx(area, rel=0.02)
        assert image[..., :3].max() == round(225 * (0.25 + 0.75 * np.cos(np.radians(degrees))))


def test_normals_are_red_to_the_right_green_up_and_blue_to_the_camera():
    corners = np.array([[-0.2, -0.2, 0], [0.2, -0.2, 0], [-0.2, 0.2, 0], [0.2, 0.2, 0]])
    for winding in ([[0, 1, 2], [1, 3, 2]], [[0, 2, 1], [1, 2, 3]]):  # the side that is seen counts, not the winding
        assert tuple(mesh_layer(CAMERA, corners, np.array(winding), "normals", None)[20, 24]) == (128, 128, 255, 255)
    up = corners.copy()
    up[:2, 2] += 0.4  # its upper edge, of smaller y, is farther: it looks up
    red, green, blue, _ = mesh_layer(CAMERA, up, np.array([[0, 1, 2], [1, 3, 2]]), "normals", None)[20, 24]
    assert red == 128 and green == blue == round(127.5 + 127.5 * np.sqrt(0.5))


def test_counts_are_of_the_splats_on_each_face(avatar):
    state = avatar.pose(0)
    faces = len(avatar.body.faces)
    counts = splats_per_face(state, faces)
    assert counts.sum() == avatar.splat_count and counts[5] == sum(f == 5 for f in avatar.binding.tolist())
    vertices, triangles = avatar.body.vertices(avatar.body.pose_at(0)).detach().double().numpy(), avatar.body.faces.numpy()
    for every, most, expected in ((1, 1, 0), (10, 1000, 1 / 3), (100, 100, 1)):
        image = mesh_layer(CAMERA, vertices, triangles, "counts", np.array([most, *[every] * (faces - 1)]))
        color = color_map(np.array([[expected]]), 0, 1, cv2.COLORMAP_PLASMA)[0, 0]
        assert ((image[..., :3] == color).all(-1) & (image[..., 3] == 255)).sum() > 0.95 * (image[..., 3] == 255).sum() > 0


def test_what_an_avatar_does_not_have_is_named(avatar):
    with pytest.raises(InputError, match=r"no such region: beard\n.*\n?.*left, upper"):
        view_image(avatar, 0, CAMERA, ViewOptions(regions=("upper", "beard")))
    flat = flat_avatar.FlatAvatar().eval()
    for options, expected in (
        (ViewOptions(mesh_opacity=1), "no body"),
        (ViewOptions(regions=("upper",)), "no body"),
        (ViewOptions(scale=0.5), "no splats"),
        (ViewOptions(splats="depth"), "without depth"),
    ):
        with pytest.raises(InputError, match=expected):
            view_image(flat, 0, CAMERA, options)
    assert view_image(flat, 0, CAMERA).shape == (CAMERA.height, CAMERA.width, 4)


@pytest.mark.parametrize(("name", "value"), [("mesh_opacity", 1.5), ("scale", 0.0), ("background", (0, 0, 256)), ("scale", float("nan"))])
def test_options_out_of_range_are_named(name, value):
    with pytest.raises(InputError, match=f"{name.replace('_', ' ')} out of range"):
        ViewOptions(**{name: value})
