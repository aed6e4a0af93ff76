"""Parts of a self-contained HTML page. Every function returns markup and escapes its text arguments."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TypeGuard
from urllib.parse import quote

import cv2
import numpy as np

Cell = str | int | float | bool | None  # a Markup, too


ENLARGED = 2
"""Images are kept at up to this many times the width at which the page shows them: a click enlarges them."""


class Markup(str):
    """Text that is markup already; everything else is escaped."""


def page(title: str, body: str, wide: bool = False) -> str:
    """A complete document. It loads nothing, and its policy forbids any script but its own. wide: for tables of many columns."""
    style, script = (files("pipeline.report").joinpath(name).read_text() for name in ("report.css", "report.js"))
    own = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'sha256-{own}'"
    head = (
        f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n<style>\n{style}</style>'
    )
    body = body.encode("utf-8", "replace").decode()  # halves of surrogate pairs, as in paths that are not UTF-8
    main = '<main class="wide">' if wide else "<main>"
    return f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{main}\n{body}\n</main>\n<script>{script}</script>\n</body>\n</html>\n'


def section(anchor: str, title: str, lead: str, body: str) -> str:
    """A titled section with a leading sentence."""
    return f'<section id="{escape(anchor)}">\n<h2>{escape(title)}</h2>\n<p class="lead">{escape(lead)}</p>\n{body}\n</section>'


def note(text: str, detail: str = "", command: str = "") -> str:
    """A box with a problem, its reason, and the next command to run."""
    detail = f"<pre>{escape(detail)}</pre>" if detail else ""
    command = f"<div>Next: <code>{escape(command)}</code></div>" if command else ""
    return f'<div class="note"><div>{escape(text)}</div>{detail}{command}</div>'


def cards(items: Iterable[tuple[str, str]]) -> str:
    """Large numbers as (value, label)."""
    return '<div class="cards">' + "".join(f'<div class="card"><b>{escape(value)}</b><span>{escape(what)}</span></div>' for value, what in items) + "</div>"


def table(header: Sequence[str], rows: Iterable[Sequence[Cell]], bars: dict[int, float] | None = None, sortable: bool = False) -> str:
    """A table; numbers are right-aligned.

    Args:
        bars: column -> value of a full bar, drawn beside the column's numbers. sortable: by a click on the head of a column.
    """
    rows = [list(row) for row in rows]
    numeric = [any(_is_number(row[i]) for row in rows) for i in range(len(header))]
    titles = [f"<button>{escape(name)}</button>" if sortable else escape(name) for name in header]
    top = "".join(f"<th{' class=number' if number else ''}>{title}</th>" for title, number in zip(titles, numeric))
    lines = ["".join(_cell(value, numeric[i], (bars or {}).get(i)) for i, value in enumerate(row)) for row in rows]
    kind, body = " class=sortable" if sortable else "", "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="scroll"><table{kind}><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def address(path: Path, folder: Path) -> str:
    """A relative address of a file, from the folder where the page lies."""
    return escape(quote(os.fsencode(os.path.relpath(path, folder))))


def link(path: Path, folder: Path, text: str = "") -> Markup:
    """A link to a file. text: default: its path from the folder where the page lies."""
    return Markup(f'<a href="{address(path, folder)}">{escape(text or os.path.relpath(path, folder))}</a>')


def figure(image: np.ndarray, caption: str = "", *, widest: int = 300, quality: int = 85) -> str:
    """An image (uint8 RGB) as JPEG with a caption, shown at most `widest` pixels wide, and larger on a click."""
    shown = min(image.shape[1], widest)
    height = max(1, round(image.shape[0] * shown / image.shape[1]))
    if image.shape[1] > ENLARGED * widest:
        image = cv2.resize(image, (ENLARGED * widest, ENLARGED * height), interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1])
    if not done:
        raise ValueError(f"cannot encode an image of shape {image.shape}")
    address = data_url(data.tobytes(), "image/jpeg")
    return _framed(f'<img alt="{escape(caption)}" width="{shown}" height="{height}" src="{address}">', caption, shown)


def video(path: Path, caption: str, widest: int = 300) -> str:
    """An embedded MP4 file with controls."""
    source = data_url(path.read_bytes(), "video/mp4")
    return _framed(f'<video controls loop muted playsinline preload="metadata" width="{widest}" src="{source}"></video>', caption, widest)


def strip(figures: Iterable[str]) -> str:
    """Figures side by side, wrapped."""
    return '<div class="strip">' + "".join(figures) + "</div>"


def hidden(title: str, content: str) -> str:
    """Content that opens with a click on its title."""
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def group(figures: Iterable[str], caption: str, width: int) -> str:
    """Figures in one row with one caption. width: preferred width of the row, pixels."""
    return f'<figure class="group" style="--width:{width}px">{strip(figures)}<figcaption>{escape(caption)}</figcaption></figure>'


def plot(svg: str, caption: str = "", width: int = 992) -> str:
    """An SVG plot in the page's text colour."""
    return f'<figure class="plot" style="max-width:{width}px">{svg}' + (f"<figcaption>{escape(caption)}</figcaption>" if caption else "") + "</figure>"


def paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def bullets(texts: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"


def heading(text: str) -> str:
    return f"<h3>{escape(text)}</h3>"


def data_url(data: bytes, kind: str) -> str:
    """Bytes as a data URL."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _framed(content: str, caption: str, width: int) -> str:
    return f'<figure style="--width:{width}px">{content}' + (f"<figcaption>{escape(caption)}</figcaption>" if caption else "") + "</figure>"


def _is_number(value: Cell) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: Cell, number: bool, full: float | None) -> str:
    if value is None:
        return f'<td{" class=number" if number else ""} data-value="">–</td>'
    if isinstance(value, bool):
        return "<td>ok</td>" if value else '<td class="bad">no</td>'
    if isinstance(value, Markup):
        return f"<td>{value}</td>"
    text = f"{value:,.{_decimals(value)}f}" if isinstance(value, float) else f"{value:,}" if _is_number(value) else escape(str(value))
    bar = f'<span class="bar" style="width:{8 * float(value) / full:.2f}rem"></span> ' if full and _is_number(value) else ""
    order = f' data-value="{value}"' if _is_number(value) else ""
    return f"<td{' class=number' if number else ''}{order}>{bar}{text}</td>"


def _decimals(value: float) -> int:
    """Decimals for about four significant digits: 1234.5, 29.45, 0.951, 0.0079."""
    size = abs(value)
    return 1 if size >= 100 else 2 if size >= 1 else 3 if size >= 0.1 or size == 0 else 4
