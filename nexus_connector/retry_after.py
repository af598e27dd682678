"""The Retry-After header: seconds or a date, read strictly (RFC 9110 section 10.2.3)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

MAX_SECONDS = 366 * 24 * 3600.0
"""Longer waits than a year are read as a year: the value stays a wait, and stays finite."""

_DIGITS = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,6})?", re.ASCII)
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1
    )
}
_DATE_FORMS = (
    # IMF-fixdate; RFC 850 and asctime are obsolete, and still sent. strptime would read names in the process's locale.
    re.compile(
        r"[A-Z][a-z]{2}, (?P<day>[0-9]{2}) (?P<month>[A-Z][a-z]{2}) (?P<year>[0-9]{4}) (?P<clock>[0-9:]{8}) GMT"
    ),
    re.compile(
        r"[A-Z][a-z]{5,8}, (?P<day>[0-9]{2})-(?P<month>[A-Z][a-z]{2})-(?P<year>[0-9]{2}) (?P<clock>[0-9:]{8}) GMT"
    ),
    re.compile(r"[A-Z][a-z]{2} (?P<month>[A-Z][a-z]{2}) (?P<day>[0-9 ][0-9]) (?P<clock>[0-9:]{8}) (?P<year>[0-9]{4})"),
)


def parse_retry_after(value: str, *, now: float) -> float | None:
    """Read a Retry-After header.

    Args:
        value: The raw header. Several values (a repeated header) count as the longest of the readable ones.
        now: Wall clock, seconds since the epoch.

    Returns:
        Seconds to wait, 0 for a date in the past, at most a year; ``None`` if the value cannot be read.

    >>> parse_retry_after("120", now=0.0)
    120.0
    >>> parse_retry_after("Thu, 01 Jan 1970 00:01:00 GMT", now=0.0)
    60.0
    >>> parse_retry_after("-5", now=0.0) is None
    True
    """
    text = value.strip(" \t")
    if _DIGITS.fullmatch(text):
        return min(float(text), MAX_SECONDS)
    date = _parse_date(text)
    if date is not None:
        return min(max(date - now, 0.0), MAX_SECONDS)
    parts = _split(text)
    waits = [seconds for part in parts if (seconds := parse_retry_after(part, now=now)) is not None]
    return max(waits, default=None)


def _split(text: str) -> list[str]:
    """Split a repeated header at its commas, leaving the comma behind a weekday alone; fewer than two parts: none."""
    parts = re.split(r",\s*(?=[0-9]+(?:\s*,|\s*$)|[A-Z][a-z]{2,8}(?:,|\s))", text)
    return parts if len(parts) > 1 else []


def _parse_date(text: str) -> float | None:
    for form in _DATE_FORMS:
        match = form.fullmatch(text)
        if match is None:
            continue
        year, month = int(match["year"]), _MONTHS.get(match["month"], 0)
        if len(match["year"]) == 2:
            year += 2000 if year < 70 else 1900
        try:
            hour, minute, second = map(int, match["clock"].split(":"))
            return datetime(year, month, int(match["day"]), hour, minute, min(second, 59), tzinfo=UTC).timestamp()
        except (ValueError, OverflowError):
            return None
    return None
