"""The rules against tables taken from RFC 9111 and RFC 5861, section by section."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_connector.headers import Headers
from nexus_connector_cache._fields import MOST_SECONDS, directives
from nexus_connector_cache._kept import Kept
from nexus_connector_cache._rules import (
    LONGEST_SECONDS,
    Rules,
    age,
    conditions,
    confirms,
    freshened,
    kept_from,
    kept_seconds,
    lifetime,
    matches,
    stands_in,
    storable,
    usable,
)

NOW = 1_800_000_000.0
PLAIN = Rules()


def at(seconds: float) -> str:
    """A date so many seconds from now."""
    return formatdate(NOW + seconds, usegmt=True)


def answer(control: str | None = None, *, old: float = 0.0, status: int = 200, **fields: str) -> Kept:
    """An answer that came so many seconds ago."""
    headers = Headers({name.replace("_", "-"): value for name, value in fields.items()})
    if control is not None:
        headers = headers.with_fields({"Cache-Control": control})
    return Kept(
        token="t",
        status=status,
        headers=headers,
        body=b"{}",
        varying={},
        requested_at=NOW - old,
        received_at=NOW - old,
    )


@pytest.mark.parametrize("status", [200, 203, 204, 300, 301, 302, 307, 308, 404, 405, 410, 414])
def test_understood_statuses_are_kept(status: int) -> None:
    """Section 3: a final status that the cache understands, with an explicit lifetime."""
    assert storable(answer("max-age=60", status=status), PLAIN)


@pytest.mark.parametrize("status", [100, 201, 206, 304, 303, 400, 401, 403, 408, 409, 425, 429, 500, 501, 502, 503])
def test_failures_and_parts_are_not_kept(status: int) -> None:
    """Section 3: parts and confirmations need more than keeping; RFC 6585 section 4: 429 must not be stored."""
    assert not storable(answer("max-age=60", status=status, etag='"1"'), PLAIN)


@pytest.mark.parametrize(
    ("control", "fields", "expected"),
    [
        ("no-store", {}, False),
        ("no-store, max-age=60", {"etag": '"1"'}, False),
        ("No-Store", {"etag": '"1"'}, False),
        ("must-understand, no-store, max-age=60", {}, False),
        (None, {}, False),  # nothing to use it by
        ("max-age=0", {}, False),
        ("max-age=0", {"etag": '"1"'}, True),
        ("no-cache", {"last_modified": "x"}, True),
        (None, {"expires": at(60), "date": at(0)}, True),
        ("private, max-age=60", {}, True),
        ("public, max-age=60", {}, True),
        ("s-maxage=60", {}, False),
        ("max-age=60", {"vary": "*"}, False),
        ("max-age=60", {"vary": "Accept, *"}, False),
        ("max-age=60", {"vary": "Accept"}, True),
        ("max-age=60", {"set_cookie": "a=b"}, True),  # section 7.3
    ],
)
def test_what_may_be_kept(control: str | None, fields: dict[str, str], expected: bool) -> None:
    """Sections 3, 4.1 and 5.2.2 for a private cache, and of what could be used again."""
    assert storable(answer(control, **fields), PLAIN) is expected


@pytest.mark.parametrize(
    ("control", "fields", "expected"),
    [
        ("max-age=60", {}, 60),
        ("max-age=60", {"expires": at(600), "date": at(0)}, 60),  # section 5.3: max-age wins
        ("s-maxage=600, max-age=60", {}, 60),  # section 5.2.2.10: for shared caches
        ("s-maxage=600", {"expires": at(60), "date": at(0)}, 60),
        (None, {"expires": at(60), "date": at(0)}, 60),
        (None, {"expires": at(60), "date": at(-3600)}, 3660),  # the vendor's own clock on both sides
        (None, {"expires": at(60)}, 60),
        (None, {"expires": at(60), "date": "yesterday"}, 60),
        (None, {"expires": at(-60), "date": at(0)}, 0),
        (None, {"expires": "0"}, 0),
        (None, {"expires": "-1", "date": at(0)}, 0),
        (None, {"expires": f"{at(60)}, {at(90)}", "date": at(0)}, 60),  # section 4.2.1: the first of several
        ("max-age=soon", {"expires": at(60), "date": at(0)}, 0),  # section 4.2.1: what is invalid is stale
        ("max-age=-1", {}, 0),
        ("max-age=1.5", {}, 0),
        ("max-age=60, max-age=90", {}, 0),
        ("max-age", {}, 0),
        ("max-age=99999999999999999999", {}, MOST_SECONDS),
        (None, {}, 0),
        (None, {"last_modified": at(-86_400)}, 0),  # section 4.2.2: no guess unless told
    ],
)
def test_lifetime(control: str | None, fields: dict[str, str], expected: float) -> None:
    """Section 4.2.1: max-age, then Expires less Date, for a private cache; nothing else."""
    assert lifetime(answer(control, **fields), PLAIN) == expected


@pytest.mark.parametrize(
    ("control", "status", "rules", "expected"),
    [
        (None, 200, {"default_seconds": 30}, 30),
        ("private", 204, {"default_seconds": 30}, 30),
        ("max-age=5", 200, {"default_seconds": 30}, 5),
        ("max-age=x", 200, {"default_seconds": 30}, 0),
        (None, 404, {"default_seconds": 30}, 0),
        (None, 301, {"default_seconds": 30}, 0),
        ("max-age=5", 200, {"override_seconds": 60}, 60),
        ("max-age=600", 200, {"override_seconds": 0}, 0),
        (None, 200, {"override_seconds": 60, "default_seconds": 30}, 60),
        ("max-age=5", 404, {"override_seconds": 60}, 5),
    ],
)
def test_options_on_lifetime(control: str | None, status: int, rules: dict[str, float], expected: float) -> None:
    """Section 4.2.2: the default is for what says nothing, an endpoint's seconds win; both for good answers only."""
    assert lifetime(answer(control, status=status), Rules(**rules)) == expected


@pytest.mark.parametrize(
    ("told", "delay", "resident", "expected"),
    [
        (None, 0, 0, 0),
        (None, 0, 10, 10),
        ("5", 0, 10, 15),
        ("5", 2, 10, 17),
        ("-5", 0, 10, 10),
        ("soon", 0, 10, 10),
        ("5, 90", 0, 10, 15),  # section 5.1: the first of several
        ("9" * 400, 0, 10, MOST_SECONDS + 10),
        (None, 0, -60, 0),  # our clock went back
        (None, -60, 0, 0),
    ],
)
def test_age(told: str | None, delay: float, resident: float, expected: float) -> None:
    """Section 4.2.3: what upstream says, plus the time on the way, plus the time here; never negative."""
    kept = answer(**({} if told is None else {"age": told}))
    kept = attrs.evolve(kept, received_at=NOW - resident, requested_at=NOW - resident - delay)
    assert age(kept, NOW) == expected


@pytest.mark.parametrize("wrong_by", [-86_400, 86_400])
def test_a_vendor_with_a_wrong_clock_does_not_decide_the_age(wrong_by: float) -> None:
    """Section 4.2.3 leaves Date out of it: neither eternal youth nor death at birth."""
    assert age(answer("max-age=60", old=10, date=at(wrong_by)), NOW) == 10


@pytest.mark.parametrize(
    ("control", "old", "asked", "expected"),
    [
        ("max-age=60", 0, "", True),
        ("max-age=60", 59, "", True),
        ("max-age=60", 60, "", False),  # section 4.2: fresh while the lifetime is greater than the age
        ("max-age=60, no-cache", 0, "", False),  # 5.2.2.4
        ('max-age=60, no-cache="set-cookie"', 0, "", False),
        ("max-age=60, must-revalidate", 59, "", True),  # 5.2.2.2: once stale
        ("max-age=60", 0, "no-cache", False),  # 5.2.1.4
        ("max-age=60", 10, "max-age=10", True),  # 5.2.1.1
        ("max-age=60", 11, "max-age=10", False),
        ("max-age=60", 1, "max-age=x", False),
        ("max-age=60", 40, "min-fresh=20", True),  # 5.2.1.3
        ("max-age=60", 41, "min-fresh=20", False),
        ("max-age=60", 0, "min-fresh=x", False),
        ("max-age=60", 60, "min-fresh=0", False),
        ("max-age=60", 90, "max-stale", True),  # 5.2.1.2
        ("max-age=60", 90, "max-stale=30", True),
        ("max-age=60", 91, "max-stale=30", False),
        ("max-age=60", 61, "max-stale=x", False),
        ("max-age=60", 90, "max-stale=30, max-age=89", False),
        ("max-age=60, must-revalidate", 61, "max-stale", False),  # 4.2.4
        ("max-age=60, s-maxage=1", 30, "", True),
        ("max-age=60, proxy-revalidate", 90, "max-stale", True),  # 5.2.2.8: for shared caches
    ],
)
def test_when_an_answer_is_used_without_asking(control: str, old: float, asked: str, expected: bool) -> None:
    """Sections 4, 4.2.4, 5.2.1 and 5.2.2, for a private cache."""
    assert usable(answer(control, old=old), directives(asked), NOW, PLAIN) is expected


@pytest.mark.parametrize(
    ("control", "old", "asked", "allowed", "expected"),
    [
        ("max-age=60", 61, "", 300, True),
        ("max-age=60", 360, "", 300, True),
        ("max-age=60", 361, "", 300, False),
        ("max-age=60", 61, "", 0, False),
        ("max-age=60, stale-if-error=10", 70, "", 300, True),  # RFC 5861 section 4
        ("max-age=60, stale-if-error=10", 71, "", 300, False),
        ("max-age=60, stale-if-error=9999", 361, "", 300, False),
        ("max-age=60, stale-if-error=x", 61, "", 300, False),
        ("max-age=60", 70, "stale-if-error=10", 300, True),
        ("max-age=60", 71, "stale-if-error=10", 300, False),
        ("max-age=60, must-revalidate", 61, "", 300, False),  # RFC 9111 section 4.2.4
        ("max-age=60, no-cache", 61, "", 300, False),
        ("max-age=60", 61, "no-cache", 300, False),
        ("max-age=60", 61, "max-age=60", 300, False),
        ("max-age=60", 61, "max-age=61", 300, True),
        ("max-age=60", 61, "min-fresh=1", 300, False),
        (None, 300, "", 300, True),
        (None, 301, "", 300, False),
    ],
)
def test_when_a_stale_answer_stands_in(
    control: str | None, old: float, asked: str, allowed: float, expected: bool
) -> None:
    """RFC 5861 section 4: for so long, never longer than the options, the vendor or the request say."""
    kept = answer(control, old=old, etag='"1"')
    assert stands_in(kept, directives(asked), NOW, Rules(stale_if_error_seconds=allowed)) is expected


def test_conditions_are_the_validators_of_the_answer() -> None:
    """Section 4.3.1: If-None-Match from ETag, If-Modified-Since from Last-Modified, both if both are there."""
    assert conditions(answer(etag='W/"1"', last_modified="x")) == {"If-None-Match": 'W/"1"', "If-Modified-Since": "x"}
    assert conditions(answer(last_modified="x")) == {"If-Modified-Since": "x"}
    assert conditions(answer("max-age=60", etag="")) == {}


@pytest.mark.parametrize(
    ("told", "known", "expected"),
    [
        ({}, {"ETag": '"1"'}, True),
        ({"ETag": '"1"'}, {"ETag": '"1"'}, True),
        ({"ETag": '"2"'}, {"ETag": '"1"'}, False),
        ({"ETag": 'W/"1"'}, {"ETag": '"1"'}, True),
        ({"ETag": '"1"'}, {"ETag": 'W/"1"'}, True),
        ({"Last-Modified": "x"}, {"Last-Modified": "x"}, True),
        ({"Last-Modified": "y"}, {"Last-Modified": "x"}, False),
        ({"ETag": '"1"', "Last-Modified": "y"}, {"ETag": '"1"', "Last-Modified": "x"}, True),
        ({"ETag": '"2"'}, {"Last-Modified": "x"}, True),
    ],
)
def test_what_a_304_is_about(told: dict[str, str], known: dict[str, str], expected: bool) -> None:
    """Section 4.3.4: the answer with its tag, else with its date, else the one that was asked about."""
    kept = attrs.evolve(answer(), headers=Headers(known))
    assert confirms(Headers(told), kept) is expected


def test_a_confirmed_answer_has_the_fields_of_the_304() -> None:
    """Section 3.2: fields are replaced and added, but for those of the body; times are those of the 304."""
    kept = answer(
        "max-age=60", old=600, etag='"1"', content_type="application/json", age="50", date=at(-600), x_old="1"
    )
    told = attrs.evolve(
        answer("max-age=120", content_type="text/html", content_length="0", content_encoding="br", x_new="2"),
        token="u",
        status=304,
        body=b"",
    )
    confirmed = freshened(kept, told)
    assert (confirmed.status, confirmed.body, confirmed.token) == (200, b"{}", "u")
    assert confirmed.headers == {
        "Cache-Control": "max-age=120", "ETag": '"1"', "Content-Type": "application/json", "X-Old": "1", "X-New": "2",
    }  # fmt: skip
    assert (confirmed.requested_at, confirmed.received_at) == (NOW, NOW)
    assert age(confirmed, NOW) == 0


@pytest.mark.parametrize(
    ("vary", "then", "now", "expected"),
    [
        (None, {"Accept": "a"}, {"Accept": "b"}, True),
        ("Accept", {"Accept": "a"}, {"accept": "a"}, True),
        ("Accept", {"Accept": "a"}, {"Accept": " a "}, True),
        ("Accept", {"Accept": "a"}, {"Accept": "b"}, False),
        ("Accept", {"Accept": "a"}, {}, False),
        ("Accept", {}, {"Accept": "a"}, False),
        ("Accept", {}, {}, True),
        ("ACCEPT, X-Id", {"Accept": "a", "X-Id": "1"}, {"Accept": "a", "X-Id": "2"}, False),
    ],
)
def test_vary(vary: str | None, then: dict[str, str], now: dict[str, str], expected: bool) -> None:
    """Section 4.1: every field that Vary names is the same, or absent in both."""
    kept = kept_from(answer("max-age=60", **({} if vary is None else {"vary": vary})), Headers(then))
    assert matches(kept, Headers(now)) is expected


@pytest.mark.parametrize(
    ("control", "fields", "rules", "expected"),
    [
        ("max-age=60", {}, {}, 350),
        ("max-age=60", {}, {"stale_if_error_seconds": 0}, 50),
        ("max-age=60", {"etag": "1"}, {"stale_if_error_seconds": 0}, 350),
        ("max-age=60", {"etag": "1"}, {"keep_seconds": 3600}, 3650),
        ("max-age=60", {}, {"keep_seconds": 3600}, 350),
        ("max-age=60, must-revalidate", {}, {}, 50),
        ("no-cache", {"etag": "1"}, {"keep_seconds": 0}, -10),
        ("max-age=99999999999", {}, {}, LONGEST_SECONDS),
    ],
)
def test_how_long_an_answer_is_worth_keeping(
    control: str, fields: dict[str, str], rules: dict[str, float], expected: float
) -> None:
    """While it is fresh, may stand in, or may be confirmed; never longer than 30 days."""
    assert kept_seconds(answer(control, old=10, **fields), NOW, Rules(**rules)) == expected


FIELD = st.text(max_size=30) | st.sampled_from(
    ["max-age=60", "max-age=" + "9" * 30, "no-cache", "stale-if-error=-1", "max-stale", at(5), "0", "-1", "1e9"]
)
HOSTILE: Any = st.dictionaries(
    st.sampled_from(["cache-control", "age", "date", "expires", "vary", "etag", "last-modified"]), FIELD
)


@given(headers=HOSTILE, asked=FIELD, old=st.floats(-1e6, 1e10), told=HOSTILE)
def test_nothing_a_vendor_sends_breaks_the_rules(
    headers: dict[str, str], asked: str, old: float, told: dict[str, str]
) -> None:
    """Whatever stands in the fields: ages and lifetimes are bounded, and what is stale is not used unasked."""
    kept = kept_from(attrs.evolve(answer(old=old), headers=Headers(headers)), Headers())
    fresh, years = lifetime(kept, PLAIN), age(kept, NOW)
    assert 0 <= fresh < 1e12
    assert years >= 0
    assert kept_seconds(kept, NOW, PLAIN) <= LONGEST_SECONDS
    storable(kept, PLAIN)
    request = directives(asked)
    if usable(kept, request, NOW, PLAIN) and "max-stale" not in request:
        assert fresh > years
    if stands_in(kept, request, NOW, PLAIN):
        assert years - fresh <= PLAIN.stale_if_error_seconds
    freshened(kept, attrs.evolve(kept, headers=Headers(told)))
    confirms(Headers(told), kept)
