"""Verbs on the installation itself: doctor, test."""

from __future__ import annotations

from typing import Annotated

import tyro

from pipeline.cli.options import option
from pipeline.io.files import ROOT


def doctor() -> int:
    """Check the installation; say how to get what is missing."""
    from pipeline.machine.doctor import print_doctor

    return print_doctor()


def test(arguments: tyro.conf.Positional[Annotated[tuple[str, ...], option("[WORD ...]")]] = (), /) -> int:
    """Run the project's own tests.

    For example:
      ./c2a test                                   all of them
      ./c2a test tests/unit -- -x                  options of pytest come after --

    Args:
        arguments: What pytest is given (default: the folder of the tests).
    """
    import pytest

    return int(pytest.main([f"--rootdir={ROOT}", *(arguments or [str(ROOT / "tests")])]))
