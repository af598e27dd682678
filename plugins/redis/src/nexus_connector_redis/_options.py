"""The options of ``[plugins.redis]``."""

from __future__ import annotations

import attrs
from attrs import validators

from nexus_connector import option


def _without_braces(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    if "{" in value or "}" in value:
        message = f"{attribute.name} must hold no braces: they mark the part of a key that a cluster places it by"
        raise ValueError(message)


@attrs.frozen(kw_only=True)
class RedisOptions:
    """``[plugins.redis]``: how long to wait for Redis, and what its keys are called.

    >>> RedisOptions().timeout_seconds
    0.1
    """

    timeout_seconds: float = option(
        0.1,
        "Longest wait for a connection, for a free place among them, and for an answer.",
        validator=[validators.gt(0), validators.le(60)],
        unit="s",
    )
    max_connections: int = option(
        16,
        "Connections of one process to one server, and of each event loop; threads and tasks beyond them wait.",
        validator=validators.ge(1),
    )
    key_prefix: str = option(
        "nexus:",
        "What all keys begin with; applications that share a server take different ones.",
        validator=_without_braces,
    )
