"""Runs variants and compares how they end with how they must end."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.mistakes.rig import Rig, copy_rig
from tests.mistakes.variants import DONE, PREFLIGHT, VARIANTS
from tests.workflow.support import Place

SHORT = Path(__file__).with_name("short.yaml")


@dataclass(frozen=True)
class End:
    """How a run of a variant ended.

    Attributes:
        where: DONE, PREFLIGHT or the stage that failed. code: exit code. lines: the warnings, or the error.
        wrong: what is not as it must be; empty where all is.
    """

    where: str
    code: int
    lines: list[str]
    wrong: str


def run_variant(name: str, good: Rig, folder: Path, keep: bool = False) -> End:
    """Run one variant as a user does, in a folder of its own below `folder`. keep: leave the folder."""
    place, variant = Place(folder / name), VARIANTS[name]
    shutil.rmtree(place.folder, ignore_errors=True)
    place.folder.mkdir(parents=True)
    rig = copy_rig(good, place.folder / "mine")
    variant.damage(rig)
    cells = {"id": name.replace(".", "_"), "kind": "rig", **rig.cells}
    place.write_table(" ".join(cells), " ".join(cells.values()))
    words = [word for setting in variant.sets for word in ("--set", setting)]
    done = place.run(cells["id"], "--until", variant.until, "--cores", "1", *words, config=SHORT)
    end = _end(name, done.returncode, done.stdout, done.stderr)
    (folder / f"{name}.log").write_text(done.stdout + done.stderr)
    if not keep:
        shutil.rmtree(place.folder)
    return end


def _end(name: str, code: int, out: str, error: str) -> End:
    expected = VARIANTS[name]
    failed = re.search(r"^\S+: (\w+) failed$", error, re.MULTILINE)
    where = DONE if code == 0 else failed[1] if failed else PREFLIGHT
    lines = [line.strip() for line in (out if code == 0 else error).splitlines() if code or line.strip().startswith("warning:")]
    said = "\n".join(lines)
    checks = {
        f"ends in {where}, expected {expected.ends}": where == expected.ends,
        f"nothing says '{expected.says}'": expected.says in said,
        "warnings of a capture that has no mistake": bool(expected.says) or not (code == 0 and lines),
        "no next command": code == 0 or "next:" in error,
        "a traceback": "Traceback" not in out + error,
    }
    return End(where, code, lines, "; ".join(text for text, right in checks.items() if not right))
