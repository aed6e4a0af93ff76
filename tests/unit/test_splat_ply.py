"""PLY files: the standard columns, a round trip, and refusal of what is not one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.io.errors import InputError
from pipeline.splat.formats.ply import read_ply, splat_columns, write_ply
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
    for name in ("means", "quats", "log_scales", "opacities"):
        assert torch.equal(getattr(again, name), getattr(splats, name)), name
    own = splats.sh.shape[1]
    assert torch.equal(again.sh[:, :own], splats.sh) and again.sh.shape[1] == 16 and not again.sh[:, own:].any()
    assert np.array_equal(bound, binding)


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_files_of_a_lower_degree_are_read(tmp_path, degree):
    """Other programs write fewer f_rest columns: channel by channel, without padding."""
    splats, count = some_splats(degree), (degree + 1) ** 2 - 1
    columns = splat_columns(splats)
    kept = [n for n in columns if not n.startswith("f_rest_")]
    columns = {n: columns[n] for n in kept} | {f"f_rest_{c * count + i}": columns[f"f_rest_{15 * c + i}"] for c in range(3) for i in range(count)}
    head = ["ply", "format binary_little_endian 1.0", "element vertex 5", *(f"property float {name}" for name in columns), "end_header", ""]
    (tmp_path / "a.ply").write_bytes("\n".join(head).encode() + np.stack(list(columns.values()), axis=1).astype("<f4").tobytes())
    assert torch.equal(read_ply(tmp_path / "a.ply")[0].sh, splats.sh)


def test_standard_columns(tmp_path):
    """Header and first row as viewers read them: 62 floats whatever the degree, f_rest channel by channel; the loader of 3DGS asserts 45 of them."""
    splats = some_splats(3)
    write_ply(tmp_path / "a.ply", splats)
    head, _, body = (tmp_path / "a.ply").read_bytes().partition(b"end_header\n")
    names = [line.split()[-1] for line in head.decode().split("\n") if line.startswith("property float ")]
    assert names[:9] == ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"] and len(names) == 62
    assert names[-8:] == ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    row = dict(zip(names, np.frombuffer(body, "<f4")[:62]))
    assert row["f_rest_0"] == splats.sh[0, 1, 0] and row["f_rest_15"] == splats.sh[0, 1, 1] and row["f_rest_44"] == splats.sh[0, 15, 2]
    assert read_ply(tmp_path / "a.ply")[1] is None
    write_ply(tmp_path / "b.ply", some_splats(1))
    assert (tmp_path / "b.ply").read_bytes().partition(b"end_header\n")[0].count(b"property float f_rest_") == 45


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
