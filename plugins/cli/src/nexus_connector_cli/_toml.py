"""TOML: values, tables and remarks as they are written into a configuration file."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, cast

from ._options import Limits, Option, alternatives, facts, is_secret, plain_default

_WIDTH: Final = 84
_ASIDE: Final = 40
_BARE: Final = re.compile("[A-Za-z0-9_-]+")


def toml(value: object) -> str:
    r"""Write a value as TOML.

    >>> toml({"env": 'a "b"'}), toml([True, 0.5, 3])
    ('{ env = "a \\"b\\"" }', '[true, 0.5, 3]')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        table = cast("Mapping[str, object]", value)
        return f"{{ {', '.join(f'{key(name)} = {toml(each)}' for name, each in table.items())} }}" if table else "{}"
    if isinstance(value, Iterable) and not isinstance(value, str):
        return f"[{', '.join(toml(each) for each in cast('Iterable[object]', value))}]"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def key(name: str) -> str:
    """Write the name of a key or of a table.

    >>> key("crm"), key("GET /orders/{id}")
    ('crm', '"GET /orders/{id}"')
    """
    return name if _BARE.fullmatch(name) else toml(name)


def remark(text: str) -> list[str]:
    """Write a remark: lines that begin with ``#`` and a blank."""
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def beside(line: str, text: str) -> str:
    """Write a line with a remark beside it.

    >>> beside("a = 1", "one")
    'a = 1                                   # one'
    """
    return f"{line:<{_ASIDE - 1}} # {text}" if text else line


def settings(options: Iterable[Option], examples: Mapping[str, object], *, below: str = "") -> Iterator[str]:
    """Write options as settings that do not count yet: lines that begin with ``#`` and no blank.

    Args:
        options: The options.
        examples: Values to show in place of the defaults, by name.
        below: Path of their table in the one that they are written into, with a dot at its end.
    """
    for option in options:
        yield from remark(option.text)
        default = plain_default(option)
        value = examples.get(option.name, _example(option) if default is None else default)
        beside_it = [facts(option), "" if value == default else _default(option)]
        yield beside(f"#{below}{option.name} = {toml(value)}", ", ".join(filter(None, beside_it)))


def _default(option: Option) -> str:
    default = plain_default(option)
    return "required" if option.required else "no default" if default is None else f"default {toml(default)}"


def _example(option: Option) -> object:
    """Return a value that would be taken, for an option without a default."""
    if option.limits.choices:
        return option.limits.choices[0]
    kinds = alternatives(option.kind)
    if any(is_secret(kind) for kind in kinds):
        return {"env": option.name.upper()}
    if bool in kinds:
        return True
    if int in kinds or float in kinds:
        number = _number(option.limits)
        return float(number) if float in kinds else int(number)
    return "..." if str in kinds else []


def _number(limits: Limits) -> float:
    """Return a small number within limits: one above the lower one, or the middle where that would be too much."""
    low, high = limits.ge or limits.gt or 0, limits.le if limits.lt is None else limits.lt
    number = low if limits.gt is None else low + 1
    return number if high is None or number < high else (low + high) / 2
