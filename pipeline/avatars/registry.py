"""The avatar methods: those of `avatars/<method>/method.py`, and those that C2A_METHODS names. Light to import: no torch."""

from __future__ import annotations

import importlib
import os
from typing import Any

from pipeline.avatars.method import Method
from pipeline.contract.stages import DEFAULT_METHOD
from pipeline.io.errors import InputError

__all__ = ["DEFAULT_METHOD", "METHODS", "Method", "load_methods", "method_of"]
BUILT_IN = ("pipeline.avatars.rigged.method:METHOD", "pipeline.avatars.static.method:METHOD")
VARIABLE = "C2A_METHODS"  # further methods, as name=module:attribute, separated by commas


def load_methods(further: str) -> dict[str, Method]:
    """The built-in methods and those that `further` names, as C2A_METHODS does. Raises InputError for an entry that cannot be loaded."""
    methods = {method.name: method for method in map(_load, BUILT_IN)}
    for entry in filter(None, map(str.strip, further.split(","))):
        name, _, target = entry.partition("=")
        try:
            method = _load(target)
        except (ImportError, AttributeError, ValueError) as error:
            raise _bad_entry(entry, f"{type(error).__name__}: {error}") from error
        if not isinstance(method, Method) or method.name != name or name in methods:
            raise _bad_entry(entry, f"the name of another method, {method.name}" if isinstance(method, Method) else f"a {type(method).__name__}")
        methods[name] = method
    return methods


def method_of(name: str) -> Method:
    """A method by its name. Raises InputError naming the known ones."""
    if name not in METHODS:
        raise InputError(f"no avatar method is called '{name}'", expected="one of " + ", ".join(METHODS), remedy=f"correct --method, or set {VARIABLE}")
    return METHODS[name]


def _load(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _bad_entry(entry: str, found: str) -> InputError:
    expected = "name=module:attribute, the attribute being a Method of that name that no other method has"
    return InputError(f"{VARIABLE}: bad entry '{entry}'", found=found, expected=expected, remedy=f"correct the environment variable {VARIABLE}")


METHODS = load_methods(os.environ.get(VARIABLE, ""))
