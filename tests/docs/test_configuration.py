"""The reference page of the configuration lists every option there is, and the ranges that are kept."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
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

WORDS: Mapping[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    SecretRef: "secret",
    tuple[str, ...]: "list of text",
}
MISSING: Any = {str: "x", SecretRef: SecretRef(env="X")}
"""Values of options that have no default."""


def tables() -> Iterator[tuple[str, type[Any]]]:
    """Yield each table of the configuration, as its section is headed: the core's, the plugins', the vendors'."""
    yield "Top of the file", Config
    yield "`[services.NAME]`", ServiceConfig
    yield "`[services.NAME.pagination]`", PaginationConfig
    yield '`[services.NAME.endpoints."OPERATION"]`', EndpointConfig
    yield from ((f'`method = "{method}"`', kind) for method, kind in METHODS.items())
    yield "`[domains.NAME]`", DomainConfig
    yield "`[stores]`", StoresConfig
    yield "`[plugins]`", PluginsConfig
    for each in discover(PluginsConfig(), ()):
        assert each.plugin is not None
        if attrs.fields(each.plugin.config):
            yield f"`[plugins.{each.name}]`", each.plugin.config
    for name, entry in sorted(vendor_entries().items()):
        yield f'`adapter = "{name}"`', entry.load().options_class


every_table = pytest.mark.parametrize(
    ("heading", "kind"), [pytest.param(*each, id=each[0].replace("`", "")) for each in tables()]
)


def members(annotation: Any) -> list[Any]:
    """Return the members of a union but ``None``; of anything else, itself."""
    parts = get_args(annotation) if get_origin(annotation) in {Union, UnionType} else (annotation,)
    return [each for each in parts if each is not type(None)]


def documented(docs: Docs, heading: str) -> Rows:
    """Return the options that configuration.md lists below a heading, of whatever level."""
    text = docs.filled("reference/configuration.md")
    return docs.rows({**docs.sections(text, 2), **docs.sections(text, 3)}[heading])


def options_of(kind: type[Any]) -> list[Any]:
    """Return the options of a class but those that are tables of their own."""
    attrs.resolve_types(kind)
    return [field for field in attrs.fields(kind) if not attrs.has(type(field.default))]


@every_table
def test_every_option_is_listed(docs: Docs, heading: str, kind: type[Any]) -> None:
    """configuration.md lists each option of each table, in its order, with type, unit, default and text of the code."""
    found = documented(docs, heading)
    assert [row[0] for row in found] == [f"`{field.name}`" for field in options_of(kind)]
    for (_, value, default, *meaning), field in zip(found, options_of(kind), strict=True):
        unit, words = field.metadata.get("unit"), [WORDS.get(each) for each in members(field.type)]
        kinds = value.partition(",")[0].removesuffix(f" in {unit}").split(" or ")
        assert value.startswith("true or false") or "one of" in value or {*kinds} <= {*words, "table"}, field.name
        assert not unit or f" in {unit}" in value, field.name
        if field.default is attrs.NOTHING or field.default is None:
            assert default == ("none" if field.default is None else "required"), field.name
        else:
            made = field.default.factory() if hasattr(field.default, "factory") else field.default
            assert tomllib.loads(f"value = {default.strip('`')}")["value"] == json.loads(json.dumps(made)), field.name
        if kind not in METHODS.values():
            assert meaning == [" ".join(field.metadata["text"].replace("``", "`").split())] != [""], field.name


@every_table
def test_every_range_is_the_real_one(docs: Docs, heading: str, kind: type[Any]) -> None:
    """A range in configuration.md is the one that the class keeps: what lies beyond it is refused."""
    for (name, value, *_), field in zip(documented(docs, heading), options_of(kind), strict=True):
        choices = [choice for each in members(field.type) if get_origin(each) is Literal for choice in get_args(each)]
        if choices:
            assert value == "one of " + ", ".join(f"`{choice}`" for choice in choices), name
        elif not {int, float} & set(members(field.type)):
            assert "," not in value, name
        else:
            check_range(kind, field, value.partition(", ")[2], documented(docs, heading))


def check_range(kind: type[Any], field: Any, limits: str, rows: Rows) -> None:
    """Try the ends of one option's range, and what lies beyond them."""
    step: float = 1 if int in members(field.type) else 0.001
    span = re.fullmatch(r"(\S+) to (\S+)", limits)
    bounds = [(">=", span[1]), ("<=", span[2])] if span else re.findall(r"([<>]=?) (\S+?)(?:,|$)", limits)
    if not bounds:  # another option is the bound, and the text says which
        other = re.search(r"at least ``(\w+)``", field.metadata["text"])
        assert other is not None, f"{field.name} has no range: {limits!r}"
        assert not accepts(kind, {other[1]: 2, field.name: 1}), field.name
    for sign, written in bounds:
        end = type(step)(float(written))
        inward = step if ">" in sign else -step
        assert accepts(kind, {field.name: end}) is ("=" in sign), field.name
        assert accepts(kind, {field.name: end + inward}), field.name
        assert not accepts(kind, {field.name: end - inward}), field.name
    if not any("<" in sign for sign, _ in bounds):
        above = [row[0].strip("`") for row in rows if f"at least `{field.name}`" in row[-1]]
        assert accepts(kind, dict.fromkeys([field.name, *above], 10**12)), field.name


def accepts(kind: type[Any], values: Mapping[str, float]) -> bool:
    """Say whether a class of options takes these values, alone or beside others that it may want with them."""
    fields: Sequence[Any] = attrs.fields(kind)
    required = {field.name: MISSING[field.type] for field in fields if field.default is attrs.NOTHING}
    beside = {field.name: 1 for field in fields if field.default is None and {int, float} & set(members(field.type))}
    for others in ({}, beside):
        try:
            kind(**{**required, **others, **values})
        except ValueError:
            continue
        return True
    return False
