"""Replays: a repeat under the same key gets the answer of before, and sends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from nexus_connector import CallOptions, IdempotentReplay, Operation, Request, Response, Secret, hookimpl
from nexus_connector.errors import IdempotencyConflictError, VendorError
from nexus_connector.headers import Headers
from nexus_connector.verdict import Outcome, Verdict

Opens = Callable[..., Any]
ANSWER = Response(
    status=201,
    headers=Headers(
        [("X-B", "1"), ("Content-Type", "application/json"), ("X-A", "2"), ("x-b", "3"), ("Location", "/o/7")]
    ),
    body=b'{"id": "7", "raw": "\xc3\xa4"} \x00\xff',
)


def test_a_repeat_gets_the_same_bytes(world: Opens) -> None:
    """Status, header fields in their order, body, the vendor's request id: all as the first call got them."""
    crm = world()
    crm.vendors.answer(
        "crm", Response(status=201, headers=ANSWER.headers.with_fields({"X-Request-Id": "r1"}), body=ANSWER.body), 500
    )
    first, again = crm.post(), crm.post()
    assert (again.status, again.headers.pairs(), again.body) == (first.status, first.headers.pairs(), first.body)
    assert again.headers["x-b"] == "1, 3"
    assert crm.sent == 1
    assert (first.call.replayed, first.call.attempts) == (False, 1)
    assert (again.call.replayed, again.call.attempts, again.call.request_id) == (True, 0, "r1")
    assert again.call.id != first.call.id


def test_a_replay_is_told(world: Opens) -> None:
    """IdempotentReplay names the call whose answer it is."""
    crm = world()
    first = crm.post()
    again = crm.post()
    [event] = crm.told(IdempotentReplay)
    assert (event.call_id, event.original_call_id, event.operation) == (again.call.id, first.call.id, "POST /orders")


def test_the_awaited_face_replays_too(world: Opens) -> None:
    """One claim for both faces."""
    crm = world()
    first = crm.post(json={"sku": "a"})

    async def again() -> Any:
        return await crm.connector.as_async().service("crm").post("/orders", idempotency_key="k1", json={"sku": "a"})

    second = asyncio.run(again())
    assert (second.body, second.call.replayed, crm.sent) == (first.body, True, 1)


class Counts:
    """Counts what it transforms, and marks it."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    @hookimpl
    def transform_response(self, call: Any, response: Any) -> Any:
        self.seen.append(response.body)
        return Response(
            status=response.status, headers=response.headers, body=b'{"n": %d}' % len(self.seen), call=response.call
        )


def test_a_replay_is_transformed_and_parsed_anew(world: Opens) -> None:
    """What is kept is the vendor's answer: hooks and the parser see it each time as if it had just come."""
    hook = Counts()
    crm = world(hooks=[hook])
    assert [crm.post(into=dict) for _ in range(2)] == [{"n": 1}, {"n": 2}]
    assert hook.seen == [b'{"id":"7"}'] * 2


def test_credentials_are_not_kept(world: Opens) -> None:
    """Cookies, tokens and whatever repeats the call's own credentials: not in the store, so not in the replay."""
    token = "tok-4711-abcdef"
    headers = {"Set-Cookie": "sid=4711", "X-Auth-Token": "4712", "Authentication-Info": "4713", "X-Echo": f"is {token}"}
    crm = world(credentials={"method": "bearer", "token": Secret(token)})
    crm.vendors.answer("crm", (200, {"id": "7"}, {**headers, "ETag": "e"}))
    assert crm.post().headers["set-cookie"] == "sid=4711"
    assert crm.post().headers.pairs() == [("Content-Type", "application/json"), ("ETag", "e")]
    kept = repr(crm.states)
    assert [word for word in ("4711", "4712", "4713", token) if word in kept] == []


def test_a_body_that_repeats_the_credentials_is_not_kept(world: Opens) -> None:
    """The key stays taken, and a repeat is told why there is no answer."""
    crm = world(credentials={"method": "bearer", "token": Secret("tok-4711-abcdef")})
    crm.vendors.answer("crm", {"echo": "Bearer tok-4711-abcdef"})
    crm.post()
    error = crm.failed(IdempotencyConflictError)
    assert "repeated the credentials" in str(error)
    assert (crm.sent, error.outcome.value, error.retry_safe) == (1, "done", False)
    assert "tok-4711" not in repr(crm.states)


@pytest.mark.parametrize(("size", "replays"), [(100, True), (101, False)])
def test_large_answers_are_not_kept(world: Opens, size: int, replays: bool) -> None:
    """Up to ``max_stored_bytes`` an answer is kept; beyond it the key is, and a repeat says so and sends nothing."""
    crm = world({"max_stored_bytes": 100})
    crm.vendors.answer("crm", Response(status=200, body=b"x" * size))
    crm.post()
    if replays:
        assert crm.post().body == b"x" * size
    else:
        error = crm.failed(IdempotencyConflictError)
        assert "max_stored_bytes" in str(error)
        assert error.outcome.value == "done"
    assert crm.sent == 1


def test_a_stream_is_not_kept(world: Opens) -> None:
    """The claim is open while the stream is; then the key is taken, and a repeat says why it has no answer."""
    crm = world()
    service = crm.connector.service("crm")
    with service.stream("/export", idempotency_key="s1") as stream:
        assert [each.state for each in crm.pending()] == ["in_flight"]
        assert b"".join(stream) == b'{"id":"7"}'
    assert crm.pending() == []
    with pytest.raises(IdempotencyConflictError, match="stream"), service.stream("/export", idempotency_key="s1"):
        pass
    assert crm.sent == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_stream_that_breaks_off(world: Opens, method: str) -> None:
    """What changes nothing may be asked again under its key; of anything else nobody knows what became of it."""
    crm = world()
    made = Operation(name="export", request=Request(method=method), parse=lambda answer: answer.stream, stream=True)
    body = crm.connector.perform("crm", lambda: made, CallOptions(idempotency_key="s1"))
    body.close(OSError("gone"))
    assert [(each.state, each.message) for each in crm.pending()] == ([] if method == "GET" else [("unknown", "gone")])
    if method == "GET":
        crm.connector.perform("crm", lambda: made, CallOptions(idempotency_key="s1")).close()
        assert crm.sent == 2


@pytest.mark.parametrize(("operation", "days"), [("POST /orders", 1), ("payments.charge", 30)])
def test_keys_are_kept_for_their_time(world: Opens, operation: str, days: int) -> None:
    """24 hours, 30 days for payments; after that the key is as if it had never been, and replays do not prolong it."""
    crm = world()
    request = Request(method="POST", path="/orders")
    made = Operation(name=operation, request=request, parse=lambda response: response.call.replayed)

    def call() -> bool:
        replayed: bool = crm.connector.perform("crm", lambda: made, CallOptions(idempotency_key="k"))
        return replayed

    assert [call(), call()] == [False, True]
    crm.vendors.clock.advance(days * 86_400 - 1)
    assert call() is True
    crm.vendors.clock.advance(1)
    assert call() is False


def test_an_answer_that_a_hook_gave_is_replayed(world: Opens) -> None:
    """A before_request hook may answer itself; under a key it answers once."""

    class Answers:
        count = 0

        @hookimpl
        def before_request(self, call: Any, request: Any) -> Any:
            self.count += 1
            return Response(status=200, body=b"%d" % self.count)

    crm = world(hooks=[Answers()])
    assert [crm.post().body, crm.post().body, crm.sent] == [b"1", b"1", 0]


def test_an_answer_that_a_hook_made_an_error_of_is_not_replayed(world: Opens) -> None:
    """Done and an error at once: the repeat says that it was done and why it has no answer."""

    class Judges:
        @hookimpl
        def classify(self, call: Any, verdict: Any, response: Any) -> Any:
            return Verdict(outcome=Outcome.DONE, health="ok", error=VendorError("odd", status=200))

    crm = world(hooks=[Judges()])
    crm.failed(VendorError)
    assert "classify hook" in str(crm.failed(IdempotencyConflictError))
    assert crm.sent == 1
