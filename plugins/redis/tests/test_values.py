"""How states, arguments and replies are written for Redis."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import NamedTuple, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_connector.state import Plain
from nexus_connector_redis._values import decode, encode

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters())
    | st.sampled_from(["null", "\ud800", "\udcff", "\x00", "\u2028"])
    | st.sampled_from([2**63, 2**64, -(2**63), -(2**63) - 1, 10**40])
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4), max_leaves=20)


class Pair(NamedTuple):
    """Arguments as gates have them."""

    number: int
    rest: Plain


@given(values)
def test_what_is_written_is_read_as_it_was(value: Plain) -> None:
    """Whatever is plain comes back as it was: long numbers, halves of characters, and nothing, wherever it stands."""
    read = decode(encode(value))
    assert read == value
    assert type(read) is type(value)


@given(st.integers(), values)
def test_named_tuples_are_lists(number: int, value: Plain) -> None:
    """Arguments may be named tuples, also inside each other."""
    assert decode(encode(cast("Plain", Pair(number, cast("Plain", Pair(number, value)))))) == [number, [number, value]]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused(number: float) -> None:
    """It would come back as nothing: a ValueError says so instead, wherever it stands."""
    places: list[Plain] = [number, [1, [number]], ["null", number]]
    for value in places:
        with pytest.raises(ValueError, match="not a finite number"):
            encode(value)


@pytest.mark.parametrize("value", [object(), datetime.now(UTC), [b"bytes"]])
def test_what_is_not_plain_is_refused(value: object) -> None:
    """No other type is written as something that it is not."""
    with pytest.raises(TypeError):
        encode(cast("Plain", value))


def test_nothing_in_a_list_is_no_nil() -> None:
    """Scripts would take a nil for the end of a list; what they get instead is no text that anybody could write."""
    assert encode([1, None, "a"]) == b"\x93\x01\xa1\xff\xa1a"
    assert encode(None) == b"\xc0"
    assert decode(b"\x91\xc0") == [None]


def test_an_extension_of_others_is_refused() -> None:
    """It is no state of ours."""
    with pytest.raises(ValueError, match="none of ours"):
        decode(b"\xc7\x01\x05a")
