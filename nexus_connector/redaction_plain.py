"""Plain values: what JSON does not know, turned into something nearer to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Any, Final, cast

from .redaction_text import HIDDEN

_type: Final = cast("Callable[[object], Any]", type)  # for type checkers: what came in as Any stays Any
_PLAINER: Final[tuple[tuple[Any, Callable[[Any], object]], ...]] = (
    (Enum, lambda value: value.value),
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    ((bytearray, memoryview), bytes),
    (Mapping, dict),
    (tuple, lambda value: dict(zip(value._fields, value, strict=False)) if hasattr(value, "_fields") else list(value)),
    ((AbstractSet, list, deque), list),
    (bytes, lambda value: value.decode("utf-8", "replace")),
    (BaseException, lambda value: f"{type(value).__name__}: {value}"),
    (object, str),
)


def plainer(value: Any) -> object:
    """Turn what JSON does not know into something nearer to it, at last its text."""
    kind = _type(value)
    try:
        fields = getattr(kind, "__attrs_attrs__", None) or getattr(kind, "__dataclass_fields__", {}).values()
        if fields:
            return {field.name: getattr(value, field.name) if field.repr else HIDDEN for field in fields}
        convert = next(convert for base, convert in _PLAINER if issubclass(kind, base))
        return cast("object", convert(value))
    except Exception:  # a foreign object may raise anything, and a record is owed all the same
        return f"<{kind.__name__}>"
