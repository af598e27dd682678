"""JSON Schema (draft 2020-12) of the whole configuration, as far as it can be said without the values of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, get_args, get_origin

import attrs

from nexus_connector.config import Config, DomainConfig, SecretRef, ServiceConfig, StoresConfig
from nexus_connector.static_credentials import METHODS

from ._options import Annotation, Limits, Option, alternatives, options_of, plain_default
from ._tables import OptionTable

Schema: TypeAlias = dict[str, Any]

_SIMPLE: Final[dict[Any, str]] = {
    str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"
}  # fmt: skip
_BOUNDS: Final = {
    "gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum", "pattern": "pattern"
}  # fmt: skip
_SECRET: Final[Schema] = {
    "description": "The place of a secret; the secret itself must not stand in a configuration.",
    "type": "object",
    "properties": {"env": {"type": "string"}, "file": {"type": "string"}},
    "additionalProperties": False,
    "minProperties": 1,
    "maxProperties": 1,
}


def json_schema(plugins: Sequence[OptionTable], vendors: Sequence[tuple[str, OptionTable]]) -> Schema:
    """Return the schema of a configuration file.

    Args:
        plugins: Tables of the installed plugins.
        vendors: Names and tables of the installed vendor adapters.
    """
    tables = {table.path.removeprefix("plugins."): table for table in plugins}
    service = _service(tables, vendors)
    root = _table(Config)
    root["properties"] |= {
        "services": {"type": "object", "additionalProperties": {"$ref": "#/$defs/service"}},
        "domains": {"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, _table(DomainConfig)]}},
        "stores": _table(StoresConfig),
        "plugins": _plugins(root["properties"]["plugins"], tables),
    }
    if vendors:
        own = {name: _options_unless_adapter(table) for name, table in vendors}
        root["properties"]["services"]["properties"] = own
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of nexus_connector",
        **root,
        "$defs": {"service": service, "secret": _SECRET},
    }


def _plugins(core: Schema, tables: Mapping[str, OptionTable]) -> Schema:
    return {**core, "properties": core["properties"] | {name: _table_or_false(each) for name, each in tables.items()}}


def _table_or_false(table: OptionTable) -> Schema:
    return {"anyOf": [_table(table.kind), {"const": False}]}


def _service(tables: Mapping[str, OptionTable], vendors: Iterable[tuple[str, OptionTable]]) -> Schema:
    schema = _table(ServiceConfig)
    properties = schema["properties"]
    properties["base_url"] = {"anyOf": [{"type": "string"}, properties["base_url"]], **_note(properties["base_url"])}
    properties["credentials"] = _credentials(properties["credentials"])
    properties |= {
        name: _table_or_false(table) if table.by_service else {"const": False} for name, table in tables.items()
    }
    by_adapter = [
        {
            "if": {"properties": {"adapter": {"const": name}}, "required": ["adapter"]},
            "then": {"properties": {"options": _table(table.kind)}},
        }
        for name, table in vendors
    ]
    return {**schema, "allOf": by_adapter} if by_adapter else schema


def _options_unless_adapter(table: OptionTable) -> Schema:
    """Return the schema of a service that is called like an adapter, and uses it unless it names another one."""
    return {
        "allOf": [{"$ref": "#/$defs/service"}],
        "if": {"not": {"required": ["adapter"]}},
        "then": {"properties": {"options": _table(table.kind)}},
    }


def _credentials(table: Schema) -> Schema:
    """Return the keys of all methods; others come with plugins, and an adapter may bring the rest of a table."""
    keys = {option.name: _option(option) for kind in METHODS.values() for option in options_of(kind)}
    method = {"type": "string", "examples": [*METHODS, "none"]}
    return {**_note(table), "type": "object", "properties": {"method": method, **keys}}


def _note(schema: Schema) -> Schema:
    return {"description": schema["description"]} if "description" in schema else {}


def _table(kind: type[Any]) -> Schema:
    options = list(options_of(kind))
    schema: Schema = {
        "type": "object",
        "properties": {option.name: _option(option) for option in options},
        "additionalProperties": False,
    }
    required = [option.name for option in options if option.required]
    return {**schema, "required": required} if required else schema


def _option(option: Option) -> Schema:
    schema = _form(option.kind, option.limits)
    unit = f" In {option.unit}." if option.unit else ""
    if option.text:
        schema["description"] = option.text + unit
    if not option.required and option.default is not None and not attrs.has(type(option.default)):
        schema["default"] = plain_default(option)
    return schema


def _form(kind: Annotation, limits: Limits) -> Schema:
    """Return the schema of a type; TOML has no null, so an option that may be none is one that is left out."""
    parts = [each for each in alternatives(kind) if each is not type(None)]
    if len(parts) > 1:
        return {"anyOf": [_form(each, limits) for each in parts]}
    only: Annotation = parts[0]
    origin: Any = get_origin(only)
    args = get_args(only)
    if only is SecretRef:
        return {"$ref": "#/$defs/secret"}
    if origin is Literal:
        return {"enum": list(args)}
    if origin in {tuple, list, set, frozenset} or (isinstance(origin, type) and issubclass(origin, Sequence)):
        return {"type": "array", "items": _form(args[0], Limits()) if args else True, **_lengths(limits, "Items")}
    if isinstance(origin or only, type) and issubclass(origin or only, Mapping):
        return {"type": "object", "additionalProperties": _form(args[1], Limits()) if args else True}
    if attrs.has(only):
        return _table(only)
    return _scalar(only, limits)


def _scalar(kind: Annotation, limits: Limits) -> Schema:
    schema: Schema = {"type": _SIMPLE[kind]} if kind in _SIMPLE else {}
    if limits.choices:
        return {**schema, "enum": list(limits.choices)}
    bounds = {word: getattr(limits, name) for name, word in _BOUNDS.items()}
    schema |= {word: bound for word, bound in bounds.items() if bound is not None}
    return schema | _lengths(limits, "Length")


def _lengths(limits: Limits, of: str) -> Schema:
    lengths = {f"min{of}": limits.min_len, f"max{of}": limits.max_len}
    return {word: length for word, length in lengths.items() if length is not None}
