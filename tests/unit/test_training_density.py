"""Density control: who goes, who is doubled, where children stand."""

from __future__ import annotations

import math

import pytest
import torch

from pipeline.avatars.rigged.binding import bind_reference
from pipeline.avatars.rigged.density import DensityControl, kept_after_pruning, split_children, strongest
from pipeline.training.optimiser import Optimiser
from pipeline.training.schedules import splat_allowance
from pipeline.training.settings import TrainSettings
from tests.unit import rigged_toy as toy

SETTINGS = TrainSettings(densify_from=10, densify_until=50, densify_every=10, max_splats=600, densify_gradient=0.5)


def trained(settings: TrainSettings = SETTINGS):  # noqa: ANN201
    avatar = toy.avatar()
    optimiser = Optimiser(avatar.parameters_by_name(), avatar.tables_by_name(), settings.learning_rates())
    return avatar, optimiser, DensityControl(avatar, settings)


def test_pruning_never_empties_a_triangle():
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        binding = torch.randint(0, 40, (150,), generator=generator)
        opacity = torch.rand(150, generator=generator).square()
        keep = kept_after_pruning(opacity, binding, 50, 0.6)
        assert set(binding[keep].tolist()) == set(binding.tolist())
        assert keep[opacity >= 0.6].all()
        alone = torch.bincount(binding[keep & (opacity < 0.6)], minlength=50)
        assert alone.max() <= 1  # of an otherwise empty triangle only the least faint one stays


def test_strongest_respects_threshold_and_room():
    pull = torch.tensor([0.1, 0.9, 0.5, 0.8, 0.0])
    assert strongest(pull, 0.4, 2).tolist() == [False, True, False, True, False]
    assert strongest(pull, 0.4, 10).tolist() == [False, True, True, True, False]
    assert not strongest(pull, 0.4, 0).any()


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
    from scipy.spatial.transform import Rotation

    R = torch.from_numpy(Rotation.from_quat(quat[0].numpy(), scalar_first=True).as_matrix())
    expected = R @ torch.diag(scale[0].exp() ** 2) @ R.T
    torch.testing.assert_close(torch.cov(placed.T), expected, atol=0.04 * float(expected.max()), rtol=0)
    torch.testing.assert_close(placed.mean(0), mean[0], atol=0.03 * float(scale.exp().max()), rtol=0)
    torch.testing.assert_close(smaller, (scale - math.log(1.6)).expand_as(smaller))


def test_refinement_keeps_bindings_grows_to_its_allowance_and_carries_the_optimiser_along():
    avatar, optimiser, density = trained()
    for parameter in avatar.parameters_by_name().values():
        parameter.grad = torch.ones_like(parameter)
    avatar.splats(0)
    optimiser.step()
    before, faces_before = avatar.splat_count, set(avatar.binding.tolist())
    with torch.no_grad():
        avatar.local["log_scales"][:30] = math.log(0.9)  # large ones are split, the others doubled
    gradient = torch.rand(before, 2, generator=torch.Generator().manual_seed(1))
    density.watch(gradient, torch.ones(before), (48, 40), torch.zeros(()))
    old_means = avatar.local["means"].detach().clone()
    density.after_step(10, avatar, optimiser)
    assert avatar.splat_count == splat_allowance(10, before, SETTINGS) > before
    assert set(avatar.binding.tolist()) == faces_before
    assert {len(value) for value in avatar.local.values()} == {avatar.splat_count}
    state = optimiser.state()["dense"]["means"]
    kept = state["exp_avg"].abs().sum(1) > 0
    assert kept.sum() < before and kept[: int(kept.sum())].all()  # survivors come first and keep their momentum, new ones have none
    known = (avatar.local["means"].detach()[kept][:, None] == old_means[None]).all(-1).any(1)
    assert known.all()


def test_absolute_gradients_count_where_they_are_given():
    avatar, _, density = trained()
    count = avatar.splat_count
    gradient = torch.cat([torch.zeros(count, 2), torch.ones(count, 2)], dim=1)
    density.watch(gradient, torch.ones(count), (6, 8), torch.zeros(()))
    density.watch(gradient, torch.ones(count), (6, 8), torch.ones(()))  # a step that changes nothing
    torch.testing.assert_close(density.state()["pull"], torch.full((count,), 5.0))
    assert density.state()["seen"].eq(1).all()


def test_nothing_changes_between_density_steps_or_without_pull():
    avatar, optimiser, density = trained()
    count = avatar.splat_count
    density.watch(torch.ones(count, 2), torch.ones(count), (48, 40), torch.zeros(()))
    density.after_step(11, avatar, optimiser)
    assert avatar.splat_count == count
    density.load({**density.state(), "pull": torch.zeros(count)})
    density.after_step(20, avatar, optimiser)
    assert avatar.splat_count == count


def test_faint_splats_go_and_opacities_can_be_lowered():
    settings = TrainSettings(densify_from=10, densify_until=50, densify_every=10, opacity_reset_every=15, reset_opacity=0.2)
    avatar, optimiser, density = trained(settings)
    shared = torch.bincount(avatar.binding, minlength=len(avatar.rig.faces))[avatar.binding] > 1
    with torch.no_grad():
        avatar.local["opacities"][shared] = -10.0
    faint = avatar.splat_count - len(set(avatar.binding.tolist()))
    assert faint > 0
    before = avatar.splat_count
    density.after_step(10, avatar, optimiser)
    assert avatar.splat_count == before - faint
    density.after_step(15, avatar, optimiser)
    assert torch.sigmoid(avatar.local["opacities"]).max().item() == pytest.approx(0.2)
