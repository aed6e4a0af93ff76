"""The GPU backend on a real GPU: the interpreter's scenes, larger ones, CUDA graphs, and gsplat where it is installed."""

from __future__ import annotations

import pytest
import torch

from pipeline.splat.gpu.workspace import Workspace
from pipeline.splat.rasterise import rasterise
from pipeline.splat.splats import Splats, Views
from tests.bench import gsplat_peer
from tests.bench.scene import head, orbit
from tests.unit import test_splat_rasterise as cpu_scenes
from tests.unit.splat_gpu_scenes import *  # noqa: F403  the same tests, on the GPU
from tests.unit.splat_gpu_scenes import NAMES, agree, tensors_of

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")


@pytest.mark.parametrize("name", cpu_scenes.SCENES)
def test_larger_scenes_agree_with_reference(name):
    make, views = cpu_scenes.SCENES[name]
    splats = make()
    agree(tensors_of(splats, views), views, cpu_scenes.on_a_threshold(splats, views))


def on_gpu(splats: Splats, views: Views) -> tuple[list[torch.Tensor], Views]:
    leaves = [getattr(splats, name).cuda().requires_grad_() for name in NAMES]
    return leaves, Views(views.K.cuda(), views.R.cuda(), views.t.cuda(), views.width, views.height)


def test_a_captured_step_is_the_plain_step():
    """Forward and backward in one CUDA graph: bit-equal to plain calls, also with other values in the same tensors."""
    leaves, views = on_gpu(*head(5000, 160, 240, 3))
    views = Views(views.K, views.R.requires_grad_(), views.t.requires_grad_(), views.width, views.height)
    background, workspace = torch.ones(3, device="cuda"), Workspace("cuda")

    def step() -> tuple[torch.Tensor, ...]:
        drawn = rasterise(Splats(*leaves), views, background, workspace=workspace)
        return drawn.image, *torch.autograd.grad(drawn.image.square().sum() + drawn.depth.sum() + drawn.alpha.sum(), [*leaves, views.R, views.t])

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    for _ in range(3):
        with torch.no_grad():
            leaves[0].add_(0.001)
        graph.replay()
        assert all(torch.equal(a, b) for a, b in zip(captured, step()))
    assert workspace.overflowed.item() == 0
    with torch.no_grad():
        leaves[2].add_(3.0)
    graph.replay()
    assert workspace.overflowed.item() == 1 and all(x.isfinite().all() for x in captured)


def test_a_batch_is_its_views():
    splats, views = head(3000, 100, 140, 1)
    leaves, views = on_gpu(splats, orbit(views, 4))
    together = rasterise(Splats(*leaves), views, torch.ones(3, device="cuda")).image
    for i in range(4):
        one = Views(views.K[i : i + 1], views.R[i : i + 1], views.t[i : i + 1], 100, 140)
        assert torch.equal(together[i], rasterise(Splats(*leaves), one, torch.ones(3, device="cuda")).image[0])


def test_agrees_with_gsplat():
    """gsplat stops before a splat that would leave less than 1e-4 and keeps alphas to 0.999: pixels on such a threshold differ a little."""
    if not gsplat_peer.available():
        pytest.skip("gsplat is not installed")
    splats, views = head(20_000, 275, 401, 0)
    leaves, views = on_gpu(splats, views)
    background, g = torch.ones(3, device="cuda"), torch.Generator("cuda").manual_seed(0)
    draw, theirs = gsplat_peer.drawer(Splats(*(x.detach() for x in leaves)), views, background)
    image, want = rasterise(Splats(*leaves), views, background).image, draw()
    assert (image - want).abs().mean() < 1e-4 and (image - want).abs().max() < 0.02
    gradient = torch.randn(image.shape, device="cuda", generator=g)
    means, quats = torch.autograd.grad(image, leaves[:2], gradient)
    their_means, their_quats = torch.autograd.grad(want, [theirs["means"], theirs["quats"]], gradient)
    assert (means - their_means).norm() < 2e-3 * their_means.norm()
    assert (quats - their_quats).norm() < 2e-3 * their_quats.norm()
