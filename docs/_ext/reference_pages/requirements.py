"""Requirements: the rows of ``requirements.toml``, what each stands for and where it is kept."""

from __future__ import annotations

import tomllib
from typing import Final

import attrs

from .markdown import code, table
from .sources import ROOT

FILE: Final = ROOT / "docs/reference/requirements.toml"


@attrs.frozen(kw_only=True)
class Requirement:
    """A requirement that works.

    Attributes:
        id: Its number, as ``REL-03``.
        text: What it asks for.
        code: What meets it: a file, or ``file::name``.
        test: What would fail without it: ``file::name``.
    """

    id: str
    text: str
    code: str
    test: str


def all_requirements() -> list[Requirement]:
    """Return the requirements, in the order of the file."""
    rows = tomllib.loads(FILE.read_text(encoding="utf-8"))["requirement"]
    return [Requirement(**row) for row in rows]


def requirements(kinds: str) -> str:
    """Return a table of requirements.

    Args:
        kinds: First parts of their numbers, separated by blanks, as ``INT DOM``.
    """
    wanted = kinds.split()
    rows = [
        (each.id, each.text, _place(each.code), _place(each.test))
        for each in all_requirements()
        if each.id.partition("-")[0] in wanted
    ]
    return table(("requirement", "what", "code", "test"), rows)


def _place(text: str) -> str:
    """Return a file, and the name in it as a word of its own, so that a line can break between them."""
    return " ".join(code(part) for part in text.split("::"))
