"""Scalars: single JSON values read strictly, each as what it is and nothing else."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any, Self, TypeVar

T = TypeVar("T")

_DIGITS = re.compile("-?[0-9]+([.][0-9]+)?([eE][-+]?[0-9]+)?")

JSON_NAMES: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    Decimal: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
}


class MismatchError(ValueError):
    """A value that does not have the expected form; its text holds no value."""


class Number(float):
    """A JSON number that remembers its digits, so that a Decimal gets them all."""

    text: str

    def __new__(cls, text: str) -> Self:
        """Make a number of its digits."""
        number = super().__new__(cls, text)
        number.text = text
        return number


def name_of(value: object) -> str:
    """Name the form of a JSON value, as ``text`` or ``a number``."""
    return "a number" if isinstance(value, float) else JSON_NAMES.get(type(value), type(value).__name__)


def text(value: object, _: object) -> str:
    """Text is text."""
    if isinstance(value, str):
        return value
    message = f"expected text, got {name_of(value)}"
    raise MismatchError(message)


def boolean(value: object, _: object) -> bool:
    """True or false, and not 1 or 0."""
    if isinstance(value, bool):
        return value
    message = f"expected true or false, got {name_of(value)}"
    raise MismatchError(message)


def whole(value: object, _: object) -> int:
    """A whole number, and not a boolean."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    message = f"expected a whole number, got {name_of(value)}"
    raise MismatchError(message)


def number(value: object, _: object) -> float:
    """A finite number; a whole one will do."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    message = f"expected a finite number, got {name_of(value)}"
    raise MismatchError(message)


def decimal(value: object, _: object) -> Decimal:
    """A number with all its digits, or text that is one."""
    digits = value.text if isinstance(value, Number) else value
    if isinstance(digits, str | int | Decimal) and not isinstance(digits, bool):
        found = Decimal(digits) if not isinstance(digits, str) or _DIGITS.fullmatch(digits) else Decimal("NaN")
        if found.is_finite():
            return found
    message = f"expected a decimal number, got {name_of(value)}"
    raise MismatchError(message)


def no_bytes(value: object, _: object) -> bytes:
    """Refuse: JSON has none, and guessing an encoding would go wrong."""
    message = f"JSON holds no bytes, got {name_of(value)}: decode it in a callable"
    raise MismatchError(message)


def from_text(kind: type[T], what: str, parse: Any) -> Any:
    """Return what reads a kind out of its text; a value that is of that kind already will do."""

    def convert(value: object, _: object) -> T:
        if isinstance(value, kind):
            return value
        if isinstance(value, str):
            try:
                return parse(value)  # type: ignore[no-any-return]  # each parser makes its own kind
            except ValueError:
                pass
        message = f"expected {what}, got {name_of(value)}" + (" of another form" if isinstance(value, str) else "")
        raise MismatchError(message)

    return convert
