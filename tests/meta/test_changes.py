"""What changed, one file for each change: each has a kind that is known, and reads as a line of the changelog."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TOWNCRIER: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
FOLDER = ROOT / TOWNCRIER["directory"]
KINDS = [kind["directory"] for kind in TOWNCRIER["type"]]
CHANGES = [file for file in sorted(FOLDER.iterdir()) if file.name not in TOWNCRIER["ignore"]]


def problem_of(name: str, text: str) -> str | None:
    """Say what is wrong with a change, by the name of its file and its text; nothing if it is as it should be."""
    if not re.fullmatch(rf"(?:[1-9][0-9]*|\+[a-z0-9]+(?:-[a-z0-9]+)*)\.(?:{'|'.join(KINDS)})\.md", name):
        return f"call it NUMBER.KIND.md after its issue, or +WORDS.KIND.md; kinds: {', '.join(KINDS)}"
    if not text.endswith("\n") or "\n\n" in text or max(map(len, text.splitlines()), default=0) > 120:
        return "write one paragraph in lines of at most 120 signs"
    if not re.match(r"[A-Z]|`\w|\*\*[A-Z]\w*\*\*[,:] ", text) or not text.endswith(".\n"):
        return "write sentences: first a capital, a name in code, or the package in bold; last a full stop"
    return None


def test_a_change_is_one_paragraph_of_a_known_kind() -> None:
    """Its name says what it is about and which heading it comes under; its text becomes one bullet, as it is."""
    problems = {file.name: problem_of(file.name, file.read_text(encoding="utf-8")) for file in CHANGES}
    assert {name: problem for name, problem in problems.items() if problem is not None} == {}


def test_no_change_is_told_twice() -> None:
    """Two files with one text would be one bullet twice."""
    texts = [file.read_text(encoding="utf-8") for file in CHANGES]
    assert len(set(texts)) == len(texts)


def test_the_changelog_has_its_place_for_them() -> None:
    """The next version is written below the marker, which stands in the changelog once."""
    text = (ROOT / TOWNCRIER["filename"]).read_text(encoding="utf-8")
    assert text.count(TOWNCRIER["start_string"]) == 1
    assert not re.search("unreleased", text, re.IGNORECASE)


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        ("12.added.md", "`nexus new` begins a plugin.\n", None),
        ("+new.fixed.md", "**Cli**: `nexus new` begins a plugin,\nor an adapter.\n", None),
        ("new.added.md", "Something.\n", "after its issue"),
        ("+new.feature.md", "Something.\n", "kinds: "),
        ("+new.added.rst", "Something.\n", "kinds: "),
        ("+new.added.md", "", "paragraph"),
        ("+new.added.md", "Something.", "paragraph"),
        ("+new.added.md", "Something.\n\nMore.\n", "paragraph"),
        ("+new.added.md", "x" * 121 + ".\n", "120"),
        ("+new.added.md", "Something\n", "full stop"),
        ("+new.added.md", "something.\n", "capital"),
        ("+new.added.md", "- Something.\n", "capital"),
    ],
)
def test_what_is_wrong_is_noticed(name: str, text: str, hint: str | None) -> None:
    """A change that would spoil the changelog is refused, and its author told what to do."""
    problem = problem_of(name, text)
    assert (problem is None) if hint is None else (hint in (problem or ""))
