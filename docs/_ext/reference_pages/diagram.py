"""The diagram of the order of things: lines of text become a drawing that follows the colours of the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final, TypeAlias

Row: TypeAlias = tuple[str, ...]
"""Slot, part, what it does on the way in, what on the way out; a frame's title has one cell."""

_WIDTH: Final = 760
_STEP: Final = 34
_HEIGHT: Final = 28
_LEFT: Final = 44
_RIGHT: Final = 716
_COLUMNS: Final = (_LEFT + 36, _LEFT + 48, _LEFT + 178, _LEFT + 402)
_MARK: Final = (
    '<marker id="order-{0}" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path class="{0}" d="M0 0L8 4L0 8z"/></marker>'
)


def order(text: str) -> str:
    """Return the diagram as a block of HTML.

    Args:
        text: A line ``slot | part | in | out`` for each part, outermost first; the first line holds the heads. A line
            ``NAME: what`` begins a frame around all that follow. A part in brackets is reserved.
    """
    head, *rows = rows_of(text)
    body = [line for number, row in enumerate(rows, 1) for line in _row(number, row, len(rows))]
    height = (len(rows) + 2) * _STEP + 8
    label = "What a call passes through on the way in and on the way out; the table below has the same parts."
    lines = [
        '<div class="drawing" tabindex="0">',
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}">',
        f"<defs>{_MARK.format('in')}{_MARK.format('out')}</defs>",
        *(_text(_COLUMNS[column], 0, head[column], "head") for column in (2, 3)),
        *body,
        f'<path class="in line" d="M{_LEFT - 26} {_STEP - 14}V{height - 22}" marker-end="url(#order-in)"/>',
        f'<path class="out line" d="M{_RIGHT + 26} {height - 22}V{_STEP - 14}" marker-end="url(#order-out)"/>',
        "</svg>",
        "</div>",
    ]
    return "\n".join(lines)


def rows_of(text: str) -> Sequence[Row]:
    r"""Return the lines as cells.

    >>> rows_of(" 50 | tenant | takes it |\nATTEMPT: each send")
    [('50', 'tenant', 'takes it', ''), ('ATTEMPT: each send',)]
    """
    return [tuple(cell.strip() for cell in line.split("|")) for line in text.strip().splitlines()]


def _row(number: int, row: Row, count: int) -> Iterator[str]:
    if len(row) == 1:
        title, _, what = row[0].partition(":")
        inset = 12 if number == 1 else 5
        height = (count - number + 1) * _STEP - 6 + inset
        yield _box(f"frame {title.lower()}", _LEFT - inset, number * _STEP + 3, _RIGHT - _LEFT + 2 * inset, height)
        yield _text(_LEFT + 2, number, f"{title}<tspan>{escape(what)}</tspan>", "title")
        return
    slot, part, *ways = row
    kind = "part reserved" if part.startswith("(") else "part"
    yield _box(kind, _LEFT, number * _STEP + 3, _RIGHT - _LEFT, _HEIGHT)
    yield _text(_COLUMNS[0], number, slot, "slot")
    yield _text(_COLUMNS[1], number, escape(part.strip("()")), kind)
    for place, way in zip(_COLUMNS[2:], ways, strict=True):
        if way:
            yield _text(place, number, escape(way), "way")


def _box(kind: str, x: int, y: int, width: int, height: int) -> str:
    return f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="5"/>'


def _text(x: int, number: int, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{number * _STEP + 22}">{text}</text>'
