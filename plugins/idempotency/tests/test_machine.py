"""The claim's machine, step by step on plain data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from nexus_connector.state import Plain
from nexus_connector_idempotency import _index, _machine
from nexus_connector_idempotency._machine import Reply, reply_of


def wish(call: str, *, fingerprint: str = "f", lease: int = 100, resend: int = 0, keep: int = 1000) -> Sequence[Plain]:
    """The arguments of a claim."""
    return call, fingerprint, lease, resend, keep


def claimed(state: Plain, now: int, args: Sequence[Plain]) -> tuple[Any, int, Reply]:
    """A claim, its state as a store gives it back."""
    state, ttl, plain = _machine.claim(json.loads(json.dumps(state)), now, args)
    return json.loads(json.dumps(state)), ttl, reply_of(plain)


def test_a_lease_ends_exactly_when_it_is_over() -> None:
    """Until its last millisecond the key is in flight; then it is unknown, or granted where it may be resent."""
    state, ttl, reply = claimed(None, 1000, wish("A", resend=500))
    assert (reply.word, reply.generation, ttl, reply.doubt) == ("granted", 1, 1100, False)
    assert claimed(state, 1099, wish("B", resend=500))[2].left_ms == 1
    assert claimed(state, 1099, wish("B", resend=500))[2].word == "in_flight"
    assert claimed(state, 1100, wish("B"))[2].word == "unknown"
    _, _, taken = claimed(state, 1100, wish("B", resend=500))
    assert (taken.word, taken.generation, taken.doubt, taken.kept) == ("granted", 2, True, "A")


def test_both_must_have_sent_the_key() -> None:
    """A claim that did not send it is never resent, and the window counts from the first claim."""
    state, _, _ = claimed(None, 0, wish("A"))
    assert claimed(state, 200, wish("B", resend=10_000))[2].word == "unknown"
    state, _, _ = claimed(None, 0, wish("A", resend=300))
    state, _, _ = claimed(state, 200, wish("B", resend=300))
    assert claimed(state, 300, wish("C", resend=300))[2].word == "unknown"


def test_looking_prolongs_nothing() -> None:
    """Whoever asks, the state lives as long as it would have."""
    state, ttl, _ = claimed(None, 0, wish("A"))
    assert ttl == 1100
    for step, args in (
        (_machine.look, ("f", 0)),
        (_machine.claim, wish("B")),
        (_machine.finish, ("B", 1, "done", 1, 5)),
    ):
        assert step(state, 600, args)[:2] == (state, 500)
    assert _machine.settle(state, 50, ("A", [1], 5))[:2] == (state, 1050)


def test_a_reading_without_a_wish_is_in_no_conflict() -> None:
    """The list asks so: it sees what there is."""
    state, _, _ = claimed(None, 0, wish("A", resend=10_000))
    assert [reply_of(_machine.look(state, now, ())[2]).word for now in (0, 100)] == ["in_flight", "unknown"]
    assert reply_of(_machine.look(None, 0, ())[2]) == Reply("free")
    assert reply_of(_machine.look(state, 100, ("f", 10_000))[2]).word == "free"
    assert reply_of(_machine.look(state, 100, ("g", 10_000))[2]).word == "conflict"


@pytest.mark.parametrize(
    ("call", "generation", "written"), [("A", 1, True), ("A", 0, True), ("A", 2, False), ("B", 1, False)]
)
def test_only_the_holder_ends_a_claim(call: str, generation: int, written: bool) -> None:
    """By its id and its generation; 0 stands for whichever generation it was given."""
    state, _, _ = claimed(None, 0, wish("A"))
    found, _, word = _machine.finish(state, 10, (call, generation, "refused", None, 0))
    assert (found is None, word) == ((True, "free") if written else (False, "gone"))


def test_an_end_is_the_end() -> None:
    """What was done stays done, whatever its holder says later; what is gone stays gone."""
    state, _, _ = claimed(None, 0, wish("A"))
    state, ttl, word = _machine.finish(state, 10, ("A", 1, "done", ["x"], 500))
    assert (ttl, word) == (500, "done")
    for ending in ("done", "unknown", "released", "refused"):
        assert _machine.finish(state, 20, ("A", 1, ending, None, 500)) == (state, 490, "gone")
        assert _machine.finish(None, 20, ("A", 1, ending, None, 500)) == (None, 0, "gone")
    assert _machine.settle(state, 20, ("A", None, 0))[2] == "gone"
    assert _machine.settle(None, 20, ("A", None, 0))[2] == "gone"


def test_a_shard_keeps_whom_it_is_told() -> None:
    """Expired entries go, the newest turn of a call stays, and a full shard takes nobody more."""
    entry = ("A", 1, None, "POST /x", "k")
    state, ttl, reply = _index.add(None, 0, (*entry, 100, [], 2))
    assert (ttl, reply) == (100, True)
    state, ttl, reply = _index.add(state, 50, ("B", *entry[1:], 100, [], 2))
    assert (ttl, reply) == (100, True)
    assert _index.add(state, 60, ("C", *entry[1:], 100, [], 2))[2] is False
    state, _, reply = _index.add(state, 100, ("C", *entry[1:], 100, [], 2))
    assert reply is True
    assert [found.call_id for found in _index.entries_of(_index.read(state, 100, ())[2])] == ["B", "C"]
    assert _index.remove(state, 100, [("B", 2)])[0] == state
    state, _, _ = _index.remove(state, 100, [("B", 1), ("C", 0)])
    assert state is None
