"""Open outcomes: every one is listed, and a person can settle it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import attrs
import pytest

from nexus_connector.errors import (
    IdempotencyConflictError,
    IdempotencyInFlightError,
    IdempotencyUnavailableError,
    InvalidRequestError,
    OutcomeUnknownError,
)
from nexus_connector.io.virtual import EPOCH
from nexus_connector.verdict import Outcome
from nexus_connector_idempotency import _index as index

Opens = Callable[..., Any]


def test_all_that_is_known_is_listed(world: Opens) -> None:
    """Service, operation, key, tenant, call, since when, what happened; the oldest first."""
    crm = world()
    crm.vendors.answer("crm", ConnectionResetError())
    crm.vendors.clock.advance(10)
    first = crm.failed(OutcomeUnknownError, "b", tenant_id="acme")
    crm.vendors.clock.advance(5)
    second = crm.failed(OutcomeUnknownError, "a")
    crm.vendors.clock.advance(60)
    one, two = crm.pending()
    assert (one.call_id, two.call_id) == (first.call_id, second.call_id)
    assert (one.service, one.operation, one.idempotency_key, one.tenant_id) == ("crm", "POST /orders", "b", "acme")
    assert (one.state, one.since, two.since) == (
        "unknown",
        EPOCH + timedelta(seconds=10),
        EPOCH + timedelta(seconds=15),
    )
    assert "connection was lost" in one.message


def test_messages_are_redacted(world: Opens) -> None:
    """What a vendor said may hold a secret: not in the list, and not in the store."""
    crm = world()
    crm.vendors.answer("crm", (500, {"error": "Bearer abcdefghijklmnop1234567890"}))
    crm.failed(OutcomeUnknownError)
    assert "abcdefghijklmnop" not in repr(crm.pending()) + repr(crm.states)


def test_the_awaited_face_lists_and_settles(world: Opens) -> None:
    """The same list, awaited."""
    crm = world()
    crm.vendors.answer("crm", 500)
    crm.failed(OutcomeUnknownError)

    async def main() -> list[Any]:
        outcomes = crm.connector.as_async().outcomes
        [pending] = await outcomes.list("crm")
        await outcomes.settle(pending, Outcome.REFUSED)
        found: list[Any] = await outcomes.list("crm")
        return found

    assert asyncio.run(main()) == []
    assert crm.states == {}


def test_settled_as_done_keeps_the_key(world: Opens) -> None:
    """A repeat is told that it was done, that a person said so, and sends nothing; the list is empty."""
    crm = world()
    crm.vendors.answer("crm", 500, 201)
    first = crm.failed(OutcomeUnknownError)
    crm.connector.outcomes.settle(crm.pending()[0], Outcome.DONE)
    assert (crm.pending(), crm.entries) == ([], 0)
    error = crm.failed(IdempotencyConflictError)
    assert "settled by hand" in str(error)
    assert first.call_id in str(error)
    assert (error.outcome, error.retry_safe, crm.sent) == (Outcome.DONE, False, 1)
    crm.vendors.clock.advance(86_400)
    assert crm.post().call.replayed is False


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.NOT_SENT])
def test_settled_as_not_done_frees_the_key(world: Opens, outcome: Any) -> None:
    """The next call with it is sent; it may say something else."""
    crm = world()
    crm.vendors.answer("crm", 500, 201)
    crm.failed(OutcomeUnknownError)
    crm.connector.outcomes.settle(crm.pending()[0], outcome)
    assert crm.states == {}
    assert crm.post(json={"sku": "b"}).status == 201


def test_what_is_under_way_cannot_be_settled(world: Opens, other: Any) -> None:
    """Its own result is yet to come; when its lease is over it can."""
    crm = world()
    other(crm).claim("FIRST", "k1", seconds=5)
    [pending] = crm.pending()
    with pytest.raises(InvalidRequestError, match="still under way"):
        crm.connector.outcomes.settle(pending, Outcome.DONE)
    assert [each.state for each in crm.pending()] == ["in_flight"]
    crm.vendors.clock.advance(5)
    crm.connector.outcomes.settle(pending, Outcome.REFUSED)
    assert crm.states == {}


def test_what_is_settled_cannot_be_settled_again(world: Opens) -> None:
    """Neither a second time, nor after a repeat took it over."""
    crm = world(idempotency_header="Idempotency-Key")
    crm.vendors.answer("crm", 500)
    crm.failed(OutcomeUnknownError)
    [first] = crm.pending()
    crm.failed(OutcomeUnknownError)
    [second] = crm.pending()
    assert first.call_id != second.call_id
    for pending, already in ((first, False), (second, True)):
        if already:
            crm.connector.outcomes.settle(pending, Outcome.DONE)
        with pytest.raises(InvalidRequestError, match="not open any more"):
            crm.connector.outcomes.settle(pending, Outcome.REFUSED)
    crm.failed(IdempotencyConflictError)


def test_a_late_result_does_not_undo_what_a_person_said(world: Opens, other: Any) -> None:
    """Settled by hand as done, its process comes back to life and says that it does not know."""
    crm = world()
    process = other(crm)
    held = process.claim("FIRST", "k1", seconds=1)
    crm.vendors.clock.advance(1)
    crm.connector.outcomes.settle(crm.pending()[0], Outcome.DONE)
    process.finish("FIRST", "k1", held.generation, "unknown", "lost")
    process.finish("FIRST", "k1", held.generation, "released")
    assert crm.pending() == []
    crm.failed(IdempotencyConflictError)


def test_a_late_result_ends_what_was_unknown(world: Opens, other: Any) -> None:
    """Its lease was over and nobody has gone on without it: what it knows counts."""
    crm = world()
    process = other(crm)
    held = process.claim("FIRST", "k1", seconds=1)
    crm.vendors.clock.advance(100)
    assert [each.state for each in crm.pending()] == ["unknown"]
    process.finish("FIRST", "k1", held.generation, "done", ["answer", 201, [], "", None])
    assert crm.pending() == []


def test_unknown_outcomes_stay_for_their_time(world: Opens) -> None:
    """``unknown_keep_seconds`` after its call's time was over an outcome is forgotten, with its entry; not before."""
    crm = world({"unknown_keep_seconds": 2 * 86_400})
    crm.vendors.answer("crm", 500)
    crm.failed(OutcomeUnknownError)
    crm.vendors.clock.advance(2 * 86_400)
    assert len(crm.pending()) == 1
    crm.failed(IdempotencyInFlightError)
    crm.vendors.clock.advance(6)
    assert crm.pending() == []
    assert crm.states == {}


def test_unknown_outcomes_stay_as_long_as_answers(world: Opens) -> None:
    """A key that is kept for long when it was done is not freed before that when nobody knows."""
    crm = world({"keep_seconds": 10 * 86_400, "unknown_keep_seconds": 60})
    crm.vendors.answer("crm", 500)
    crm.failed(OutcomeUnknownError)
    crm.vendors.clock.advance(10 * 86_400)
    crm.failed(IdempotencyInFlightError)


def test_entries_that_mean_nothing_go(world: Opens) -> None:
    """Replays and refusals leave entries; the next claims of their shards take them out, and so does a look."""
    crm = world()
    crm.post("done")
    for _ in range(200):
        crm.post("done")
    assert crm.entries <= index.SHARDS
    assert crm.pending() == []
    assert crm.entries == 0
    for number in range(100):
        crm.post(f"k{number}")
    assert crm.entries == 0


def test_the_index_is_bounded(world: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no further outcome could be listed nothing is sent, and the error says what to do; settling makes room."""
    monkeypatch.setattr(index, "SHARDS", 1)
    monkeypatch.setattr("nexus_connector_idempotency._ledger.ENTRIES", 3)
    crm = world(idempotency_header="Idempotency-Key")
    crm.vendors.answer("crm", 500)
    for number in range(3):
        crm.failed(OutcomeUnknownError, f"k{number}")
    error = crm.failed(IdempotencyUnavailableError, "k3")
    assert "nexus outcomes" in str(error)
    assert (crm.sent, crm.entries) == (3, 3)
    # One that is unknown already may be tried again, and stays listed.
    crm.failed(OutcomeUnknownError, "k1")
    assert {each.idempotency_key for each in crm.pending()} == {"k0", "k1", "k2"}
    crm.connector.outcomes.settle(crm.pending()[0], Outcome.DONE)
    crm.failed(OutcomeUnknownError, "k3")
    assert len(crm.pending()) == 3


def test_who_looks_takes_no_newer_entry_out(world: Opens) -> None:
    """A call that waited asks again while somebody reads the list: the entry of its second turn stays."""
    crm = world()
    key = index.index_key("crm", index.shard_of("WAITS"))
    first = index.Entry("WAITS", 1, None, "POST /orders", "k1")
    for entry in (first, attrs.evolve(first, turn=2)):
        crm.store.run([(index.ADD, key, (*attrs.astuple(entry), 60_000, [], 10))])
    crm.store.run([(index.REMOVE, key, [("WAITS", 1)])])
    assert [each.turn for each in index.entries_of(crm.store.run([(index.READ, key, ())])[0])] == [2]
    crm.store.run([(index.REMOVE, key, [("WAITS", 0)])])
    assert crm.entries == 0


def test_a_store_that_is_down_is_said(world: Opens) -> None:
    """Neither an empty list nor an outcome that nobody wrote down."""
    crm = world()
    crm.vendors.answer("crm", 500)
    crm.failed(OutcomeUnknownError)
    [pending] = crm.pending()
    crm.store.fails = "before"
    with pytest.raises(IdempotencyUnavailableError, match="database is away"):
        crm.pending()
    with pytest.raises(IdempotencyUnavailableError):
        crm.connector.outcomes.settle(pending, Outcome.DONE)
