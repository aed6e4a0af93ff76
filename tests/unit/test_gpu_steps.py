"""Adam for rows and the statistics of density control in Triton, under Triton's interpreter, against their torch twins."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from tests.unit.triton_interpreter import interpreted

rows_gpu = interpreted("pipeline.training.row_adam_gpu")
density_gpu = interpreted("pipeline.avatars.splats.density_gpu")
RATES = {"pose": 3e-4, "expression": 3e-3, "translation": 1e-2}


def tables(dtype: torch.dtype) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(3, *shape, generator=generator).to(dtype) for name, shape in (("pose", (200, 3)), ("expression", (5,)), ("translation", (3,)))}


def optimiser_of(ours: dict[str, torch.Tensor], factor: float = 1.0):  # noqa: ANN201
    rates = torch.tensor([factor * RATES[name] for name in ours])
    return rows_gpu.RowAdam(ours, rates, (0.9, 0.999), 1e-15, torch.tensor(7.0))


def test_drawn_rows_move_as_adam_moves_them_and_others_keep_still():
    ours = tables(torch.float32)
    start = {name: table.clone() for name, table in ours.items()}
    twins = {(name, frame): torch.nn.Parameter(table[frame].double()) for name, table in ours.items() for frame in (0, 2)}
    groups = {key: torch.optim.Adam([row], lr=0.5 * RATES[key[0]], eps=1e-15) for key, row in twins.items()}
    adam, generator = optimiser_of(ours, 0.5), torch.Generator().manual_seed(1)
    for frame in (2, 0, 2, 2, 0):
        gradients = {name: 1e-3 * torch.randn(table.shape[1:], generator=generator) for name, table in ours.items()}
        adam.step(torch.tensor(frame), gradients, torch.tensor(0.0))
        for name in ours:
            twins[name, frame].grad = gradients[name].double()
            groups[name, frame].step()
    for (name, frame), twin in twins.items():
        assert torch.equal(ours[name][1], start[name][1])
        moved, expected = (ours[name][frame] - start[name][frame]).double(), twin.detach() - start[name][frame]
        assert_close(moved, expected, rtol=1e-4, atol=5e-7)  # the tables hold values up to 4 in single precision
        state = groups[name, frame].state[twin]
        assert_close(adam.first[name][frame].double(), state["exp_avg"], rtol=1e-5, atol=1e-9)
        assert_close(adam.second[name][frame].double(), state["exp_avg_sq"], rtol=1e-5, atol=1e-12)
    assert adam.state()["pose"]["steps"].tolist() == [2, 0, 3]


def test_a_step_to_be_skipped_changes_nothing():
    ours = tables(torch.float32)
    before = {name: table.clone() for name, table in ours.items()}
    adam = optimiser_of(ours)
    adam.step(torch.tensor(1), {name: table[0].clone() for name, table in ours.items()}, torch.tensor(1.0))
    assert all(torch.equal(ours[name], before[name]) for name in ours) and adam.state()["pose"]["steps"].tolist() == [0, 0, 0]


def test_tables_without_gradients_and_elements_that_are_not_finite_keep_still():
    ours = tables(torch.float32)
    before = {name: table.clone() for name, table in ours.items()}
    adam = optimiser_of({name: ours[name] for name in ("pose", "translation")})
    adam.step(torch.tensor(1), {}, torch.tensor(0.0))
    adam.step(torch.tensor(1), {"expression": torch.ones(5), "translation": torch.tensor([1.0, torch.nan, -torch.inf])}, torch.tensor(0.0))
    moved = (ours["translation"] - before["translation"])[1]
    assert_close(moved[0].item(), -RATES["translation"], rtol=1e-4, atol=0)
    assert not moved[1:].any() and not adam.first["translation"][1, 1:].any() and not adam.second["translation"][1, 1:].any()
    assert adam.nonfinite.tolist() == [0, 7]
    assert all(torch.equal(ours[name], before[name]) for name in ("pose", "expression"))
    assert adam.state()["pose"]["steps"].tolist() == [0, 0, 0] and adam.state()["translation"]["steps"].tolist() == [0, 1, 0]


@pytest.mark.parametrize(("dtype", "columns", "views"), [(torch.int32, 2, 1), (torch.float32, 4, 3)])
def test_statistics_add_up(dtype, columns, views):
    gradient, radii = torch.randn(views, 700, columns), torch.randint(0, 3, (views, 700)).to(dtype)
    grad_accum, visible_count = torch.rand(700), torch.ones(700)
    expected = grad_accum + (gradient[..., -2:] * torch.tensor([20.0, 15.0])).norm(dim=-1).sum(0), visible_count + (radii > 0).sum(0)
    density_gpu.accumulate(gradient, radii, (40, 30), torch.tensor(0.0), grad_accum, visible_count)
    density_gpu.accumulate(gradient, radii, (40, 30), torch.tensor(1.0), grad_accum, visible_count)  # skipped
    assert_close(grad_accum, expected[0])
    assert torch.equal(visible_count, expected[1])
