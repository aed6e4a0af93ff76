"""The method `static`: first splats, density in world units, and scenes that train through the real stages."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.avatars.splats.extent import scene_extent
from pipeline.avatars.static.avatar import StaticAvatar
from pipeline.avatars.static.entry import open_avatar
from pipeline.avatars.static.initialise import look_target, random_points, splats_at
from pipeline.avatars.static.settings import InitSettings, StaticTrainSettings
from pipeline.capture.settings import FramesSettings, IngestSettings, SampleSettings
from pipeline.contract.captures_table import CaptureRow
from pipeline.contract.layout import Layout
from pipeline.io.errors import InputError
from pipeline.io.files import read_json
from pipeline.training.optimiser import Optimiser
from pipeline.training.settings import TrainSettings
from pipeline.vision.settings import MatteSettings
from tests.unit import scenes
from tests.unit.stage_jobs import run_stage

SETTINGS = StaticTrainSettings(densify_from=10, densify_until=50, densify_every=10, max_splats=500, densify_gradient=0.5, opacity_reset_every=15)


def avatar(settings=SETTINGS, count=40, extent=2.0):
    rng = np.random.default_rng(0)
    arrays = splats_at(rng.normal(size=(count, 3)), rng.integers(0, 256, (count, 3)), InitSettings())
    return StaticAvatar({**arrays, "frames": np.array(["take_000000"]), "extent": np.array(extent), "target": np.zeros(3)}, "a", settings)


def test_first_splats_are_as_large_as_their_neighbours_are_far():
    points = np.random.default_rng(1).normal(size=(50, 3))
    arrays = splats_at(points, np.full((50, 3), 255), InitSettings(opacity=0.1))
    squared = np.sort(((points[:, None] - points[None]) ** 2).sum(-1), axis=1)[:, 1:4]
    np.testing.assert_allclose(arrays["log_scales"], np.log(np.sqrt(squared.mean(1)))[:, None].repeat(3, 1), rtol=1e-5)
    np.testing.assert_allclose(0.5 + 0.28209479177387814 * arrays["sh_dc"], 1, rtol=1e-6)
    np.testing.assert_allclose(1 / (1 + np.exp(-arrays["opacities"])), 0.1, rtol=1e-6)
    assert np.isfinite(splats_at(np.zeros((3, 3)), None, InitSettings())["log_scales"]).all(), "points in one place"
    assert len(splats_at(np.zeros((1, 3)), None, InitSettings())["means"]) == 1


def test_extent_target_and_boxes_follow_the_cameras():
    cameras = scenes.ring(12)
    centres = np.stack([camera.centre for camera in cameras])
    assert scene_extent(centres) == pytest.approx(1.1 * max(np.linalg.norm(c - centres.mean(0)) for c in centres))
    assert scene_extent(centres[:1]) == 1.0, "of one camera it is not 0"
    np.testing.assert_allclose(look_target(cameras), 0, atol=1e-6)
    generator = np.random.default_rng(0)
    box = random_points(cameras, None, 4000, generator)
    assert (box.min(0) <= centres.min(0) + 0.1).all() and (box.max(0) >= centres.max(0) - 0.1).all()
    cube = random_points(cameras, 1.3, 4000, generator)
    assert np.abs(cube).max() <= 1.3 and np.abs(cube).max(0).min() > 1.28


def test_density_counts_in_world_units():
    made = avatar()
    with torch.no_grad():
        made.local["log_scales"][:] = math.log(0.001)
        made.local["log_scales"][0] = math.log(0.0201)  # above 0.01 of the extent
        made.local["log_scales"][1] = math.log(0.21)  # above 0.1 of it
        made.local["opacities"][2] = -6.0  # an opacity of 0.0025
    assert made.large().nonzero().ravel().tolist() == [0, 1]
    assert (~made.kept(10)).nonzero().ravel().tolist() == [2], "large ones may stay until opacities were lowered"
    assert (~made.kept(20)).nonzero().ravel().tolist() == [1, 2]
    with torch.no_grad():
        made.local["opacities"][:] = -9.0
    assert made.kept(10).all(), "a scene never loses all"


def test_densification_splits_clones_and_prunes_with_the_optimiser():
    made = avatar()
    optimiser = Optimiser(made.parameter_groups(), torch.device("cpu"))
    with torch.no_grad():
        made.local["log_scales"][:] = math.log(0.001)
        made.local["log_scales"][0] = math.log(0.5)
        made.local["opacities"][39] = -8.0
    old = {name: value.detach().clone() for name, value in made.local.items()}
    gradient = torch.zeros(1, 40, 2)
    gradient[0, :2] = 1.0
    made._density.accumulate(gradient, torch.ones(1, 40), (48, 40), torch.zeros(()))
    made.after_step(10, optimiser)
    assert made.splat_count == 40 - 1 - 1 + 1 + 2, "pruned one, split one in two, cloned one"
    means, scales = made.local["means"].detach(), made.local["log_scales"].detach()
    assert not (means == old["means"][0]).all(1).any() and (means == old["means"][1]).all(1).sum() == 2
    torch.testing.assert_close(scales[-2:], torch.full((2, 3), math.log(0.5 / 1.6)))
    assert {name: values[0] for name, values in optimiser.parameters().items()} == dict(made.local.items())
    made.after_step(15, optimiser)
    assert made.local["opacities"].detach().sigmoid().max().item() == pytest.approx(SETTINGS.reset_opacity)


def test_rates_of_means_are_in_units_of_the_scene_and_alone_fall():
    groups = {group.name: group for group in avatar(extent=3.0).parameter_groups()}
    assert groups["means"].lr == pytest.approx(3.0 * SETTINGS.lr_means)
    ends = {name: group.schedule(SETTINGS.iterations - 1) for name, group in groups.items()}
    assert ends.pop("means") == pytest.approx(0.01) and set(ends.values()) == {1.0}


def test_a_state_that_is_loaded_is_the_same_avatar():
    first, second = avatar(count=40), avatar(count=12)
    second.load(first.state())
    assert all(torch.equal(value, second.local[name]) for name, value in first.local.items())
    assert second.body_of() is None


@pytest.fixture(scope="module")
def ball(tmp_path_factory):
    """A Blender scene that went through every stage up to train."""
    root = tmp_path_factory.mktemp("ball")
    scenes.blender_scene(root / "raw", {"train": 18, "test": 3}, size=40)
    layout, row = Layout(root / "results" / "ball", root / "work" / "ball", "static"), CaptureRow("ball", "blender", root / "raw")
    for stage, settings in (("ingest", IngestSettings()), ("frames", FramesSettings()), ("sample", SampleSettings()), ("matte", MatteSettings())):
        run_stage(stage, settings, layout, row)
    init = run_stage("init", InitSettings(random_points=1500), layout)
    settings = replace(StaticTrainSettings(), iterations=250, lr_means=1e-3, lr_log_scales=0.02, lr_sh_dc=0.02, sh_degree=0, densify_from=60, densify_until=200)
    return layout, init, run_stage("train", replace(settings, densify_every=40, opacity_reset_every=0, max_splats=3000, device="cpu"), layout)


def psnr_of_held_out(avatar, layout):
    from pipeline.avatars.render import render_views
    from pipeline.capture.processed import read_image_set
    from pipeline.capture.sample import read_sample

    sample, images = read_sample(layout.sample), read_image_set(layout.alpha_json, layout.alpha)
    errors = []
    for name in sample.val_cameras:
        truth, drawn = images.open(name).read(sample.train[0]) / 255.0, render_views(avatar, 0, [images.by_name[name]])[0] / 255.0
        errors.append(np.mean((drawn[..., :3] - truth[..., :3] * truth[..., 3:] - 1 + truth[..., 3:]) ** 2))
    return -10 * np.log10(np.mean(errors))


def test_a_blender_scene_trains_through_the_stages(ball):
    layout, init, _ = ball
    assert init["splats"] == 1500 and init["points"] == 0
    sample = read_json(layout.sample)
    assert [name for name, role in sample["cameras"].items() if role == "val"] == ["test_r_0", "test_r_1", "test_r_2"]
    trained, start = open_avatar(layout.avatar), open_avatar(layout.init)
    before, after = psnr_of_held_out(start, layout), psnr_of_held_out(trained, layout)
    assert after > before + 8 and after > 21, (before, after)
    assert trained.splat_count != 1500 and layout.avatar_folder.joinpath("avatar.ply").is_file()


def test_a_damaged_scene_is_named(ball, tmp_path):
    arrays = dict(np.load(ball[0].init))
    for change, words in [({"extent": np.array(np.nan)}, "holds no scene"), ({"means": np.full_like(arrays["means"], np.inf)}, "means")]:
        np.savez(tmp_path / "x.npz", **(arrays | change))
        with pytest.raises(InputError, match=f"x.npz(?s:.*){words}"):
            open_avatar(tmp_path / "x.npz")


def test_settings_of_its_presets_count_steps():
    assert set(TrainSettings.STEPS) < set(StaticTrainSettings.STEPS)
    assert StaticTrainSettings(max_visits=10).for_images(300).densify_until == 1500
