"""PLY files: the standard columns, a round trip, and refusal of what is not one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.io.errors import InputError
from pipeline.splat.formats.ply import read_ply, write_ply
from pipeline.splat.splats import Splats


def some_splats(degree: int, count: int = 5) -> Splats:
    g = torch.Generator().manual_seed(degree)
    shapes = [(count, 3), (count, 4), (count, 3), (count,), (count, (degree + 1) ** 2, 3)]
    return Splats(*(torch.randn(shape, generator=g) for shape in shapes))


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("count", [0, 5])
def test_round_trip(tmp_path, degree, count):
    splats, binding = some_splats(degree, count), np.arange(count) * 1000
    write_ply(tmp_path / "a.ply", splats, binding)
    again, bound = read_ply(tmp_path / "a.ply")
    for name in ("means", "quats", "log_scales", "opacities", "sh"):
        assert torch.equal(getattr(again, name), getattr(splats, name)), name
    assert np.array_equal(bound, binding)


def test_standard_columns(tmp_path):
    """Header and first row as viewers read them: 62 floats at degree 3, f_rest channel by channel."""
    splats = some_splats(3)
    write_ply(tmp_path / "a.ply", splats)
    head, _, body = (tmp_path / "a.ply").read_bytes().partition(b"end_header\n")
    names = [line.split()[-1] for line in head.decode().split("\n") if line.startswith("property float ")]
    assert names[:9] == ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"] and len(names) == 62
    assert names[-8:] == ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    row = dict(zip(names, np.frombuffer(body, "<f4")[:62]))
    assert row["f_rest_0"] == splats.sh[0, 1, 0] and row["f_rest_15"] == splats.sh[0, 1, 1] and row["f_rest_44"] == splats.sh[0, 15, 2]
    assert read_ply(tmp_path / "a.ply")[1] is None


def test_broken_files_are_named(tmp_path):
    path = tmp_path / "a.ply"
    with pytest.raises(InputError, match="no such file"):
        read_ply(path)
    write_ply(path, some_splats(1))
    whole = path.read_bytes()
    for broken, word in ((whole[:-3], "cut short"), (b"hello\n", "not a splat PLY"), (whole.replace(b"opacity", b"opacitx"), "missing")):
        path.write_bytes(broken)
        with pytest.raises(InputError, match=word):
            read_ply(path)
