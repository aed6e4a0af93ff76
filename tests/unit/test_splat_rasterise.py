"""The CPU backend against the torch reference, and both against what an image of splats must be."""

from __future__ import annotations

import math
import subprocess
import sys

import numba
import numpy as np
import pytest
import torch

from pipeline.capture.camera import Camera
from pipeline.splat import reference, rules
from pipeline.splat.cpu import jit as cpu_jit
from pipeline.splat.cpu import tiles as cpu_tiles
from pipeline.splat.harmonics import SH_C0
from pipeline.splat.rasterise import rasterise
from pipeline.splat.splats import Splats, Views

BACKENDS = ["reference", "cpu"]


def view(width: int, height: int, centre: tuple[float, float] | None = None) -> Views:
    """One camera of 60 px focal length, turned a little, whose origin of the world is 1 m ahead."""
    cx, cy = centre or (width / 2, height / 2)
    axis = torch.tensor([0.1, -0.2, 0.15])
    R = torch.linalg.matrix_exp(torch.tensor([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]]))
    return Views(torch.tensor([[[60.0, 0, cx], [0, 66.0, cy], [0, 0, 1]]]), R[None], torch.tensor([[0.02, -0.03, 1.0]]), width, height)


def random_splats(count: int, *, spread: float = 0.2, size: float = 0.02, logit: float = 0.0, degree: int = 1, seed: int = 0) -> Splats:
    g = torch.Generator().manual_seed(seed)
    sh = torch.randn(count, (degree + 1) ** 2, 3, generator=g) * 0.5
    log_scales = math.log(size) + 0.5 * torch.randn(count, 3, generator=g)
    return Splats(spread * torch.randn(count, 3, generator=g), torch.randn(count, 4, generator=g), log_scales, logit + torch.randn(count, generator=g), sh)


def needles() -> Splats:
    splats = random_splats(100)
    splats.log_scales[:] = torch.tensor([0.3, 1e-5, 1e-5]).log()
    return splats


def around_the_camera() -> Splats:
    splats = random_splats(300, spread=1.0, size=0.05)
    splats.means[:, 2] -= 1.0
    return splats


SCENES = {
    "odd size": (lambda: random_splats(200), view(41, 33)),
    "principal point off centre": (lambda: random_splats(200), view(48, 32, (3.5, 41.0))),
    "behind and beside the camera": (around_the_camera, view(40, 40)),
    "huge": (lambda: random_splats(30, size=2.0, logit=-2.0), view(37, 35)),
    "thin as needles": (needles, view(40, 40)),
    "smaller than a pixel": (lambda: random_splats(200, size=1e-4), view(40, 40)),
    "transparent": (lambda: random_splats(300, logit=-5.0, size=0.05), view(40, 40)),
    "opaque": (lambda: random_splats(300, logit=9.0, size=0.05), view(40, 40)),
    "thousands in one tile": (lambda: random_splats(3000, spread=0.03, logit=-3.0), view(16, 16)),
    "one pixel": (lambda: random_splats(50, size=0.05), view(1, 1)),
    "SH degree 0": (lambda: random_splats(50, degree=0), view(30, 20)),
    "SH degree 2": (lambda: random_splats(50, degree=2), view(30, 20)),
    "SH degree 3": (lambda: random_splats(50, degree=3), view(30, 20)),
}


def on_a_threshold(splats: Splats, views: Views) -> torch.Tensor:
    """[H, W] pixels on which rounding may decide whether a splat is drawn: an alpha or the transmittance is within 0.1 % of a rule's number."""
    lifted = Splats(*(x.double() for x in (splats.means, splats.quats, splats.log_scales, splats.opacities, splats.sh)))
    K, R, t = (x[0].double() for x in (views.K, views.R, views.t))
    projected = reference.project(lifted, K, R, t, views.width, views.height, rules.NEAR, None)
    order = projected.radius.nonzero()[:, 0]
    order = order[projected.depth[order].argsort()]
    ys, xs = torch.meshgrid(torch.arange(views.height), torch.arange(views.width), indexing="ij")
    pixels = torch.stack([xs, ys], -1).reshape(-1, 2).double() + 0.5
    alpha = reference.splat_alphas(reference.Projected(*(x[order] for x in projected)), pixels)
    light = (1 - torch.where(alpha >= rules.MIN_ALPHA, alpha, 0)).cumprod(0)
    near = [(alpha / rules.MIN_ALPHA - 1).abs() < 1e-3, (alpha / rules.MAX_ALPHA - 1).abs().clamp_min(0).sub(1e-3).lt(0) & (alpha < rules.MAX_ALPHA)]
    near.append((light / rules.MIN_TRANSMITTANCE - 1).abs() < 1e-2)
    return torch.stack(near).any(0).any(0).view(views.height, views.width)


def draw(splats: Splats, views: Views, backend: str, dtype: torch.dtype, mask: torch.Tensor) -> tuple[list[torch.Tensor], dict[str, torch.Tensor]]:
    """Outputs and the gradients of a random function of them that leaves out the pixels of `mask`."""
    leaves = {name: getattr(splats, name) for name in ("means", "quats", "log_scales", "opacities", "sh")}
    leaves |= {"R": views.R, "t": views.t, "background": torch.tensor([0.2, 0.5, 0.9]), "screen": torch.zeros(len(views), len(splats), 4)}
    leaves = {name: x.detach().to(dtype).requires_grad_() for name, x in leaves.items()}
    rendered = rasterise(
        Splats(*(leaves[name] for name in ("means", "quats", "log_scales", "opacities", "sh"))),
        Views(views.K.to(dtype), leaves["R"], leaves["t"], views.width, views.height),
        leaves["background"], screen=leaves["screen"], backend=backend,
    )  # fmt: skip
    g = torch.Generator().manual_seed(1)
    keep = (~mask).to(dtype)
    loss = sum((x * torch.randn(x.shape, generator=g).to(dtype) * keep.view(1, *mask.shape, *[1] * (x.dim() - 3))).sum() for x in rendered[:3])
    loss.backward()
    return list(rendered), {name: leaf.grad for name, leaf in leaves.items()}


@pytest.mark.parametrize("name", SCENES)
def test_cpu_agrees_with_reference(name):
    make, views = SCENES[name]
    splats = make()
    mask = on_a_threshold(splats, views)
    assert mask.float().mean() < 0.5
    values, gradients = draw(splats, views, "cpu", torch.float32, mask)
    expected, expected_gradients = draw(splats, views, "reference", torch.float64, mask)
    for value, expected_value in zip(values[:3], expected[:3]):
        assert (value - expected_value)[:, ~mask].abs().max() < 1e-4
    torch.testing.assert_close(values[3].double(), expected[3], rtol=1e-3, atol=1e-3)
    for key, expected_value in expected_gradients.items():
        assert (gradients[key] - expected_value).norm() <= 1e-3 * expected_value.norm() + 1e-7, key


@pytest.mark.parametrize("backend", BACKENDS)
def test_absolute_gradients_of_screen_positions(backend):
    """They are the sums of the absolute gradients of single pixels."""
    splats, views, weights = random_splats(12), view(9, 7), torch.randn(7, 9, 3, generator=torch.Generator().manual_seed(2))

    def screen_gradient(mask: torch.Tensor, columns: int) -> torch.Tensor:
        screen = torch.zeros(1, 12, columns, requires_grad=True)
        (rasterise(splats, views, torch.ones(3), screen=screen, backend=backend).image[0] * weights * mask[..., None]).sum().backward()
        return screen.grad[0]

    gradients = screen_gradient(torch.ones(7, 9), 4)
    by_pixel = torch.stack([screen_gradient(torch.eye(63)[pixel].view(7, 9), 2) for pixel in range(63)])
    torch.testing.assert_close(gradients[:, 2:], by_pixel.abs().sum(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradients[:, :2], screen_gradient(torch.ones(7, 9), 2), rtol=1e-4, atol=1e-5)
    assert (gradients[:, 2:] > 1.5 * gradients[:, :2].abs()).any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_splats_leave_the_background(backend):
    background = torch.rand(1, 9, 7, 3)
    rendered = rasterise(random_splats(0), view(7, 9), background, backend=backend)
    torch.testing.assert_close(rendered.image, background)
    assert rendered.alpha.abs().max() == 0 and rendered.depth.abs().max() == 0 and rendered.radii.shape == (1, 0)


def test_no_splats_have_gradients():
    splats = random_splats(0)
    splats.means.requires_grad_()
    background = torch.zeros(3, requires_grad=True)
    rasterise(splats, view(7, 9), background).image.sum().backward()
    assert splats.means.grad.shape == (0, 3)
    torch.testing.assert_close(background.grad, torch.full((3,), 63.0))


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_round_splat(backend):
    """A ball straight ahead is a Gaussian of variance (f s / z)^2 + 0.3 about the principal point."""
    views = Views(torch.tensor([[[80.0, 0, 20.5], [0, 80.0, 12.5], [0, 0, 1]]]), torch.eye(3)[None], torch.tensor([[0.0, 0, 2.0]]), 40, 30)
    splats = Splats(torch.zeros(1, 3), torch.tensor([[1.0, 0, 0, 0]]), torch.full((1, 3), math.log(0.05)), torch.tensor([0.0]), torch.ones(1, 1, 3) / SH_C0)
    rendered = rasterise(splats, views, torch.zeros(3), backend=backend)
    variance = (80 * 0.05 / 2) ** 2 + 0.3
    assert rendered.alpha[0, 12, 20] == pytest.approx(0.5, abs=1e-6)
    assert rendered.alpha[0, 12, 23] == pytest.approx(0.5 * math.exp(-0.5 * 9 / variance), abs=1e-6)
    assert rendered.image[0, 12, 20, 0] == pytest.approx(0.5 * 1.5, abs=1e-6)  # SH 1 / SH_C0 is colour 1 + 0.5
    assert rendered.depth[0, 12, 20] == pytest.approx(2.0, abs=1e-5)
    assert rendered.radii[0, 0] == pytest.approx(math.sqrt(variance * 2 * math.log(0.5 * 255)), rel=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_nearer_splat_covers(backend):
    """Two wide splats: front c1 a1, behind it c2 a2 (1 - a1); the order in memory does not matter."""
    splats = Splats(torch.tensor([[0.0, 0, 0.5], [0, 0, 0]]), torch.tensor([[1.0, 0, 0, 0]] * 2), torch.zeros(2, 3), torch.tensor([0.0, 1.0]),
                    features=torch.tensor([[1.0, 0.0], [0.0, 1.0]]))  # fmt: skip
    views = Views(torch.tensor([[[10.0, 0, 2.5], [0, 10.0, 2.5], [0, 0, 1]]]), torch.eye(3)[None], torch.tensor([[0.0, 0, 2.0]]), 5, 5)
    rendered = rasterise(splats, views, torch.zeros(2), backend=backend)
    front = torch.tensor(1.0).sigmoid()
    torch.testing.assert_close(rendered.image[0, 2, 2], torch.stack([0.5 * (1 - front), front]))
    torch.testing.assert_close(rendered.depth[0, 2, 2], (2.5 * 0.5 * (1 - front) + 2.0 * front) / (front + 0.5 * (1 - front)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_principal_point_shifts_the_image(backend):
    """The same camera cropped by 7 and 5 pixels shows the same pixels, inside the region that the Jacobian's clamp leaves alone."""
    splats = random_splats(50, spread=0.1)
    wide, cropped = view(64, 48), view(40, 30, (32 - 7, 24 - 5))
    whole, part = (rasterise(splats, v, torch.zeros(3), backend=backend).image for v in (wide, cropped))
    torch.testing.assert_close(part, whole[:, 5:35, 7:47], atol=1e-5, rtol=0)


@pytest.mark.parametrize("channels", [1, 4, 32])
def test_any_number_of_channels(channels):
    base = random_splats(60)
    g = torch.Generator().manual_seed(2)
    features = torch.randn(60, channels, generator=g)
    results = []
    for backend, dtype in (("cpu", torch.float32), ("reference", torch.float64)):
        leaf = features.to(dtype, copy=True).requires_grad_()
        splats = Splats(*(x.to(dtype) for x in (base.means, base.quats, base.log_scales, base.opacities)), features=leaf)
        views = view(30, 20)
        views = Views(views.K.to(dtype), views.R.to(dtype), views.t.to(dtype), 30, 20)
        image = rasterise(splats, views, torch.full((channels,), 0.5, dtype=dtype), backend=backend).image
        image.square().sum().backward()
        results.append((image.detach().double(), leaf.grad.double()))
    torch.testing.assert_close(results[0][0], results[1][0], atol=1e-4, rtol=0)
    torch.testing.assert_close(results[0][1], results[1][1], atol=1e-3, rtol=1e-3)


def test_views_and_batches():
    """A batch of views is the views one by one; splats per view are each drawn in their own; shared splats collect all gradients."""
    a, b = random_splats(40, seed=1), random_splats(40, seed=2)
    one, two = view(30, 20), view(30, 20, (10.0, 12.0))
    both = Views(*(torch.cat([getattr(one, k), getattr(two, k)]) for k in ("K", "R", "t")), 30, 20)
    stacked = Splats(*(torch.stack([getattr(a, k), getattr(b, k)]) for k in ("means", "quats", "log_scales", "opacities", "sh")))
    background = torch.rand(2, 20, 30, 3)
    rendered = rasterise(stacked, both, background)
    for i, (splats, v) in enumerate(((a, one), (b, two))):
        torch.testing.assert_close(rendered.image[i], rasterise(splats, v, background[i]).image[0])
    a.means.requires_grad_()
    (together,) = torch.autograd.grad(rasterise(a, both, background).image.sum(), a.means)
    apart = [torch.autograd.grad(rasterise(a, v, background[i]).image.sum(), a.means)[0] for i, v in enumerate((one, two))]
    torch.testing.assert_close(together, sum(apart))


def test_runs_are_equal_to_the_bit():
    """Same input, same bytes, also with another number of threads."""
    splats, views = random_splats(500, degree=3), view(60, 50)
    splats.means.requires_grad_()
    threads, results = torch.get_num_threads(), []
    try:
        for count in (2, 1, 2):
            torch.set_num_threads(count)
            rendered = rasterise(splats, views, torch.ones(3))
            results.append((rendered.image.detach(), *torch.autograd.grad(rendered.image.square().sum() + rendered.depth.sum(), splats.means)))
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(x, y) for x, y in zip(results[0], other))


def test_number_of_threads_is_torchs():
    """Numba's first start must not change it: a fresh process, since only the first start would."""
    code = "import torch; torch.set_num_threads(1); from pipeline.splat.cpu.jit import use_threads; use_threads(); "
    code += "import numba; print(torch.get_num_threads(), numba.get_num_threads())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == ["1", "1"]


def test_kernel_cache_depends_on_every_source():
    """Numba compares this stamp with the one a cached kernel was stored under; were it renamed, kernels could be stale after an update."""
    assert "_source_stamp" in vars(numba.njit(cache=True)(test_views_and_batches)._cache._cache_file)
    assert cpu_tiles.draw._cache._cache_file._source_stamp == cpu_jit.SOURCES


def test_reference_gradients():
    """Finite differences in float64, everything differentiable at once, away from the thresholds."""
    splats = random_splats(3, size=0.6, spread=0.1, degree=2)
    views = view(3, 2)
    wide = [x.double().requires_grad_() for x in (splats.means, splats.quats, splats.log_scales, splats.opacities, splats.sh, views.K, views.R, views.t)]
    wide += [torch.rand(3, dtype=torch.float64, requires_grad=True), torch.zeros(1, 3, 2, dtype=torch.float64, requires_grad=True)]

    def function(means, quats, log_scales, opacities, sh, K, R, t, background, screen):
        return rasterise(Splats(means, quats, log_scales, opacities, sh), Views(K, R, t, 3, 2), background, screen=screen, backend="reference")[:3]

    assert torch.autograd.gradcheck(function, wide)


def test_splats_that_are_not_drawn_have_no_gradient():
    splats = random_splats(4)
    splats.means[0, 2] = -5.0  # behind
    splats.opacities[1] = -9.0  # fainter than 1/255 everywhere
    splats.means[2, 0] = 50.0  # beside the image
    splats.log_scales[3] = 60.0  # no finite size
    leaves = [x.requires_grad_() for x in (splats.means, splats.quats, splats.log_scales, splats.opacities, splats.sh)]
    rendered = rasterise(splats, view(20, 20), torch.ones(3))
    rendered.image.sum().backward()
    assert rendered.radii.abs().max() == 0
    assert all(leaf.grad.abs().max() == 0 for leaf in leaves)


def test_views_from_cameras():
    camera = Camera("a", 20, 10, np.diag([30.0, 30.0, 1.0]), np.eye(3), np.zeros(3))
    views = Views.from_cameras([camera, camera])
    assert len(views) == 2 and (views.width, views.height) == (20, 10) and views.K.dtype == torch.float32
    with pytest.raises(ValueError, match="one size"):
        Views.from_cameras([camera, camera.resized(10, 5)])
    with pytest.raises(ValueError, match="undistort"):
        Views.from_cameras([Camera("b", 20, 10, np.eye(3), np.eye(3), np.zeros(3), (0.1, 0.0, 0.0, 0.0))])


def test_wrong_arguments_are_named():
    splats, views = random_splats(5), view(8, 8)
    with pytest.raises(ValueError, match="sh_degree 2"):
        rasterise(splats, views, torch.ones(3), sh_degree=2)
    with pytest.raises(ValueError, match="backend 'fast'"):
        rasterise(splats, views, torch.ones(3), backend="fast")
    with pytest.raises(ValueError, match="screen"):
        rasterise(splats, views, torch.ones(3), screen=torch.zeros(5, 2))
    with pytest.raises(ValueError, match="quats"):
        Splats(splats.means, splats.quats[:, :3], splats.log_scales, splats.opacities, splats.sh)
