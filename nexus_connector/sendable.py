"""Sendable requests: nothing in them splits a header or a request line."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from .errors import InvalidRequestError

if TYPE_CHECKING:
    from .message import Request

_FORBIDDEN = re.compile("[\r\n\0]")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def check_wire(request: Request) -> None:
    """Refuse what could split a header or a request line, whoever put it there.

    Raises:
        InvalidRequestError: If the method or a header name is no token, or a value holds CR, LF, NUL or no Latin-1.
    """
    if not _is_token(request.method):
        message = f"{request.method!r} is not an HTTP method."
        raise InvalidRequestError(message, hint="Nothing was sent.")
    path = request.path  # if all of it can be printed there is no line break in it, which is quicker to tell
    if (not path.isprintable() and _FORBIDDEN.search(path)) or " " in path:
        message = "The path holds a space, a line break or NUL."
        raise InvalidRequestError(message, hint="Give it unquoted as path and path_values; nothing was sent.")
    for name, value in request.headers.pairs():
        if not _is_token(name):
            message = f"{name!r} is not a header name."
            raise InvalidRequestError(message, hint="Nothing was sent.")
        # Nearly every value is plain text, which one look tells.
        if not isinstance(value, str) or not ((value.isascii() and value.isprintable()) or _is_latin(value)):
            message = f"The value of header {name} holds a line break, NUL or a sign beyond Latin-1."
            raise InvalidRequestError(message, hint="Check where it comes from; nothing was sent.")


@lru_cache(maxsize=4096)
def _is_token(name: str) -> bool:
    return _TOKEN.fullmatch(name) is not None


def _is_latin(value: str) -> bool:
    return _FORBIDDEN.search(value) is None and max(value, default="") <= "\xff"
