"""The Triton map from triangles to the world, under Triton's interpreter, against its torch twin in double precision."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from pipeline.avatars.rigged.binding import bind_reference
from pipeline.avatars.rigged.csr_index import inverse_index
from tests.unit.test_rigged_binding import random_mesh, random_splats
from tests.unit.triton_interpreter import interpreted

binding_gpu = interpreted("pipeline.avatars.rigged.binding_gpu")


def test_kernels_agree_with_the_reference_in_values_and_gradients():
    vertices, faces = random_mesh()
    binding, *floats = random_splats(len(faces))
    results = []
    for function, dtype in ((binding_gpu.BindOnGpu.apply, torch.float32), (bind_reference, torch.float64)):
        inputs = [x.to(dtype).clone().requires_grad_() for x in (vertices, *floats)]
        outputs = function(inputs[0], faces, binding, *inputs[1:])
        sum((torch.sin(3 * x) * (1 + i)).sum() for i, x in enumerate(outputs)).backward()
        results.append([x.detach().double() for x in (*outputs, *(x.grad for x in inputs))])
    for ours, reference in zip(*results):
        assert_close(ours, reference, atol=1e-5 * float(reference.abs().max()), rtol=1e-4)


def test_a_collapsed_triangle_stays_finite():
    inputs = [torch.zeros(3, 3), torch.ones(1, 3), torch.ones(1, 4), torch.zeros(1, 3)]
    outputs = binding_gpu.BindOnGpu.apply(inputs[0].requires_grad_(), torch.tensor([[0, 1, 2]]), torch.tensor([0]), *inputs[1:])
    sum(part.sum() for part in outputs).backward()
    assert torch.isfinite(inputs[0].grad).all() and all(torch.isfinite(part).all() for part in outputs)


def test_an_inverse_index_is_cached_and_follows_its_owners():
    owners = torch.tensor([2, 0, 2, 2, 0])
    index = inverse_index(owners, 4)
    assert index.members.tolist() == [1, 4, 0, 2, 3] and index.starts.tolist() == [0, 2, 2, 5, 5]
    assert inverse_index(owners, 4) is index
    place = index.members.data_ptr()
    owners[0] = 1
    assert inverse_index(owners, 4).starts.tolist() == [0, 2, 3, 5, 5] and index.members.data_ptr() == place
