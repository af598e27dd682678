"""Paths: templates filled with quoted values, sure to stay on the service's own host."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote

from .body import text_of
from .errors import InvalidRequestError

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PATH_SAFE = "/!$&'()*+,;=:@~%"


def fill_path(template: str, values: Mapping[str, object]) -> str:
    """Fill the placeholders of a path; values are quoted, so that none leaves its segment.

    Raises:
        InvalidRequestError: If the path does not begin with one slash, climbs with dots, or placeholders and values
            do not match.

    >>> fill_path("/orders/{id}", {"id": "a/b?c"})
    '/orders/a%2Fb%3Fc'
    """
    return _fill(template, values) if values else _fill_nothing(template)


@lru_cache(maxsize=4096)
def _fill_nothing(template: str) -> str:
    return _fill(template, {})


def _fill(template: str, values: Mapping[str, object]) -> str:
    names = _PLACEHOLDER.findall(template)
    if values or names:
        missing, extra = sorted(set(names) - set(values)), sorted(set(values) - set(names))
        if missing or extra:
            message = f"Path {template!r} and its values do not match: " + ", ".join(
                [f"{name!r} is missing" for name in missing] + [f"{name!r} has no place" for name in extra]
            )
            raise InvalidRequestError(f"{message}.", hint="Give exactly the placeholders of the path as path_values.")
    check_path(text_of(template, "path"))
    path = quote(_PLACEHOLDER.sub(lambda match: _segment(match[1], values[match[1]]), template), safe=_PATH_SAFE)
    if _climbs(path):
        raise _climbing(path)
    return path


def _segment(name: str, value: object) -> str:
    text = quote(text_of(value, f"path value ({name})"), safe="")
    if text in {"", ".", ".."}:
        message = f"Path value {name!r} is {text!r}, which would name another path."
        raise InvalidRequestError(message, hint="Give the id of one thing.")
    return text


def check_path(path: str) -> str:
    """Return a path that is sure to stay on the service's own host.

    Raises:
        InvalidRequestError: If it does not begin with exactly one slash, holds a query, a dot segment or a backslash.

    >>> check_path("/v1/orders")
    '/v1/orders'
    """
    if not path.startswith("/") or path.startswith("//") or "?" in path or "#" in path:
        message = f"{path!r} is not a path of this service."
        hint = "Begin with one slash; give a query as query=, another host as another service."
        raise InvalidRequestError(message, hint=hint)
    if _climbs(path) or "\\" in path or "%5c" in path.lower():
        raise _climbing(path)
    return path


def _climbs(path: str) -> bool:
    plain = path.replace("%2e", ".").replace("%2E", ".")
    return "/./" in plain or "/../" in plain or plain.endswith(("/.", "/.."))


def _climbing(path: str) -> InvalidRequestError:
    message = f"{path!r} climbs out of its own place."
    return InvalidRequestError(message, hint="Write the path without dot segments and backslashes.")
