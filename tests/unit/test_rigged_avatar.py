"""The rigged avatar: what training asks of it, its loss terms, and its file."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pipeline.avatars.rigged.avatar import RiggedAvatar
from pipeline.avatars.rigged.posed_body import TABLES, PosedBody
from pipeline.avatars.rigged.regularise import splat_terms
from pipeline.avatars.rigged.settings import RiggedTrainSettings
from pipeline.avatars.splats.avatar import LOCAL
from pipeline.geometry.triangle_frames import triangle_frames
from pipeline.io.arrays import load_npz, save_npz
from pipeline.splat.splats import Views
from pipeline.training.images import Batch, Source, TrainingImages
from tests.unit import rigged_toy as toy

SETTINGS = RiggedTrainSettings(sh_degree=2, sh_every=6)


def test_an_avatar_survives_its_file(tmp_path):
    avatar = toy.avatar(sh_degree=2)
    with torch.no_grad():
        avatar.local["sh_rest"].normal_()
        avatar.body.offsets += 0.001
        avatar.body.pose += 0.01
    save_npz(tmp_path / "avatar.npz", avatar.export())
    arrays = load_npz(tmp_path / "avatar.npz")
    assert set(LOCAL) <= set(arrays)
    again = RiggedAvatar(PosedBody(toy.model(), arrays))
    again.initialise(arrays)
    for frame in range(3):
        before, after = avatar.pose(frame).splats, again.pose(frame).splats
        assert all(torch.equal(getattr(before, name), getattr(after, name)) for name in ("means", "quats", "log_scales", "opacities", "sh"))


def test_facts_say_what_training_changed_in_the_body():
    avatar = toy.avatar()
    assert set(avatar.facts().values()) == {0.0}
    with torch.no_grad():
        avatar.body.offsets[:, 1] += 0.002
        avatar.body.pose[..., 0] += 0.01
    facts = avatar.facts()
    assert facts["offsets_mm"] == pytest.approx(2.0) and facts["pose_degrees"] == pytest.approx(0.573) and facts["translation_mm"] == facts["expression"] == 0


def test_fewer_splats_than_triangles_cannot_be_had_and_that_is_said():
    enough = toy.avatar(SETTINGS)
    assert "warnings" not in enough.facts()
    few = toy.avatar(replace(SETTINGS, max_splats=enough.splat_count - 1))
    assert f"train.max_splats is {enough.splat_count - 1}, and the avatar has {enough.splat_count} splats" in few.facts()["warnings"][0]


def batch_of(folder) -> Batch:  # noqa: ANN001
    images = TrainingImages([Source(toy.images(folder / "alpha", toy.cameras(2)), ["c0", "c1"], toy.FRAMES, toy.FRAMES)], views=2, memory_mb=10)
    images.select([[2, 3]])
    return images.batches()[0]


def test_sh_degrees_come_one_after_the_other_and_each_has_its_key():
    avatar = toy.avatar(SETTINGS)
    assert avatar.local["sh_rest"].shape[1] == 8
    keys = [avatar.begin_step(step) for step in (0, 5, 6, 11, 12, 100)]
    assert keys[0] == keys[1] != keys[2] == keys[3] != keys[4] == keys[5]
    with torch.no_grad():
        avatar.local["sh_rest"].normal_(generator=torch.Generator().manual_seed(0))
    views = Views.from_cameras(toy.cameras(1))

    def drawn(step: int) -> torch.Tensor:
        avatar.begin_step(step)
        return avatar.draw(avatar.pose(0), views).image.detach()

    images = [drawn(step) for step in (0, 5, 6, 12)]
    assert torch.equal(images[0], images[1]) and not torch.equal(images[1], images[2]) and not torch.equal(images[2], images[3])
    avatar.eval()
    assert torch.equal(drawn(0), images[3]), "outside training all of it is shown"
    assert toy.avatar(replace(SETTINGS, sh_every=0)).begin_step(0)[0] == 2


def test_screen_gradients_are_asked_for_in_training_alone():
    avatar, views = toy.avatar(replace(SETTINGS, densify_absolute=True)), Views.from_cameras(toy.cameras(2))
    avatar.begin_step(0)
    drawn = avatar.draw(avatar.pose(0), views)
    drawn.image.sum().backward()
    assert drawn.screen.grad.shape == (2, avatar.splat_count, 4) and drawn.screen.grad.any()
    with torch.no_grad():
        assert avatar.draw(avatar.pose(0), views).screen is None
    assert avatar.eval().draw(avatar.pose(0), views).screen is None and toy.avatar().draw(avatar.pose(0), views).screen is None


def test_losses_have_the_terms_that_have_weights(tmp_path):
    batch = batch_of(tmp_path)

    def names(settings: RiggedTrainSettings, cached: bool = False) -> set[str]:
        avatar = toy.avatar(settings)
        if cached:
            avatar.body.cache_posed()
        avatar.begin_step(0)
        state = avatar.pose(batch.frame, batch.subject)
        return set(avatar.losses(state, avatar.draw(state, batch.views), batch))

    assert names(SETTINGS) == {"position", "scale", "laplacian", "pose"}
    assert names(replace(SETTINGS, lambda_position=0, lambda_laplacian=0, lambda_opacity=0.1)) == {"scale", "opacity", "pose"}
    assert names(replace(SETTINGS, lambda_scale=0, lambda_pose=0, lambda_anisotropy=1.0), cached=True) == {"position", "anisotropy"}


def test_a_splat_counts_where_any_view_of_the_batch_shows_it(tmp_path):
    batch, avatar = batch_of(tmp_path), toy.avatar(replace(SETTINGS, lambda_position=1.0))
    avatar.begin_step(0)
    state = avatar.pose(batch.frame)
    drawn = avatar.draw(state, batch.views)
    with torch.no_grad():
        avatar.local["means"][0] = torch.tensor([0.0, 3.0, 0.0])
    for shown, expected in (([0, 1], 2.0), ([0, 0], 0.0)):
        radii = torch.zeros_like(drawn.radii)
        radii[0, 1], radii[:, 0] = 1, torch.tensor(shown)
        term = avatar.losses(state, replace(drawn, radii=radii), batch)["position"]
        assert float(term.detach()) == pytest.approx(expected / 2 if any(shown) else 0.0)


def test_terms_are_zero_for_well_placed_splats_and_only_count_the_visible():
    local = toy.avatar().local
    weights, thresholds = {"position": 1.0, "scale": 1.0, "anisotropy": 1.0}, {"position": 1.0, "scale": 0.6, "anisotropy": 8.0}
    visible = torch.ones(len(local["means"]), dtype=torch.bool)

    def terms() -> dict[str, float]:
        return {name: float(term.detach()) for name, term in splat_terms(local, weights, thresholds, visible).items()}

    assert all(term < 1e-5 for term in terms().values())
    with torch.no_grad():
        local["means"][0] = torch.tensor([0.0, 3.0, 0.0])
        local["log_scales"][0] = torch.tensor([0.0, 0.0, 4.0])
    assert terms()["position"] == pytest.approx(2 / len(visible))
    assert all(term > 0.01 for name, term in terms().items() if name != "position")
    visible[0] = False
    assert all(term < 1e-5 for term in terms().values())


def test_position_and_scale_may_count_in_metres(tmp_path):
    batch = batch_of(tmp_path)
    settings = replace(
        SETTINGS, metric_position=True, metric_scale=True, threshold_position=0.001, threshold_scale=0.002, lambda_position=2.0, lambda_scale=3.0
    )
    avatar = toy.avatar(settings)
    with torch.no_grad():
        avatar.local["means"].normal_(generator=torch.Generator().manual_seed(1))
    avatar.begin_step(0)
    state = avatar.pose(0)
    drawn = avatar.draw(state, batch.views)
    terms = avatar.losses(state, replace(drawn, radii=torch.ones_like(drawn.radii)), batch)
    size = triangle_frames(avatar.body.vertices(avatar.body.pose_at(0)), avatar.body.faces)[2][avatar.binding].double()[:, None]
    far = (avatar.local["means"].double().abs() * size - 0.001).clamp_min(0).norm(dim=1).mean()
    large = (avatar.local["log_scales"].double().exp() * size - 0.002).clamp_min(0).norm(dim=1).mean()
    assert far > 0 and large > 0
    assert float(terms["position"].detach()) == pytest.approx(2 * float(far.detach()), rel=1e-4) and float(terms["scale"].detach()) == pytest.approx(
        3 * float(large.detach()), rel=1e-4
    )


def test_the_rates_that_fall():
    def ends(decay: str) -> dict[str, float]:
        groups = toy.avatar(replace(SETTINGS, lr_decay=decay, lr_end=0.1)).parameter_groups()
        return {group.name: group.schedule(SETTINGS.iterations - 1) for group in groups}

    assert all(factor == pytest.approx(0.1) for factor in ends("all").values())
    assert {name for name, factor in ends("means").items() if factor != 1} == {"means"}


def test_every_value_has_its_own_rate_and_one_without_is_fixed():
    groups = {group.name: group for group in toy.avatar(replace(SETTINGS, lr_pose=0.0)).parameter_groups()}
    assert set(groups) == {*LOCAL, "offsets", *TABLES}
    assert {name: group.lr for name, group in groups.items()} == {name: getattr(replace(SETTINGS, lr_pose=0.0), f"lr_{name}") for name in groups}
    assert {name for name, group in groups.items() if group.kind == "rows"} == set(TABLES)
    assert all(group.schedule(SETTINGS.iterations - 1) == pytest.approx(SETTINGS.lr_end) for group in groups.values())


def test_an_avatar_that_is_only_drawn_cannot_be_trained():
    with pytest.raises(ValueError, match="give it settings"):
        toy.avatar().parameter_groups()
