"""Rules: what may be kept, for how long it is fresh, and when it may be used, by RFC 9111 and RFC 5861. Pure.

The cache is a private one, of one tenant and one account: what holds for shared caches only (s-maxage, private,
proxy-revalidate, Authorization) has no say. Times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import attrs

from nexus_connector.headers import Headers

from ._fields import date, directives, end_to_end, members, opaque, seconds
from ._kept import Kept

LONGEST_SECONDS: Final = 30 * 24 * 3600.0
"""No answer is kept longer than 30 days."""

UNDERSTOOD: Final = frozenset({200, 203, 204, 300, 301, 302, 307, 308, 404, 405, 410, 414})
"""Statuses that are kept: final and whole, and no failure of the moment (RFC 9111 section 3, RFC 9110 section 15.1)."""

_OF_THE_BODY: Final = ("content-encoding", "content-length", "content-range", "content-type")

Directives: TypeAlias = Mapping[str, str | None]
"""What a Cache-Control field says, by name."""


@attrs.frozen(kw_only=True)
class Rules:
    """What the options say of one operation; see `CacheOptions`.

    Attributes:
        stale_if_error_seconds: How long a stale answer stands in for an error.
        keep_seconds: How long a stale answer is kept to be confirmed.
        default_seconds: How long an answer is fresh of which the vendor does not say it.
        override_seconds: How long an answer is fresh whatever the vendor says; ``None``: as it says.
    """

    stale_if_error_seconds: float = 300.0
    keep_seconds: float = 300.0
    default_seconds: float = 0.0
    override_seconds: float | None = None


def storable(kept: Kept, rules: Rules) -> bool:
    """Say whether an answer may be kept (section 3), and whether it could ever be used again."""
    if kept.status not in UNDERSTOOD or "no-store" in _said(kept) or "*" in members(kept.headers.get("vary")):
        return False
    return lifetime(kept, rules) > 0 or bool(conditions(kept))


def lifetime(kept: Kept, rules: Rules) -> float:
    """Return how long an answer is fresh from when it was made (section 4.2.1); what cannot be read is stale.

    What the options say is for good answers: that something is missing or moved is for the vendor to say.
    """
    own = kept.status < 300
    if own and rules.override_seconds is not None:
        return rules.override_seconds
    said = _said(kept)
    if "max-age" in said:
        return seconds(said["max-age"]) or 0
    expires = kept.headers.get("expires")
    if expires is not None:
        made = date(kept.headers.get("date"))
        return max(0.0, (date(expires) or 0.0) - (kept.received_at if made is None else made))
    return rules.default_seconds if own else 0.0


def age(kept: Kept, now: float) -> float:
    """Return how old an answer is (section 4.2.3), by its Age field and our clock.

    The Date field has no say in it, as the RFC leaves open: a vendor's clock that is wrong would decide.
    """
    told = seconds((kept.headers.get("age") or "").partition(",")[0].strip()) or 0
    delay = max(0.0, kept.received_at - kept.requested_at)
    return told + delay + max(0.0, now - kept.received_at)


def usable(kept: Kept, asked: Directives, now: float, rules: Rules) -> bool:
    """Say whether an answer may be used without asking the vendor (sections 4, 4.2.4 and 5.2.1).

    Args:
        kept: The answer.
        asked: Cache-Control of the request.
        now: The time.
        rules: What the options say.
    """
    said = _said(kept)
    if "no-cache" in asked or "no-cache" in said:
        return False
    fresh, old = lifetime(kept, rules), age(kept, now)
    if "max-age" in asked and old > (seconds(asked["max-age"]) or 0):
        return False
    if "min-fresh" in asked:
        margin = seconds(asked["min-fresh"])
        if margin is None or fresh - old < margin:
            return False
    if fresh > old:
        return True
    if "max-stale" not in asked or "must-revalidate" in said:
        return False
    excess = asked["max-stale"]
    return excess is None or old - fresh <= (seconds(excess) or 0)


def stands_in(kept: Kept, asked: Directives, now: float, rules: Rules) -> bool:
    """Say whether a stale answer may be used because the vendor fails (RFC 5861 section 4).

    For as long as the options say, or less if the vendor or the request says so. Never against ``no-cache``,
    ``must-revalidate`` (RFC 9111 section 4.2.4) or what the request says of the age.
    """
    said = _said(kept)
    if "no-cache" in asked or "min-fresh" in asked or "no-cache" in said or "must-revalidate" in said:
        return False
    old = age(kept, now)
    if "max-age" in asked and old > (seconds(asked["max-age"]) or 0):
        return False
    allowed = rules.stale_if_error_seconds
    for source in (said, asked):
        if "stale-if-error" in source:
            allowed = min(allowed, seconds(source["stale-if-error"]) or 0)
    return allowed > 0 and old - lifetime(kept, rules) <= allowed


def conditions(kept: Kept) -> dict[str, str]:
    """Return the request header fields by which the vendor can confirm an answer (section 4.3.1)."""
    fields = {"If-None-Match": "etag", "If-Modified-Since": "last-modified"}
    return {name: value for name, field in fields.items() if (value := kept.headers.get(field))}


def confirms(headers: Headers, kept: Kept) -> bool:
    """Say whether a 304 is about this answer (section 4.3.4): it may name another one."""
    for field, plain in (("etag", opaque), ("last-modified", str.strip)):
        told, known = headers.get(field), kept.headers.get(field)
        if told is not None and known is not None:
            return plain(told) == plain(known)
    return True


def freshened(kept: Kept, answer: Kept) -> Kept:
    """Return a confirmed answer (section 3.2): its fields replaced by those of the 304 but for those of its body.

    Args:
        kept: The answer.
        answer: The 304, as if it were to be kept.
    """
    told = answer.headers.without(*_OF_THE_BODY)
    # Both tell of the moment at which an answer was made: without them the 304 was made just now.
    headers = kept.headers.without("age", "date").with_fields(dict(told.pairs()))
    return attrs.evolve(answer, status=kept.status, headers=headers, body=kept.body)


def kept_from(answer: Kept, own: Headers) -> Kept:
    """Return an answer as it may be kept, with the request header fields on which it depends (section 4.1).

    Args:
        answer: The answer with all its fields.
        own: Header fields of the request that are not those of every request of the service.
    """
    varying = {name: _normal(own.get(name)) for name in members(answer.headers.get("vary"))}
    return attrs.evolve(answer, headers=end_to_end(answer.headers), varying=varying)


def matches(kept: Kept, own: Headers) -> bool:
    """Say whether an answer is one to this request, by the header fields that its Vary names (section 4.1)."""
    return all(_normal(own.get(name)) == value for name, value in kept.varying.items())


def kept_seconds(kept: Kept, now: float, rules: Rules) -> float:
    """Return for how much longer an answer is worth keeping; at most 30 days, 0 or less: it is not."""
    said = _said(kept)
    is_servable_stale = "no-cache" not in said and "must-revalidate" not in said
    beyond = max(
        rules.stale_if_error_seconds if is_servable_stale else 0.0, rules.keep_seconds if conditions(kept) else 0.0
    )
    return min(LONGEST_SECONDS, lifetime(kept, rules) + beyond - age(kept, now))


def _said(kept: Kept) -> Directives:
    return directives(kept.headers.get("cache-control"))


def _normal(value: str | None) -> str | None:
    return None if value is None else value.strip()
