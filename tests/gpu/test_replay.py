"""An avatar replayed as a CUDA graph draws what posing and drawing draws, also where views suddenly need more room."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.avatars.benchmark import Protocol, benchmark
from pipeline.avatars.orbit import circle
from pipeline.avatars.replay import CHECK_EVERY, Replay
from pipeline.splat.splats import Views
from tests.unit import rigged_toy as toy

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
PROTOCOL = Protocol(width=320, height=240, frames=8, rounds=1, batch=2)
AXES = np.array([0, 0, 1.0]), np.array([0, 1.0, 0])


@torch.no_grad()
def test_a_replay_draws_what_posing_and_drawing_draws():
    avatar, device = toy.avatar(device="cuda").eval(), torch.device("cuda")
    far, near = (circle(PROTOCOL.camera(), np.zeros(3), *AXES, distance, 8) for distance in (3.0, 0.6))
    replay = Replay(avatar, 0, (PROTOCOL.width, PROTOCOL.height), 2, device)

    def same(i, cameras):
        drawn = replay(i % 3, cameras)
        expected = avatar.draw(avatar.pose(i % 3), Views.from_cameras(cameras, device))
        return bool(torch.equal(drawn.image, expected.image)) and bool(drawn.image.max() > 0.1)

    assert all(same(i, [far[i % 8], far[(i + 1) % 8]]) for i in range(10))
    for i in range(2 * CHECK_EVERY):  # many more pairs: after a check there is room for them
        replay(i % 3, [near[i % 8], near[(i + 1) % 8]])
    assert all(same(i, [near[i % 8], near[(i + 1) % 8]]) for i in range(10))


def test_all_ways_are_measured():
    figures = benchmark(toy.avatar(device="cuda").eval(), torch.device("cuda:0"), PROTOCOL)
    assert set(figures["ways"]) == {"viewer", "drawn", "captured", "batch", "captured batch"}
    assert all(scene["fps"] > 0 for way in figures["ways"].values() for scene in way.values())
