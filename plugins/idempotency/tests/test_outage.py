"""A durable store that is down: nothing is sent without a claim in silence, and no result is lost with it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from nexus_connector.errors import IdempotencyConflictError, IdempotencyUnavailableError, OutcomeUnknownError
from nexus_connector.verdict import Outcome

Opens = Callable[..., Any]


@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("key", [None, "k1"])
def test_nothing_is_sent_without_a_claim(world: Opens, keyed: bool, key: str | None) -> None:
    """KEYED and UNSAFE are refused before sending, and may be made again; other calls go on."""
    crm = world(**({"idempotency_header": "Idempotency-Key"} if keyed else {}))
    crm.store.fails = "before"
    error = crm.failed(IdempotencyUnavailableError, key)
    assert (error.outcome, error.retry_safe, crm.sent) == (Outcome.NOT_SENT, True, 0)
    assert "the database is away" in str(error)
    crm.connector.service("crm").get("/orders")
    crm.store.fails = "never"
    assert crm.post(key).status == 200
    assert crm.pending() == []


def test_a_claim_whose_reply_was_lost_is_given_back(world: Opens) -> None:
    """It was written, nothing was sent: when the store answers again the key is free, not unknown."""
    crm = world()
    crm.store.fails = "after"
    crm.failed(IdempotencyUnavailableError)
    assert len(crm.states) == 2
    crm.store.fails = "never"
    crm.connector.service("crm").get("/orders")
    assert [key for key in crm.states if key[2] == "claim"] == []
    assert (crm.post().call.replayed, crm.sent) == (False, 2)


def test_a_repeat_whose_claim_was_lost_leaves_it_unknown(world: Opens) -> None:
    """It took an unknown outcome over, was not sent, and is the one that is listed when the store answers again."""
    crm = world(idempotency_header="Idempotency-Key")
    crm.vendors.answer("crm", ConnectionResetError(), 200)
    crm.failed(OutcomeUnknownError)
    crm.store.fails = "after"
    error = crm.failed(IdempotencyUnavailableError)
    crm.store.fails = "never"
    crm.connector.service("crm").get("/orders")
    assert [(each.call_id, each.state) for each in crm.pending()] == [(error.call_id, "unknown")]


def test_a_result_outlives_the_store(world: Opens) -> None:
    """The store fails after the send: the caller has its answer, and it is written as soon as the store answers."""
    crm = world()

    def answer(request: Any) -> object:
        crm.store.fails = "before"
        return {"id": "7"}

    crm.vendors.answer("crm", answer, {"id": "8"})
    assert crm.post().json() == {"id": "7"}
    service = crm.connector.service("crm")
    service.get("/orders")  # the first try, in vain
    crm.store.fails = "never"
    assert [each.state for each in crm.pending()] == ["in_flight"]
    service.get("/orders")  # too soon for another one
    assert len(crm.pending()) == 1
    crm.vendors.clock.advance(0.5)
    service.get("/orders")
    assert crm.pending() == []
    assert crm.post().json() == {"id": "7"}


def test_a_result_that_is_never_written_is_unknown(world: Opens) -> None:
    """If this process ends before the store answers, its claim is open when its lease is over: never free."""
    crm = world()

    def answer(request: Any) -> object:
        crm.store.fails = "before"
        return {"id": "7"}

    crm.vendors.answer("crm", answer)
    crm.post()
    crm.store.fails = "never"
    crm.vendors.clock.advance(6)
    assert [each.state for each in crm.pending()] == ["unknown"]


def test_what_was_cancelled_is_written_later(world: Opens) -> None:
    """The background finds the store down, too: it is tried again."""
    crm = world()

    def answer(request: Any) -> object:
        crm.store.fails = "before"
        raise KeyboardInterrupt

    crm.vendors.answer("crm", answer, {"id": "8"})
    with pytest.raises(KeyboardInterrupt):
        crm.post()
    crm.store.fails = "never"
    crm.connector.service("crm").get("/orders")
    assert [(each.state, each.message) for each in crm.pending()] == [("unknown", "it ended with KeyboardInterrupt")]


def test_what_waits_is_bounded(world: Opens, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """More than fits is dropped with a warning; its claim stays taken."""
    monkeypatch.setattr("nexus_connector_idempotency._ledger._LATE", 2)
    crm = world()

    def answer(request: Any) -> object:
        crm.store.fails = "before"
        return {"id": "7"}

    crm.vendors.answer("crm", answer)
    for key in ("k1", "k2", "k3"):
        crm.store.fails = "never"
        monkeypatch.setattr("nexus_connector_idempotency._ledger.Ledger.catch_up", lambda *_: None)
        crm.post(key)
    monkeypatch.undo()
    assert "outcome of a call of crm is lost here" in caplog.text
    crm.store.fails = "never"
    crm.connector.service("crm").put("/orders/7")
    crm.store.fails = "never"
    assert [each.idempotency_key for each in crm.pending()] == ["k1"]


def test_a_service_may_accept_the_risk(world: Opens, caplog: pytest.LogCaptureFixture) -> None:
    """``when_store_down = "send"``: it is sent, and a warning says so, with the call."""
    crm = world({"when_store_down": "send"})
    crm.store.fails = "before"
    response = crm.post()
    assert (response.status, crm.sent) == (200, 1)
    [record] = [each for each in caplog.records if each.name == "nexus_connector.crm"]
    assert record.levelno == logging.WARNING
    assert "without a claim" in record.getMessage()
    assert "the database is away" in record.getMessage()
    assert (record.call_id, record.operation) == (response.call.id, "POST /orders")  # type: ignore[attr-defined]


def test_a_risk_that_was_no_risk(world: Opens) -> None:
    """The claim was written and its reply lost: what became of the call is written to it when the store answers."""
    crm = world({"when_store_down": "send"})
    crm.store.fails = "after"
    crm.vendors.answer("crm", {"id": "7"}, {"id": "8"})
    crm.post()
    crm.store.fails = "never"
    assert crm.connector.service("crm").get("/orders").json() == {"id": "8"}
    assert crm.post().json() == {"id": "7"}


def test_an_unclaimed_stream(world: Opens) -> None:
    """Its claim was written all the same: it ends with the stream, and no empty body is kept for it."""
    crm = world({"when_store_down": "send"})
    crm.store.fails = "after"
    service = crm.connector.service("crm")
    with service.stream("/export", idempotency_key="s") as stream:
        crm.store.fails = "never"
        assert [each.state for each in crm.pending()] == ["in_flight"]
        assert b"".join(stream) == b'{"id":"7"}'
    with pytest.raises(IdempotencyConflictError, match="stream"), service.stream("/export", idempotency_key="s"):
        pass
    assert crm.sent == 1


def test_an_unclaimed_call_that_is_cancelled(world: Opens) -> None:
    """Sent without a claim that was written all the same, and cancelled: unknown."""
    crm = world({"when_store_down": "send"})
    crm.store.fails = "after"

    def answer(request: Any) -> object:
        raise KeyboardInterrupt

    crm.vendors.answer("crm", answer, 200)
    with pytest.raises(KeyboardInterrupt):
        crm.post()
    crm.store.fails = "never"
    crm.connector.service("crm").get("/orders")
    assert [each.state for each in crm.pending()] == ["unknown"]


@pytest.mark.parametrize("down", ["refuse", "send"])
def test_who_waits_is_never_sent_without_a_claim(world: Opens, other: Any, down: str) -> None:
    """The store fails while another process is at it: whatever the options say, this call is not sent."""
    crm = world({"when_store_down": down})
    crm.vendors.answer("crm", ConnectionResetError(), 200)
    crm.failed(OutcomeUnknownError, "probe")
    [state] = [state for key, state in crm.states.items() if key[-1] == "probe"]
    other(crm).claim("FIRST", "k1", fingerprint=state[5], seconds=30)

    def fail() -> None:
        crm.store.fails = "before"

    crm.store.before = [lambda: None, fail]
    crm.failed(IdempotencyUnavailableError)
    assert crm.sent == 1
