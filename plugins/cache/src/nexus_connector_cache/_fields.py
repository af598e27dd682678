"""Header fields: directives, seconds and dates read as HTTP caches must read them, whatever a vendor sends."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_tz
from typing import Final

from nexus_connector.headers import Headers

MOST_SECONDS: Final = 2**31
"""What larger numbers of seconds are read as (RFC 9111 section 1.2.2)."""

_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_DIRECTIVE: Final = re.compile(rf'({_NAME})(?:[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,;]*)))?', re.ASCII)
_DIGITS: Final = re.compile("[0-9]+", re.ASCII)


def directives(value: str | None) -> Mapping[str, str | None]:
    """Read a Cache-Control field (RFC 9111 section 5.2): names in lower case with their arguments.

    What cannot be read is passed over, for a forbidding directive may stand behind it. A directive that comes twice
    with two arguments has an empty one, which no number of seconds is.

    >>> directives('max-age="60", Private, max-age=60')
    {'max-age': '60', 'private': None}
    """
    found: dict[str, str | None] = {}
    for name, quoted, plain in (match.group(1, 2, 3) for match in _DIRECTIVE.finditer(value or "")):
        argument = plain if quoted is None else quoted
        key = name.lower()
        found[key] = argument if found.get(key, argument) == argument else ""
    return found


def seconds(argument: str | None) -> int | None:
    """Read a number of seconds; ``None`` for what is none: no digits, a sign, a fraction.

    >>> seconds("60"), seconds("-1"), seconds("9" * 5000)
    (60, None, 2147483648)
    """
    if argument is None or not _DIGITS.fullmatch(argument):
        return None
    digits = argument.lstrip("0")
    return min(int(digits or "0"), MOST_SECONDS) if len(digits) < 11 else MOST_SECONDS


def date(value: str | None) -> float | None:
    """Read a date of any of HTTP's three forms (RFC 9110 section 5.6.7), in seconds since the epoch.

    >>> date("Thu, 01 Jan 1970 00:01:00 GMT"), date("0")
    (60.0, None)
    """
    try:
        parts = parsedate_tz(value or "")
        if parts is None:
            return None
        year, month, day, hour, minute, second = parts[:6]
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)  # 60 is a leap second
        return moment.timestamp() - (parts[9] or 0)
    except (ArithmeticError, LookupError, TypeError, ValueError):  # the parser takes years that the calendar does not
        return None


def members(value: str | None) -> list[str]:
    """Split a field that is a list of names, in lower case.

    >>> members("Accept, ,ACCEPT-Language")
    ['accept', 'accept-language']
    """
    return [name for part in (value or "").split(",") if (name := part.strip().lower())]


def opaque(etag: str) -> str:
    """Return an entity tag without the mark of a weak one (RFC 9110 section 8.8.3.2).

    >>> opaque('W/"1"') == opaque('"1"')
    True
    """
    return etag.strip().removeprefix("W/")


_HOP_BY_HOP: Final = (
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
)


def end_to_end(headers: Headers) -> Headers:
    """Return the fields that may be kept: not those of one connection (RFC 9111 section 3.1).

    >>> end_to_end(Headers({"Connection": "close, X-Hop", "X-Hop": "1", "ETag": "2"}))
    Headers({'ETag': '2'})
    """
    return headers.without(*_HOP_BY_HOP, *members(headers.get("connection")))
