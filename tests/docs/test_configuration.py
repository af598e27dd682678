"""The reference page of the configuration says what the code says: every option, and the ranges that are kept."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import attrs
import pytest

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
from nexus_connector.plugins import discover, vendor_entries
from nexus_connector.static_credentials import METHODS

if TYPE_CHECKING:
    from conftest import Docs, Rows

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


def documented(docs: Docs, heading: str) -> Rows:
    """Return the options that configuration.md lists below a heading, of whatever level."""
    text = docs.page("reference/configuration.md")
    return docs.rows({**docs.sections(text, 2), **docs.sections(text, 3)}[heading])


def options_of(kind: type[Any]) -> list[Any]:
    """Return the options of a class but those that are tables of their own."""
    attrs.resolve_types(kind)
    return [field for field in attrs.fields(kind) if not attrs.has(type(field.default))]


@pytest.mark.parametrize(("heading", "kind"), option_tables())
def test_every_option_is_listed(docs: Docs, heading: str, kind: type[Any]) -> None:
    """configuration.md lists each option of each table, in its order, with type, unit, default and text of the code."""
    found = documented(docs, heading)
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
        assert meaning == (docs.plain(field.metadata.get("text", "")) or meaning) != "", field.name


@pytest.mark.parametrize(("heading", "kind"), option_tables())
def test_every_range_is_the_real_one(docs: Docs, heading: str, kind: type[Any]) -> None:
    """A range in configuration.md is the one that the class keeps: what lies beyond it is refused."""
    found = documented(docs, heading)
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
