"""The rig, the first state and the avatar's file."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.avatars.orbit import orbit
from pipeline.avatars.rigged.avatar import LOCAL, RiggedAvatar
from pipeline.avatars.rigged.posed_body import TABLES, Rig
from pipeline.avatars.rigged.surface_colors import surface_colors
from pipeline.avatars.rigged.surface_sampling import local_coordinates, scatter
from pipeline.capture.camera import Camera
from pipeline.io.arrays import load_npz, save_npz
from pipeline.io.errors import InputError
from tests.unit import rigged_toy as toy


def test_rig_poses_the_fitted_person():
    fit, model = toy.fit(), toy.model()
    values = {name: torch.from_numpy(fit[name]) for name in ("expression", "pose", "translation")}
    expected = model.pose_vertices(torch.from_numpy(fit["identity"]), **values, scale=1.0, offsets=torch.from_numpy(fit["offsets"])).vertices
    rig = Rig(model, fit)
    for frame in range(3):
        torch.testing.assert_close(rig.vertices(frame), expected[frame])


def test_only_the_posed_frame_has_gradients():
    rig = Rig(toy.model(), toy.fit())
    rig.vertices(1).square().sum().backward()
    assert all(gradient.abs().sum() > 0 for gradient in rig.row_gradients().values()) and set(rig.row_gradients()) == set(TABLES)
    assert not any(table.requires_grad for table in rig.tables().values())
    assert rig.offsets.grad.abs().sum() > 0


def test_frozen_rig_shows_the_same_frames_and_learns_nothing():
    free, frozen = Rig(toy.model(), toy.fit()), Rig(toy.model(), toy.fit())
    frozen.freeze()
    for frame in (2, 0, 1):
        assert torch.equal(frozen.vertices(frame), free.vertices(frame).detach()) and not frozen.vertices(frame).requires_grad
    assert frozen.row_gradients() == {} and frozen.deviation() == 0 and not frozen.offsets.requires_grad


def test_untouched_rig_has_no_penalty_and_a_bent_one_has():
    rig = Rig(toy.model(), toy.fit())
    rig.vertices(0)
    assert rig.roughness().item() == 0 and rig.deviation().item() == 0
    with torch.no_grad():
        rig.offsets[5] += 0.001
        rig.expression[0] += 0.1
    rig.vertices(0)
    assert rig.roughness().item() > 0 and rig.deviation().item() == pytest.approx(0.01, rel=1e-4)


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
    from pipeline.avatars.rigged.binding import bind

    count = len(face)
    means = bind(
        torch.from_numpy(vertices),
        avatar.rig.faces,
        torch.from_numpy(face),
        torch.from_numpy(local),
        torch.ones(count, 4).double(),
        torch.zeros(count, 3).double(),
    )[0]
    np.testing.assert_allclose(means.numpy(), np.einsum("nk,nkc->nc", barycentric, vertices[faces[face]]), atol=1e-12)


def test_colors_come_from_the_pictures_that_see_a_point():
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


def test_unseen_points_take_the_nearest_color_and_no_picture_means_grey():
    vertices, faces = toy.sphere()
    face, barycentric = np.arange(len(faces)), np.full((len(faces), 3), 1 / 3)
    green = np.broadcast_to(np.uint8([0, 255, 0, 255]), (40, 48, 4))
    colors, seen = surface_colors([(vertices, toy.cameras(1)[0], green)], faces, face, barycentric)
    assert not seen.all() and np.allclose(colors, [0, 1, 0])
    assert np.allclose(surface_colors([], faces, face, barycentric)[0], 0.5)


def test_avatar_survives_its_file(tmp_path):
    avatar = toy.avatar(sh_degree=2)
    with torch.no_grad():
        avatar.local["sh_rest"].normal_()
        avatar.rig.offsets += 0.001
    save_npz(tmp_path / "avatar.npz", avatar.export())
    arrays = load_npz(tmp_path / "avatar.npz")
    again = RiggedAvatar(Rig(toy.model(), arrays))
    again.initialise(arrays)
    for frame in range(3):
        before, after = avatar.splats(frame), again.splats(frame)
        assert all(torch.equal(getattr(before, name), getattr(after, name)) for name in ("means", "quats", "log_scales", "opacities", "sh"))


def test_terms_are_zero_for_well_placed_splats_and_only_count_the_visible():
    avatar = toy.avatar()
    avatar.splats(0)
    weights, thresholds = {"position": 1.0, "scale": 1.0, "anisotropy": 1.0}, {"position": 1.0, "scale": 0.6, "anisotropy": 8.0}
    visible = torch.ones(avatar.splat_count, dtype=torch.bool)
    assert all(float(term.detach()) < 1e-5 for term in avatar.regularise(weights, thresholds, visible).values())
    with torch.no_grad():
        avatar.local["means"][0] = torch.tensor([0.0, 3.0, 0.0])
        avatar.local["log_scales"][0] = torch.tensor([0.0, 0.0, 4.0])
    seen = avatar.regularise(weights, thresholds, visible)
    assert float(seen["position"].detach()) == pytest.approx(2 / avatar.splat_count)
    assert all(float(term.detach()) > 0.01 for name, term in seen.items() if name != "position")
    visible[0] = False
    assert all(float(term.detach()) < 1e-5 for term in avatar.regularise(weights, thresholds, visible).values())


def test_a_foreign_fit_is_refused(tmp_path):
    save_npz(tmp_path / "fit.npz", {"frames": np.array(["a"])})
    with pytest.raises(InputError, match="lacks the array 'model'"):
        Rig.from_fit(tmp_path / "fit.npz")


def test_a_fit_that_does_not_suit_its_model_or_the_sample_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.avatars.rigged.posed_body.load_model", lambda name: toy.model())
    save_npz(tmp_path / "fit.npz", toy.fit())
    assert Rig.from_fit(tmp_path / "fit.npz", toy.FRAMES).frames == toy.FRAMES
    with pytest.raises(InputError, match="lacks 1 of the sampled frames"):
        Rig.from_fit(tmp_path / "fit.npz", [*toy.FRAMES, "take_000009"])
    save_npz(tmp_path / "fit.npz", {**toy.fit(), "expression": np.zeros((3, 5), np.float32)})
    with pytest.raises(InputError, match="'expression' does not suit the model"):
        Rig.from_fit(tmp_path / "fit.npz")


def test_orbit_looks_at_its_target_from_the_cameras_distance():
    target = np.array([0.02, 0.01, 0.0])
    path = orbit(toy.cameras(3), target, 12, 40)
    distances = [np.linalg.norm(camera.centre - target) for camera in path]
    assert np.allclose(distances, np.median([np.linalg.norm(c.centre - target) for c in toy.cameras(3)]))
    for camera in path:
        np.testing.assert_allclose(camera.project(target), [camera.width / 2, camera.height / 2], atol=1e-9)
        assert camera.R[1] @ toy.cameras(1)[0].R[1] > 0.7 and np.linalg.det(camera.R) == pytest.approx(1)


def test_local_names_are_those_of_the_file():
    assert set(LOCAL) <= set(toy.avatar().export())
