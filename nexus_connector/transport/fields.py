"""Header fields of an answer, as they come: plain ones at once, whatever else by http.client's own parser."""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Final, TypeAlias, cast

if TYPE_CHECKING:
    from io import BufferedReader

_PLAIN: Final = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e]*(?<![\t ])\r\n)+\r\n")
"""A name and visible ASCII in every line, no blank at its end: no two parsers disagree (RFC 9112 section 5)."""
_MAX_LINES: Final = 100
"""As many as http.client takes."""


class PlainFields:
    """The fields of a plain head; has of a message what http.client asks of it.

    Attributes:
        pairs: Names and values, in order, without blanks around them.
    """

    __slots__ = ("_first", "pairs")

    def __init__(self, head: str) -> None:
        self.pairs: list[tuple[str, str]] = []
        self._first: dict[str, str] = {}
        for line in head[:-4].split("\r\n"):
            name, _, value = line.partition(":")
            value = value.lstrip(" \t")
            self.pairs.append((name, value))
            self._first.setdefault(name.lower(), value)

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the first value of a name, as a message does."""
        return self._first.get(name.lower(), default)


Fields: TypeAlias = PlainFields | http.client.HTTPMessage


def read_fields(file: BufferedReader) -> Fields:
    """Read the header lines of an answer up to the blank one.

    The parser of http.client is that of e-mail and takes a quarter of a small call. It reads what is not plain, and
    what is not here in one piece; the tests compare both over everything else.

    Raises:
        http.client.HTTPException: If there are too many lines, or too long ones.
    """
    ready = file.peek()
    head = ready[: ready.find(b"\r\n\r\n") + 4]
    if _PLAIN.fullmatch(head) is None or head.count(b"\n") > _MAX_LINES:
        return http.client.parse_headers(file)
    return PlainFields(file.read(len(head)).decode("ascii"))


def _with(function: Callable[..., object], **names: object) -> Callable[..., object]:
    """Return a function of another module as it would be if these names meant something else there."""
    code = cast("FunctionType", function)
    return FunctionType(code.__code__, {**code.__globals__, **names}, code.__name__, code.__defaults__)


begin: Final = cast(
    "Callable[[http.client.HTTPResponse], None]", _with(http.client.HTTPResponse.begin, parse_headers=read_fields)
)
"""http.client's own way to begin an answer: status line, framing, keep-alive. Only the header lines are read here."""
