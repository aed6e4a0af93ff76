"""The splats' own loss terms in Triton, under Triton's interpreter, against the torch ones in double precision."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from pipeline.avatars.rigged.regularise import splat_terms_reference
from pipeline.avatars.rigged.settings import SPLAT_TERMS
from tests.unit.triton_interpreter import interpreted

regularise_gpu = interpreted("pipeline.avatars.rigged.regularise_gpu")
THRESHOLDS = {"position": 0.5, "scale": 0.9, "anisotropy": 1.5}
COUNT = 700  # more than a program has


def random_splats() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {name: torch.randn(shape, generator=generator) for name, shape in (("means", (COUNT, 3)), ("log_scales", (COUNT, 3)), ("opacities", (COUNT,)))}


@pytest.mark.parametrize("weights", [{"position": 0.3, "scale": 2.0}, {"scale": 0.5, "opacity": 0.2, "anisotropy": 0.7}])
def test_terms_agree_with_the_torch_ones_in_values_and_gradients(weights):
    visible = torch.rand(COUNT, generator=torch.Generator().manual_seed(4)) < 0.7
    upstream = torch.tensor([1.0, 2.0, 3.0, 4.0])
    ours, wide = ({name: value.to(dtype).requires_grad_() for name, value in random_splats().items()} for dtype in (torch.float32, torch.float64))
    terms = regularise_gpu.splat_terms(ours, weights, THRESHOLDS, visible)
    (terms * upstream).sum().backward()
    expected = splat_terms_reference(wide, weights, THRESHOLDS, visible)
    sum(upstream[SPLAT_TERMS.index(name)] * value for name, value in expected.items()).backward()
    for i, name in enumerate(SPLAT_TERMS):
        assert terms[i].item() == pytest.approx(expected[name].item() if name in expected else 0, rel=1e-5)
    for name, value in wide.items():
        reference = torch.zeros_like(value) if value.grad is None else value.grad
        assert_close(ours[name].grad.double(), reference, rtol=1e-4, atol=1e-6 * float(reference.abs().max()))


def test_nothing_visible_has_no_gradient():
    local = {name: value.requires_grad_() for name, value in random_splats().items()}
    nothing = torch.zeros(COUNT, dtype=torch.bool)
    terms = regularise_gpu.splat_terms(local, {"position": 1.0, "scale": 1.0}, {"position": 0.0, "scale": 0.0}, nothing)
    terms.sum().backward()
    assert terms.tolist() == [0, 0, 0, 0] and not local["means"].grad.any() and not local["log_scales"].grad.any()
