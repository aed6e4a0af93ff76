"""One switch chooses between a kernel and its reference, for all kernels or for some."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch.testing import assert_close

from pipeline.avatars.rigged.binding import bind
from pipeline.machine.backend import KERNELS, backend_of, set_backend, use_backend
from pipeline.splat.rasterise import rasterise
from pipeline.splat.splats import Splats
from pipeline.training.image_loss import image_terms
from pipeline.training.target import Target
from tests.unit.test_rigged_binding import random_mesh, random_splats
from tests.unit.test_splat_rasterise import view

KERNEL_MODULES = (
    "pipeline.avatars.rigged.binding_cpu", "pipeline.avatars.rigged.binding_gpu", "pipeline.splat.gpu.rasterise", "pipeline.splat.gpu.ssim",
    "pipeline.training.image_loss_cpu", "pipeline.training.image_loss_gpu",
)  # fmt: skip


def test_float32_has_kernels_on_the_cpu_and_on_cuda():
    on_cuda = SimpleNamespace(dtype=torch.float32, device=torch.device("cuda"))
    assert backend_of(torch.zeros(1)) == "cpu" and backend_of(on_cuda) == "gpu"
    assert backend_of(torch.zeros(1, dtype=torch.float64)) == "reference" and backend_of(torch.zeros(1, device="meta")) == "reference"
    with use_backend("reference"):
        assert {backend_of(on_cuda, kernel) for kernel in (*KERNELS, None)} == {"reference"}


def test_kernels_can_be_switched_one_by_one():
    value = torch.zeros(1)
    with use_backend("reference", ["bind"]):
        assert backend_of(value, "bind") == "reference" and backend_of(value, "pose") == backend_of(value) == "cpu"
        with use_backend("reference"), use_backend("auto", ["pose"]):
            assert backend_of(value, "pose") == "cpu" and backend_of(value, "adam") == "reference"
        assert backend_of(value, "adam") == "cpu"
        with pytest.raises(ZeroDivisionError), use_backend("auto"):
            1 / 0  # noqa: B018
        assert backend_of(value, "bind") == "reference"
    assert backend_of(value, "bind") == "cpu"


@pytest.mark.parametrize("wrong", [("fast", KERNELS), ("auto", ["sort"])])
def test_unknown_names_are_refused(wrong):
    with pytest.raises(ValueError, match="expected auto or reference"):
        set_backend(*wrong)
    with pytest.raises(ValueError), use_backend(*wrong):
        pass


@pytest.mark.parametrize(("name", "output"), [("reference", "reference"), ("auto", "cpu"), ("fast", "C2A_BACKEND=fast")])
def test_the_environment_sets_it(name, output):
    code = "import torch; from pipeline.machine.backend import backend_of; print(backend_of(torch.zeros(1)))"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"C2A_BACKEND": name}, capture_output=True, text=True)
    assert output in done.stdout + done.stderr and (done.returncode == 0) == (name != "fast")


def results() -> list[torch.Tensor]:
    """Splats on triangles, drawn and compared with an image: the loss and its gradients."""
    vertices, faces = random_mesh()
    binding, *local = random_splats(len(faces))
    leaves = [value.float().requires_grad_() for value in (0.1 * vertices, *local)]
    world = bind(leaves[0], faces, binding, *leaves[1:])
    generator = torch.Generator().manual_seed(0)
    splats = Splats(*world, torch.zeros(len(binding)), torch.randn(len(binding), 4, 3, generator=generator))
    drawn = rasterise(splats, view(20, 16), torch.zeros(3))
    target = Target.of(torch.randint(0, 256, (1, 16, 20, 4), dtype=torch.uint8, generator=generator))
    loss = image_terms(drawn.image, drawn.alpha, target, torch.ones(3))[0].sum()
    return [loss.detach(), *torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize(
    ("module", "kernels"),
    [
        ("pipeline.avatars.rigged.binding", "pipeline.avatars.rigged.binding_gpu"),
        ("pipeline.splat.rasterise", "pipeline.splat.gpu.rasterise"),
        ("pipeline.training.image_loss", "pipeline.training.image_loss_gpu"),
    ],
)
def test_tensors_on_cuda_take_the_gpu_kernels(module, kernels, monkeypatch):
    monkeypatch.setattr(f"{module}.backend_of", lambda tensor, kernel: "gpu" if tensor.dtype == torch.float32 and kernel in KERNELS else "")
    monkeypatch.setitem(sys.modules, kernels, None)
    with pytest.raises(ImportError, match=kernels):
        results()


def test_references_use_no_kernel_and_agree_with_them(monkeypatch):
    expected = results()
    for name in KERNEL_MODULES:
        monkeypatch.setitem(sys.modules, name, None)  # importing it fails
    monkeypatch.delitem(rasterise.__globals__["BY_VIEW"], "cpu")
    with pytest.raises((ImportError, KeyError, TypeError, AttributeError)):
        results()
    with use_backend("reference"):
        for value, reference in zip(expected, results()):
            assert_close(value, reference, rtol=1e-3, atol=1e-4 * float(reference.abs().max()))
