"""The strict converter: plain JSON values into typed ones, saying where it fails and never what stood there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import partial
from pathlib import Path
from types import UnionType
from typing import (
    Any,
    Literal,
    TypeAlias,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)
from uuid import UUID

import attrs
import cattrs
from cattrs.errors import (
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, typeddicts
from cattrs.strategies import configure_union_passthrough

from .scalars import (
    JSON_NAMES,
    MismatchError,
    Number,
    boolean,
    decimal,
    from_text,
    name_of,
    no_bytes,
    number,
    text,
    whole,
)

Hook: TypeAlias = Callable[[Any, Any], Any]


def _also_of_subclasses(base: type, hook: Hook) -> Hook:
    """Serve the subclasses of a kind, for which cattrs calls its hook too: an enum of texts is one of its values."""

    def convert(value: object, kind: Any) -> object:
        if kind is base or not _is_subclass(kind, (base,)):
            return hook(value, kind)
        return _choice(kind)(value, kind) if _is_choice(kind) else kind(hook(value, kind))

    return convert


def _check_mapping(value: object) -> None:
    if not isinstance(value, Mapping):
        message = f"expected an object, got {name_of(value)}"
        raise MismatchError(message)


def strict_converter(*, forbid_extra_keys: bool) -> cattrs.Converter:
    """Return a converter that never guesses: text is no number, ``None`` is no text, 1.5 is no int.

    Args:
        forbid_extra_keys: Whether unknown keys of a class are an error.
    """
    converter = cattrs.Converter(detailed_validation=True, forbid_extra_keys=forbid_extra_keys)
    configure_union_passthrough(str | int | float | bool | None, converter)
    for kind, hook in (
        (str, text),
        (bool, boolean),
        (int, whole),
        (float, number),
        (Decimal, decimal),
        (bytes, no_bytes),
    ):
        converter.register_structure_hook(kind, _also_of_subclasses(kind, hook))
    converter.register_structure_hook(datetime, from_text(datetime, "a time (ISO 8601)", datetime.fromisoformat))
    converter.register_structure_hook(date, from_text(date, "a date (ISO 8601)", date.fromisoformat))
    converter.register_structure_hook(UUID, from_text(UUID, "a UUID", UUID))
    converter.register_structure_hook(Path, from_text(Path, "a path", Path))
    converter.register_structure_hook_func(lambda kind: kind is object or kind is Any, lambda value, _: _plain(value))
    converter.register_structure_hook_factory(_is_plain_union, _plain_union)
    converter.register_structure_hook_factory(_is_choice, _choice)
    converter.register_structure_hook_factory(_is_list, partial(_list, converter))
    converter.register_structure_hook_factory(_is_named_tuple, partial(_named_tuple, converter))
    converter.register_structure_hook_factory(_is_mapping, partial(_mapping, converter))
    converter.register_structure_hook_factory(is_typeddict, partial(_typed_dict, converter))
    converter.register_structure_hook_factory(
        _is_class, partial(_class, converter, forbid_extra_keys=forbid_extra_keys)
    )
    return converter


def _origin(kind: Any) -> Any:
    return get_origin(kind) or kind


def _is_subclass(kind: Any, parents: tuple[type, ...]) -> bool:
    return isinstance(kind, type) and issubclass(kind, parents)


def _is_choice(kind: Any) -> bool:
    return get_origin(kind) is Literal or _is_subclass(kind, (Enum,))


def _is_plain_union(kind: Any) -> bool:
    """Whether it is a union of several kinds of JSON values; with ``None``, one kind alone is an Optional."""
    if get_origin(kind) not in {Union, UnionType}:
        return False
    kinds: set[Any] = set(get_args(kind)) - {type(None)}
    return len(kinds) > 1 and kinds <= {str, bool, int, float}


def _is_list(kind: Any) -> bool:
    return _is_subclass(_origin(kind), (list, tuple, set, frozenset, Sequence, AbstractSet)) and not _is_subclass(
        _origin(kind), (str, bytes)
    )


def _is_named_tuple(kind: Any) -> bool:
    return _is_subclass(kind, (tuple,)) and hasattr(kind, "_fields")


def _is_mapping(kind: Any) -> bool:
    return _is_subclass(_origin(kind), (dict, Mapping))


def _is_class(kind: Any) -> bool:
    return attrs.has(_origin(kind)) or dataclasses.is_dataclass(_origin(kind))


def _plain(value: Any) -> Any:
    """Return a JSON value without remembered digits: what nobody described leaves as Python's own types."""
    if isinstance(value, Number):
        return float(value)
    if isinstance(value, list):
        return [_plain(each) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in cast("dict[Any, Any]", value).items()}
    return value


def _plain_union(kind: Any) -> Hook:
    """One of several kinds of JSON values, told apart by type: ``true`` is no int; a whole number may be a float."""
    kinds = get_args(kind)
    expected = " or ".join("a whole number" if each is int else JSON_NAMES[each] for each in kinds)

    def convert(value: Any, _: object) -> object:
        found: Any = cast("object", value).__class__
        for each in (bool, int, float, str):
            if isinstance(value, each):
                found = each
                break
        if found is int and int not in kinds:
            found = float
        if found in kinds:
            return number(value, float) if found is float else value
        message = f"expected {expected}, got {name_of(value)}"
        raise MismatchError(message)

    return convert


def _choice(kind: Any) -> Hook:
    """One of a few values, compared with their type: ``True`` is not 1."""
    choices = (
        {value: value for value in get_args(kind)}
        if get_origin(kind) is Literal
        else {each.value: each for each in kind}
    )

    def convert(value: object, _: object) -> object:
        if (
            isinstance(value, Hashable)
            and value in choices
            and isinstance(value, bool) is isinstance(choices[value], bool)
        ):
            return choices[value]
        message = "expected one of " + ", ".join(repr(choice) for choice in choices)
        raise MismatchError(message)

    return convert


def _list(converter: cattrs.Converter, kind: Any) -> Hook:
    """Text is a sequence too: it must not become its letters, nor an object a list of its keys."""
    args, origin = get_args(kind), _origin(kind)
    build: Any = (
        origin if origin in {list, tuple, set, frozenset} else frozenset if issubclass(origin, AbstractSet) else list
    )
    fixed = args if origin is tuple and not (len(args) == 2 and args[1] is Ellipsis) and args else None

    def convert(value: Any, _: object) -> object:
        if not isinstance(value, list | tuple):
            message = f"expected a list, got {name_of(value)}"
            raise MismatchError(message)
        items = cast("list[Any]", value)
        if fixed is not None and len(items) != len(fixed):
            message = f"expected a list of {len(fixed)}, got {len(items)}"
            raise MismatchError(message)
        kinds = fixed or (args[0] if args else Any,) * len(items)
        return build(_each(converter, zip(range(len(items)), items, kinds, strict=True), kind))

    return convert


def _named_tuple(converter: cattrs.Converter, kind: Any) -> Hook:
    hints = get_type_hints(kind)
    fixed = tuple(hints.get(name, Any) for name in kind._fields)
    listed = _list(converter, cast("Any", tuple)[fixed])
    return lambda value, _: kind._make(listed(value, kind))


def _mapping(converter: cattrs.Converter, kind: Any) -> Hook:
    args = get_args(kind) or (Any, Any)

    def convert(value: Any, _: object) -> object:
        _check_mapping(value)
        pairs = list(value.items())
        keys = _each(converter, ((key, key, args[0]) for key, _ in pairs), kind)
        return dict(zip(keys, _each(converter, ((key, each, args[1]) for key, each in pairs), kind), strict=True))

    return convert


def _each(converter: cattrs.Converter, items: Iterable[tuple[object, object, Any]], kind: Any) -> list[object]:
    """Convert items one by one and collect what fails, each with its place."""
    converted: list[object] = []
    errors: list[Exception] = []
    for place, item, target in items:
        try:
            converted.append(converter.structure(item, target))
        except Exception as error:
            note = IterableValidationNote("", cast("int", place), target)
            error.add_note(note)
            errors.append(error)
    if errors:
        message = "items do not have the expected form"
        raise IterableValidationError(message, errors, kind)  # pyright: ignore[reportCallIssue]  # its __new__ takes three
    return converted


def _class(converter: cattrs.Converter, kind: Any, *, forbid_extra_keys: bool) -> Hook:
    if attrs.has(_origin(kind)):
        attrs.resolve_types(_origin(kind))
    inner = make_dict_structure_fn(
        kind, converter, _cattrs_forbid_extra_keys=forbid_extra_keys, _cattrs_detailed_validation=True
    )

    def convert(value: object, target: Any) -> object:
        if isinstance(value, _origin(kind)):
            return value
        _check_mapping(value)
        return inner(value, target)  # type: ignore[arg-type]  # checked above

    return convert


def _typed_dict(converter: cattrs.Converter, kind: Any) -> Hook:
    inner: Hook = cast("Any", typeddicts).make_dict_structure_fn(kind, converter)

    def convert(value: object, target: Any) -> object:
        _check_mapping(value)
        return inner(value, target)

    return convert
