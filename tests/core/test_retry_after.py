"""Retry-After: what each value means, and that nothing is sent before it has passed."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_connector import (
    Connector,
    LimitHeaders,
    Operation,
    Request,
    Response,
    ServiceAdapter,
    Vendor,
)
from nexus_connector.errors import VendorRateLimitError
from nexus_connector.retry_after import MAX_SECONDS, parse_reset, parse_retry_after
from nexus_connector.testing import fake

NOW = datetime(2026, 1, 1, tzinfo=UTC).timestamp()

SECONDS: dict[str, tuple[str, float]] = {
    "seconds": ("120", 120.0),
    "zero": ("0", 0.0),
    "leading_zeros": ("007", 7.0),
    "spaces_around": (" \t7 ", 7.0),
    "float": ("1.5", 1.5),
    "long_float": ("1.123456789", 1.123456789),
    "a_second_over_a_year": (str(int(MAX_SECONDS) + 1), MAX_SECONDS),
    "twenty_digits": ("9" * 20, MAX_SECONDS),
    "four_hundred_digits": ("9" * 400, MAX_SECONDS),
    "two_values": ("5, 7", 7.0),
    "two_values_longest_first": ("7,5", 7.0),
    "list_with_junk": ("120, abc", 120.0),
    "list_of_floats": ("1.5, 2.5", 2.5),
    "list_with_a_gap": ("5,,", 5.0),
    "seconds_and_date": ("5, Thu, 01 Jan 2026 00:01:00 GMT", 60.0),
    "two_dates": ("Thu, 01 Jan 2026 00:01:00 GMT, Thu, 01 Jan 2026 00:02:00 GMT", 120.0),
    "rfc_850_and_seconds": ("Thursday, 01-Jan-26 00:01:00 GMT,5", 60.0),
    "imf_date": ("Thu, 01 Jan 2026 00:01:00 GMT", 60.0),
    "rfc_850_date": ("Thursday, 01-Jan-26 00:01:00 GMT", 60.0),
    "asctime_date": ("Thu Jan  1 00:01:00 2026", 60.0),
    "asctime_two_digit_day": ("Sat Jan 10 00:00:00 2026", 9 * 86_400.0),
    "wrong_weekday": ("Mon, 01 Jan 2026 00:01:00 GMT", 60.0),
    "now": ("Thu, 01 Jan 2026 00:00:00 GMT", 0.0),
    "past": ("Wed, 31 Dec 2025 23:59:59 GMT", 0.0),
    "long_past": ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
    "two_digit_year_past": ("Sunday, 06-Nov-94 08:49:37 GMT", 0.0),
    "two_digit_year_within_50_years": ("Wednesday, 01-Jan-75 00:00:00 GMT", MAX_SECONDS),
    "year_9999": ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_SECONDS),
    "leap_second": ("Thu, 01 Jan 2026 00:00:60 GMT", 60.0),
}

UNREADABLE: dict[str, str] = {
    "empty": "",
    "spaces": "   ",
    "comma": ",",
    "negative": "-5",
    "negative_zero": "-0",
    "plus": "+5",
    "exponent": "1e3",
    "hex": "0x10",
    "nan": "NaN",
    "inf": "inf",
    "infinity": "Infinity",
    "arabic_digits": "١٢",
    "full_width_digit": "\uff15",
    "superscript": "²",
    "underscore": "1_000",
    "inner_space": "1 000",
    "point_only": "5.",
    "no_integer_part": ".5",
    "quoted": '"5"',
    "unit": "5s",
    "word": "soon",
    "semicolon": "5; 7",
    "no_break_space": "5\xa0",
    "line_break": "5\n",
    "year_10000": "Sat, 01 Jan 10000 00:00:00 GMT",
    "year_0": "Sat, 01 Jan 0000 00:00:00 GMT",
    "bad_month": "Thu, 01 Foo 2026 00:01:00 GMT",
    "bad_day": "Tue, 31 Feb 2026 00:01:00 GMT",
    "bad_hour": "Thu, 01 Jan 2026 24:01:00 GMT",
    "bad_minute": "Thu, 01 Jan 2026 00:60:00 GMT",
    "bad_second": "Thu, 01 Jan 2026 00:00:61 GMT",
    "clock_of_other_widths": "Thu, 01 Jan 2026 0:001:00 GMT",
    "lower_case": "thu, 01 jan 2026 00:01:00 gmt",
    "upper_case": "THU, 01 JAN 2026 00:01:00 GMT",
    "trailing_junk": "Thu, 01 Jan 2026 00:01:00 GMT+1",
    "missing_gmt": "Thu, 01 Jan 2026 00:01:00",
    "other_zone": "Thu, 01 Jan 2026 00:01:00 CET",
    "offset": "Thu, 01 Jan 2026 00:01:00 +0000",
    "iso_date": "2026-01-01T00:01:00Z",
    "one_digit_day": "Thu, 1 Jan 2026 00:01:00 GMT",
}


@pytest.mark.parametrize(("value", "seconds"), SECONDS.values(), ids=SECONDS)
def test_a_readable_value(value: str, seconds: float) -> None:
    """Seconds, the three date forms of RFC 9110 and repeated headers are read; never negative, at most a year."""
    assert parse_retry_after(value, now=NOW) == seconds


@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_value(value: str) -> None:
    """Whatever RFC 9110 does not allow says nothing, instead of something near it."""
    assert parse_retry_after(value, now=NOW) is None


@given(st.text() | st.from_regex(r"[0-9 ,.:A-Za-z+-]{0,60}"), st.floats(0, 4e9))
def test_any_text_is_a_finite_wait_or_nothing(value: str, now: float) -> None:
    """No header makes the parser raise, or say a wait that cannot be waited."""
    seconds = parse_retry_after(value, now=now)
    assert seconds is None or (math.isfinite(seconds) and 0 <= seconds <= MAX_SECONDS)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2050, 1, 1)), st.integers(0, 10_000_000))  # noqa: DTZ001  # hypothesis asks for naive bounds
def test_a_date_is_never_shortened(naive: datetime, seconds: int) -> None:
    """All three forms of one date mean the same moment, to the second."""
    then = naive.replace(microsecond=0, tzinfo=UTC)
    forms = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")
    waits = {parse_retry_after(then.strftime(form), now=then.timestamp() - seconds) for form in forms}
    assert waits == {float(seconds)}


# When a limit starts afresh


@pytest.mark.parametrize(
    ("value", "form", "seconds"),
    [
        ("30", "seconds", 30.0),
        (" 1.5\t", "seconds", 1.5),
        (str(int(NOW) + 60), "epoch", 60.0),
        (str(int(NOW) * 1000 + 1500), "epoch_ms", 1.5),
        (str(int(NOW) - 60), "epoch", 0.0),
        ("9" * 400, "epoch_ms", MAX_SECONDS),
        ("soon", "seconds", None),
        ("-1", "seconds", None),
        ("", "epoch", None),
        ("1e3", "seconds", None),
    ],
)
def test_a_reset_is_read_as_its_form_says(
    value: str, form: Literal["seconds", "epoch", "epoch_ms"], seconds: float | None
) -> None:
    """Seconds from now or a moment since the epoch; never negative, never above a year, ``None`` if it is neither."""
    assert parse_reset(value, form, now=NOW) == seconds


class LimitedAdapter(ServiceAdapter):
    """A vendor that tells when its limit starts afresh."""

    vendor = Vendor(
        name="limited", domain="any", base_url=("https://limited.example",), limit_headers=LimitHeaders(form="epoch")
    )


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"X-RateLimit-Reset": str(int(NOW) + 40)}, 40.0),
        ({"X-RateLimit-Reset": str(int(NOW) + 40), "Retry-After": "7"}, 7.0),
        ({"X-RateLimit-Reset": "soon"}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_without_retry_after_the_reset_of_the_limit_counts(
    headers: dict[str, str], seconds: float | None, *, known: bool
) -> None:
    """A 429 waits for what the vendor says, in Retry-After or else in the header that its adapter declares."""
    service: dict[str, Any] = {"base_url": "https://limited.example"}
    if known:
        service["adapter"] = f"{__name__}:LimitedAdapter"
    operation = Operation(name="look", request=Request(path="/x"), parse=Response.json)
    config = {"services": {"limited": service}, "plugins": {"only": []}}
    with Connector.from_config(config) as connector, fake(connector) as vendors:
        vendors.answer("limited", (429, b"", headers))
        with pytest.raises(VendorRateLimitError) as caught:
            connector.perform("limited", operation)
    assert caught.value.retry_after == (seconds if known or "Retry-After" in headers else None)
