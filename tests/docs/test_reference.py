"""The reference pages show what the code has: every hook, event, error and public name; every requirement is held."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING

import attrs
import pytest
from reference_pages.requirements import Requirement, all_requirements

import nexus_connector
from nexus_connector import Event, conditions, errors, events, hookspecs
from nexus_connector.errors import ConnectorError

if TYPE_CHECKING:
    from conftest import Docs


def test_nothing_is_left_to_fill(docs: Docs) -> None:
    """Every ``{generated}`` block of every page is replaced by something."""
    pages = [page.relative_to(docs.root / "docs").as_posix() for page in docs.pages if page.parent != docs.root]
    with_blocks = [page for page in pages if "{generated}" in docs.page(page)]
    assert len(with_blocks) >= 7
    for page in with_blocks:
        assert "{generated}" not in docs.filled(page), page
        assert not re.search(r"^#+ .*\n+\Z", docs.filled(page)), page


# hooks.md


def specifications() -> list[FunctionType]:
    """Return the hook specifications, in their order."""
    mark = f"{hookspecs.PROJECT}_spec"
    return [each for each in vars(hookspecs).values() if isinstance(each, FunctionType) and hasattr(each, mark)]


def test_every_hook_has_its_section(docs: Docs) -> None:
    """hooks.md has a section for each specification, in its order, with its signature and all that its text says."""
    found = docs.sections(docs.filled("reference/hooks.md"), 3)
    assert list(found) == [
        f"{each.__name__}({', '.join(inspect.signature(each).parameters)})" for each in specifications()
    ]
    for spec, text in zip(specifications(), found.values(), strict=True):
        assert re.sub(r"\s|`|\*\*|- ", "", inspect.getdoc(spec) or "") in re.sub(
            r"\s|`(?:``python\n.*\n```)?|\*\*|- ", "", text
        )
        parameters = inspect.signature(spec).parameters.values()
        assert f"def {spec.__name__}({', '.join(f'{each.name}: {each.annotation}' for each in parameters)}) -> " in text
        assert ("- **Shipped**: implemented by `" in text) is ("call" not in inspect.signature(spec).parameters)


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


def test_every_event_has_its_section(docs: Docs) -> None:
    """events.md has a section for each event class of the package, with every field of its own and its text."""
    parts = docs.sections(docs.filled("reference/events.md"), 2)
    found = {name: text for part in parts.values() for name, text in docs.sections(part, 3).items()}
    public = {name for name in nexus_connector.__all__ if is_event(getattr(nexus_connector, name))}
    defined = [name for module in (events, conditions) for name, each in vars(module).items() if is_event(each)]
    assert set(found) == public == set(defined)
    for name, text in found.items():
        kind = getattr(nexus_connector, name)
        assert text.split("\n\n")[0].strip() == first_paragraph(kind)
        own = [field.name for field in attrs.fields(kind) if not field.inherited]
        assert [row[0] for row in docs.rows(text)] == [f"`{field}`" for field in own]
        assert all(len(row) == 3 and row[2].endswith(".") for row in docs.rows(text)), name


def first_paragraph(kind: type) -> str:
    """Return what a docstring begins with."""
    return " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].replace("``", "`").split())


def is_event(thing: object) -> bool:
    """Say whether a thing is an event class."""
    return isinstance(thing, type) and issubclass(thing, Event)


def test_an_event_says_who_tells_it(docs: Docs) -> None:
    """The parts that tell an event stand below it: the core, a plugin that emits it, or nobody yet."""
    text = docs.filled("reference/events.md")
    told = {name: docs.sections(text, 3)[name].strip().splitlines()[-1] for name in ("CallFailed", "HealthChanged")}
    assert told == {"CallFailed": "Told by the core.", "HealthChanged": "Told by no shipped plugin yet."}
    assert re.fullmatch(r"Told by `[\w-]+-retry`\.", docs.sections(text, 3)["RetryScheduled"].strip().splitlines()[-1])


# errors.md


def test_the_error_tree(docs: Docs) -> None:
    """The tree of errors.md names each public class once, below its parent, and the built-in class that it also is."""
    tree = docs.filled("reference/errors.md").partition("```text\n")[2].partition("```")[0].splitlines()
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


def test_every_error_is_explained(docs: Docs) -> None:
    """errors.md has a section for each public class: its text, what to do, the fields of its own, who raises it."""
    found = docs.sections(docs.filled("reference/errors.md"), 3)
    assert set(found) == set(errors.__all__) - {"ConnectorError"}
    common = set(inspect.signature(ConnectorError).parameters)
    for name, text in found.items():
        kind = getattr(errors, name)
        assert text.split("\n\n")[0].strip() == first_paragraph(kind)
        assert "**What to do**: " in text, f"errors.md does not say what to do about {name}"
        assert re.search(r"Raised by .+\.\n", text), name
        inherited = common | {each for base in kind.__bases__ for each in own_arguments(base)}
        assert {row[0] for row in docs.rows(text)} == {f"`{each}`" for each in own_arguments(kind) - inherited}


def own_arguments(kind: type) -> set[str]:
    """Return the named arguments that a class itself takes."""
    parameters = inspect.signature(vars(kind)["__init__"]).parameters.values() if "__init__" in vars(kind) else ()
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return {each.name for each in parameters if each.kind in kinds} - {"self"}


def test_the_fields_of_every_error(docs: Docs) -> None:
    """errors.md lists each field of the root with its text."""
    rows = docs.rows(docs.sections(docs.filled("reference/errors.md"), 2)["Fields"])
    assert [row[0] for row in rows] == [f"`{name}`" for name in inspect.signature(ConnectorError).parameters]
    assert all(row[1].endswith(".") for row in rows)


def test_a_name_of_a_traceback_is_found(docs: Docs) -> None:
    """A class that is not public but may be raised is named with the public class that it is."""
    found = docs.sections(docs.filled("reference/errors.md"), 3)
    private = {each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, ConnectorError)}
    for kind in private - {getattr(errors, name) for name in errors.__all__}:
        assert any(f"`{kind.__name__}`" in found[base.__name__] for base in kind.__bases__), kind


# python.md


def test_every_public_name_is_described(docs: Docs) -> None:
    """Each name of the package stands on python.md or has its section on events.md; python.md describes none twice."""
    described = re.findall(
        r"^\.\. (?:auto\w+|data):: (?:nexus_connector\.)?(\S+)", docs.page("reference/python.md"), re.MULTILINE
    )
    events_page = {name for name in nexus_connector.__all__ if is_event(getattr(nexus_connector, name))}
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
ROWS = [pytest.param(each, id=each.id) for each in all_requirements()]


def test_every_requirement_exists(docs: Docs) -> None:
    """requirements.toml names only requirements that there are, each once, in their order, and the page shows them."""
    known = [f"{kind}-{number:02}" for kind, count in REQUIREMENTS.items() for number in range(1, count + 1)]
    found = [each.id for each in all_requirements()]
    assert found == [name for name in known if name in found]
    parts = docs.sections(docs.filled("reference/requirements.md"), 2).values()
    assert [row[0] for part in parts for row in docs.rows(part)] == found


@pytest.mark.parametrize("requirement", ROWS)
def test_code_and_test_of_a_requirement_exist(docs: Docs, requirement: Requirement) -> None:
    """The code that a row names is there, with the function or class it names; so is the test, and it is one."""
    file, _, name = requirement.code.partition("::")
    assert (docs.root / file).is_file()
    assert not name or name in defined_names(docs.root / file)
    file, _, name = requirement.test.partition("::")
    assert name in defined_names(docs.root / file)
    assert name.rpartition(".")[2].startswith("test_") or file == "noxfile.py"
    assert requirement.text.endswith(".")


def defined_names(file: Path) -> set[str]:
    """Return the functions and classes of a file, methods as ``Class.method``."""
    found: set[str] = set()
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
            found |= {f"{node.name}.{each.name}" for each in methods}
    return found
