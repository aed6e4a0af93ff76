"""Adam of all parameters in one launch is torch's Adam."""

from __future__ import annotations

import torch

from tests.unit.triton_interpreter import interpreted

adam_gpu = interpreted("pipeline.training.adam_gpu")
RATES = {"large": 0.01, "small": 0.3}


def parameters() -> dict[str, torch.nn.Parameter]:
    g = torch.Generator().manual_seed(0)
    return {"large": torch.nn.Parameter(torch.randn(700, 3, generator=g)), "small": torch.nn.Parameter(torch.randn(5, generator=g))}


def test_steps_are_those_of_torch_and_skipped_ones_change_nothing():
    ours, theirs, g = parameters(), parameters(), torch.Generator().manual_seed(1)
    factor, skip = torch.ones(()), torch.zeros(())
    groups = [[{"params": [p], "lr": RATES[name]} for name, p in given.items()] for given in (ours, theirs)]
    mine, torchs = adam_gpu.Adam(groups[0], (0.9, 0.999), 1e-15, factor, skip), torch.optim.Adam(groups[1], eps=1e-15)
    for step in range(4):
        factor.fill_(0.5**step)
        for group, name in zip(torchs.param_groups, RATES):
            group["lr"] = RATES[name] * 0.5**step
        for name in RATES:
            ours[name].grad = torch.randn(ours[name].shape, generator=g)
            theirs[name].grad = ours[name].grad.clone()
        if step == 1:
            before = {name: value.detach().clone() for name, value in ours.items()}
            skip.fill_(1)
            mine.step()
            skip.zero_()
            assert all(torch.equal(before[name], ours[name]) for name in RATES) and mine.state[ours["small"]]["step"] == 1
        mine.step()
        torchs.step()
        for name in RATES:
            torch.testing.assert_close(ours[name], theirs[name], rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(mine.state[ours[name]]["exp_avg_sq"], torchs.state[theirs[name]]["exp_avg_sq"])
