"""Parts of a synthetic capture: noise, textures, motion, cameras, teeth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.synthetic.camera_rig import FRONTAL, SERIALS, make_rig, random_world
from pipeline.synthetic.motion.head import GESTURES, THEMES, head_motion
from pipeline.synthetic.rendering.face_texture import brow_share, lip_share
from pipeline.synthetic.rendering.noise import PERIOD, lattice, spots, value_noise
from pipeline.synthetic.rendering.render import compose, expose
from pipeline.synthetic.rng import capture_rng
from pipeline.synthetic.settings import SynthesiseSettings
from pipeline.synthetic.subject import Subject, make_subject
from pipeline.synthetic.teeth import rigid_motion


@pytest.fixture(scope="module")
def someone() -> Subject:
    return make_subject(SynthesiseSettings(), "someone")


def test_noise_is_smooth_bounded_and_periodic() -> None:
    table = lattice(np.random.default_rng(3))
    places = np.random.default_rng(0).uniform(-100, 100, (500, 3))
    values = np.array([value_noise(table, *p) for p in places])
    assert np.abs(values).max() <= 1 and values.std() > 0.2
    moved = np.array([value_noise(table, *(p + 1e-3)) for p in places])
    assert np.abs(moved - values).max() < 0.02  # steepest slope: 3 axes, 1.5 per unit, values 2 apart
    again = np.array([value_noise(table, *(p + PERIOD)) for p in places])
    np.testing.assert_allclose(again, values, atol=1e-5)


def test_spots_fill_the_asked_share_of_cells() -> None:
    table = lattice(np.random.default_rng(5))
    cells = np.random.default_rng(1).integers(1, PERIOD, (4000, 3))
    offsets = np.linspace(0.3, 0.7, 3)
    hit = [any(spots(table, *(c + [u, v, w]), 0.3) > 0 for u in offsets for v in offsets for w in offsets) for c in cells[:800]]
    assert abs(np.mean(hit) - 0.3) < 0.06


def test_lips_and_brows_are_where_they_belong(someone: Subject) -> None:
    assert lip_share(0.0, -68.0) == lip_share(0.0, -78.0) == 1
    assert lip_share(0.0, -55.0) == lip_share(0.0, -95.0) == lip_share(30.0, -71.0) == 0
    appearance = someone.appearance
    table = lattice(np.random.default_rng(0))
    across = np.array([max(brow_share(appearance, table, x, y, 0.3) for y in np.arange(10, 30, 0.5)) for x in (-60.0, -30.0, 0.0, 30.0, 60.0)])
    assert (across[[1, 3]] > 0.6).all() and (across[[0, 2, 4]] == 0).all()


def test_composition_and_exposure() -> None:
    plate, colour = np.full((20, 30, 3), 0.2, np.float32), np.full((20, 30, 3), 0.8, np.float32)
    np.testing.assert_allclose(compose(colour, np.full((20, 30), 0.25, np.float32), plate), 0.35, atol=1e-6)
    big = np.full((200, 300, 3), 0.5, np.float32)
    quiet = expose(big, 1.0, 0.0, np.random.default_rng(0))
    noisy = expose(big, 1.0, 1.0, np.random.default_rng(0)).astype(float)
    assert (quiet == 128).all() and abs(noisy.mean() - 127.5) < 0.6 and 1.0 < noisy.std() < 2.2


def test_rigid_motion_is_found() -> None:
    rng = np.random.default_rng(2)
    points, R, t = rng.standard_normal((20, 3)), Rotation.random(random_state=4).as_matrix(), np.array([1.0, 2.0, 3.0])
    found_R, found_t = rigid_motion(points, points @ R.T + t)
    np.testing.assert_allclose(found_R, R, atol=1e-9)
    np.testing.assert_allclose(found_t, t, atol=1e-9)


@pytest.mark.parametrize("count", [1, 2, 8, 16])
def test_head_cameras_look_at_the_head_within_55_degrees(count: int) -> None:
    settings = SynthesiseSettings(cameras=count)
    target = np.array([0.1, 0.2, 0.3])
    for seed in range(5):
        rng = np.random.default_rng(seed)
        R, t = random_world(rng)
        cameras, novel = make_rig(settings, target, (R, t), rng)
        names = [camera.name for camera in cameras]
        assert len(set(names)) == count and FRONTAL in names and set(names) <= set(SERIALS)
        angles = {}
        for camera in [*cameras, novel]:
            np.testing.assert_allclose(camera.project(R @ target + t), camera.K[:2, 2], atol=1e-6)
            np.testing.assert_allclose(camera.R @ camera.R.T, np.eye(3), atol=1e-9)
            assert np.linalg.det(camera.R) > 0
            away = R.T @ (camera.centre - t) - target
            angles[camera.name] = np.degrees(np.arccos(-away[1] / np.linalg.norm(away)))
        assert max(angles.values()) <= 55
        assert angles[FRONTAL] == min(angle for name, angle in angles.items() if name != "novel")


def test_rigs_lie_in_any_direction() -> None:
    up = np.stack([random_world(np.random.default_rng(seed))[0][:, 2] for seed in range(20)])
    assert np.linalg.norm(up.mean(axis=0)) < 0.6


@pytest.mark.parametrize("name", [*THEMES, "anything"])
def test_heads_move_like_heads(name: str, someone: Subject) -> None:
    model = someone.model
    motion = head_motion(1, name, 120, 24, model.expression_names, model.joint_names, np.random.default_rng(7))
    assert motion.expression.min() >= 0 and motion.expression.max() <= 1
    assert np.abs(np.diff(motion.expression, axis=0)).max() < 0.8
    column = {action: motion.expression[:, i] for i, action in enumerate(model.expression_names)}
    assert max(column["eyeBlinkLeft"]) == 1  # a blink closes the eye
    assert (np.minimum(column["eyeLookOutLeft"], column["eyeLookInLeft"]) == 0).all()  # no eye looks both ways
    assert (np.minimum(column["mouthLeft"], column["mouthRight"]) == 0).all()
    turns = np.degrees(np.linalg.norm(motion.pose[:, [model.joint_names.index(j) for j in ("neck01", "neck02", "neck03", "head")]].sum(axis=1), axis=1))
    assert 2 < turns.max() < 17 and np.abs(motion.translation).max() < 0.02
    assert motion.expression.max(axis=0).sum() > 2


def test_gestures_name_actions_that_exist(someone: Subject) -> None:
    names = set(someone.model.expression_names)
    for gesture, actions in GESTURES.items():
        for action in actions:
            assert action in names or {action + "Left", action + "Right"} <= names, (gesture, action)


def test_random_numbers_depend_on_seed_id_and_topic() -> None:
    draw = [
        capture_rng(SynthesiseSettings(seed=seed), name, topic).random()
        for seed, name, topic in ((0, "a", "x"), (0, "a", "x"), (1, "a", "x"), (0, "b", "x"), (0, "a", "y"))
    ]
    assert draw[0] == draw[1] and len(set(draw)) == 4
