"""Arguments: what was typed after a domain's method becomes the values that it takes."""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, cast, get_args, get_type_hints

import click

from nexus_connector import Money
from nexus_connector.problems import describe, problems
from nexus_connector.strict import strict_converter


def pairs(arguments: Iterable[str], what: str) -> dict[str, list[str]]:
    """Split ``name=value`` arguments; a name may come several times.

    Args:
        arguments: As typed.
        what: What they are, for the error.

    Raises:
        UsageError: If one has no ``=``.

    >>> pairs(["tag=a", "tag=b", "subject=1=1"], "argument")
    {'tag': ['a', 'b'], 'subject': ['1=1']}
    """
    found: dict[str, list[str]] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not (name and equals):
            raise click.UsageError(f"The {what} {argument!r} is not written as name=value.")
        found.setdefault(name, []).append(value)
    return found


def bind(function: Callable[..., Any], arguments: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Convert typed arguments to what a method of a domain takes.

    Raises:
        UsageError: If one is unknown, missing or of another form.
    """
    kinds = _kinds(function)
    unknown = next((name for name in arguments if name not in kinds), None)
    if unknown is not None:
        close = difflib.get_close_matches(unknown, kinds, n=1)
        guess = f"Did you mean {close[0]!r}?" if close else f"It takes: {', '.join(kinds)}."
        raise click.UsageError(f"There is no argument {unknown!r}. {guess}")
    values = {name: _value(name, texts, kinds[name]) for name, texts in arguments.items()}
    parameters = inspect.signature(function).parameters.values()
    needed = [each.name for each in parameters if each.default is each.empty and each.kind is not each.VAR_KEYWORD]
    missing = [name for name in needed if name not in values]
    if missing:
        raise click.UsageError(f"Missing: {', '.join(f'{name}=VALUE' for name in missing)}.")
    return values


def _kinds(function: Callable[..., Any]) -> dict[str, Any]:
    """Return name and type of everything a method takes, its ``**options`` included."""
    hints = get_type_hints(function)
    kinds: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        hint = hints.get(parameter.name, Any)
        if parameter.kind is parameter.VAR_KEYWORD:
            kinds |= get_type_hints(get_args(hint)[0]) if get_args(hint) else {}
        else:
            kinds[parameter.name] = hint
    return kinds


def _value(name: str, texts: Sequence[str], kind: Any) -> Any:
    """Try what was typed as JSON, as text, and as a list; the first that fits the type is it."""
    parsed = [parse(text) for text in texts]
    tries = [parsed, list(texts)] if len(texts) > 1 else [parsed[0], texts[0], parsed, list(texts)]
    converter = strict_converter(forbid_extra_keys=True)
    converter.register_structure_hook(Money, lambda value, _: _money(value))
    failures: list[Exception] = []
    for each in tries:
        try:
            return converter.structure(each, kind)
        except Exception as error:  # converters raise whatever the type's own checks raise
            failures.append(error)
    place, problem = next(problems(failures[0]), ("", failures[0]))
    where = f"{name}.{place}" if place else name
    raise click.UsageError(f"The argument {where}: {describe(problem)}.")


def parse(text: str) -> Any:
    """Return what a text means as JSON; the text itself if it is none.

    >>> parse("42"), parse("[1]"), parse("Hello")
    (42, [1], 'Hello')
    """
    try:
        return json.loads(text, parse_float=Decimal)
    except ValueError:
        return text


def _money(value: Any) -> Money:
    """Take ``12.50 EUR`` and ``{"amount": "12.50", "currency": "EUR"}``."""
    if isinstance(value, Mapping):
        return Money(**cast("Mapping[str, Any]", value))
    amount, _, currency = str(value).strip().partition(" ")
    return Money(amount, currency)
