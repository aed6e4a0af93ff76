"""JSON, YAML and TOML of unknown origin: bounded in size and depth, finite numbers, plain values, one kind of error."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.io.errors import MALFORMED, InputError

MOST_BYTES = 256 << 20
MOST_DEPTH = 64  # lists within lists
LONGEST_NUMBER = 400  # letters; YAML's numbers of base 60 take quadratic time


def parse_json(text: str) -> Any:
    """Raises ValueError for what is not JSON, or holds NaN or infinity, or is nested too deep."""
    return _bounded(lambda: json.loads(text, parse_constant=_finite, parse_float=_finite))


def parse_toml(text: str) -> dict[str, Any]:
    """Raises ValueError for what is not TOML, or is nested too deep."""
    import tomllib

    return _bounded(lambda: tomllib.loads(text))


def parse_yaml(text: str) -> Any:
    """Plain values. Raises ValueError for what is not YAML, has other tags, refers to itself with an alias, or is nested too deep."""
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):  # ten lines of them mean 10^12 items
                raise ValueError(f"*{self.peek_event().anchor}, an alias; write the value out")
            return super().compose_node(parent, index)

        def compose_scalar_node(self, anchor: Any) -> Any:
            node = super().compose_scalar_node(anchor)
            if len(node.value) > LONGEST_NUMBER and node.tag.endswith((":int", ":float")):
                raise ValueError(f"a number of {len(node.value)} letters")
            return node

    try:
        return _bounded(lambda: yaml.load(text, Loader))  # noqa: S506
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def check_file(path: Path, most: int, expected: str, remedy: str = "") -> None:
    """Raise InputError unless there is such a file, of at most `most` bytes."""
    if not path.is_file():
        raise InputError("no such file", file=path, expected=expected, remedy=remedy)
    if (size := path.stat().st_size) > most:
        raise InputError("is too large", file=path, found=f"{size} bytes", expected=f"{expected}, at most {most} bytes", remedy=remedy)


def read_document(path: Path, parse: Callable[[str], Any], *, what: str, expected: str, remedy: str = "") -> Any:
    """A file as `parse` reads its text, which is UTF-8.

    Args:
        what: the name of the format.

    Raises:
        InputError: the file is missing, too large, not text, or not of the format.
    """
    check_file(path, MOST_BYTES, expected, remedy)
    try:
        return parse(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise InputError(f"not valid {what}", file=path, found=error, expected=expected, remedy=remedy) from None


def _bounded(load: Callable[[], Any]) -> Any:
    """What `load` returns, if it is not nested too deep; whatever it cannot read is a ValueError."""
    try:
        value = load()
    except RecursionError:
        raise ValueError("nested too deep") from None
    except MALFORMED as error:  # the readers raise many kinds for malformed numbers, dates and tags
        raise ValueError(str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}") from None
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [inner for outer in level if isinstance(outer, dict | list) for inner in (outer.values() if isinstance(outer, dict) else outer)]
        if not level:
            return value
    raise ValueError("nested too deep")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text}, which is not a finite number")
    return value
