"""URLs: which of them are Redis's, and which of those are known to be good without asking redis-py."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["server", "sentinel", "cluster"]

SCHEMES: Final[Mapping[str, tuple[Kind, str]]] = {
    "redis": ("server", "redis"),
    "rediss": ("server", "rediss"),
    "unix": ("server", "unix"),
    "redis+unix": ("server", "unix"),
    "redis+sentinel": ("sentinel", "redis"),
    "rediss+sentinel": ("sentinel", "rediss"),
    "redis+cluster": ("cluster", "redis"),
    "rediss+cluster": ("cluster", "rediss"),
}
"""Who is named by a scheme, and the scheme under which redis-py reads the rest."""

_NAME: Final = r"(?:[A-Za-z0-9._~!$*+,;=-]|%[0-9A-Fa-f]{2})*"
PLAIN: Final = re.compile(
    rf"rediss?://(?:(?P<user>{_NAME})(?::(?P<password>{_NAME}))?@)?"
    r"(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*)(?::(?P<port>[1-9][0-9]{0,3}|[1-5][0-9]{4}))?(?:/(?P<db>[0-9]{0,9}))?"
)
"""One server by name or IPv4 address, with what nearly every URL has and nothing else.

It is narrow on purpose and reads nothing: a URL that it does not know is not wrong, redis-py is asked about it.
"""


def is_redis(url: str) -> bool:
    """Say whether the scheme of a store's URL is one of Redis's."""
    scheme, mark, _ = url.partition("://")
    return bool(mark) and scheme.lower() in SCHEMES


def is_plain(url: str) -> bool:
    """Say whether redis-py will read a URL without a complaint; ``False``: it has to be asked.

    >>> is_plain("redis://:secret@crm:6379/0"), is_plain("redis://crm?db=0")
    (True, False)
    """
    return PLAIN.fullmatch(url) is not None
