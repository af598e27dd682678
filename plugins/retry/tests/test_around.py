"""What happens around the retries: events, streams, exceptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import attrs
import pytest

from nexus_connector.call import Call
from nexus_connector.errors import ConnectorError, PluginError, VendorError
from nexus_connector.events import RetryScheduled
from nexus_connector.message import Response
from nexus_connector.pipeline import Result
from nexus_connector.transport import SendError
from nexus_connector.verdict import Outcome, Verdict

Answers = Callable[[int, str], Response]


def test_each_retry_is_told_before_its_wait(world: Any, unconnected: SendError) -> None:
    """RetryScheduled says which attempt failed, why, and how long the wait is, when the wait begins."""
    world.attempt_seconds = 1.0
    world.run(None, 503, unconnected, odd, 200)
    assert all(isinstance(event, RetryScheduled) for event in world.events)
    told = [(event.attempt, event.reason, event.delay_seconds, event.operation) for event in world.events]
    assert told == [(1, "503", 0.5, "GET /x"), (2, "connect", 1, "GET /x"), (3, "OddError", 2, "GET /x")]
    since = [(event.at - world.events[0].at).total_seconds() for event in world.events]
    assert since == [0, 1.5, 3.5]


class OddError(ConnectorError):
    """An error of somebody's classify hook."""


def odd(call: Call) -> Result:
    """A good answer that a classify hook wants to have again."""
    verdict = Verdict(outcome=Outcome.REFUSED, health="ok", retry=True, error=OddError("odd"))
    return Result(verdict, Response(status=200))


def test_an_error_in_a_good_answer_is_told_by_its_class(world: Any) -> None:
    """A fault in a 200 is not told as "200"."""

    def fault(call: Call) -> Result:
        error = VendorError("busy", status=200, code="busy")
        return Result(Verdict(outcome=Outcome.REFUSED, health="ok", retry=True, error=error), Response(status=200))

    world.run(None, fault, 200)
    assert [event.reason for event in world.events] == ["VendorError"]


def test_giving_up_is_not_told_as_a_retry(world: Any, retry_after: Answers) -> None:
    """Where nothing follows, nothing is scheduled."""
    world.use(max_retries=0)
    world.run(None, 500)
    world.use()
    world.run(None, retry_after(429, "60"))
    assert world.events == []


@attrs.define
class Body:
    closed: int = 0

    def read(self, deadline: float) -> bytes:
        return b""

    def close(self, error: BaseException | None = None) -> None:
        self.closed += 1


def test_the_stream_of_a_failed_attempt_is_closed(world: Any) -> None:
    """An answer that nobody will read gives its connection back before the wait; the last one stays open."""
    first, second = Body(), Body()
    settled = Body()
    streams = iter([first, second])

    def streaming(call: Call) -> Result:
        call.stream = cast("Any", settled) if call.attempts == 1 else call.stream
        assert (call.stream is None) == (call.attempts == 2)
        return attrs.evolve(odd(call), response=Response(status=200, stream=next(streams)))

    world.use(max_retries=1)
    world.run(None, streaming)
    assert (first.closed, settled.closed, second.closed) == (1, 1, 0)


class Cancelled(BaseException):
    """Stands for CancelledError and KeyboardInterrupt."""


@pytest.mark.parametrize("error", [Cancelled(), PluginError("a stage broke its contract")])
def test_what_is_raised_passes_untouched(world: Any, error: BaseException) -> None:
    """Cancellation and PluginError are not failures of the vendor: they pass, and nothing is sent again."""
    with pytest.raises(type(error)) as caught:
        world.run(None, error)
    assert caught.value is error
    assert world.times == [0]


def test_cancelling_the_wait_sends_nothing_more(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call cancelled while it waits for its retry ends there."""

    async def cancelled(seconds: float) -> None:
        raise Cancelled

    monkeypatch.setattr(world.io, "sleep", cancelled)
    with pytest.raises(Cancelled):
        world.run(None, 500)
    assert world.times == [0]
