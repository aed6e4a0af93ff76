"""Adam for splats, networks and rows of tables: rates, rules of each group, and splats that are replaced."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pipeline.training.optimiser import Optimiser
from pipeline.training.parameters import ParameterGroup, constant, exponential
from pipeline.training.rows import Rows, select_rows
from tests.unit.flat_avatar import equal

CPU = torch.device("cpu")


def parameter(*shape: int, seed: int = 0) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))


def gradients(*parameters: Tensor, seed: int = 0) -> None:
    """Give each a gradient of its own."""
    generator = torch.Generator().manual_seed(seed)
    for value in parameters:
        value.grad = torch.randn(value.shape, generator=generator)


def optimiser_of(*groups: ParameterGroup, **options: object) -> Optimiser:
    return Optimiser(groups, CPU, **options)


def step(optimiser: Optimiser, number: int = 0, rows: tuple[Rows, ...] = ()) -> None:
    """One step as a training does it."""
    optimiser.begin_step(number)
    optimiser.gradient_norms(rows)
    for part in rows:
        optimiser.step_rows(part)
    optimiser.step()


def used_rows(table: Tensor, index: int, gradient: Tensor, name: str = "codes") -> Rows:
    rows = select_rows({name: table}, index)
    (rows.values()[name] * gradient).sum().backward()
    return rows


# Against torch's own


@pytest.mark.parametrize("kind", ["splats", "dense"])
def test_steps_are_those_of_adam_with_each_groups_own_rate(kind):
    mine, theirs = [parameter(5, 3), parameter(4, seed=1)], [parameter(5, 3), parameter(4, seed=1)]
    optimiser = optimiser_of(*(ParameterGroup(name, (p,), lr, exponential(0.1, 4), kind) for name, p, lr in zip("ab", mine, (0.1, 0.02))))
    reference = torch.optim.Adam([{"params": [p], "lr": 0.0} for p in theirs], eps=1e-8)
    for number in range(4):
        gradients(*mine, seed=number)
        gradients(*theirs, seed=number)
        for group, lr in zip(reference.param_groups, (0.1, 0.02)):
            group["lr"] = lr * 0.1 ** (number / 3)
        step(optimiser, number)
        reference.step()
        for ours, expected in zip(mine, theirs):
            torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-7)
            assert ours.grad is None, "gradients are forgotten after a step"


def test_weight_decay_is_decoupled_and_each_group_has_its_own_rules():
    mine, theirs = [parameter(6), parameter(6, seed=1)], [parameter(6), parameter(6, seed=1)]
    rules = [{"weight_decay": 0.3, "betas": (0.8, 0.9), "epsilon": 1e-3}, {"weight_decay": 0.0, "betas": (0.9, 0.999), "epsilon": 1e-8}]
    optimiser = optimiser_of(*(ParameterGroup(name, (p,), 0.05, **rule) for name, p, rule in zip("ab", mine, rules)))
    references = [torch.optim.AdamW([p], 0.05, rule["betas"], rule["epsilon"], rule["weight_decay"]) for p, rule in zip(theirs, rules)]
    for number in range(3):
        for ours, expected, reference in zip(mine, theirs, references):
            gradients(ours, expected, seed=number)
            expected.grad.copy_(ours.grad)
            reference.step()
        step(optimiser)
        for ours, expected in zip(mine, theirs):
            torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)


def test_rates_follow_their_schedules_to_the_end():
    factor = exponential(0.05, 101)
    assert constant(7) == factor(0) == 1 and factor(100) == pytest.approx(0.05) == factor(1000)
    assert factor(50) == pytest.approx(0.05**0.5)
    late = exponential(0.05, 101, start=60)
    assert late(0) == late(60) == 1 and late(80) == pytest.approx(0.05**0.5) and late(100) == pytest.approx(0.05)
    assert exponential(0.05, 1)(0) == 1
    value = nn.Parameter(torch.zeros(1))
    optimiser = optimiser_of(ParameterGroup("a", (value,), 0.1, lambda number: 1.0 if number < 2 else 0.0))
    places = []
    for number in range(4):
        value.grad = torch.ones(1)
        step(optimiser, number)
        places.append(float(value.detach()))
    assert places == pytest.approx([-0.1, -0.2, -0.2, -0.2])


def test_rates_and_momentum_of_several_images_per_step_follow_grendels_rule():
    moved = {}
    for images in (1, 4):
        splats, dense, table = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1)), torch.zeros(2, 1)
        groups = ParameterGroup("s", (splats,), 0.1, kind="splats"), ParameterGroup("d", (dense,), 0.1), ParameterGroup("codes", (table,), 0.1, kind="rows")
        optimiser = optimiser_of(*groups, images=images)
        splats.grad, dense.grad = torch.ones(1), torch.ones(1)
        step(optimiser, rows=(used_rows(table, 1, torch.ones(1)),))
        state = optimiser.state()["moments"]
        moved[images] = [float(splats.detach()), float(dense.detach()), float(table[1])]
        for name in ("s", "d"):
            assert float(state[name][0]["exp_avg"]) == pytest.approx(1 - 0.9**images, rel=1e-5)
            assert float(state[name][0]["exp_avg_sq"]) == pytest.approx(1 - 0.999**images, rel=1e-4)
    assert moved[4] == pytest.approx([2 * moved[1][0], 2 * moved[1][1], moved[1][2]], rel=1e-4), "a row sees one image at a time"


# Rules of a step


def test_gradients_of_a_group_are_clipped_together_to_its_norm():
    clipped, free = [parameter(3), parameter(2, seed=1)], parameter(3, seed=2)
    optimiser = optimiser_of(ParameterGroup("clipped", tuple(clipped), 0.1, max_norm=0.5), ParameterGroup("free", (free,), 0.1))
    for scale, norm in ((10.0, 0.5), (0.01, 0.05)):
        for value, gradient in zip((*clipped, free), ([3.0, 0, 0], [0, 4.0], [3.0, 4.0, 0])):
            value.grad = scale * torch.tensor(gradient)
        optimiser.reset_state("clipped")
        optimiser.reset_state("free")
        step(optimiser)
        moments = optimiser.state()["moments"]
        first = torch.cat([state["exp_avg"] for state in moments["clipped"]]) / 0.1
        assert float(first.norm()) == pytest.approx(norm, rel=1e-4)
        torch.testing.assert_close(first / first.norm(), torch.tensor([0.6, 0, 0, 0, 0.8]))
        assert float(moments["free"][0]["exp_avg"].norm()) == pytest.approx(0.1 * 5 * scale, rel=1e-4)


def test_a_parameter_without_gradient_is_left_alone():
    values = {kind: (parameter(3), parameter(3, seed=1)) for kind in ("splats", "dense")}
    groups = [ParameterGroup(f"{kind}{i}", (p,), 0.1, kind=kind, weight_decay=0.0) for kind, pair in values.items() for i, p in enumerate(pair)]
    table = torch.ones(3, 2)
    optimiser = optimiser_of(*groups, ParameterGroup("codes", (table,), 0.1, kind="rows"))
    before = {name: p.detach().clone() for group in groups for name, p in [(group.name, group.tensors[0])]}
    for number in range(2):
        gradients(values["splats"][0], values["dense"][0], seed=number)
        step(optimiser, rows=(select_rows({"codes": table}, 1),))
    for group in groups:
        assert torch.equal(group.tensors[0], before[group.name]) == group.name.endswith("1"), group.name
    assert table.eq(1).all()


def test_a_group_with_rate_0_is_frozen():
    values, table = {kind: parameter(3) for kind in ("splats", "dense")}, torch.ones(2, 1)
    groups = [ParameterGroup(kind, (p,), 0.0, kind=kind) for kind, p in values.items()] + [ParameterGroup("codes", (table,), 0.0, kind="rows")]
    optimiser = optimiser_of(*groups, ParameterGroup("other", (parameter(1),), 0.1))
    assert not any(p.requires_grad for p in values.values()) and set(optimiser.parameters()) == {"other"}
    step(optimiser, rows=(used_rows(table, 0, torch.ones(1)),))
    assert table.eq(1).all() and optimiser.state()["rows"] == {}
    more = nn.Parameter(torch.zeros(5))
    optimiser.replace("splats", more, torch.zeros(5, dtype=torch.int64))
    optimiser.reset_state("splats")
    assert not more.requires_grad, "splats that take the place of frozen ones are frozen"


def test_nothing_but_frozen_groups_can_step():
    frozen = parameter(2)
    optimiser = optimiser_of(ParameterGroup("a", (frozen,), 0.0))
    step(optimiser)
    assert len(optimiser.gradient_norms([])) == 0 and optimiser.nonfinite() == {}


def test_a_skipped_step_changes_nothing():
    splats, dense, table, skip = parameter(4), parameter(3, seed=1), torch.ones(2, 2), torch.zeros(())
    groups = (
        ParameterGroup("s", (splats,), 0.1, kind="splats"),
        ParameterGroup("d", (dense,), 0.1, weight_decay=0.5),
        ParameterGroup("codes", (table,), 0.1, kind="rows"),
    )
    optimiser = optimiser_of(*groups, skip=skip)

    def do(gradient: float) -> dict[str, Tensor]:
        splats.grad, dense.grad = torch.full((4,), gradient), torch.full((3,), gradient)
        step(optimiser, rows=(used_rows(table, 1, torch.full((2,), gradient)),))
        state = optimiser.state()
        moments = {f"{name}/{key}": value for name, (part,) in state["moments"].items() for key, value in part.items()}
        rows = {f"codes/{key}": value for key, value in state["rows"]["codes"].items()}
        return {name: value.detach().clone() for name, value in {"s": splats, "d": dense, "table": table, **moments, **rows}.items()}

    before = do(1.0)
    skip.fill_(1)
    assert equal(do(5.0), before) and equal(do(float("nan")), before)
    assert splats.grad is None and dense.grad is None
    skip.zero_()
    assert not any(torch.equal(value, before[name]) for name, value in do(1.0).items() if name not in ("table", "codes/first"))


def test_norms_are_those_of_every_group_and_of_the_rows_that_were_used():
    splats, dense, table = parameter(2), (parameter(2), parameter(1)), torch.zeros(3, 2)
    groups = ParameterGroup("s", (splats,), 0.1, kind="splats"), ParameterGroup("d", dense, 0.1), ParameterGroup("codes", (table,), 0.1, kind="rows")
    optimiser = optimiser_of(*groups, ParameterGroup("unused", (parameter(2),), 0.1))
    splats.grad, dense[0].grad, dense[1].grad = torch.tensor([3.0, 4.0]), torch.tensor([0.0, 5.0]), torch.tensor([12.0])
    norms = optimiser.gradient_norms([used_rows(table, 0, torch.tensor([6.0, 8.0])), select_rows({"codes": table}, 1)])
    assert sorted(norms.tolist()) == pytest.approx([5, 10, 13])


# Rows


def test_only_the_rows_that_were_used_move_and_each_counts_its_own_steps():
    """Adam under a constant gradient moves by the rate in every step, whenever its step comes."""
    table = torch.zeros(4, 3)
    optimiser = optimiser_of(ParameterGroup("codes", (table,), 0.1, kind="rows"))
    gradient = torch.tensor([1.0, -2.0, 0.0])
    for index in (2, 0, 2, torch.tensor(2)):
        step(optimiser, rows=(used_rows(table, index, gradient),))
    assert not table[[1, 3]].any() and optimiser.state()["rows"]["codes"]["steps"].tolist() == [1, 0, 3, 0]
    torch.testing.assert_close(table[[0, 2]], torch.tensor([[-0.1, 0.1, 0], [-0.3, 0.3, 0]]))


def test_rows_step_as_adam_steps_them():
    table, generator = torch.randn(3, 2, 2, generator=torch.Generator().manual_seed(0)), torch.Generator().manual_seed(1)
    optimiser = optimiser_of(ParameterGroup("codes", (table,), 0.03, exponential(0.1, 5), "rows", epsilon=1e-6))
    parts = [nn.Parameter(part.clone()) for part in table]
    references = [torch.optim.Adam([part], 0.03, eps=1e-6) for part in parts]
    for number, index in enumerate((1, 2, 1, 1, 2)):
        gradient = torch.randn(2, 2, generator=generator)
        step(optimiser, number, (used_rows(table, index, gradient),))
        references[index].param_groups[0]["lr"] = 0.03 * 0.1 ** (number / 4)
        parts[index].grad = gradient.clone()
        references[index].step()
    torch.testing.assert_close(table, torch.stack([part.detach() for part in parts]), rtol=1e-5, atol=1e-6)


def test_rows_of_two_instants_of_one_step_both_move():
    table = torch.zeros(3, 1)
    optimiser = optimiser_of(ParameterGroup("codes", (table,), 0.1, kind="rows"), images=2)
    step(optimiser, rows=tuple(used_rows(table, index, torch.ones(1)) for index in (0, 2, 2)))
    torch.testing.assert_close(table, torch.tensor([[-0.1], [0.0], [-0.2]]))


# Splats that are replaced


def test_replaced_splats_keep_the_momentum_of_the_rows_they_continue():
    old, other = parameter(3, 2), parameter(3, 2, seed=1)
    optimiser = optimiser_of(*(ParameterGroup(name, (p,), 0.1, kind="splats") for name, p in (("means", old), ("other", other))))
    gradients(old, other)
    step(optimiser)
    before = {key: value.clone() for key, value in optimiser.state()["moments"]["means"][0].items()}
    new = nn.Parameter(torch.cat([old.detach()[[2, 0]], torch.zeros(2, 2)]))
    optimiser.replace("means", new, torch.tensor([2, 0, -1, -1]))
    state = optimiser.state()["moments"]
    for key in ("exp_avg", "exp_avg_sq"):
        assert torch.equal(state["means"][0][key][:2], before[key][[2, 0]]) and not state["means"][0][key][2:].any()
        assert len(state["other"][0][key]) == 3
    assert state["means"][0]["step"] == 1 and optimiser.parameters()["means"][0] is new
    gradients(new)
    values = new.detach().clone(), old.detach().clone(), other.detach().clone()
    step(optimiser)
    assert (new != values[0]).all() and torch.equal(old, values[1]) and torch.equal(other, values[2])


def test_replaced_splats_start_without_momentum_where_they_continue_none():
    old = parameter(3)
    optimiser = optimiser_of(ParameterGroup("means", (old,), 0.1, kind="splats"))
    gradients(old)
    step(optimiser)
    optimiser.replace("means", nn.Parameter(torch.zeros(5)))
    assert optimiser.state()["moments"]["means"] == [{}]


def test_reset_drops_the_momentum_of_one_group():
    values = {"a": parameter(3), "b": parameter(3, seed=1), "c": parameter(3, seed=2)}
    optimiser = optimiser_of(*(ParameterGroup(name, (p,), 0.1, kind="dense" if name == "c" else "splats") for name, p in values.items()))
    for name in ("a", "c"):
        gradients(*values.values())
        step(optimiser)
        optimiser.reset_state(name)
        assert [bool(state[0]) for state in optimiser.state()["moments"].values()] == [key != name for key in ("a", "b", "c")]


# Resuming


def test_a_loaded_optimiser_steps_on_exactly(tmp_path):
    def make() -> tuple[Optimiser, list[nn.Parameter], Tensor]:
        values, table = [parameter(4, 2), parameter(3, seed=1), parameter(2, seed=2)], torch.zeros(2, 2)
        groups = [
            ParameterGroup("s", (values[0],), 0.1, exponential(0.1, 8), "splats"),
            ParameterGroup("d", tuple(values[1:]), 0.1, weight_decay=0.2, max_norm=1.0),
        ]
        return optimiser_of(*groups, ParameterGroup("codes", (table,), 0.1, kind="rows")), values, table

    def steps(optimiser: Optimiser, values: list[nn.Parameter], table: Tensor, first: int, last: int) -> None:
        for number in range(first, last):
            gradients(*values[: 2 if number < 6 else 3], seed=number)  # the last one has no moments when it is saved
            step(optimiser, number, (used_rows(table, number % 2, torch.randn(2, generator=torch.Generator().manual_seed(number))),))

    whole, first, second = make(), make(), make()
    steps(*whole, 0, 8)
    steps(*first, 0, 5)
    torch.save([first[0].state(), first[1], first[2]], tmp_path / "state.pt")
    state, values, table = torch.load(tmp_path / "state.pt")
    with torch.no_grad():
        for own, saved in zip((*second[1], second[2]), (*values, table)):
            own.copy_(saved)
    second[0].load(state)
    steps(*second, 5, 8)
    assert all(torch.equal(a, b) for a, b in zip((*whole[1], whole[2]), (*second[1], second[2])))
