"""The reference pages of hooks, events, errors, Python names and requirements say what the code says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING

import attrs
import pytest

import nexus_connector
from nexus_connector import Event, conditions, errors, events, hookspecs
from nexus_connector.errors import ConnectorError

if TYPE_CHECKING:
    from conftest import Docs, Rows

# hooks.md

LINES = ("Fires", "Arguments", "Returns", "Errors", "Threads")


def specifications() -> list[FunctionType]:
    """Return the hook specifications, in their order."""
    mark = f"{hookspecs.PROJECT}_spec"
    return [each for each in vars(hookspecs).values() if isinstance(each, FunctionType) and hasattr(each, mark)]


def test_every_hook_has_its_section(docs: Docs) -> None:
    """hooks.md has a section for each specification, in its order, headed by its signature, with its own text."""
    found = docs.sections(docs.page("reference/hooks.md"), 3)
    assert list(found) == [
        f"{each.__name__}({', '.join(inspect.signature(each).parameters)})" for each in specifications()
    ]
    for spec, text in zip(specifications(), found.values(), strict=True):
        doc = inspect.getdoc(spec) or ""
        parts = re.split(rf"^({'|'.join(LINES)}): ", doc, flags=re.MULTILINE)
        expected = [f"- **{name}**: {docs.plain(value)}" for name, value in zip(parts[1::2], parts[2::2], strict=True)]
        assert [line[4:].partition("*")[0] for line in expected] == list(LINES), spec.__name__
        assert text.strip().splitlines() == [docs.summary(spec), "", *expected]


def test_every_hook_stands_in_the_overview(docs: Docs) -> None:
    """The table at the top of hooks.md names each hook once, and says "first answer" where the specification does."""
    overview = [
        (name, row[2]) for row in docs.rows(docs.page("reference/hooks.md")) for name in re.findall(r"`(\w+)`", row[0])
    ]
    first = {
        each.__name__: vars(each)[f"{hookspecs.PROJECT}_spec"].get("firstresult", False) for each in specifications()
    }
    assert {name: "the first answer counts" in how for name, how in overview} == first
    assert len(overview) == len(first)


# events.md


def event_classes(module: ModuleType) -> list[type[Event]]:
    """Return the events that a module defines, in its order."""
    found = [each for each in vars(module).values() if isinstance(each, type) and issubclass(each, Event)]
    return [each for each in found if each.__module__ == module.__name__]


def tellers(root: Path, name: str) -> str:
    """Say which parts of a repository tell an event, by their sources."""
    told = re.compile(rf"emit\(\s*{name}\b|(?<!class )\b{name}\(")
    folders = {root / "nexus_connector": "the core"}
    folders |= {each: f"`nexus-connector-{each.name}`" for each in sorted((root / "plugins").iterdir())}
    who = [
        label
        for folder, label in folders.items()
        if any(told.search(file.read_text("utf-8")) for file in folder.rglob("*.py") if "tests" not in file.parts)
    ]
    return ", ".join(who) or "no shipped plugin yet"


@pytest.mark.parametrize(("part", "module"), [("Calls", events), ("Conditions", conditions)])
def test_every_event_has_its_section(docs: Docs, part: str, module: ModuleType) -> None:
    """events.md has a section for each event, in its order, with what it means, its own fields and who tells it."""
    found = docs.sections(docs.sections(docs.page("reference/events.md"), 2)[part], 3)
    assert list(found) == [each.__name__ for each in event_classes(module)]
    for kind, text in zip(event_classes(module), found.values(), strict=True):
        texts = docs.attributes(kind)
        own = [field for field in attrs.fields(kind) if not field.inherited]
        fields = [f"- `{field.name}` (`{field.type}`): {texts[field.name]}" for field in own]
        last = "The fields of every event." if kind is Event else f"Told by {tellers(docs.root, kind.__name__)}."
        lines = text.strip().splitlines()
        assert [lines[0], [line for line in lines if line.startswith("- ")]] == [docs.summary(kind), fields]
        assert last in lines, kind.__name__


# errors.md


def test_the_error_tree(docs: Docs) -> None:
    """The tree of errors.md names each public class once, below its parent, and the built-in class that it also is."""
    tree = docs.page("reference/errors.md").partition("```text\n")[2].partition("```")[0].splitlines()
    above: list[str] = []
    found: dict[str, tuple[str, str]] = {}
    for line in tree:
        depth = (len(line) - len(line.lstrip())) // 2
        name, _, also = line.strip().partition("also")
        above[depth:] = [name.strip()]
        found[name.strip()] = (above[depth - 1] if depth else "Exception", also.strip())
    assert len(found) == len(tree)
    kinds = {name: getattr(errors, name).__bases__ for name in errors.__all__}
    assert found == {
        name: (first.__name__, ", ".join(each.__name__ for each in also)) for name, (first, *also) in kinds.items()
    }


def test_the_fields_of_errors(docs: Docs) -> None:
    """errors.md lists every field of an error with the text of its docstring, and those of single classes."""
    text = docs.sections(docs.page("reference/errors.md"), 2)["Fields"]
    common = docs.attributes(ConnectorError)
    assert dict(docs.rows(text)) == {f"`{name}`": meaning for name, meaning in common.items()}
    assert set(common) == set(inspect.signature(ConnectorError).parameters)
    own = [
        (f"`{name}`", f"`{field}`", meaning)
        for name in errors.__all__
        for field, meaning in docs.attributes(getattr(errors, name)).items()
        if name != "ConnectorError" and field not in {"message", "fields"}
    ]
    assert sorted(docs.rows(text, skip=1)) == sorted(own)


def test_every_error_is_explained(docs: Docs) -> None:
    """errors.md explains each public class once, with the first sentence of its docstring and something to do."""
    text = docs.sections(docs.page("reference/errors.md"), 2)["Each class"]
    found = [row for skip in range(3) for row in docs.rows(text, skip=skip)]
    expected = {f"`{name}`": docs.summary(getattr(errors, name)) for name in errors.__all__ if name != "ConnectorError"}
    assert {name: when for name, when, _ in found} == expected
    assert len(found) == len(expected)
    assert all(remedy for _, _, remedy in found)


def test_errors_that_nobody_raises(docs: Docs) -> None:
    """What errors.md says is raised by nothing that is shipped, is not made anywhere in the sources."""
    text = docs.page("reference/errors.md").partition("raises these yet;")[2].partition(".")[0]
    names = re.findall(r"`(\w+)`", text)
    assert names
    files = [
        file for folder in ("nexus_connector", "plugins", "contrib") for file in (docs.root / folder).rglob("*.py")
    ]
    shipped = [file for file in files if not {"tests", "testing"} & set(file.parts) and file.name != "errors.py"]
    made = re.compile(rf"(?:{'|'.join(names)})\(")
    assert [file for file in shipped if made.search(file.read_text("utf-8"))] == []


# python.md


def test_every_public_name_is_described(docs: Docs) -> None:
    """Each name of the package stands on python.md or has its section on events.md; python.md describes none twice."""
    described = re.findall(
        r"^\.\. (?:auto\w+|data):: (?:nexus_connector\.)?(\S+)", docs.page("reference/python.md"), re.MULTILINE
    )
    events_page = {
        name for part in docs.sections(docs.page("reference/events.md"), 2).values() for name in docs.sections(part, 3)
    }
    assert sorted(set(described)) == sorted(described)
    assert set(nexus_connector.__all__) - set(described) == events_page


# requirements.md

REQUIREMENTS: Mapping[str, int] = {
    "ARC": 10,
    "BUS": 10,
    "FUN": 20,
    "PER": 8,
    "REL": 8,
    "SEC": 10,
    "MNT": 8,
    "SCL": 6,
    "USE": 15,
    "INT": 5,
    "DOM": 10,
}
"""How many requirements there are of each kind; they are counted from 01."""


def requirement_rows(docs: Docs) -> Rows:
    """Return the rows of all tables of requirements.md."""
    parts = docs.sections(docs.page("reference/requirements.md"), 2).values()
    return [row for text in parts for row in docs.rows(text)]


def test_every_requirement_exists(docs: Docs) -> None:
    """requirements.md names only requirements that there are, each once, in their order."""
    known = [f"{kind}-{number:02}" for kind, count in REQUIREMENTS.items() for number in range(1, count + 1)]
    found = [row[0] for row in requirement_rows(docs)]
    assert found == [name for name in known if name in found]


def test_code_and_test_of_a_requirement_exist(docs: Docs) -> None:
    """The code and the test that a row names are there, the test under its name."""
    for name, _, code, test in requirement_rows(docs):
        assert (docs.root / code.strip("`")).is_file(), name
        file, _, function = test.strip("`").partition("::")
        source = (docs.root / file).read_text("utf-8")
        assert re.search(rf"^(?:async )?def {function}\(", source, re.MULTILINE), name
