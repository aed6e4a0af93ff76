"""Density control: which splats are removed, which are cloned or split, where children are placed, and what the optimiser keeps."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from scipy.spatial.transform import Rotation

from pipeline.avatars.rigged.avatar import RiggedAvatar
from pipeline.avatars.rigged.binding import bind_reference, kept_after_pruning
from pipeline.avatars.rigged.settings import RiggedTrainSettings
from pipeline.avatars.splats.density import DensityControl, split_children, top_k
from pipeline.training.optimiser import Optimiser
from tests.unit import rigged_toy as toy

SETTINGS = RiggedTrainSettings(densify_from=10, densify_until=50, densify_every=10, max_splats=600, densify_gradient=0.5)
NO_SKIP, SKIP = torch.zeros(()), torch.ones(())


def trained(settings: RiggedTrainSettings = SETTINGS) -> tuple[RiggedAvatar, Optimiser, DensityControl]:
    avatar = toy.avatar(settings)
    return avatar, Optimiser(avatar.parameter_groups(), torch.device("cpu")), DensityControl(settings, avatar.splat_count, torch.device("cpu"))


def step(avatar: RiggedAvatar, optimiser: Optimiser) -> None:
    """One step with gradients of one everywhere."""
    for parameter in avatar.local.values():
        parameter.grad = torch.ones_like(parameter)
    optimiser.begin_step(0)
    optimiser.step()


def test_pruning_never_empties_a_triangle():
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        binding = torch.randint(0, 40, (150,), generator=generator)
        opacity = torch.rand(150, generator=generator).square()
        keep = kept_after_pruning(opacity, binding, 50, opacity >= 0.6)
        assert set(binding[keep].tolist()) == set(binding.tolist())
        assert keep[opacity >= 0.6].all()
        alone = torch.bincount(binding[keep & (opacity < 0.6)], minlength=50)
        assert alone.max() <= 1  # of an otherwise empty triangle only the least faint one stays


def test_top_k_respects_threshold_and_count():
    gradient = torch.tensor([0.1, 0.9, 0.5, 0.8, 0.0])
    assert top_k(gradient, 0.4, 2).tolist() == [False, True, False, True, False]
    assert top_k(gradient, 0.4, 10).tolist() == [False, True, True, True, False]
    assert not top_k(gradient, 0.4, 0).any()


def test_children_of_a_split_are_spread_as_their_parent_is_in_the_world():
    """The published defect drew metres and added them to local units; then this covariance is wrong by the triangle's size."""
    count = 20000
    vertices = torch.tensor([[0.0, 0, 0], [0.004, 0.001, 0], [0.001, 0.003, 0.002]], dtype=torch.float64)
    faces, binding = torch.tensor([[0, 1, 2]]), torch.zeros(count, dtype=torch.int64)
    parent = {
        "means": torch.tensor([[0.2, 0.1, -0.3]]).expand(count, 3),
        "quats": torch.tensor([[0.9, 0.3, -0.2, 0.4]]).expand(count, 4),
        "log_scales": torch.log(torch.tensor([[0.5, 0.1, 0.2]])).expand(count, 3),
    }
    children = split_children(parent, torch.Generator().manual_seed(0))
    parent, children = ({name: value.double() for name, value in group.items()} for group in (parent, children))
    mean, quat, scale = bind_reference(vertices, faces, binding[:1], *(parent[name][:1] for name in ("means", "quats", "log_scales")))
    placed, _, smaller = bind_reference(vertices, faces, binding.repeat(2), *(children[name] for name in ("means", "quats", "log_scales")))
    R = torch.from_numpy(Rotation.from_quat(quat[0].numpy(), scalar_first=True).as_matrix())
    expected = R @ torch.diag(scale[0].exp() ** 2) @ R.T
    torch.testing.assert_close(torch.cov(placed.T), expected, atol=0.04 * float(expected.max()), rtol=0)
    torch.testing.assert_close(placed.mean(0), mean[0], atol=0.03 * float(scale.exp().max()), rtol=0)
    torch.testing.assert_close(smaller, (scale - math.log(1.6)).expand_as(smaller))


def test_refinement_keeps_bindings_grows_to_its_allowance_and_carries_the_optimiser_along():
    avatar, optimiser, density = trained()
    step(avatar, optimiser)
    before, faces_before = avatar.splat_count, set(avatar.binding.tolist())
    with torch.no_grad():
        avatar.local["log_scales"][:30] = math.log(0.9)  # large ones are split, the others cloned
    gradient = torch.rand(1, before, 2, generator=torch.Generator().manual_seed(1))
    density.accumulate(gradient, torch.ones(1, before), (48, 40), NO_SKIP)
    old_means = avatar.local["means"].detach().clone()
    assert density.is_due(10) and not density.is_due(11)
    density.after_step(10, avatar, optimiser)
    assert avatar.splat_count == before + round((600 - before) / 5) > before, "the allowance grows evenly over five density steps"
    assert set(avatar.binding.tolist()) == faces_before
    assert {len(value) for value in avatar.local.values()} == {avatar.splat_count}
    assert {name: values[0] for name, values in optimiser.parameters().items() if name in avatar.local} == dict(avatar.local.items())
    state = optimiser.state()["moments"]["means"][0]
    kept = state["exp_avg"].abs().sum(1) > 0
    assert kept.sum() < before and kept[: int(kept.sum())].all()  # survivors come first and keep their momentum, new ones have none
    known = (avatar.local["means"].detach()[kept][:, None] == old_means[None]).all(-1).any(1)
    assert known.all()


def test_splats_grow_to_the_most_there_may_be_and_no_further():
    avatar, optimiser, density = trained()
    counts = []
    for number in range(10, 61, 10):
        count = avatar.splat_count
        density.accumulate(torch.ones(1, count, 2), torch.ones(1, count), (48, 40), NO_SKIP)
        changes = density.changes
        density.after_step(number, avatar, optimiser)
        counts.append(avatar.splat_count)
        assert (density.changes > changes) == (number <= 50)
    first = counts[0]
    assert counts == sorted(counts) and first < counts[1] and counts[-2:] == [600, 600]


def test_statistics_add_up_over_views_and_skipped_steps_add_none():
    avatar, _, density = trained()
    count = avatar.splat_count
    gradient = torch.zeros(2, count, 2)
    gradient[0, 0] = torch.tensor([1.0, 0])
    gradient[1, :2] = torch.tensor([0, 1.0])
    radii = torch.zeros(2, count, dtype=torch.int32)
    radii[0, 0], radii[1, :3] = 5, 1
    density.accumulate(gradient, radii, (6, 8), NO_SKIP)
    density.accumulate(gradient, radii, (6, 8), SKIP)
    state = density.state()
    assert state["grad_accum"][:4].tolist() == [3 + 4, 4, 0, 0], "per half image"
    assert state["visible_count"][:4].tolist() == [2, 1, 1, 0]


def test_absolute_gradients_count_where_they_are_given():
    avatar, _, density = trained()
    count = avatar.splat_count
    gradient = torch.cat([torch.zeros(1, count, 2), torch.ones(1, count, 2)], dim=2)
    density.accumulate(gradient, torch.ones(1, count), (6, 8), NO_SKIP)
    assert density.state()["grad_accum"].eq(5).all()


def test_nothing_changes_between_density_steps_or_without_gradient():
    avatar, optimiser, density = trained()
    count = avatar.splat_count
    density.accumulate(torch.ones(1, count, 2), torch.ones(1, count), (48, 40), NO_SKIP)
    density.after_step(11, avatar, optimiser)
    assert avatar.splat_count == count
    density.load({**density.state(), "grad_accum": torch.zeros(count)})
    density.after_step(20, avatar, optimiser)
    assert avatar.splat_count == count


def test_faint_splats_are_removed_and_opacities_can_be_lowered():
    settings = RiggedTrainSettings(densify_from=10, densify_until=50, densify_every=10, opacity_reset_every=15, reset_opacity=0.2)
    avatar, optimiser, density = trained(settings)
    shared = torch.bincount(avatar.binding, minlength=avatar.face_count)[avatar.binding] > 1
    with torch.no_grad():
        avatar.local["opacities"][shared] = -10.0
    faint = avatar.splat_count - len(set(avatar.binding.tolist()))
    assert faint > 0
    before = avatar.splat_count
    density.after_step(10, avatar, optimiser)
    assert avatar.splat_count == before - faint
    step(avatar, optimiser)
    changes = density.changes
    density.after_step(15, avatar, optimiser)
    assert torch.sigmoid(avatar.local["opacities"]).max().item() == pytest.approx(0.2)
    assert density.changes > changes, "what a CUDA graph was captured with is of the past"
    assert [name for name, state in optimiser.state()["moments"].items() if state == [{}]] == ["opacities", "offsets"]


def test_frozen_values_stay_frozen_where_splats_are_added():
    settings = RiggedTrainSettings(densify_from=10, densify_until=50, densify_every=10, max_splats=600, densify_gradient=0.5, lr_quats=0.0)
    avatar, optimiser, density = trained(settings)
    count = avatar.splat_count
    density.accumulate(torch.ones(1, count, 2), torch.ones(1, count), (48, 40), NO_SKIP)
    density.after_step(10, avatar, optimiser)
    assert avatar.splat_count > count
    assert [name for name, value in avatar.local.items() if not value.requires_grad] == ["quats"]


def test_a_loaded_state_goes_the_same_way():
    first, other = trained(), trained()
    count = first[0].splat_count
    second = (*other[:2], DensityControl(replace(SETTINGS, seed=7), 1, torch.device("cpu")))
    first[2].accumulate(torch.rand(1, count, 2, generator=torch.Generator().manual_seed(0)) + 0.5, torch.ones(1, count), (48, 40), NO_SKIP)
    first[2].after_step(10, first[0], first[1])
    second[0].load({**first[0].state(), "density": first[2].state()})
    second[2].load(first[2].state())
    for avatar, optimiser, density in (first, second):
        with torch.no_grad():
            avatar.local["log_scales"][:30] = math.log(0.9)  # their children are placed at random
        gradient = torch.rand(1, avatar.splat_count, 2, generator=torch.Generator().manual_seed(5))
        density.accumulate(gradient, torch.ones(1, avatar.splat_count), (48, 40), NO_SKIP)
        density.after_step(20, avatar, optimiser)
    for name, value in first[0].local.items():
        assert torch.equal(value, second[0].local[name]), name


def test_in_units_of_the_scene_sizes_are_those_of_the_world():
    settings = RiggedTrainSettings(scene_units=True, densify_scale=0.02, prune_scale=0.05, opacity_reset_every=10, prune_opacity=0.0, lr_means=0.3)
    avatar = toy.avatar(settings)
    avatar.extent = 2.0
    with torch.no_grad():
        avatar.local["log_scales"].normal_(0, 1.0, generator=torch.Generator().manual_seed(0))
    longest = avatar.pose(0).splats.log_scales.detach().exp().amax(1)
    assert 0.05 < float((longest > 0.04).float().mean()) < 0.95
    assert torch.equal(avatar.large(), longest > 0.02 * 2.0)
    assert avatar.kept(10).all(), "before the opacities were lowered for the first time"
    kept, small = avatar.kept(11), longest <= 0.05 * 2.0
    alone = torch.bincount(avatar.binding[small], minlength=avatar.face_count)[avatar.binding] == 0
    assert torch.equal(kept[~alone], small[~alone]) and len(avatar.binding[kept].unique()) == len(avatar.binding.unique()), "no triangle loses its last one"
    assert next(group for group in avatar.parameter_groups() if group.name == "means").lr == pytest.approx(0.6)


def test_opacities_are_lowered_once_more_where_the_settings_say_so():
    settings = RiggedTrainSettings(densify_from=100, densify_until=200, opacity_reset_at=7, reset_opacity=0.01)
    avatar = toy.avatar(settings)
    assert [step for step in range(50) if avatar.restructures_after(step)] == [7]
    avatar.after_step(7, Optimiser(avatar.parameter_groups(), torch.device("cpu")))
    assert torch.sigmoid(avatar.local["opacities"].detach()).max() <= 0.01 + 1e-6
