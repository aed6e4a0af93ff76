"""Pickles as Python 2 with chumpy wrote them: text and array data as its byte strings, the old names of numpy's and scipy's modules."""

from __future__ import annotations

import io
import pickle
import sys
import types
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np


class _Pickler(pickle._Pickler):  # type: ignore[name-defined]
    """Protocol 2, of which Python 2 knew no bytes: BINSTRING in place of a call of `codecs.encode`."""

    dispatch = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def save_string(self, value: str | bytes) -> None:
        data = value.encode("latin-1") if isinstance(value, str) else value
        self.write(b"U" + bytes([len(data)]) + data if len(data) < 256 else b"T" + len(data).to_bytes(4, "little") + data)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string


def python2_pickle(value: Any) -> bytes:
    """The bytes of a pickle."""
    file = io.BytesIO()
    with mock.patch.dict(sys.modules, _MODULES):
        _Pickler(file, protocol=2, fix_imports=True).dump(value)
    data = file.getvalue()
    for new, old in ((b"cnumpy._core.", b"cnumpy.core."), (b"cscipy.sparse._cs", b"cscipy.sparse.cs")):
        data = data.replace(new, old)
    return data


def chumpy(array: np.ndarray) -> Any:
    """The array as a `chumpy.ch.Ch`."""
    made = _MODULES["chumpy.ch"].Ch()
    made.__dict__ |= {"x": array, "_dirty_vars": set(), "_itr": None}
    return made


def chumpy_select(array: Any, places: np.ndarray, shape: tuple[int, ...]) -> Any:
    """Entries of the flat array or chumpy array as a `chumpy.reordering.Select`."""
    made = _MODULES["chumpy.reordering"].Select()
    made.__dict__ |= {"a": array, "idxs": places, "preferred_shape": shape}
    return made


def _module(name: str, *classes: str) -> types.ModuleType:
    module = types.ModuleType(name)
    for each in classes:
        make: Callable[..., type] = type
        setattr(module, each, make(each, (), {"__module__": name}))
    return module


_MODULES: dict[str, Any] = {
    "chumpy": _module("chumpy"),
    "chumpy.ch": _module("chumpy.ch", "Ch"),
    "chumpy.reordering": _module("chumpy.reordering", "Select"),
}
