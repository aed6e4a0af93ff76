"""Pickles of unknown origin, read without executing them: no name in the file is ever imported, no object is ever called.

A small machine follows the opcodes (CPython's pickletools describes them) and builds plain values; what a pickle would construct becomes a `Constructed`: its
name, arguments and state. `pickled_values.py` makes arrays of the few that are known, and refuses the others by name. Python 2's strings are latin-1.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MOST_OPCODES = 2_000_000
_MARK = object()


@dataclass(eq=False)
class Constructed:
    """What a pickle wants constructed: `name` is module.name, of which `arguments` are the arguments; `state` and `items` are set afterwards.

    arguments: None where the name itself is meant.
    """

    name: str
    arguments: tuple[Any, ...] | None = None
    state: Any = None
    items: list[tuple[Any, Any]] = field(default_factory=list)


def parse_pickle(data: bytes, allowed: Callable[[str], bool]) -> Any:
    """The value of a pickle: plain values and `Constructed`.

    Raises:
        ValueError: it is no pickle, refers to a name that is not `allowed`, or has too many opcodes.
    """
    machine = _Machine(allowed)
    for number, (opcode, argument, _) in enumerate(pickletools.genops(io.BytesIO(data))):
        if number >= MOST_OPCODES:
            raise ValueError(f"more than {MOST_OPCODES} opcodes")
        if opcode.name == "STOP":
            return machine.pop()
        machine.step(opcode.name, argument)
    raise ValueError("no end")


class _Machine:
    """The stack and memo of a pickle."""

    CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
    LITERALS = frozenset(
        "INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 UNICODE "
        "SHORT_BINUNICODE BINUNICODE BINUNICODE8 FLOAT BINFLOAT".split()
    )
    EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_SET": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple}

    def __init__(self, allowed: Callable[[str], bool]):
        self.allowed = allowed
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Follow one opcode."""
        if name in self.LITERALS:
            self.stack.append(argument)
        elif name in self.CONSTANTS:
            self.stack.append(self.CONSTANTS[name])
        elif name in self.EMPTY:
            self.stack.append(self.EMPTY[name]())
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[int(argument)])
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if name == "MEMOIZE" else int(argument)] = self._top()
        elif name not in ("PROTO", "FRAME"):
            method = getattr(self, f"_{name.lower()}", None)
            if method is None:
                raise ValueError(f"the opcode {name}, which no table of numbers needs")
            method(*([argument] if name == "GLOBAL" else []))

    def pop(self) -> Any:
        """The last value."""
        value = self._top()
        del self.stack[-1]
        return value

    def _top(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise ValueError("a value is missing")
        return self.stack[-1]

    def _marked(self) -> list[Any]:
        """Everything after the last mark, which is removed with it."""
        place = len(self.stack)
        while place and self.stack[place - 1] is not _MARK:
            place -= 1
        if not place:
            raise ValueError("a mark is missing")
        values = self.stack[place:]
        del self.stack[place - 1 :]
        return values

    def _name(self, name: str) -> None:
        if not self.allowed(name):
            raise ValueError(f"'{name}', which is neither numbers nor text")
        self.stack.append(Constructed(name))

    def _global(self, argument: str) -> None:
        self._name(argument.replace(" ", ".", 1))

    def _stack_global(self) -> None:
        name, module = self.pop(), self.pop()
        self._name(f"{module}.{name}")

    def _reduce(self) -> None:
        arguments, made = self.pop(), self.pop()
        if not isinstance(made, Constructed) or made.arguments is not None or not isinstance(arguments, tuple):
            raise ValueError("something constructed that has no name")
        self.stack.append(Constructed(made.name, arguments))

    _newobj = _reduce

    def _build(self) -> None:
        state, made = self.pop(), self._top()
        if not isinstance(made, Constructed) or made.arguments is None:
            raise ValueError("a state for what was not constructed")
        made.state = state

    def _mark(self) -> None:
        self.stack.append(_MARK)

    def _pop(self) -> None:
        del self.stack[-1:]

    def _pop_mark(self) -> None:
        self._marked()

    def _dup(self) -> None:
        self.stack.append(self._top())

    def _tuple(self) -> None:
        self.stack.append(tuple(self._marked()))

    def _tuple1(self) -> None:
        self.stack.append((self.pop(),))

    def _tuple2(self) -> None:
        second, first = self.pop(), self.pop()
        self.stack.append((first, second))

    def _tuple3(self) -> None:
        third, second, first = self.pop(), self.pop(), self.pop()
        self.stack.append((first, second, third))

    def _list(self) -> None:
        self.stack.append(self._marked())

    def _dict(self) -> None:
        values = self._marked()
        self.stack.append({})
        self._put(values)

    def _append(self) -> None:
        value = self.pop()
        self._extend([value])

    def _appends(self) -> None:
        self._extend(self._marked())

    _additems = _appends

    def _setitem(self) -> None:
        value, key = self.pop(), self.pop()
        self._put([key, value])

    def _setitems(self) -> None:
        self._put(self._marked())

    def _extend(self, values: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, list):
            raise ValueError("an item for what is no list")
        target.extend(values)

    def _put(self, values: list[Any]) -> None:
        pairs, target = list(zip(values[::2], values[1::2], strict=True)), self._top()
        if isinstance(target, Constructed):
            target.items.extend(pairs)
        elif not isinstance(target, dict) or not all(isinstance(key, str | bytes | int | float) for key, _ in pairs):
            raise ValueError("an entry for what is no dictionary of names")
        else:
            target.update(pairs)
