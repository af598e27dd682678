"""Options: what an attrs class of options says about each of its fields."""

from __future__ import annotations

import math
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, Literal, TypeAlias, Union, cast, get_args, get_origin

import attrs

from nexus_connector.config import SecretRef

Annotation: TypeAlias = Any

_WORDS: Final[dict[Any, str]] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    object: "anything",
    SecretRef: "secret",
    type(None): "none",
}
_SIGNS: Final = {">": "gt", ">=": "ge", "<": "lt", "<=": "le"}


@attrs.frozen(kw_only=True)
class Limits:
    """The range of an option, as its validators say it.

    Attributes:
        gt: It is above this.
        ge: It is this or above.
        lt: It is below this.
        le: It is this or below.
        choices: It is one of these.
        min_len: It has at least so many characters or items.
        max_len: It has at most so many.
        pattern: It matches this.

    >>> str(Limits(gt=0, le=100)), str(Limits(choices=("a", "b")))
    ('> 0, <= 100', 'a | b')
    """

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    choices: tuple[Any, ...] = ()
    min_len: int | None = None
    max_len: int | None = None
    pattern: str | None = None

    def __str__(self) -> str:
        parts = [f"{sign} {bound:g}" for sign, name in _SIGNS.items() if (bound := getattr(self, name)) is not None]
        parts += [" | ".join(str(choice) for choice in self.choices)] if self.choices else []
        parts += [f"at least {self.min_len} long"] if self.min_len is not None else []
        parts += [f"at most {self.max_len} long"] if self.max_len is not None else []
        parts += [f"matches {self.pattern}"] if self.pattern is not None else []
        return ", ".join(parts)


@attrs.frozen(kw_only=True)
class Option:
    """One option.

    Attributes:
        name: Its key.
        kind: Its annotation, resolved.
        limits: Its range.
        unit: Its unit, as ``s``.
        required: Whether it has no default.
        default: Its default, if it has one.
        text: What it means, without marks.
    """

    name: str
    kind: Annotation
    limits: Limits
    unit: str
    required: bool
    default: object
    text: str


def options_of(kind: type) -> Iterator[Option]:
    """Yield the options of an attrs class, in the order in which they are written.

    >>> from nexus_connector.config import EndpointConfig
    >>> [(option.name, words(option.kind), str(option.limits)) for option in options_of(EndpointConfig)]
    [('timeout_seconds', 'number', '> 0'), ('group', 'text', '')]
    """
    attrs.resolve_types(kind)
    for field in attrs.fields(kind):
        if field.init:
            yield Option(
                name=field.alias or field.name,
                kind=field.type,
                limits=attrs.evolve(limits_of(field.validator), **_literal(field.type)),
                unit=field.metadata.get("unit", ""),
                required=field.default is attrs.NOTHING,
                default=_default(field.default),
                text=field.metadata.get("text", "").replace("``", ""),
            )


def settings_of(kind: type) -> list[Option]:
    """Return the options that are written as one line; those that are tables have a place of their own."""
    return [option for option in options_of(kind) if not _is_table(option.kind)]


def _is_table(kind: Annotation) -> bool:
    """Say whether a type is a table of options, or a table of such tables."""
    inner: tuple[type[Any], ...] = get_args(kind) or (kind,)
    return attrs.has(inner[-1]) and not is_secret(inner[-1])


def facts(option: Option) -> str:
    """Return type, range and unit of an option in words."""
    return ", ".join(filter(None, [words(option.kind), str(option.limits), option.unit and f"in {option.unit}"]))


def _default(default: Any) -> object:
    factory = getattr(default, "factory", None)
    if factory is not None:
        return None if default.takes_self else factory()
    return None if default is attrs.NOTHING else default


def plain_default(option: Option) -> object:
    """Return the default of an option as TOML and JSON know it."""
    default = option.default
    return list(cast("Iterable[object]", default)) if isinstance(default, tuple | frozenset | set) else default


def _literal(kind: Annotation) -> dict[str, Any]:
    choices = next((get_args(each) for each in alternatives(kind) if is_literal(each)), ())
    return {"choices": choices} if choices else {}


def is_literal(kind: Annotation) -> bool:
    """Say whether a type is one of a few values."""
    origin: Any = get_origin(kind)
    return origin is Literal


def is_secret(kind: Annotation) -> bool:
    """Say whether a type is the place of a secret."""
    return kind is SecretRef


def limits_of(validator: Any) -> Limits:
    """Return what a validator allows; what it does not say in attrs' own words it does not say.

    >>> limits_of([attrs.validators.ge(0), attrs.validators.le(10)])
    Limits(gt=None, ge=0, lt=None, le=10, choices=(), min_len=None, max_len=None, pattern=None)
    """
    found: dict[str, Any] = {}
    for each in _parts(validator):
        bound, sign = getattr(each, "bound", None), getattr(each, "compare_op", None)
        if sign in _SIGNS and isinstance(bound, int | float) and math.isfinite(bound):
            found[_SIGNS[sign]] = bound
        options: Any = getattr(each, "options", None)
        if isinstance(options, Sequence | AbstractSet) and not isinstance(options, str):
            found["choices"] = tuple(cast("Iterable[object]", options))
        if isinstance(getattr(each, "min_length", None), int):
            found["min_len"] = each.min_length
        if isinstance(getattr(each, "max_length", None), int):
            found["max_len"] = each.max_length
        pattern = getattr(each, "pattern", None)
        if pattern is not None:
            found["pattern"] = pattern.pattern
    return Limits(**found)


def _parts(validator: Any) -> Iterator[Any]:
    """Walk ``and_``, lists and ``optional``; attrs offers no other way to look into them than their attributes."""
    if isinstance(validator, list | tuple):
        inner = cast("Sequence[Any]", validator)
    else:
        wrapped = getattr(validator, "validator", None)
        inner = getattr(validator, "_validators", ()) if wrapped is None else (wrapped,)
    for each in inner:
        yield from _parts(each)
    if not inner and validator is not None:
        yield validator


def alternatives(kind: Annotation) -> tuple[Annotation, ...]:
    """Return the members of a union; of anything else, itself."""
    origin: Any = get_origin(kind)
    return get_args(kind) if origin in {Union, types.UnionType} else (kind,)


def words(kind: Annotation) -> str:
    """Name a type for people.

    >>> words(float | None), words(tuple[str, ...]), words(Mapping[str, str | SecretRef])
    ('number', 'list of text', 'table of text or secret')
    """
    parts = [each for each in alternatives(kind) if each is not type(None)]
    return " or ".join(dict.fromkeys(_word(each) for each in parts))


def _word(kind: Annotation) -> str:
    origin: Any = get_origin(kind)
    args = get_args(kind)
    if origin is Literal:
        return "text" if all(isinstance(each, str) for each in args) else "choice"
    if origin in {tuple, list, set, frozenset} or (isinstance(origin, type) and issubclass(origin, Sequence)):
        return f"list of {words(args[0])}" if args else "list"
    if isinstance(origin or kind, type) and issubclass(origin or kind, Mapping):
        return f"table of {words(args[1])}" if args and args[1] is not object else "table"
    if attrs.has(kind) and kind not in _WORDS:
        return "table"
    return _WORDS.get(kind, getattr(kind, "__name__", str(kind)))
