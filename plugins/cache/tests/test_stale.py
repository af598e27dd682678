"""A stale answer stands in while the vendor fails, for a bounded time (RFC 5861 section 4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nexus_connector import Gate, Refusal, hookimpl
from nexus_connector.errors import CircuitOpenError, ConnectorError, LocalRateLimitError, TransportError, VendorError

Opens = Callable[..., Any]

FRESH = (200, {"n": 1}, {"Cache-Control": "max-age=60"})


class Shuts(Gate):
    """A gate that refuses while it is told to."""

    name = "shuts"

    def __init__(self, error: Callable[[], ConnectorError]) -> None:
        self.error = error
        self.is_shut = False

    @hookimpl
    def gates(self, config):
        return [self]

    def check(self, attempt):
        return Refusal(self.error()) if self.is_shut else None


def shut(kind: type[ConnectorError] = CircuitOpenError) -> Shuts:
    """A gate that refuses with such an error."""
    return Shuts(lambda: kind("It is shut.", retry_after=60.0))


@pytest.mark.parametrize("face", ["call", "await_call"])
def test_it_stands_in_while_the_circuit_is_open(world: Opens, face: str) -> None:
    """Nothing is sent, the Age says how old it is, and the event is told; past its time the refusal comes through."""
    gate = shut()
    crm = world(plugins=[gate])
    crm.answer(FRESH)
    call = getattr(crm, face)
    call()
    gate.is_shut = True
    crm.advance(359)
    answer = call()
    assert (answer.json(), answer.headers["Age"], answer.attempts) == ({"n": 1}, "359", 0)
    assert [(hit.age_seconds, hit.stale) for hit in crm.hits] == [(359.0, True)]
    crm.advance(2)
    assert isinstance(call(), CircuitOpenError)
    assert crm.sends == 1


@pytest.mark.parametrize(
    "failure", [500, 502, 503, 504, ConnectionRefusedError(), ConnectionResetError(), TimeoutError()], ids=str
)
def test_it_stands_in_for_a_failure(world: Opens, failure: object) -> None:
    """RFC 9111 section 4.3.3: 5xx and no answer at all; the attempt that failed is this call's."""
    crm = world()
    crm.answer(FRESH, failure)
    crm.call()
    crm.advance(61)
    answer = crm.call(timeout_seconds=5)
    assert (answer.json(), answer.attempts) == ({"n": 1}, 1)


@pytest.mark.parametrize("answer", [400, 401, 403, 404, 409, 410, 422, 429])
def test_it_does_not_hide_what_the_vendor_says(world: Opens, answer: int) -> None:
    """A 4xx is an answer, about this request: the caller gets it."""
    crm = world()
    crm.answer(FRESH, answer)
    crm.call()
    crm.advance(61)
    assert crm.call().status == answer


def test_it_does_not_hide_a_limit_of_our_own(world: Opens) -> None:
    """A limiter's refusal is no failure of the vendor."""
    gate = shut(LocalRateLimitError)
    crm = world(plugins=[gate])
    crm.answer(FRESH)
    crm.call()
    gate.is_shut = True
    crm.advance(61)
    assert isinstance(crm.call(), LocalRateLimitError)


def test_a_status_that_is_allowed_is_an_answer(world: Opens) -> None:
    """Who allows a 503 wants to see it."""
    crm = world()
    crm.answer(FRESH, 503)
    crm.call()
    crm.advance(61)
    assert crm.call(allow_status=(503,)).status == 503


@pytest.mark.parametrize(
    ("control", "asked", "kind"),
    [
        ("max-age=60, must-revalidate", "", VendorError),
        ("max-age=60, no-cache", "", VendorError),
        ("max-age=60, stale-if-error=0", "", VendorError),
        ("max-age=60", "no-cache", VendorError),
        ("max-age=60", "max-age=30", VendorError),
        ("max-age=60", "stale-if-error=0", VendorError),
        ("max-age=60", "", type(None)),
    ],
)
def test_what_forbids_it(world: Opens, control: str, asked: str, kind: type) -> None:
    """RFC 9111 section 4.2.4, and what the request says."""
    crm = world()
    crm.answer((200, 1, {"Cache-Control": control, "ETag": '"1"'}), 503)
    crm.call()
    crm.advance(61)
    error = crm.call(headers={"Cache-Control": asked} if asked else {})
    assert isinstance(error, ConnectorError) is (kind is VendorError)


def test_it_is_switched_off_by_zero(world: Opens) -> None:
    """``stale_if_error_seconds = 0``: never."""
    crm = world(stale_if_error_seconds=0)
    crm.answer(FRESH, ConnectionRefusedError())
    crm.call()
    crm.advance(60)
    assert isinstance(crm.call(), TransportError)


def test_a_failure_leaves_the_answer_to_be_confirmed(world: Opens) -> None:
    """After the failure the next call still asks with the condition, and is answered from here."""
    crm = world()
    crm.answer((200, {"n": 1}, {"Cache-Control": "max-age=60", "ETag": '"1"'}), 503, 304)
    crm.call()
    crm.advance(61)
    crm.call()
    assert crm.call().json() == {"n": 1}
    assert crm.requests[2].headers["If-None-Match"] == '"1"'


def test_a_change_ends_it(world: Opens) -> None:
    """What a change made wrong stands in for nothing."""
    crm = world()
    crm.answer(FRESH, 200, 503)
    crm.call()
    crm.call(method="post")
    assert isinstance(crm.call(), VendorError)


def test_an_answer_is_kept_to_be_confirmed_for_its_own_time(world: Opens) -> None:
    """``keep_seconds``: beyond it the request goes out without condition."""
    crm = world(keep_seconds=1000, stale_if_error_seconds=0)
    crm.answer((200, 1, {"Cache-Control": "max-age=60", "ETag": '"1"'}), 304)
    crm.call()
    crm.advance(1059)
    crm.call()
    crm.advance(1061)
    crm.call()
    assert ["If-None-Match" in request.headers for request in crm.requests] == [False, True, False]
