"""Real captures, where a checkout has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.workflow.support import ROOT, Place

DATA = Path(os.environ.get("C2A_TEST_DATA", ROOT.parent / "shared" / "data"))


def real_capture(name: str) -> Path:
    """The folder of a real capture; skips the test with a plain word where there is none."""
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"the real capture {name} is not here (it is looked for beside the checkout, or where C2A_TEST_DATA points)")
    return folder


def run_until(place: Place, stage: str, row: dict[str, object], settings: str) -> None:
    """Run one capture up to a stage."""
    place.table.write_text("\t".join(row) + "\n" + "\t".join(map(str, row.values())) + "\n")
    config = place.folder / "settings.yaml"
    config.write_text(settings)
    done = place.run(str(row["id"]), "--until", stage, config=config)
    assert done.returncode == 0, done.stdout + done.stderr
