"""Header fields: found in any case, kept in order and as written, never changed in place."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_connector import Headers

names = st.from_regex(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}", fullmatch=True)
values = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=12)
fields = st.lists(st.tuples(names, values), max_size=8)


def swapped(name: str) -> str:
    """Write a name in another case."""
    return name.swapcase()


@given(fields)
def test_a_name_in_any_case_is_the_same(pairs: list[tuple[str, str]]) -> None:
    """Whatever the case of a name, it finds the same field, and is in the mapping."""
    headers = Headers(pairs)
    for name, _ in pairs:
        for written in (name, swapped(name), name.upper(), name.lower()):
            assert headers[written] == headers[name] == headers.get(written)
            assert written in headers


@given(fields)
def test_repeated_fields_are_joined(pairs: list[tuple[str, str]]) -> None:
    """Fields of one name become one, joined with a comma in the order of their arrival (RFC 9110 section 5.3)."""
    headers = Headers(pairs)
    for name, _ in pairs:
        assert headers[name] == ", ".join(value for other, value in pairs if other.lower() == name.lower())
    assert len(headers) == len({name.lower() for name, _ in pairs}) == len(list(headers)) == len(headers.pairs())


@given(fields)
def test_names_keep_their_writing_and_order(pairs: list[tuple[str, str]]) -> None:
    """Iteration gives each name as it came first, in the order in which they came."""
    first: dict[str, str] = {}
    for name, _ in pairs:
        first.setdefault(name.lower(), name)
    assert list(Headers(pairs)) == list(first.values())


@given(fields, names, values)
def test_changes_are_copies(pairs: list[tuple[str, str]], name: str, value: str) -> None:
    """`with_fields` replaces in any case and `without` removes, each in a copy; the original stays as it was."""
    headers = Headers(pairs)
    before = headers.pairs()
    changed = headers.with_fields({swapped(name): value})
    assert changed[name] == value
    assert len(changed) == len(headers) + (name not in headers)
    removed = changed.without(swapped(name), "not-there")
    assert name not in removed
    assert removed == headers.without(name)
    assert headers.pairs() == before


@given(fields)
def test_equality_ignores_case_and_order(pairs: list[tuple[str, str]]) -> None:
    """Headers with the same fields are equal and hash alike, whatever the case and order, and equal a plain mapping."""
    headers = Headers(pairs)
    other = Headers([(swapped(name), headers[name]) for name in reversed(list(headers))])
    assert headers == other == dict(headers.pairs())
    assert hash(headers) == hash(other)
    assert headers != headers.with_fields({"X-One-More": "1"})
    assert headers != [1]


@given(fields)
def test_copies_and_pickles(pairs: list[tuple[str, str]]) -> None:
    """Headers survive copy and pickle with order and case."""
    headers = Headers(pairs)
    for again in (pickle.loads(pickle.dumps(headers)), copy.copy(headers), copy.deepcopy(headers)):
        assert again.pairs() == headers.pairs()


def test_a_mapping() -> None:
    """Headers are a Mapping, without the methods that change one."""
    headers = Headers({"Content-Type": "text/plain"})
    assert isinstance(headers, Mapping)
    assert dict(headers) == {"Content-Type": "text/plain"}
    assert (headers.get("X"), headers.get("X", "?")) == (None, "?")
    assert 5 not in headers  # type: ignore[comparison-overlap]
    with pytest.raises(KeyError):
        headers["X"]
    with pytest.raises(TypeError):
        headers["X"] = "1"  # type: ignore[index]
    assert not hasattr(headers, "update")


def test_the_repr_is_redacted() -> None:
    """What is printed in a debugger or an assertion shows no credential."""
    shown = repr(Headers({"Authorization": "Bearer canary-51H8xLKJ", "Accept": "text/plain"}))
    assert "canary" not in shown
    assert "text/plain" in shown
