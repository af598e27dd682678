"""Options: a table for each attrs class of options, of the core and of what is installed."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Any, Final, Literal, TypeAlias, Union, cast, get_args, get_origin

import attrs

from nexus_connector.config import PluginsConfig, SecretRef
from nexus_connector.plugins import discover, vendor_entries
from nexus_connector.static_credentials import METHODS

from .markdown import code, plain, summary, table

Option: TypeAlias = "attrs.Attribute[Any]"

_HEAD: Final = ("option", "value", "default", "meaning")
_WORDS: Final[Mapping[Any, str]] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    SecretRef: "secret",
}


def options(path: str) -> str:
    """Return the table of a class.

    Args:
        path: Where the class is, as ``nexus_connector.config.ServiceConfig``.
    """
    module, _, name = path.strip().rpartition(".")
    return _table(getattr(importlib.import_module(module), name))


def credentials(_: str) -> str:
    """Return a section for each method of ``[services.NAME.credentials]`` that the core knows."""
    return "\n\n".join(_section(3, f'`method = "{name}"`', kind) for name, kind in METHODS.items())


def plugins(_: str) -> str:
    """Return a section for each installed plugin that has options."""
    return "\n\n".join(
        _section(3, f"`[plugins.{name}]`", kind, f"For one service: `[services.NAME.{name}]`.")
        for name, kind in plugin_classes()
    )


def adapters(_: str) -> str:
    """Return a section for each installed vendor adapter that has options."""
    return "\n\n".join(_section(3, f'`adapter = "{name}"`', kind) for name, kind in adapter_classes())


def plugin_classes() -> Iterator[tuple[str, type[Any]]]:
    """Yield name and class of the options of each installed plugin that has some."""
    for each in discover(PluginsConfig(), ()):
        if each.plugin is not None and attrs.fields(each.plugin.config):
            yield each.name, each.plugin.config


def adapter_classes() -> Iterator[tuple[str, type[Any]]]:
    """Yield name and class of the options of each installed vendor adapter that has some."""
    for name, entry in sorted(vendor_entries().items()):
        kind: type[Any] = entry.load().options_class
        if attrs.fields(kind):
            yield name, kind


def fields_of(kind: type[Any]) -> list[Option]:
    """Return the options of a class but those that are tables with a section of their own, with their types."""
    attrs.resolve_types(kind)
    fields: Sequence[Option] = attrs.fields(kind)
    return [field for field in fields if not attrs.has(cast("type[object]", type(field.default)))]


def _section(level: int, title: str, kind: type[Any], note: str = "") -> str:
    text = summary(kind).partition(": ")[2] or summary(kind)
    shown = text[:1].upper() + text[1:] if not text.startswith("`") else ""
    return "\n\n".join(part for part in (f"{'#' * level} {title}", shown, note, _table(kind)) if part)


def _table(kind: type[Any]) -> str:
    return table(_HEAD, [(code(each.name), _value(each), _default(each), _text(each)) for each in fields_of(kind)])


def _text(field: Option) -> str:
    return plain(field.metadata.get("text", ""))


def _value(field: Option) -> str:
    """Return what may stand there: ``number in s, > 0``, ``one of `a`, `b```."""
    choices = [choice for each in members(field.type) if get_origin(each) is Literal for choice in get_args(each)]
    if choices:
        return "one of " + ", ".join(code(choice) for choice in choices)
    unit = field.metadata.get("unit", "")
    words = type_words(field.type) + (f" in {unit}" if unit else "")
    return ", ".join(part for part in (words, _range(field.validator)) if part)


def _default(field: Option) -> str:
    if field.default is attrs.NOTHING:
        return "required"
    factory: Any = getattr(field.default, "factory", None)
    made = factory() if factory else field.default
    if made is None:
        return "none"
    return code(_number(made) if isinstance(made, float) else json.dumps(made))


def members(annotation: Any) -> Sequence[Any]:
    """Return the members of a union but ``None``; of anything else, itself."""
    parts = get_args(annotation) if get_origin(annotation) in {Union, UnionType} else (annotation,)
    return [each for each in parts if each is not type(None)]


def type_words(annotation: Any) -> str:
    """Name a type for people.

    >>> type_words(float | None), type_words(tuple[str, ...]), type_words(Mapping[str, object])
    ('number', 'list of text', 'table')
    """
    words: list[str] = []
    for each in members(annotation):
        origin = get_origin(each)
        if origin is tuple:
            words.append(f"list of {type_words(get_args(each)[0])}")
        else:
            is_table = (isinstance(origin, type) and issubclass(origin, Mapping)) or attrs.has(each)
            words.append(_WORDS.get(each) or ("table" if is_table else each.__name__))
    return " or ".join(words)


def _range(validator: Any) -> str:
    """Return the range that attrs' own validators keep: ``0 to 100``, ``> 0``; empty without one."""
    bounds = {sign: bound for sign, bound in _bounds(validator) if math.isfinite(bound)}
    if set(bounds) == {">=", "<="}:
        return f"{_number(bounds['>='])} to {_number(bounds['<='])}"
    return ", ".join(f"{sign} {_number(bound)}" for sign, bound in bounds.items())


def _number(value: float) -> str:
    """Return a number without an exponent, and without a point where it is whole."""
    return str(int(value)) if value == int(value) else str(value)


def _bounds(validator: Any) -> Iterator[tuple[str, float]]:
    """Yield sign and bound of each comparison; attrs offers no other way to look into ``and_`` and ``optional``."""
    optional: Any = getattr(validator, "validator", None)
    for each in [optional] if optional else getattr(validator, "_validators", ()):
        yield from _bounds(each)
    if hasattr(validator, "compare_op"):
        yield validator.compare_op, validator.bound
