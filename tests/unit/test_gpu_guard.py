"""What a guard records, in Triton, under Triton's interpreter, against its reference."""

from __future__ import annotations

import pytest
import torch

from pipeline.training.guard import record_reference
from tests.unit.triton_interpreter import interpreted

guard_gpu = interpreted("pipeline.training.guard_gpu")
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy in the interpreter, of the values that are not finite
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("count", [1, 5, 8])
@pytest.mark.parametrize("summed", [0, 1, 4])
@pytest.mark.parametrize(
    "steps",
    [
        [(None, 0), (None, 0)],
        [(None, 0), (NAN, 0), (None, 0)],
        [(INF, 0), (-INF, 1)],
        [(None, 0), (None, 1), (NAN, 0)],
        [(NAN, 1), (None, 1)],
    ],
)
def test_it_records_what_the_reference_records(count, summed, steps):
    generator = torch.Generator().manual_seed(count)
    start = torch.randn(min(summed, count), generator=generator)
    results = [(torch.zeros(3), start.clone()) for _ in range(2)]
    for bad, overflowed in steps:
        values = torch.randn(count, generator=generator)
        if bad is not None:
            values[-1] = bad
        for record, (state, sums) in zip((record_reference, guard_gpu.record), results):
            record(values, torch.tensor([overflowed], dtype=torch.int32), state, sums)
        assert torch.equal(results[0][0], results[1][0]) and torch.equal(results[0][1], results[1][1])
