"""What the tests of this folder share: reading pages of Markdown, and docstrings."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import FunctionType
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
Rows = list[tuple[str, ...]]


class Docs:
    """The pages of this repository, as headings and tables; docstrings, as they are shown there."""

    root = ROOT

    @property
    def pages(self) -> list[Path]:
        """README.md and every page of docs/."""
        pages = [each for each in (ROOT / "docs").rglob("*.md") if "_build" not in each.parts]
        return [ROOT / "README.md", *sorted(pages)]

    def page(self, name: str) -> str:
        """Return the text of a page below docs/."""
        return (ROOT / "docs" / name).read_text(encoding="utf-8")

    def sections(self, text: str, level: int) -> dict[str, str]:
        """Return what stands below each heading of a level, up to the next heading of it or of a higher one."""
        parts = re.split(rf"^(#{{1,{level}}}) (.+)\n", text, flags=re.MULTILINE)
        return {parts[i + 1]: parts[i + 2] for i in range(1, len(parts), 3) if parts[i] == "#" * level}

    def rows(self, text: str, *, skip: int = 0) -> Rows:
        """Return the rows of the first table in a text, or of a later one, without its head."""
        tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
        lines = tables[skip].splitlines()[2:] if len(tables) > skip else []
        return [
            tuple(cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]) for line in lines
        ]

    def plain(self, text: str) -> str:
        """Return a docstring's text in Markdown's marks, in one line."""
        return re.sub(r"\s+", " ", text.replace("``", "`")).strip()

    def summary(self, thing: type | FunctionType) -> str:
        """Return the first paragraph of a docstring."""
        return self.plain((inspect.getdoc(thing) or "").partition("\n\n")[0])

    def attributes(self, kind: type) -> dict[str, str]:
        """Return the texts that a class's docstring gives its attributes or arguments."""
        block = re.search(r"^(?:Attributes|Args):\n((?:    .*\n?|\n)*)", inspect.getdoc(kind) or "", re.MULTILINE)
        found = re.findall(r"^    (\w+): (.*(?:\n     .*)*)", block[1] if block else "", re.MULTILINE)
        return {name: self.plain(text) for name, text in found}


@pytest.fixture(scope="session")
def docs() -> Docs:
    """Reads the documentation."""
    return Docs()
