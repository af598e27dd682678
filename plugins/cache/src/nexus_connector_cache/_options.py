"""The options of the cache plugin: ``[plugins.cache]`` for all services, ``[services.NAME.cache]`` for one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import attrs
from attrs import validators

from nexus_connector.config.model import at_least, option

from ._rules import LONGEST_SECONDS, Rules

_seconds: Final = [at_least(0), validators.le(LONGEST_SECONDS)]


def _are_seconds(options: CacheOptions, attribute: attrs.Attribute[object], value: Mapping[str, float]) -> None:
    for name, seconds in value.items():
        if not 0 <= seconds <= LONGEST_SECONDS or math.isnan(seconds):
            message = f"'{attribute.name}' must be 0 to {LONGEST_SECONDS:g} seconds for {name!r}: {seconds:g}"
            raise ValueError(message)


@attrs.frozen(kw_only=True)
class CacheOptions:
    """Which answers of a service are kept, and for how long.

    How long an answer is fresh is the vendor's to say (Cache-Control, Expires). A fresh one is used without asking; a
    stale one is confirmed by the vendor first (ETag, Last-Modified).

    Attributes:
        enabled: Whether answers are kept at all.
        stale_if_error_seconds: How long a stale answer stands in while the vendor fails, 0 to 2592000; 0: never.
        keep_seconds: How long a stale answer with ETag or Last-Modified is kept to be confirmed, 0 to 2592000.
        default_seconds: How long an answer is fresh of which the vendor does not say it, 0 to 2592000; 0: not at all.
        endpoints: Seconds that the answers of single operations are fresh, by their name, whatever the vendor says of
            it, 0 to 2592000.
        max_stored_bytes: Largest answer that is kept, header fields included.
        max_variants: Answers kept for one request where the vendor's Vary tells them apart, 1 to 64.

    >>> CacheOptions(endpoints={"GET /rates": 60.0}).rules("GET /rates").override_seconds
    60.0
    """

    enabled: bool = option(False, "Whether answers are kept at all.")
    stale_if_error_seconds: float = option(
        300.0,
        "How long a stale answer stands in while the circuit is open or the vendor fails; 0: never.",
        validator=_seconds,
        unit="s",
    )
    keep_seconds: float = option(
        300.0,
        "How long a stale answer with ETag or Last-Modified is kept, to be confirmed by the vendor.",
        validator=_seconds,
        unit="s",
    )
    default_seconds: float = option(
        0.0,
        "How long an answer is fresh of which the vendor does not say it; 0: not at all.",
        validator=_seconds,
        unit="s",
    )
    endpoints: Mapping[str, float] = option(
        {},
        "Seconds that the answers of single operations are fresh, by their name, instead of what the vendor says.",
        validator=_are_seconds,
        unit="s",
    )
    max_stored_bytes: int = option(
        1024 * 1024,
        "Largest answer that is kept, header fields included.",
        validator=[at_least(1), validators.le(100 * 1024 * 1024)],
        unit="bytes",
    )
    max_variants: int = option(
        8,
        "Answers kept for one request where the vendor's Vary tells them apart; the oldest beyond them goes.",
        validator=[at_least(1), validators.le(64)],
    )

    def rules(self, operation: str) -> Rules:
        """Return what holds for one operation.

        Args:
            operation: Its name, as ``GET /orders/{id}``.
        """
        return Rules(
            stale_if_error_seconds=self.stale_if_error_seconds,
            keep_seconds=self.keep_seconds,
            default_seconds=self.default_seconds,
            override_seconds=self.endpoints.get(operation),
        )
