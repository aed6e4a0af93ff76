"""The splats' own loss terms in Triton, under Triton's interpreter, against the torch ones in double precision."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from tests.unit.rigged_toy import avatar
from tests.unit.triton_interpreter import interpreted

regularise_gpu = interpreted("pipeline.avatars.rigged.regularise_gpu")
THRESHOLDS = {"position": 0.5, "scale": 0.9, "anisotropy": 1.5}


@pytest.mark.parametrize("weights", [{"position": 0.3, "scale": 2.0}, {"scale": 0.5, "opacity": 0.2, "anisotropy": 0.7}])
def test_terms_agree_with_the_torch_ones_in_values_and_gradients(weights):
    made, generator = avatar(), torch.Generator().manual_seed(3)
    for name in ("means", "log_scales", "opacities"):
        made.local[name].data.normal_(generator=generator)
    visible = torch.rand(made.splat_count, generator=generator) < 0.7
    upstream = torch.tensor([1.0, 2.0, 3.0, 4.0])
    terms = regularise_gpu.splat_terms(made.local, weights, THRESHOLDS, visible)
    (terms * upstream).sum().backward()
    names = ("means", "log_scales", "opacities")
    ours = [made.local[name].grad.double() for name in names]
    made.double()
    made.zero_grad(set_to_none=True)
    expected = made.regularise(weights, THRESHOLDS, visible)
    sum(upstream[regularise_gpu.TERMS.index(name)] * value for name, value in expected.items()).backward()
    for i, name in enumerate(regularise_gpu.TERMS):
        assert terms[i].item() == pytest.approx(expected[name].item() if name in expected else 0, rel=1e-5)
    for name, gradient in zip(names, ours):
        reference = made.local[name].grad
        reference = torch.zeros_like(gradient) if reference is None else reference
        assert_close(gradient, reference, rtol=1e-4, atol=1e-6 * float(reference.abs().max()))


def test_nothing_visible_pulls_at_nothing():
    made = avatar()
    nothing = torch.zeros(made.splat_count, dtype=torch.bool)
    terms = regularise_gpu.splat_terms(made.local, {"position": 1.0, "scale": 1.0}, {"position": 0.0, "scale": 0.0}, nothing)
    terms.sum().backward()
    assert terms.tolist() == [0, 0, 0, 0] and not made.local["means"].grad.any() and not made.local["log_scales"].grad.any()
