"""The values of pickles of unknown origin: numbers, text, arrays and sparse matrices; nothing in them is executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.io.documents import MOST_DEPTH, check_file
from pipeline.io.errors import MALFORMED, InputError
from pipeline.io.pickled_arrays import MAKERS, NAMES
from pipeline.io.pickles import Constructed, parse_pickle

MOST_BYTES = 1 << 30  # of a file, and of what is made of it
_REMEDY = "give the model file as it was downloaded; nothing in it was executed"


def read_pickle(path: Path, *, expected: str, remedy: str = _REMEDY) -> Any:
    """The value of a pickle file: dictionaries, lists, numbers, text, numpy arrays and scipy sparse matrices.

    Raises:
        InputError: the file is missing, too large, not a pickle, or refers to anything else, which is named and not executed.
    """
    check_file(path, MOST_BYTES, expected, remedy)
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
    return name in MAKERS or name in NAMES


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
        if name not in MAKERS:
            raise ValueError(f"'{name}' constructed, which is no table of numbers")
        made = MAKERS[name](arguments, self.of(node.state), [(key, self.of(value)) for key, value in node.items])
        self.bytes += getattr(made, "nbytes", 0)
        if self.bytes > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES} bytes of arrays")
        return made
