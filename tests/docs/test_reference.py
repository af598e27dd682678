"""The reference pages say what the code says: each test compares one page with what it describes."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import FunctionType, ModuleType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import attrs
import click
import pytest

from nexus_connector import Connector, Event, Gate, Outcome, Refusal, conditions, errors, events, hookimpl, hookspecs
from nexus_connector.config import (
    Config,
    DomainConfig,
    EndpointConfig,
    PaginationConfig,
    PluginsConfig,
    SecretRef,
    ServiceConfig,
    StoresConfig,
)
from nexus_connector.errors import ConnectorError, NotSentError
from nexus_connector.hooks import compile_hooks
from nexus_connector.plugins import PLUGIN_GROUP, VENDOR_GROUP, discover, vendor_entries
from nexus_connector.static_credentials import METHODS
from nexus_connector.verdict import DEFAULT_CLASSIFICATION, Reading, Safety, may_repeat, read_failure, read_status

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
Rows = list[tuple[str, ...]]


def page(name: str) -> str:
    """Return the text of a page below docs/."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def plain(text: str) -> str:
    """Return a docstring's text in Markdown's marks, in one line."""
    return re.sub(r"\s+", " ", text.replace("``", "`")).strip()


def sections(text: str, level: int) -> dict[str, str]:
    """Return what stands below each heading of a level, up to the next heading of it or of a higher one."""
    parts = re.split(rf"^(#{{1,{level}}}) (.+)\n", text, flags=re.MULTILINE)
    return {parts[i + 1]: parts[i + 2] for i in range(1, len(parts), 3) if parts[i] == "#" * level}


def rows(text: str, *, skip: int = 0) -> Rows:
    """Return the rows of the first table in a text, or of a later one, without its head."""
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    lines = tables[skip].splitlines()[2:] if len(tables) > skip else []
    return [tuple(cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]) for line in lines]


def attributes(kind: type) -> dict[str, str]:
    """Return the texts that a class's docstring gives its attributes or arguments."""
    block = re.search(r"^(?:Attributes|Args):\n((?:    .*\n?|\n)*)", inspect.getdoc(kind) or "", re.MULTILINE)
    found = re.findall(r"^    (\w+): (.*(?:\n     .*)*)", block[1] if block else "", re.MULTILINE)
    return {name: plain(text) for name, text in found}


def summary(kind: type | FunctionType) -> str:
    """Return the first paragraph of a docstring."""
    return plain((inspect.getdoc(kind) or "").partition("\n\n")[0])


# hooks.md

LINES = ("Fires", "Arguments", "Returns", "Errors", "Threads")


def specifications() -> list[FunctionType]:
    """Return the hook specifications, in their order."""
    mark = f"{hookspecs.PROJECT}_spec"
    return [each for each in vars(hookspecs).values() if isinstance(each, FunctionType) and hasattr(each, mark)]


def test_every_hook_has_its_section() -> None:
    """hooks.md has a section for each specification, in its order, headed by its name and arguments, with its own text."""
    found = sections(page("reference/hooks.md"), 3)
    assert list(found) == [f"{each.__name__}({', '.join(inspect.signature(each).parameters)})" for each in specifications()]
    for spec, text in zip(specifications(), found.values(), strict=True):
        doc = inspect.getdoc(spec) or ""
        parts = re.split(rf"^({'|'.join(LINES)}): ", doc, flags=re.MULTILINE)
        expected = [f"- **{name}**: {plain(value)}" for name, value in zip(parts[1::2], parts[2::2], strict=True)]
        assert [line[4:].partition("*")[0] for line in expected] == list(LINES), spec.__name__
        assert text.strip().splitlines() == [summary(spec), "", *expected]


def test_every_hook_stands_in_the_overview() -> None:
    """The table at the top of hooks.md names each hook once, and says "first answer" where the specification does."""
    overview = [(name, row[2]) for row in rows(page("reference/hooks.md")) for name in re.findall(r"`(\w+)`", row[0])]
    first = {each.__name__: vars(each)[f"{hookspecs.PROJECT}_spec"].get("firstresult", False) for each in specifications()}
    assert {name: "the first answer counts" in how for name, how in overview} == first
    assert len(overview) == len(first)


# events.md


def event_classes(module: ModuleType) -> list[type[Event]]:
    """Return the events that a module defines, in its order."""
    found = [each for each in vars(module).values() if isinstance(each, type) and issubclass(each, Event)]
    return [each for each in found if each.__module__ == module.__name__]


def tellers(name: str) -> str:
    """Say which parts of this repository tell an event, by their sources."""
    told = re.compile(rf"emit\(\s*{name}\b|(?<!class )\b{name}\(")
    folders = {ROOT / "nexus_connector": "the core"}
    folders |= {each: f"`nexus-connector-{each.name}`" for each in sorted((ROOT / "plugins").iterdir())}
    who = [
        label
        for folder, label in folders.items()
        if any(told.search(file.read_text("utf-8")) for file in folder.rglob("*.py") if "tests" not in file.parts)
    ]
    return ", ".join(who) or "no shipped plugin yet"


@pytest.mark.parametrize(("part", "module"), [("Calls", events), ("Conditions", conditions)])
def test_every_event_has_its_section(part: str, module: ModuleType) -> None:
    """events.md has a section for each event, in its order, with what it means, its own fields and who tells it."""
    found = sections(sections(page("reference/events.md"), 2)[part], 3)
    assert list(found) == [each.__name__ for each in event_classes(module)]
    for kind, text in zip(event_classes(module), found.values(), strict=True):
        texts = attributes(kind)
        own = [field for field in attrs.fields(kind) if not field.inherited]
        fields = [f"- `{field.name}` (`{field.type}`): {texts[field.name]}" for field in own]
        last = "The fields of every event." if kind is Event else f"Told by {tellers(kind.__name__)}."
        lines = text.strip().splitlines()
        assert [lines[0], [line for line in lines if line.startswith("- ")]] == [summary(kind), fields]
        assert last in lines, kind.__name__


# errors.md


def test_the_error_tree() -> None:
    """The tree of errors.md names each public class once, below its parent, and the built-in classes that it also is."""
    tree = page("reference/errors.md").partition("```text\n")[2].partition("```")[0].splitlines()
    above: list[str] = []
    found: dict[str, tuple[str, str]] = {}
    for line in tree:
        depth = (len(line) - len(line.lstrip())) // 2
        name, _, also = line.strip().partition("also")
        above[depth:] = [name.strip()]
        found[name.strip()] = (above[depth - 1] if depth else "Exception", also.strip())
    assert len(found) == len(tree)
    kinds = {name: getattr(errors, name).__bases__ for name in errors.__all__}
    assert found == {name: (first.__name__, ", ".join(each.__name__ for each in also)) for name, (first, *also) in kinds.items()}


def test_the_fields_of_errors() -> None:
    """errors.md lists every field of an error with the text of its docstring, and those of single classes."""
    text = sections(page("reference/errors.md"), 2)["Fields"]
    common = attributes(ConnectorError)
    assert dict(rows(text)) == {f"`{name}`": meaning for name, meaning in common.items()}
    assert set(common) == set(inspect.signature(ConnectorError).parameters)
    own = [
        (f"`{name}`", f"`{field}`", meaning)
        for name in errors.__all__
        for field, meaning in attributes(getattr(errors, name)).items()
        if name != "ConnectorError" and field not in {"message", "fields"}
    ]
    assert sorted(rows(text, skip=1)) == sorted(own)


def test_every_error_is_explained() -> None:
    """errors.md explains each public class once, with the first sentence of its docstring and something to do."""
    text = sections(page("reference/errors.md"), 2)["Each class"]
    found = [row for skip in range(3) for row in rows(text, skip=skip)]
    expected = {f"`{name}`": summary(getattr(errors, name)) for name in errors.__all__ if name != "ConnectorError"}
    assert {name: when for name, when, _ in found} == expected
    assert len(found) == len(expected)
    assert all(remedy for _, _, remedy in found)


def test_errors_that_nobody_raises() -> None:
    """What errors.md says is raised by nothing that is shipped, is not made anywhere in the sources."""
    text = page("reference/errors.md").partition("raises these yet;")[2].partition(".")[0]
    names = re.findall(r"`(\w+)`", text)
    assert names
    files = [file for folder in ("nexus_connector", "plugins", "contrib") for file in (ROOT / folder).rglob("*.py")]
    sources = [file.read_text("utf-8") for file in files if "tests" not in file.parts and file.name != "errors.py"]
    made = re.compile(rf"(?:{'|'.join(names)})\(")
    assert [made.findall(source) for source in sources if made.search(source)] == []


# configuration.md

NAMES: Mapping[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    SecretRef: "secret",
}
MISSING: Any = {str: "x", SecretRef: SecretRef(env="X")}
"""Values of options that have no default."""


def tables() -> Iterator[tuple[str, type[Any]]]:
    """Yield each table of the configuration, as its section is headed: the core's, the plugins', the vendors'."""
    yield "Top of the file", Config
    yield "`[services.NAME]`", ServiceConfig
    for method, kind in METHODS.items():
        yield f'`[services.NAME.credentials]`, `method = "{method}"`', kind
    yield "`[services.NAME.pagination]`", PaginationConfig
    yield '`[services.NAME.endpoints."OPERATION"]`', EndpointConfig
    yield "`[domains.NAME]`", DomainConfig
    yield "`[stores]`", StoresConfig
    yield "`[plugins]`", PluginsConfig
    for each in discover(PluginsConfig(), ()):
        assert each.plugin is not None
        if attrs.fields(each.plugin.config):
            yield f"`[plugins.{each.name}]`", each.plugin.config
    for name, entry in sorted(vendor_entries().items()):
        yield f'`[services.NAME.options]`, `adapter = "{name}"`', entry.load().options_class


def kinds(annotation: Any) -> list[Any]:
    """Return the members of a union but ``None``; of anything else, itself."""
    parts = get_args(annotation) if get_origin(annotation) in {Union, UnionType} else (annotation,)
    return [each for each in parts if each is not type(None)]


def type_words(annotation: Any) -> str:
    """Name a type as configuration.md does."""
    words: list[str] = []
    for each in kinds(annotation):
        origin = get_origin(each)
        if origin is tuple:
            words.append(f"list of {type_words(get_args(each)[0])}")
        else:
            words.append("table" if isinstance(origin, type) and issubclass(origin, Mapping) else NAMES[each])
    return " or ".join(words)


def option_tables() -> list[Any]:
    """Return a parameter for each table, with its section's heading and its class."""
    return [pytest.param(heading, kind, id=heading.replace("`", "")) for heading, kind in tables()]


def documented(heading: str) -> Rows:
    """Return the options that configuration.md lists below a heading, of whatever level."""
    text = page("reference/configuration.md")
    return rows({**sections(text, 2), **sections(text, 3)}[heading])


def options_of(kind: type[Any]) -> list[Any]:
    """Return the options of a class but those that are tables of their own."""
    attrs.resolve_types(kind)
    return [field for field in attrs.fields(kind) if not attrs.has(type(field.default))]


@pytest.mark.parametrize(("heading", "kind"), option_tables())
def test_every_option_is_listed(heading: str, kind: type[Any]) -> None:
    """configuration.md lists each option of each table, in its order, with type, unit, default and the text of the code."""
    found = documented(heading)
    assert [row[0] for row in found] == [f"`{field.name}`" for field in options_of(kind)]
    for (_, value, default, meaning), field in zip(found, options_of(kind), strict=True):
        unit = field.metadata.get("unit", "")
        if not value.startswith("one of "):
            assert value.partition(",")[0] == type_words(field.type) + (f" in {unit}" if unit else ""), field.name
        if field.default is attrs.NOTHING or field.default is None:
            assert default == ("none" if field.default is None else "required"), field.name
        else:
            made = field.default.factory() if hasattr(field.default, "factory") else field.default
            assert tomllib.loads(f"value = {default.strip('`')}")["value"] == json.loads(json.dumps(made)), field.name
        assert meaning == (plain(field.metadata.get("text", "")) or meaning) != "", field.name


@pytest.mark.parametrize(("heading", "kind"), option_tables())
def test_every_range_is_the_real_one(heading: str, kind: type[Any]) -> None:
    """A range in configuration.md is the one that the class keeps: its ends are taken or refused, what lies beyond is refused."""
    found = documented(heading)
    for (name, value, _, _), field in zip(found, options_of(kind), strict=True):
        choices = [choice for each in kinds(field.type) if get_origin(each) is Literal for choice in get_args(each)]
        if choices:
            assert value == "one of " + ", ".join(f"`{choice}`" for choice in choices), name
        elif not {int, float} & set(kinds(field.type)):
            assert "," not in value, name
        else:
            bounded = [row[0].strip("`") for row in found if row[1].endswith(f">= {name}")]
            check_range(kind, field.name, value.partition(", ")[2], bounded)


def check_range(kind: type[Any], name: str, limits: str, bounded: list[str]) -> None:
    """Try the ends of one option's range, and what lies beyond them; `bounded` options are to be above it."""
    defaults = {field.name: field.default for field in attrs.fields(kind)}
    step = 1 if defaults[name] is None or isinstance(defaults[name], int) else 0.001
    match = re.fullmatch(r"(?P<sign>>=?) (?P<low>\S+)|(?P<from>\d+) to (?P<to>\d+)", limits)
    assert match is not None, f"{name} has no range: {limits!r}"
    low_text = (match["low"] or match["from"]).strip("`")
    low: float = defaults[low_text] if low_text in defaults else float(low_text)
    assert accepts(kind, {name: low}) is (match["sign"] != ">"), name
    assert accepts(kind, {name: low + step}), name
    assert not accepts(kind, {name: low - step}), name
    if match["to"] is None:
        assert accepts(kind, dict.fromkeys([name, *bounded], 10**12)), name
    else:
        assert accepts(kind, {name: float(match["to"])}), name
        assert not accepts(kind, {name: float(match["to"]) + step}), name


def accepts(kind: type[Any], values: Mapping[str, float]) -> bool:
    """Say whether a class of options takes these values."""
    required = {field.name: MISSING[field.type] for field in attrs.fields(kind) if field.default is attrs.NOTHING}
    try:
        kind(**{**required, **values})
    except ValueError:
        return False
    return True


# command-line.md


@pytest.fixture(scope="module")
def commands() -> Mapping[str, click.Command]:
    """The commands of ``nexus``, as the installed plugins add them."""
    group = click.Group("nexus")
    with Connector.from_config({}) as connector:
        for hook in compile_hooks(connector.runtime.registry, "cli_commands"):
            hook.function(group)
    return group.commands


def option_rows(command: click.Command) -> Rows:
    """Return the options of a command as command-line.md shows them."""
    options = [each for each in command.params if isinstance(each, click.Option)]
    return [(f"`{each.opts[0]}{'' if each.is_flag else f' {each.metavar}'}`", each.help or "") for each in options]


def test_every_command_is_listed(commands: Mapping[str, click.Command]) -> None:
    """command-line.md has a section for each command, with its short help and its own options; the shared ones stand on top."""
    text = page("reference/command-line.md")
    found = sections(text, 3)
    assert list(found) == list(commands)
    shared = rows(text)
    for name, command in commands.items():
        own = [row for row in option_rows(command) if row not in shared]
        assert rows(found[name]) == own, name
        assert found[name].strip().splitlines()[0] == command.short_help
    assert all(any(row in option_rows(command) for command in commands.values()) for row in shared)


def shown_commands() -> list[str]:
    """Return every command line of ``nexus`` that a page shows."""
    pages = [ROOT / "README.md", *(each for each in (ROOT / "docs").rglob("*.md") if "_build" not in each.parts)]
    lines = re.findall(r"^\$ (nexus .*)$", "\n".join(each.read_text("utf-8") for each in pages), re.MULTILINE)
    return sorted(set(lines))


@pytest.mark.parametrize("line", shown_commands())
def test_a_shown_command_is_one(line: str, commands: Mapping[str, click.Command]) -> None:
    """Every ``$ nexus ...`` of a page is a command with arguments that it takes."""
    words = re.sub(r"^(--\w+ \S+ )*", "", line.removeprefix("nexus "))
    name, *arguments = shlex.split(words)
    commands[name].make_context(name, arguments).close()


# order.md and safety.md


class EverySlot:
    """Makes each part of the core's chain appear."""

    @hookimpl
    def before_request(self, call: object) -> None:
        """Do nothing."""

    @hookimpl
    def before_attempt(self, call: object) -> None:
        """Do nothing."""

    @hookimpl
    def resolve_credentials(self, call: object) -> None:
        """Do nothing."""

    @hookimpl
    def gates(self, config: object) -> list[Gate]:
        """Return a gate."""
        gate = Gate()
        gate.name = "open"
        return [gate]


def test_the_table_of_slots_is_the_chain() -> None:
    """order.md lists slot and name of every stage that the core and the shipped plugins put into a chain, in its order."""
    config = {"services": {"crm": {"base_url": "https://crm.example"}}}
    with Connector.from_config(config, plugins=[EverySlot()]) as connector:
        chain = [(entry.slot, entry.name) for entry in connector.explain("crm") if entry.kind in {"core", "stage"}]
    text = page("explanation/order.md")
    assert [(int(slot), name.strip("`")) for slot, name, *_ in rows(text)] == chain
    diagram = text.partition("```text\n")[2].partition("```")[0]
    drawn = re.findall(r"^(?:CALL|ATTEMPT)? +(\d{3,4}) +([\w.]+)", diagram, re.MULTILINE)
    reserved = re.findall(r"^ +(\d{3}) .*\(reserved\)", diagram, re.MULTILINE)
    assert [(int(slot), name) for slot, name in drawn if slot not in reserved and slot != "050"] == chain[1:]
    assert {slot for slot, _ in drawn} - set(reserved) >= {f"{slot:03}" for slot, _ in chain}


STATUSES: Mapping[str, tuple[int, ...]] = {
    "below 400": (200, 204, 304),
    "408, 425, 429": (408, 425, 429),
    "any other 4xx": (400, 401, 403, 404, 409, 410, 422),
    "501, 505, 506, 510, 511": (501, 505, 506, 510, 511),
    "any other 5xx": (500, 502, 503, 504, 507, 599),
}


def reading_row(reading: Reading) -> tuple[str, ...]:
    """Return a reading as safety.md shows it."""
    return reading.outcome.value, reading.health, "yes" if reading.transient else "no"


def test_the_table_of_statuses() -> None:
    """safety.md gives each status the outcome, health and transience that the core reads out of it."""
    found = {name: tuple(cells) for name, *cells in rows(sections(page("explanation/safety.md"), 2)["From an answer to a verdict"])}
    asked = found.pop("503 with Retry-After")
    assert reading_row(read_status(503, "1", DEFAULT_CLASSIFICATION, now=0.0)) == asked
    assert set(found) == set(STATUSES)
    for name, statuses in STATUSES.items():
        for status in statuses:
            assert reading_row(read_status(status, None, DEFAULT_CLASSIFICATION, now=0.0)) == found[name], status


def test_the_table_of_failures() -> None:
    """safety.md gives a send without an answer the outcome that the core reads out of whether anything was written."""
    found = {name: tuple(cells) for name, *cells in rows(sections(page("explanation/safety.md"), 2)["From an answer to a verdict"], skip=1)}
    for name, cells in found.items():
        if name.startswith("before the first byte"):
            assert reading_row(read_failure(wrote=False)) == cells
        elif name == "after it":
            assert reading_row(read_failure(wrote=True)) == cells
        elif "certificate" in name:
            assert reading_row(read_failure(wrote=False, transient=False)) == cells
        elif "max_body_bytes" in name:
            assert reading_row(read_failure(wrote=True, transient=False)) == cells
    assert Refusal(NotSentError("no")).error.outcome is Outcome.NOT_SENT


@pytest.mark.parametrize("safety", ["safe", "idempotent", "keyed", "unsafe"])
def test_the_table_of_repetitions(safety: Safety) -> None:
    """safety.md says of each safety after which outcomes a transient verdict is followed by another attempt."""
    words = {name.strip("`"): after for name, _, after in rows(sections(page("explanation/safety.md"), 2)["What is sent again"])}
    sent = {outcome.value for outcome in Outcome if may_repeat(safety, outcome, transient=True)}
    named = re.findall(r"`(\w+)`", words[safety]) or ["not_sent", "refused", "unknown"]
    assert sent == set(named)
    assert not any(may_repeat(safety, outcome, transient=False) for outcome in Outcome)


# README.md


def test_the_plugins_of_the_readme() -> None:
    """The README's table has a row for every plugin and vendor adapter of this repository, linked to its README."""
    text = sections((ROOT / "README.md").read_text("utf-8"), 2)["Plugins and vendor adapters"]
    folders = [folder for kind in ("plugins", "contrib") for folder in sorted((ROOT / kind).iterdir()) if (folder / "pyproject.toml").exists()]
    expected = {
        f"[`{tomllib.loads((folder / 'pyproject.toml').read_text('utf-8'))['project']['name']}`]"
        f"({folder.relative_to(ROOT).as_posix()}/README.md)"
        for folder in folders
    }
    assert {row[0] for row in rows(text)} == expected
    installed = {entry.name for group in (PLUGIN_GROUP, VENDOR_GROUP) for entry in entry_points(group=group)}
    assert {folder.name for folder in folders} == installed


def test_links_lead_somewhere() -> None:
    """Every relative link of README, changelog, security note and pages leads to a file that exists."""
    top = [ROOT / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md")]
    broken = []
    for each in [*top, *(file for file in (ROOT / "docs").rglob("*.md") if "_build" not in file.parts)]:
        prose = re.sub(r"^```.*?^```", "", each.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose):
            if not (each.parent / target).exists():
                broken.append(f"{each.relative_to(ROOT)}: {target}")
    assert broken == []
