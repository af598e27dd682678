"""Markdown: docstrings and tables as the pages show them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Final

_BLOCK: Final = re.compile(r"^(?:Attributes|Args):\n((?:    .*\n?|\n)*)", re.MULTILINE)
_ENTRY: Final = re.compile(r"^    (\w+): (.*(?:\n     .*)*)", re.MULTILINE)


def plain(text: str) -> str:
    """Return a docstring's text in Markdown's marks, in one line.

    >>> plain("as ``503``   or ``connect``")
    'as `503` or `connect`'
    """
    return re.sub(r"\s+", " ", text.replace("``", "`")).strip()


def summary(thing: object) -> str:
    """Return the first paragraph of a docstring."""
    return plain((inspect.getdoc(thing) or "").partition("\n\n")[0])


def attributes(kind: type) -> dict[str, str]:
    """Return the texts that a class's docstring gives its attributes or arguments."""
    # A class without a docstring would be given its parent's.
    block = _BLOCK.search(inspect.cleandoc(kind.__doc__ or ""))
    found: list[tuple[str, str]] = _ENTRY.findall(block[1] if block else "")
    return {name: plain(text) for name, text in found}


def code(text: str) -> str:
    """Return a text as code."""
    return f"`{text}`"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""Return a table; a column that is empty in every row is left out, as is a table without rows.

    >>> print(table(["a", "b", "c"], [["1", "", "x|y"]]))
    | a | c |
    |---|---|
    | 1 | x\|y |
    """
    lines = [tuple(cell.replace("|", r"\|") for cell in row) for row in rows]
    kept = [index for index in range(len(head)) if any(line[index] for line in lines)]
    shown = [tuple(head), ("---",) * len(head), *lines] if lines else []
    joined = [[line[index] for index in kept] for line in shown]
    return "\n".join(f"|{'|'.join(line)}|" if line[0] == "---" else f"| {' | '.join(line)} |" for line in joined)
