"""Adam of all parameters in one launch is PyTorch's Adam, and what it adds: rates on the device, missing and broken gradients."""

from __future__ import annotations

import torch

from tests.unit.triton_interpreter import interpreted

adam_gpu = interpreted("pipeline.training.adam_gpu")
MARK = 7  # what a flag is set to
RATES = {"large": 0.01, "small": 0.3, "whole blocks": 0.02}
SHAPES = {"large": (700, 3), "small": (5,), "whole blocks": (2048,)}


def parameters() -> dict[str, torch.nn.Parameter]:
    g = torch.Generator().manual_seed(0)
    return {name: torch.nn.Parameter(torch.randn(shape, generator=g)) for name, shape in SHAPES.items()}


def optimiser_of(values: dict[str, torch.nn.Parameter], skip: torch.Tensor | None = None) -> torch.optim.Optimizer:
    groups = [{"params": [value], "lr": RATES[name]} for name, value in values.items()]
    rates = torch.tensor([group["lr"] for group in groups])
    return adam_gpu.Adam(groups, (0.9, 0.999), 1e-15, rates, torch.zeros(()) if skip is None else skip, torch.tensor(float(MARK)))


def copies(values: dict[str, torch.nn.Parameter]) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in values.items()}


def test_steps_are_those_of_torch_and_skipped_ones_change_nothing():
    ours, theirs, g, skip = parameters(), parameters(), torch.Generator().manual_seed(1), torch.zeros(())
    mine, torchs = optimiser_of(ours, skip), torch.optim.Adam([{"params": [p], "lr": RATES[name]} for name, p in theirs.items()], eps=1e-15)
    for step in range(4):
        rates = [rate * (0.5 + k) ** step for k, rate in enumerate(RATES.values())]  # each group has its own schedule
        mine.rates.copy_(torch.tensor(rates))
        for group, rate in zip(torchs.param_groups, rates):
            group["lr"] = rate
        for name in RATES:
            ours[name].grad = torch.randn(ours[name].shape, generator=g)
            theirs[name].grad = ours[name].grad.clone()
        if step == 1:
            before = copies(ours)
            skip.fill_(1)
            mine.step()
            skip.zero_()
            assert all(torch.equal(before[name], ours[name]) for name in RATES) and mine.state[ours["small"]]["step"] == 1
        mine.step()
        torchs.step()
        for name in RATES:
            torch.testing.assert_close(ours[name], theirs[name], rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(mine.state[ours[name]]["exp_avg_sq"], torchs.state[theirs[name]]["exp_avg_sq"])
    assert not mine.nonfinite.any()


def test_parameters_without_gradients_are_left_out():
    """A step without them is the others' step alone, also of the rates and flags, which go by group."""
    values, others = parameters(), parameters()
    adam, alone = optimiser_of(values), optimiser_of({name: others[name] for name in ("small", "whole blocks")})
    adam.step()
    assert not adam.state, "nothing to do"
    start = values["large"].detach().clone()
    for name in ("small", "whole blocks"):
        values[name].grad = torch.randn(SHAPES[name], generator=torch.Generator().manual_seed(2))
        values[name].grad[0] = torch.nan
        others[name].grad = values[name].grad
    adam.step()
    alone.step()
    assert torch.equal(values["large"], start) and values["large"] not in adam.state
    assert all(torch.equal(values[name], others[name]) for name in ("small", "whole blocks"))
    assert adam.nonfinite.tolist() == [0, MARK, MARK] and alone.nonfinite.tolist() == [MARK, MARK]
    values["large"].grad = torch.ones(SHAPES["large"])
    adam.step()
    assert [adam.state[value]["step"].item() for value in values.values()] == [1, 2, 2]


def test_elements_that_are_not_finite_change_nothing_at_their_place():
    values, expected = parameters(), parameters()
    adam, clean = optimiser_of(values), optimiser_of(expected)
    broken = {"large": [(0, 1), (699, 2)], "whole blocks": [(3,), (2047,)]}
    for optimiser, group in ((adam, values), (clean, expected)):
        for value in group.values():
            value.grad = torch.randn(value.shape, generator=torch.Generator().manual_seed(5))
        optimiser.step()
    start, moments = copies(values), {name: {key: x.clone() for key, x in adam.state[value].items()} for name, value in values.items()}
    for number in (torch.nan, torch.inf, -torch.inf):
        for name, value in values.items():
            value.grad = torch.randn(value.shape, generator=torch.Generator().manual_seed(3))
            expected[name].grad = value.grad.clone()
            for place in broken.get(name, []):
                value.grad[place] = number
        adam.step()
        clean.step()
        assert adam.nonfinite.tolist() == [MARK, 0, MARK]
        adam.nonfinite.zero_()
    for name, value in values.items():
        keep = torch.ones(value.shape, dtype=torch.bool)
        for place in broken.get(name, []):
            keep[place] = False
        state, whole = adam.state[value], clean.state[expected[name]]
        assert torch.equal(value[keep], expected[name][keep]) and torch.equal(value[~keep], start[name][~keep])
        for moment in ("exp_avg", "exp_avg_sq"):
            assert torch.equal(state[moment][keep], whole[moment][keep]) and torch.equal(state[moment][~keep], moments[name][moment][~keep])


def test_dozens_of_parameters():
    """More than a kernel would be unrolled for; sizes around a block's."""
    g = torch.Generator().manual_seed(4)
    values = [torch.nn.Parameter(torch.randn(size, generator=g)) for size in [*range(1, 37), 1023, 1024, 1025, 2048]]
    twins = [torch.nn.Parameter(value.detach().clone()) for value in values]
    groups = [{"params": [value]} for value in values]
    mine = adam_gpu.Adam(groups, (0.9, 0.999), 1e-15, 0.001 * torch.arange(len(values)), torch.zeros(()), torch.ones(()))
    torchs = torch.optim.Adam([{"params": [value], "lr": 0.001 * k} for k, value in enumerate(twins)], eps=1e-15)
    for _ in range(2):
        for value, twin in zip(values, twins):
            value.grad = torch.randn(value.shape, generator=g)
            twin.grad = value.grad.clone()
        mine.step()
        torchs.step()
    for value, twin in zip(values, twins):
        torch.testing.assert_close(value, twin, rtol=1e-5, atol=1e-6)
