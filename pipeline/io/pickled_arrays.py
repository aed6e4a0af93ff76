"""What may be constructed in a pickle: arrays, sparse matrices and a few containers, each made without the code that it names.

Chumpy's arrays are read without chumpy: a `Ch` keeps its data under `x`, a `Select` takes `idxs` of the flat `a` and has the shape `preferred_shape`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse

_KIND = re.compile(r"[<>=|]?(?:[bhilqBHILQfd?]|[biu][1248]|f[248]|O8?|[SU][0-9]{1,6})")
Maker = Callable[[list[Any], Any, list[tuple[Any, Any]]], Any]
"""Takes arguments, state and items of an object of a pickle, all of them values already. Raises one of MALFORMED."""


def _dtype(arguments: list[Any], state: Any, items: list[Any]) -> np.dtype:
    text = _text(arguments[0])
    if not _KIND.fullmatch(text):
        raise ValueError(f"an array of type {text!r}")
    kind = np.dtype(text)
    return kind.newbyteorder(">") if state is not None and state[1] == ">" else kind


def _array(arguments: list[Any], state: Any, items: list[Any]) -> Any:
    """Of numpy's `_reconstruct`: the state is (version, shape, dtype, by columns, data)."""
    shape, kind, by_columns, data = state[-4:]
    return _shaped(data, kind, shape, "F" if by_columns else "C")


def _frombuffer(arguments: list[Any], state: Any, items: list[Any]) -> Any:
    data, kind, shape, order = arguments
    return _shaped(data, kind, shape, order)


def _shaped(data: Any, kind: Any, shape: Any, order: str) -> Any:
    """An array; of objects the list of them, and of a single one itself."""
    shape = tuple(shape)
    if not isinstance(kind, np.dtype) or not all(type(side) is int and side >= 0 for side in shape) or len(shape) > 8 or order not in ("C", "F"):
        raise ValueError(f"an array of type {kind!r} and shape {shape}")
    if kind.hasobject:
        if not isinstance(data, list) or len(data) != math.prod(shape):
            raise ValueError("an array of objects without its objects")
        return data[0] if shape == () else data
    content = data.encode("latin-1") if isinstance(data, str) else bytes(data) if isinstance(data, bytes | bytearray) else b""
    if len(content) != math.prod(shape) * kind.itemsize:
        raise ValueError(f"{len(content)} bytes for an array of type {kind} and shape {shape}")
    return np.frombuffer(content, kind).astype(kind.newbyteorder("=")).reshape(shape, order=order)  # type: ignore[call-overload]


def _scalar(arguments: list[Any], state: Any, items: list[Any]) -> Any:
    return _shaped(arguments[1], arguments[0], (1,), "C")[0]


def _sparse(form: str) -> Maker:
    def make(arguments: list[Any], state: Any, items: list[Any]) -> Any:
        data, indices, starts = (state[name] for name in ("data", "indices", "indptr"))
        shape = tuple(int(side) for side in state.get("_shape", state.get("shape")))
        major, minor = shape if form == "csr" else shape[::-1]
        flat = all(isinstance(array, np.ndarray) and array.ndim == 1 and array.dtype.kind in "fiu" for array in (data, indices, starts))
        if not flat or not (0 < major == len(starts) - 1 and 0 < minor) or len(data) != len(indices) or (np.diff(starts) < 0).any():
            raise ValueError("a sparse matrix whose parts do not suit each other")
        if starts[0] != 0 or starts[-1] != len(data) or (len(data) and not (0 <= indices.min() and indices.max() < minor)):
            raise ValueError("a sparse matrix with entries outside")
        kind = scipy.sparse.csr_matrix if form == "csr" else scipy.sparse.csc_matrix
        return kind((data, indices, starts), shape=shape)

    return make


def _ordered(arguments: list[Any], state: Any, items: list[Any]) -> dict[Any, Any]:
    return dict([tuple(pair) for pair in (arguments[0] if arguments else [])] + items)


def _set(arguments: list[Any], state: Any, items: list[Any]) -> list[Any]:
    return list(arguments[0]) if arguments else []


def _no_bytes(arguments: list[Any], state: Any, items: list[Any]) -> bytes:
    """How Python 3 writes no bytes into pickles for Python 2."""
    if arguments:
        raise ValueError("bytes constructed of something")
    return b""


def _encoded(arguments: list[Any], state: Any, items: list[Any]) -> bytes:
    """Of `codecs.encode`, as which Python 3 writes bytes into pickles for Python 2."""
    text, coding = arguments
    if coding not in ("latin1", "latin-1"):
        raise ValueError(f"text encoded as {coding!r}")
    return text.encode("latin-1")


def _chumpy(arguments: list[Any], state: Any, items: list[Any]) -> Any:
    if not isinstance(state, dict) or not isinstance(state.get("x"), np.ndarray | np.number | int | float):
        raise ValueError("a chumpy object that is not an array: it has no data 'x'")
    return np.asarray(state["x"])


def _chumpy_select(arguments: list[Any], state: Any, items: list[Any]) -> np.ndarray:
    places = np.asarray(state["idxs"])
    if places.dtype.kind not in "iu":
        raise ValueError("a chumpy selection without indices")
    return np.asarray(state["a"]).ravel()[places.ravel()].reshape([int(side) for side in state["preferred_shape"]])


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


MAKERS: dict[str, Maker] = {
    **{f"numpy.{core}.multiarray._reconstruct": _array for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _scalar for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _frombuffer for core in ("core", "_core")},
    "numpy.dtype": _dtype,
    **{f"scipy.sparse.{module}{form}.{form}_matrix": _sparse(form) for form in ("csc", "csr") for module in ("", "_")},
    "collections.OrderedDict": _ordered,
    "_codecs.encode": _encoded,
    **{f"{module}.{name}": maker for module in ("__builtin__", "builtins") for name, maker in (("set", _set), ("bytes", _no_bytes))},
    "chumpy.ch.Ch": _chumpy,
    "chumpy.reordering.Select": _chumpy_select,
}
NAMES = ("numpy.ndarray", "copy_reg._reconstructor", "copyreg._reconstructor", "__builtin__.object", "builtins.object")
"""Names that stand for themselves, as arguments of the others."""
