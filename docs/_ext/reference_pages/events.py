"""Events: a section for each event of a module, with its fields and who tells it."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import attrs

from nexus_connector import Event

from .markdown import attributes, code, summary, table
from .sources import makers, told_by


def events(path: str) -> str:
    """Return the sections of the events that a module defines, in its order.

    Args:
        path: The module, as ``nexus_connector.events``.
    """
    return "\n\n".join(_section(kind) for kind in _defined(importlib.import_module(path.strip())))


def _defined(module: ModuleType) -> list[type[Event]]:
    found = [each for each in vars(module).values() if isinstance(each, type) and issubclass(each, Event)]
    return [each for each in found if each.__module__ == module.__name__]


def _section(kind: type[Event]) -> str:
    texts, types = attributes(kind), get_type_hints(kind)
    rows = [
        (code(field.name), _type_words(types[field.name]), texts[field.name])
        for field in attrs.fields(kind)
        if not field.inherited
    ]
    who = "Every event has these fields." if kind is Event else told_by(makers().get(kind.__name__, ()), "Told")
    return "\n\n".join([f"### {kind.__name__}", summary(kind), table(("field", "type", "meaning"), rows), who])


def _type_words(annotation: Any) -> str:
    """Return a type as it is written; choices one by one.

    >>> _type_words(str | None), _type_words(Literal["open", "closed"])
    ('`str | None`', '`"open"`, `"closed"`')
    """
    if get_origin(annotation) is Literal:
        return ", ".join(code(f'"{each}"') for each in get_args(annotation))
    members = get_args(annotation) or (annotation,)
    return code(" | ".join("None" if each is type(None) else each.__name__ for each in members))
