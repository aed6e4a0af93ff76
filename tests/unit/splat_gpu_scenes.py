"""Scenes drawn by the GPU backend and by the reference: small under Triton's interpreter (`test_splat_gpu`), the same and larger on a GPU (`tests/gpu`)."""

from __future__ import annotations

import math
import warnings

import pytest
import torch

from pipeline.splat.gpu.workspace import Workspace
from pipeline.splat.rasterise import rasterise
from pipeline.splat.splats import Splats, Views
from tests.unit.test_splat_rasterise import around_the_camera, needles, on_a_threshold, random_splats, view

warnings.filterwarnings("ignore", category=RuntimeWarning)  # numpy in the interpreter, on lanes that are masked
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NAMES = ("means", "quats", "log_scales", "opacities", "sh")


def first(splats: Splats, count: int) -> Splats:
    return Splats(*(getattr(splats, name)[:count].clone() for name in NAMES))


def huge_among_small() -> Splats:
    """Small splats, and two on more than 64 tiles of a view 40 x 60, which all lanes of a warp process together."""
    splats = random_splats(12, logit=-1.0)
    splats.log_scales[3], splats.log_scales[7] = 1.0, torch.tensor([0.5, -1.5, -1.0])
    return splats


SCENES = {
    "odd size": (lambda: random_splats(40), view(21, 17)),
    "principal point off centre": (lambda: random_splats(40), view(24, 16, (3.5, 20.0))),
    "behind and beside the camera": (lambda: first(around_the_camera(), 40), view(16, 12)),
    "huge": (lambda: random_splats(8, size=2.0, logit=-2.0), view(17, 15)),
    "huge among small": (huge_among_small, view(40, 60)),
    "thin as needles": (lambda: first(needles(), 20), view(24, 24)),
    "smaller than a pixel": (lambda: random_splats(40, size=1e-4), view(24, 24)),
    "transparent": (lambda: random_splats(40, logit=-5.0, size=0.05), view(24, 24)),
    "opaque": (lambda: random_splats(40, logit=9.0, size=0.05), view(16, 16)),
    "dozens in one tile": (lambda: random_splats(90, spread=0.03, logit=-3.0), view(8, 4)),
    "one pixel": (lambda: random_splats(20, size=0.05), view(1, 1)),
    "SH degree 0": (lambda: random_splats(20, degree=0), view(16, 12)),
    "SH degree 2": (lambda: random_splats(20, degree=2), view(16, 12)),
    "SH degree 3": (lambda: random_splats(20, degree=3), view(16, 12)),
}


def run(tensors: dict[str, torch.Tensor], views: Views, backend: str, dtype: torch.dtype, mask: torch.Tensor | None = None, **options):
    """Outputs, and gradients of a random function of them that leaves out the pixels of `mask` [H, W]. tensors: of splats, background and screen."""
    device = DEVICE if backend == "gpu" else "cpu"
    leaves = {name: x.detach().to(device, dtype, copy=True).requires_grad_() for name, x in {**tensors, "R": views.R, "t": views.t}.items()}
    splats = Splats(**{name: x for name, x in leaves.items() if name not in ("R", "t", "background", "screen")})
    moved = Views(views.K.to(device, dtype), leaves["R"], leaves["t"], views.width, views.height)
    rendered = rasterise(splats, moved, leaves["background"], screen=leaves.get("screen"), backend=backend, **options)
    keep = torch.ones(views.height, views.width) if mask is None else (~mask).float()
    g = torch.Generator().manual_seed(1)
    weights = [torch.randn(x.shape, generator=g) * keep.view(1, *keep.shape, *[1] * (x.dim() - 3)) for x in rendered[:3]]
    sum((x * weight.to(x)).sum() for x, weight in zip(rendered[:3], weights)).backward()
    return [x.detach().cpu().double() for x in rendered], {name: x.grad.cpu().double() for name, x in leaves.items()}


def agree(tensors: dict[str, torch.Tensor], views: Views, mask: torch.Tensor | None = None, **options) -> None:
    values, gradients = run(tensors, views, "gpu", torch.float32, mask, **options)
    expected, expected_gradients = run(tensors, views, "reference", torch.float64, mask, **options)
    keep = slice(None) if mask is None else ~mask
    for value, expected_value in zip(values[:3], expected[:3]):
        assert (value - expected_value)[:, keep].abs().max() < 1e-4
    torch.testing.assert_close(values[3], expected[3], rtol=1e-3, atol=1e-3)
    for name, expected_value in expected_gradients.items():
        assert (gradients[name] - expected_value).norm() <= 1e-3 * expected_value.norm() + 1e-7, name


def tensors_of(splats: Splats, views: Views, **more: torch.Tensor) -> dict[str, torch.Tensor]:
    own = {name: getattr(splats, name) for name in (*NAMES, "features") if getattr(splats, name) is not None}
    return {**own, "background": torch.tensor([0.2, 0.5, 0.9]), "screen": torch.zeros(len(views), len(splats), 4), **more}


@pytest.mark.parametrize("name", SCENES)
def test_agrees_with_reference(name):
    make, views = SCENES[name]
    splats = make()
    agree(tensors_of(splats, views), views, on_a_threshold(splats, views))


def test_antialiasing_agrees_with_reference():
    splats = random_splats(30, size=0.004, logit=3.0)
    agree(tensors_of(splats, view(20, 16)), view(20, 16), antialias=True)


@pytest.mark.parametrize("channels", [1, 4, 32])
def test_any_number_of_channels(channels):
    base, g = random_splats(25), torch.Generator().manual_seed(2)
    splats = Splats(base.means, base.quats, base.log_scales, base.opacities, features=torch.randn(25, channels, generator=g))
    agree(tensors_of(splats, view(20, 12), background=torch.rand(channels, generator=g)), view(20, 12))


def two_views() -> Views:
    one, two = view(20, 14), view(20, 14, (8.0, 9.0))
    return Views(*(torch.cat([getattr(one, k), getattr(two, k)]) for k in ("K", "R", "t")), 20, 14)


def test_views_share_splats():
    agree(tensors_of(random_splats(30), two_views(), background=torch.rand(2, 14, 20, 3)), two_views())


def test_views_have_their_own_splats():
    one, two = random_splats(30, seed=1), random_splats(30, seed=2)
    agree(tensors_of(Splats(*(torch.stack([getattr(one, name), getattr(two, name)]) for name in NAMES)), two_views()), two_views())


def test_screen_may_have_two_columns():
    """Those of four without the absolute gradients."""
    tensors = tensors_of(random_splats(30), view(16, 12))
    values, gradients = run(tensors, view(16, 12), "gpu", torch.float32)
    others, fewer = run({**tensors, "screen": torch.zeros(1, 30, 2)}, view(16, 12), "gpu", torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(values, others))
    assert torch.equal(gradients.pop("screen")[..., :2], fewer.pop("screen"))
    assert all(torch.equal(gradients[name], fewer[name]) for name in fewer)


def test_no_splats():
    tensors = tensors_of(random_splats(0), view(7, 9))
    values, gradients = run(tensors, view(7, 9), "gpu", torch.float32)
    torch.testing.assert_close(values[0], tensors["background"].double().expand(1, 9, 7, 3))
    assert values[1].abs().max() == 0 and values[2].abs().max() == 0
    assert gradients["means"].shape == (0, 3) and gradients["background"].abs().min() > 0


def test_sh_degree_can_be_limited():
    agree(tensors_of(random_splats(20, degree=3), view(16, 12)), view(16, 12), sh_degree=1)
    agree(tensors_of(random_splats(20, degree=1), view(16, 12)), view(16, 12), sh_degree=0)


def test_only_the_image_has_a_gradient():
    splats = random_splats(30)
    results = []
    for backend, dtype in (("gpu", torch.float32), ("reference", torch.float64)):
        device = DEVICE if backend == "gpu" else "cpu"
        leaves = [getattr(splats, name).detach().to(device, dtype, copy=True).requires_grad_() for name in NAMES]
        views = Views(*(getattr(view(20, 16), k).to(device, dtype) for k in ("K", "R", "t")), 20, 16)
        image = rasterise(Splats(*leaves), views, torch.ones(3, device=device, dtype=dtype), backend=backend).image
        results.append([x.cpu().double() for x in torch.autograd.grad(image.square().sum(), leaves)])
    for value, expected_value in zip(*results):
        assert (value - expected_value).norm() <= 1e-3 * expected_value.norm()


def test_runs_are_equal_to_the_bit():
    tensors = tensors_of(random_splats(30), view(16, 12))
    tensors["means"][15:] = tensors["means"][:15]  # equal depths
    results = [run(tensors, view(16, 12), "gpu", torch.float32) for _ in range(2)]
    for values, gradients in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(values, results[0][0]))
        assert all(torch.equal(gradients[name], results[0][1][name]) for name in gradients)


def test_plain_calls_grow_their_capacity():
    tensors, workspace = tensors_of(random_splats(25), view(16, 12)), Workspace(DEVICE, capacity=8)
    values, gradients = run(tensors, view(16, 12), "gpu", torch.float32, workspace=workspace)
    expected, expected_gradients = run(tensors, view(16, 12), "gpu", torch.float32)
    assert workspace.capacity > 8 and workspace.overflowed.item() == 0
    assert all(torch.equal(a, b) for a, b in zip(values, expected))
    assert all(torch.equal(gradients[name], expected_gradients[name]) for name in gradients)


def test_overflow_is_flagged_until_grown(monkeypatch):
    """With the host's check off, as inside a CUDA graph: pairs are left out, nothing is written out of bounds, the flag stays."""
    tensors, workspace = tensors_of(random_splats(25), view(16, 12)), Workspace(DEVICE, capacity=8)
    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "enough", lambda self, certainly: True)
        values, gradients = run(tensors, view(16, 12), "gpu", torch.float32, workspace=workspace)
        assert workspace.capacity == 8 and workspace.overflowed.item() == 1
        assert all(x.isfinite().all() for x in values)
        run(tensors_of(first(random_splats(25), 1), view(1, 1)), view(1, 1), "gpu", torch.float32, workspace=workspace)
        assert workspace.overflowed.item() == 1
    workspace.grow()
    assert workspace.overflowed.item() == 0 and workspace.capacity > 8
    grown, _ = run(tensors, view(16, 12), "gpu", torch.float32, workspace=workspace)
    assert all(torch.equal(a, b) for a, b in zip(grown, run(tensors, view(16, 12), "gpu", torch.float32)[0]))


def test_two_calls_alive_at_once():
    """The second forward pass does not disturb what the first one keeps for its backward pass."""
    tensors = tensors_of(random_splats(15), view(12, 10))
    leaves = {name: x.detach().to(DEVICE).requires_grad_() for name, x in tensors.items()}
    views = Views(*(getattr(view(12, 10), k).to(DEVICE) for k in ("K", "R", "t")), 12, 10)

    def draw(shift: float) -> torch.Tensor:
        splats = Splats(leaves["means"] + shift, *(leaves[name] for name in NAMES[1:]))
        return rasterise(splats, views, leaves["background"], backend="gpu").image.square().sum()

    apart = [torch.autograd.grad(draw(shift), leaves["means"])[0] for shift in (0.0, 0.05)]
    losses = [draw(0.0), draw(0.05)]
    together = [torch.autograd.grad(loss, leaves["means"])[0] for loss in losses]
    assert all(torch.equal(a, b) for a, b in zip(apart, together))
    assert math.isfinite(float(losses[0].detach()))


def test_images_without_gradients_are_complete_after_any_jump_in_pairs():
    """Calls without gradients always check the capacity: a camera may come close from one image to the next."""
    far, near, white = random_splats(60, size=1e-3, spread=0.05), random_splats(60, size=0.3, spread=0.05, logit=2.0), torch.ones(3, device=DEVICE)
    moved, workspace = Views(*(getattr(view(24, 20), k).to(DEVICE) for k in ("K", "R", "t")), 24, 20), Workspace(DEVICE, capacity=256)
    for splats in (far, far, near):
        leaves = [getattr(splats, name).to(DEVICE).requires_grad_() for name in NAMES]
        with torch.no_grad():
            rendered = rasterise(Splats(*leaves), moved, white, backend="gpu", workspace=workspace).image.cpu()
    expected = rasterise(near, view(24, 20), torch.ones(3), backend="reference").image
    assert (rendered - expected).abs().mean() < 1e-4
