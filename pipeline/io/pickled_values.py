"""The values of pickles of unknown origin: numbers, text, arrays and sparse matrices; nothing in them is executed.

Chumpy's arrays are read without chumpy: a `Ch` keeps its data under `x`, a `Select` takes `idxs` of the flat `a` and has the shape `preferred_shape`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from pipeline.io.documents import MOST_DEPTH
from pipeline.io.errors import MALFORMED, InputError
from pipeline.io.pickles import Constructed, parse_pickle

MOST_BYTES = 1 << 30  # of a file, and of what is made of it
_KIND = re.compile(r"[<>=|]?(?:[bhilqBHILQfd?]|[biu][1248]|f[248]|O8?|[SU][0-9]{1,6})")
_REMEDY = "give the model file as it was downloaded; nothing in it was executed"


def read_pickle(path: Path, *, expected: str, remedy: str = _REMEDY) -> Any:
    """The value of a pickle file: dictionaries, lists, numbers, text, numpy arrays and scipy sparse matrices.

    Raises:
        InputError: the file is missing, too large, not a pickle, or refers to anything else, which is named and not executed.
    """
    if not path.is_file():
        raise InputError("no such file", file=path, expected=expected, remedy=remedy)
    if (size := path.stat().st_size) > MOST_BYTES:
        raise InputError("is too large", file=path, found=f"{size} bytes", expected=f"{expected}, at most {MOST_BYTES} bytes", remedy=remedy)
    try:
        return values_of_pickle(path.read_bytes())
    except ValueError as error:
        raise InputError("cannot be read as a pickle of numbers", file=path, found=error, expected=expected, remedy=remedy) from None


def values_of_pickle(data: bytes) -> Any:
    """The value of a pickle. Raises ValueError."""
    try:
        return _Values().of(parse_pickle(data, _known))
    except RecursionError:
        raise ValueError("nested too deep") from None
    except ValueError:
        raise
    except MALFORMED as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None


def _known(name: str) -> bool:
    return name in _MAKERS or name in _NAMES


class _Values:
    """Turns the tree of `parse_pickle` into values, each shared one once."""

    def __init__(self) -> None:
        self.done: dict[int, Any] = {}
        self.bytes = 0
        self.depth = 0

    def of(self, node: Any) -> Any:
        """The value of a node."""
        if not isinstance(node, list | tuple | dict | Constructed):
            return node
        if id(node) not in self.done:
            self.depth += 1
            if self.depth > MOST_DEPTH:
                raise ValueError("nested too deep")
            self.done[id(node)] = self._make(node)
            self.depth -= 1
        return self.done[id(node)]

    def _make(self, node: Any) -> Any:
        if isinstance(node, dict):
            return {key: self.of(value) for key, value in node.items()}
        if isinstance(node, list | tuple):
            return type(node)(self.of(value) for value in node)
        if node.arguments is None:
            return node.name
        arguments = [self.of(value) for value in node.arguments]
        name = node.name
        if name.endswith("._reconstructor"):  # how Python 2 begins an object of a class; its state follows
            name = str(arguments[0])
        if name not in _MAKERS:
            raise ValueError(f"'{name}' constructed, which is no table of numbers")
        made = _MAKERS[name](arguments, self.of(node.state), [(key, self.of(value)) for key, value in node.items])
        self.bytes += getattr(made, "nbytes", 0)
        if self.bytes > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES} bytes of arrays")
        return made


Maker = Callable[[list[Any], Any, list[tuple[Any, Any]]], Any]


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


_MAKERS: dict[str, Maker] = {
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
_NAMES = ("numpy.ndarray", "copy_reg._reconstructor", "copyreg._reconstructor", "__builtin__.object", "builtins.object")
