"""A hostile input: how it is made, what reads it, and how that must end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Expected = Literal["refused", "accepted", "either"]


@dataclass(frozen=True)
class Case:
    """One hostile input.

    Attributes:
        reader: what reads it, the first half of the case's name.
        make: writes it into a folder. read: the real reader, called with the same folder.
        expected: either = refused or accepted, but no traceback, crash or hang (damaged at random).
        words: what the refusal names.
    """

    reader: str
    what: str
    make: Callable[[Path], Any]
    read: Callable[[Path], Any]
    expected: Expected = "refused"
    words: str = ""

    @property
    def name(self) -> str:
        return f"{self.reader}: {self.what}"


def written(name: str, data: bytes | str) -> Callable[[Path], None]:
    """Writes one file."""
    return lambda folder: (folder / name).write_bytes(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data) and None


class Payload:
    """An object whose pickle runs a command when it is loaded. The harness looks for the file that this makes."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, ("touch EXECUTED",)
