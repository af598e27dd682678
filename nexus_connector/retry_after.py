"""Headers that say how long to wait: Retry-After, read strictly (RFC 9110 section 10.2.3), and a limit's reset."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from typing import Literal

MAX_SECONDS = 366 * 24 * 3600.0
"""Longer waits than a year are read as a year: the value stays a wait, and stays finite."""

_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?", re.ASCII)
_BETWEEN_VALUES = re.compile(r"(?<!Mon|Tue|Wed|Thu|Fri|Sat|Sun|day),")
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1
    )
}
_date = partial(re.compile, flags=re.ASCII)
_DATE_FORMS = (
    # IMF-fixdate; RFC 850 and asctime are obsolete, and still sent. strptime would read names in the process's locale.
    _date(r"[A-Z][a-z]{2}, (?P<day>\d\d) (?P<month>[A-Z][a-z]{2}) (?P<year>\d{4}) (?P<clock>\d\d:\d\d:\d\d) GMT"),
    _date(r"[A-Z][a-z]{5,8}, (?P<day>\d\d)-(?P<month>[A-Z][a-z]{2})-(?P<year>\d\d) (?P<clock>\d\d:\d\d:\d\d) GMT"),
    _date(r"[A-Z][a-z]{2} (?P<month>[A-Z][a-z]{2}) (?P<day>[\d ]\d) (?P<clock>\d\d:\d\d:\d\d) (?P<year>\d{4})"),
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
    if _SECONDS.fullmatch(text):
        return min(float(text), MAX_SECONDS)
    date = _parse_date(text, now)
    if date is not None:
        return min(max(date - now, 0.0), MAX_SECONDS)
    parts = _split(text)
    waits = [seconds for part in parts if (seconds := parse_retry_after(part, now=now)) is not None]
    return max(waits, default=None)


def parse_reset(value: str, form: Literal["seconds", "epoch", "epoch_ms"], *, now: float) -> float | None:
    """Read the header in which a vendor says when a limit starts afresh.

    Args:
        value: The raw header.
        form: What it holds: seconds from now, or the moment, in seconds or milliseconds since the epoch.
        now: Wall clock, seconds since the epoch.

    Returns:
        Seconds until then, 0 if that is past, at most a year; ``None`` if the value cannot be read.

    >>> parse_reset("30", "seconds", now=0.0), parse_reset("1060", "epoch", now=1000.0)
    (30.0, 60.0)
    """
    text = value.strip(" \t")
    if not _SECONDS.fullmatch(text):
        return None
    number = float(text)
    seconds = {"seconds": number, "epoch": number - now, "epoch_ms": number / 1000 - now}[form]
    return min(max(seconds, 0.0), MAX_SECONDS)


def _split(text: str) -> list[str]:
    """Split a repeated header at its commas, leaving the comma behind a weekday alone; fewer than two parts: none."""
    parts = _BETWEEN_VALUES.split(text)
    return parts if len(parts) > 1 else []


def _parse_date(text: str, now: float) -> float | None:
    for form in _DATE_FORMS:
        match = form.fullmatch(text)
        if match is None:
            continue
        hour, minute, second = map(int, match["clock"].split(":"))
        if second > 60:  # 60 is a leap second
            return None
        year = _whole_year(int(match["year"]), now) if len(match["year"]) == 2 else int(match["year"])
        try:
            date = datetime(year, _MONTHS[match["month"]], int(match["day"]), hour, minute, tzinfo=UTC)
        except (KeyError, ValueError):
            return None
        return date.timestamp() + second
    return None


def _whole_year(two_digits: int, now: float) -> int:
    """A year more than 50 years ahead is meant to be past (RFC 9110 section 5.6.7)."""
    this = datetime.fromtimestamp(now, UTC).year
    year = this - this % 100 + two_digits
    return year - 100 if year > this + 50 else year
