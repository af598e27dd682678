"""What is known after several attempts: an outcome once unknown stays unknown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nexus_connector.call import Call
from nexus_connector.errors import (
    AuthenticationError,
    CircuitOpenError,
    OutcomeUnknownError,
    PaymentDeclinedError,
)
from nexus_connector.judge import refuse
from nexus_connector.message import Response
from nexus_connector.pipeline import Result
from nexus_connector.transport import SendError
from nexus_connector.verdict import Outcome, Safety, Verdict

Answers = Callable[[int, str], Response]


def opened(call: Call) -> Result:
    """Our own refusal."""
    return refuse(call, CircuitOpenError("The circuit of stripe is open.", retry_after=60.0))


@pytest.mark.parametrize("safety", ["idempotent", "keyed"])
def test_what_may_have_happened_is_not_forgotten(world: Any, timed_out: SendError, safety: Safety) -> None:
    """An attempt that was not sent does not undo an earlier one whose answer was lost: the outcome stays unknown, and
    the caller hears of both sends and of the wait.
    """
    result = world.run(world.call(safety=safety), timed_out, opened)
    error = result.verdict.error
    assert result.verdict.outcome is error.outcome is Outcome.UNKNOWN
    assert isinstance(error, OutcomeUnknownError)
    assert "did not answer" in error.message
    assert error.attempts == 2
    assert error.retry_after == result.verdict.retry_after == 60


def test_an_attempt_put_off_does_not_undo_an_earlier_one(
    world: Any, timed_out: SendError, retry_after: Answers
) -> None:
    """Nor does one that the vendor put off without looking at it."""
    result = world.run(world.call(safety="keyed"), timed_out, retry_after(429, "20"))
    assert result.verdict.outcome is result.verdict.error.outcome is Outcome.UNKNOWN
    assert result.verdict.error.retry_after == result.verdict.retry_after == 20


def test_an_attempt_not_let_in_does_not_undo_an_earlier_one(world: Any, timed_out: SendError) -> None:
    """Nor does one whose credentials the vendor refused."""
    result = world.run(world.call(safety="keyed"), timed_out, 401)
    assert result.verdict.error.outcome is Outcome.UNKNOWN
    assert not isinstance(result.verdict.error, AuthenticationError)


def test_a_final_answer_under_the_same_key_counts(world: Any, timed_out: SendError) -> None:
    """A vendor that honours keys and refuses for good has not done it before either."""

    def declined(call: Call) -> Result:
        error = PaymentDeclinedError("declined", status=402, outcome=Outcome.REFUSED)
        return Result(Verdict(outcome=Outcome.REFUSED, health="ok", error=error), Response(status=402))

    result = world.run(world.call(safety="keyed"), timed_out, declined)
    assert isinstance(result.verdict.error, PaymentDeclinedError)
    assert result.verdict.outcome is Outcome.REFUSED


def test_a_safe_call_reports_its_last_failure(world: Any, timed_out: SendError) -> None:
    """What changes nothing at the vendor has nothing to remember."""
    result = world.run(None, timed_out, opened)
    assert isinstance(result.verdict.error, CircuitOpenError)
