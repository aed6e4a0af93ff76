"""Strings of foreign files on their way into HTML pages, tables and plots."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

from tests.hostile.calibrations import CAMERA
from tests.hostile.case import Case
from tests.hostile.results import CAPTURE, layout

STRINGS = {
    "script": "<script>alert(1)</script>",
    "attribute": "\" onload='alert(1)' x=\"",
    "single quote": "' onerror='alert(1)",
    "closing tags": "</pre></div></td></title></style><img src=x onerror=alert(1)>",
    "comment": "<!-- ",
    "address": "javascript:alert(1)",
    "entities": "&lt;script&gt;&#60;",
    "mathematics": "$\\frac{1}{0}$ $x^{$",
    "formula": "=cmd|' /C calc'!A0",
    "escape": "a\x1b]0;x\x07b",
    "surrogate": "a\udc80b",
    "direction": "a\u202eb",
    "long": "x" * 100_000,
    "tabs and lines": "a\tb\nc\rd",
}
ALLOWED_URLS = ("#", "data:", "../", "./", "report")


class Tags(HTMLParser):
    """What of a page a browser would run or fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "object", "embed", "link", "base", "form"):
            self.found.append(tag)
        for name, value in attributes:
            if name.startswith("on") or (name in ("src", "href") and (value or "").lower().startswith("javascript")):
                self.found.append(f"{tag} {name}={value}")


def check(page: str) -> None:
    from pipeline.report import page as pages

    own = f"<script>{Path(pages.__file__).with_name('report.js').read_text()}</script>"
    assert page.count(own) == ("<html" in page)  # a plot has none
    tags = Tags()
    tags.feed(page.replace(own, ""))
    assert not tags.found, tags.found
    page.encode()


def read_pages(folder: Path) -> None:
    """The report and the cohort page, with the string wherever a foreign one may stand."""
    from pipeline.io.files import write_text
    from pipeline.report.cohort import Member, cohort_page, cohort_table
    from pipeline.report.report import make_report
    from pipeline.report.settings import ReportSettings
    from pipeline.stages.failure import read_error

    place = layout(folder)
    page, _ = make_report(place, ReportSettings())
    check(page)
    write_text(folder / "report.html", page)
    members = [Member(place, "failed", "ingest", "ingest", read_error(place, "ingest"), folder / "report.html")]
    check(cohort_page(members, folder))
    write_text(folder / "cohort.html", cohort_page(members, folder))
    table = cohort_table(members)
    write_text(folder / "cohort.tsv", table)
    rows = [line.split("\t") for line in table.splitlines()]
    assert len(rows) == 2 and len(rows[0]) == len(rows[1]), rows
    assert not any(cell.startswith(("=", "+", "@")) for cell in rows[1]), rows


def read_plot(folder: Path) -> None:
    """A plot of the cameras, with the string as a name, if it may be one."""
    import numpy as np

    from pipeline.capture.camera import Camera
    from pipeline.capture.camera_checks import check_camera
    from pipeline.report.plots import rig

    text = json.loads((folder / "text.json").read_text())
    cameras = [check_camera(Camera(f"{text}{n}", 64, 80, np.array(CAMERA["K"]), np.eye(3), np.array([n, 0, 2.0])), "cameras.json") for n in range(3)]
    check(rig(cameras, {}, None))


def read_message(folder: Path) -> None:
    """An error message with the string in every place."""
    from pipeline.io.errors import InputError
    from pipeline.io.files import write_json

    text = json.loads((folder / "text.json").read_text())
    error = InputError(text, file=text, found=text, expected=text, remedy=text)
    assert str(error).replace("\n", "").isprintable() and len(str(error)) < 10_000
    write_json(folder / "error.json", {"message": str(error)})
    raise error


def make_pages(text: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        place = layout(folder)
        manifest = {
            "key": "k",
            "stage": text,
            "version": text,
            "preset": text,
            "settings": {"a": text, text: text},
            "defaults": {"a": text, text: text},
            "facts": {text: text, "x": text},
        }
        manifest |= {"warnings": [text], "timing": {"seconds": 1.0, "peak_memory_mb": 5, "python": text}, "outputs": {text: {"size": 1}}}
        error = {"message": text, "log": [text], "host": text, "job": text, "attempt": 1}
        capture = CAPTURE | {"checks": [{"what": text, "ok": False, "detail": text}]}
        for path, record in ((place.capture, capture), *((place.manifest(s), manifest) for s in ("ingest", "frames", "train")), (place.error("ingest"), error)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(record))

    return make


def make_text(text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "text.json").write_text(json.dumps(text)) and None


CASES = [
    *(Case("page", what, make_pages(text), read_pages, "accepted") for what, text in STRINGS.items()),
    *(Case("plot", what, make_text(text), read_plot, "either") for what, text in STRINGS.items()),
    *(Case("message", what, make_text(text), read_message) for what, text in STRINGS.items()),
]
