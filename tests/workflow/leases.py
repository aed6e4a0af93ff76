"""What the lease books of a work folder prove."""

from __future__ import annotations

from pathlib import Path


def double_writers(work: Path) -> list[str]:
    """Every moment at which two processes held the same piece of work; empty where there never were two.

    A holder that was killed says nothing any more, and whoever takes over says so; a holder that still speaks afterwards was alive.
    """
    wrong = []
    for book in sorted(work.rglob("leases.tsv")):
        holding: dict[str, str] = {}
        for line in book.read_text().splitlines():
            _, what, action, *_, token = line.split("\t")
            if action == "released":
                if holding.pop(what, None) != token:
                    wrong.append(line)
            elif action == "taken" and what in holding:
                wrong.append(line)
            elif action.startswith("taken"):
                holding[what] = token
            else:
                wrong.append(line)  # "lost"
    return wrong
