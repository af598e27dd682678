"""Header fields are read as RFC 9110 and RFC 9111 say, and never raise."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_connector.headers import Headers
from nexus_connector_cache._fields import MOST_SECONDS, date, directives, end_to_end, members, opaque, seconds


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, {}),
        ("", {}),
        ("no-store", {"no-store": None}),
        ("Max-Age=60, NO-CACHE", {"max-age": "60", "no-cache": None}),
        ('max-age="60"', {"max-age": "60"}),  # section 5.2: both forms are to be accepted
        ('private="Set-Cookie, X-Id", max-age=1', {"private": "Set-Cookie, X-Id", "max-age": "1"}),
        ('ext="no-store, \\" no-cache", max-age=5', {"ext": 'no-store, \\" no-cache', "max-age": "5"}),
        ("max-age=60 no-store", {"max-age": "60", "no-store": None}),
        (", ,;max-age = 60,", {"max-age": "60"}),
        ('private="a, no-store', {"private": '"a', "no-store": None}),
        ("max-age", {"max-age": None}),
        ("max-age=", {"max-age": ""}),
        ("max-age=60, max-age=60", {"max-age": "60"}),
        ("max-age=60, max-age=10", {"max-age": ""}),  # section 4.2.1: more than one value may be taken for stale
    ],
)
def test_directives(value: str | None, expected: dict[str, Any]) -> None:
    """Section 5.2: names in any case, arguments as token or quoted-string; what is broken hides no directive behind."""
    assert directives(value) == expected


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("0", 0),
        ("60", 60),
        ("060", 60),
        ("2147483648", MOST_SECONDS),
        ("9999999999", MOST_SECONDS),
        ("9" * 10_000, MOST_SECONDS),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("1e3", None),
        ("\u0661", None),
        ("1_0", None),
        ("", None),
        (None, None),
        (" 1", None),
    ],
)
def test_seconds(argument: str | None, expected: int | None) -> None:
    """Section 1.2.2: digits alone; what is larger than 2**31 is 2**31."""
    assert seconds(argument) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 784111777.0),
        ("Sun Nov  6 08:49:37 1994", 784111777.0),
        (None, None),
        ("", None),
        ("0", None),
        ("-1", None),
        ("tomorrow", None),
        ("Sun, 06 Nov 99999999999999999999 08:49:37 GMT", None),
        ("Sun, 99 Nov 1994 99:99:99 GMT, Sun, 06 Nov 1994 08:49:37 GMT", None),
    ],
)
def test_dates(value: str | None, expected: float | None) -> None:
    """RFC 9110 section 5.6.7: all three forms, in GMT; anything else is no date."""
    assert date(value) == expected


@given(st.text() | st.from_regex(r'(?:[a-z-]+(?:=(?:"[^"]*"?|[0-9a-z]*))?[ ,;]*)*', fullmatch=True))
def test_nothing_that_a_vendor_sends_raises(value: str) -> None:
    """Whatever stands in a field, reading it gives a value or nothing."""
    directives(value)
    seconds(value)
    date(value)
    members(value)
    opaque(value)


def test_a_hostile_field_is_read_in_linear_time() -> None:
    """The longest line that http.client takes, full of quotes and escapes, costs CPU time of a few milliseconds."""
    started = time.process_time()
    for unit in ('a="', '"\\', 'a="\\",', "=" * 3, ' \t=" '):
        directives((unit * 65_536)[:65_536])
    assert time.process_time() - started < 2


def test_fields_of_one_connection_are_not_kept() -> None:
    """Section 3.1: Connection, what it names, and what belongs to one connection stay out; all else is kept."""
    headers = Headers(
        {
            "Connection": "close, X-Hop",
            "x-hop": "1",
            "Keep-Alive": "1",
            "Proxy-Authenticate": "Basic",
            "Transfer-Encoding": "chunked",
            "Upgrade": "h2c",
            "TE": "trailers",
            "ETag": '"1"',
            "X-New": "2",
        }
    )
    assert end_to_end(headers) == {"ETag": '"1"', "X-New": "2"}


def test_weak_and_strong_tags_are_compared_by_what_is_quoted() -> None:
    """RFC 9110 section 8.8.3.2: weak comparison, as If-None-Match uses it."""
    assert opaque('W/"1"') == opaque('"1"')
    assert opaque('W/"1"') != opaque('"2"')
