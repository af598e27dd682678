"""Kept answers survive the store byte for byte, and anything else in the store is no answer."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_connector.headers import Headers
from nexus_connector_cache._kept import Kept, pack, unpack

MOMENTS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(max_size=20)
ANSWERS = st.builds(
    Kept,
    token=TEXTS,
    status=st.integers(100, 999),
    headers=st.dictionaries(st.text("abc-", min_size=1), TEXTS, max_size=4).map(Headers),
    body=st.binary(max_size=50),
    varying=st.dictionaries(st.text("abc-"), st.none() | TEXTS, max_size=2),
    requested_at=MOMENTS,
    received_at=MOMENTS,
)
ONE = Kept(
    token="t", status=200, headers=Headers({"ETag": "1"}), body=b"a\nb", varying={}, requested_at=1.0, received_at=2.0
)


@given(st.lists(ANSWERS, max_size=4))
def test_what_is_packed_is_unpacked(variants: list[Kept]) -> None:
    """Bodies with any bytes, header fields with any text, several variants: all come back as they were."""
    assert unpack(pack(variants)) == tuple(variants)


@given(st.binary())
def test_other_bytes_are_no_answer(data: bytes) -> None:
    """What somebody else wrote there is nothing, not an error."""
    assert unpack(data) == ()


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_broken_value_is_no_answer(cut: int) -> None:
    """A value that was cut short gives no answer with half a body."""
    assert unpack(pack([ONE, ONE])[:-cut]) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"status": "200"},
        {"status": True},
        {"token": 1},
        {"headers": {"a": "b"}},
        {"headers": [["a", 1]]},
        {"headers": [["a"]]},
        {"length": -1},
        {"length": 1.0},
        {"varying": []},
        {"varying": {"a": 1}},
        {"requested_at": float("nan")},
        {"received_at": "now"},
        {"received_at": True},
    ],
    ids=str,
)
def test_a_value_of_another_form_is_no_answer(change: dict[str, Any]) -> None:
    """Types are checked: what was tampered with does not get into a response."""
    head, _, body = pack([ONE]).partition(b"\n")
    read = json.loads(head)
    read["variants"][0].update(change)
    assert unpack(json.dumps(read).encode() + b"\n" + body) == ()


def test_another_format_is_not_read() -> None:
    """A version that comes later may mean something else by the same fields."""
    head, _, body = pack([ONE]).partition(b"\n")
    later = json.dumps({**json.loads(head), "format": 2}).encode() + b"\n" + body
    assert unpack(later) == ()
    assert unpack(None) == ()


def test_whole_seconds_come_back_as_moments() -> None:
    """A store or another writer may have made whole numbers of them."""
    head, _, body = pack([ONE]).partition(b"\n")
    read = json.loads(head)
    read["variants"][0].update(requested_at=1, received_at=2)
    assert unpack(json.dumps(read).encode() + b"\n" + body) == (ONE,)


def test_the_size_counts_header_fields() -> None:
    """Body and header fields take the same memory."""
    assert ONE.size == 3 + 4 + 1
    assert attrs.evolve(ONE, body=b"").size == 5
