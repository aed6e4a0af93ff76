"""Pickles are read as Python and numpy would read them, without executing anything."""

from __future__ import annotations

import collections
import pickle

import numpy as np
import pytest
import scipy.sparse

from pipeline.io.errors import InputError
from pipeline.io.model_files import read_model_file
from pipeline.io.pickled_values import values_of_pickle
from tests.python2_pickles import chumpy, chumpy_select, python2_pickle

RNG = np.random.default_rng(0)
ARRAYS = {
    "doubles": RNG.normal(size=(3, 4, 5)),
    "by columns": np.asfortranarray(RNG.normal(size=(3, 4)).astype(np.float32)),
    "big endian": RNG.normal(size=4).astype(">f8"),
    "bytes": np.arange(7, dtype=np.uint8),
    "booleans": np.array([True, False]),
    "text": np.array(["a", "bcd"]),
    "empty": np.zeros((0, 3), np.int64),
    "flat": np.array(3.5),
}


def assert_same(ours, theirs):
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key in theirs:
            assert_same(ours[key], theirs[key])
    elif isinstance(theirs, np.ndarray) and theirs.dtype != object:
        assert ours.dtype == theirs.dtype.newbyteorder("=") and ours.shape == theirs.shape
        np.testing.assert_array_equal(ours, theirs)
    elif scipy.sparse.issparse(theirs):
        assert ours.format == theirs.format and (ours != theirs).nnz == 0 and ours.shape == theirs.shape
    else:
        assert ours == (theirs.tolist() if isinstance(theirs, np.ndarray) else theirs)


@pytest.mark.parametrize("protocol", range(6))
def test_values_are_those_of_pickle(protocol):
    shared = [1, 2.5, None, True, "text", b"bytes", (1, (2, 3)), 10**30]
    matrices = {form: scipy.sparse.random(6, 5, 0.3, random_state=1).asformat(form) for form in ("csc", "csr")}
    ordered = collections.OrderedDict(a=1, b=shared)
    value = {**ARRAYS, **matrices, "scalar": np.float32(3.5), "ordered": ordered, "again": shared, "objects": np.array([1, "x"], object)}
    assert_same(values_of_pickle(pickle.dumps(value, protocol)), value)


def test_pickles_of_python_2_and_chumpy():
    template, matrix = RNG.normal(size=(5, 3)), scipy.sparse.random(2, 5, 0.5, random_state=2).tocsc()
    places = np.array([14, 0, 3, 3, 7, 1])
    value = {"v": chumpy(template), "J": matrix, "part": chumpy_select(chumpy(template), places, (2, 3)), "style": "lbs", "long": template.astype(np.float32)}
    data = python2_pickle(value)
    assert b"cchumpy.ch\nCh\n" in data and b"cnumpy.core.multiarray\n" in data and b"cscipy.sparse.csc\n" in data and b"_codecs" not in data
    read = values_of_pickle(data)
    assert_same(read, value | {"v": template, "part": template.ravel()[places].reshape(2, 3)})


def test_a_chumpy_expression_is_no_array():
    with pytest.raises(ValueError, match="no data 'x'"):
        values_of_pickle(python2_pickle({"v": chumpy("an expression")}))


def test_an_npz_may_hold_objects(tmp_path):
    path = tmp_path / "model.npz"
    np.savez(path, v=ARRAYS["doubles"], names=np.array({"head": 15}), parts=np.array(["a", 2], object))
    read = read_model_file(path, "a model")
    assert read["names"] == {"head": 15} and read["parts"] == ["a", 2]
    assert_same(read["v"], ARRAYS["doubles"])


@pytest.mark.parametrize("compress", [False, True])
def test_tables_of_matlab_are_read_and_its_structures_left_out(tmp_path, compress):
    from scipy.io import savemat

    savemat(tmp_path / "x.mat", {"shapeMU": ARRAYS["doubles"], "tri": np.arange(6).reshape(2, 3), "s": {"a": 1}}, do_compression=compress)
    read = read_model_file(tmp_path / "x.mat", "a model")
    assert set(read) == {"shapeMU", "tri"}
    np.testing.assert_array_equal(read["shapeMU"], ARRAYS["doubles"])


def test_what_is_too_large_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.io.model_files.MOST_BYTES", 100)
    (tmp_path / "x.pkl").write_bytes(bytes(101))
    with pytest.raises(InputError, match="too large"):
        read_model_file(tmp_path / "x.pkl", "a model")


def test_selections_of_the_same_places_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr("pipeline.io.pickled_values.MOST_BYTES", 1_000_000)
    whole, places = np.zeros(10_000), np.arange(10_000)
    value = [chumpy_select(whole, places, (10_000,)) for _ in range(20)]
    with pytest.raises(ValueError, match="bytes of arrays"):
        values_of_pickle(python2_pickle(value))
