"""The stage: what is tried again, when, and when it is left to the caller."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from nexus_connector.body import Source
from nexus_connector.errors import VendorError
from nexus_connector.message import Request, Response
from nexus_connector.pipeline import Result
from nexus_connector.policy import RetryPolicy
from nexus_connector.transport import SendError
from nexus_connector.verdict import Outcome, Safety, Verdict

Answers = Callable[[int, str], Response]


def test_an_answer_is_returned_at_once(world: Any) -> None:
    """A call that succeeds is sent once, without any wait."""
    result = world.run(None, 200)
    assert result.response.status == 200
    assert world.times == [0]


def test_a_transient_failure_is_tried_again_after_its_backoff(world: Any) -> None:
    """Three retries by default, after 0.5, 1 and 2 seconds; the last failure is returned as it came."""
    result = world.run(None, 500)
    assert world.times == [0, 0.5, 1.5, 3.5]
    assert isinstance(result.verdict.error, VendorError)
    assert result.verdict.error.message == "stripe answered GET /x with 500."


def test_success_ends_the_retries(world: Any) -> None:
    """The first success is the result of the call."""
    result = world.run(None, 500, 502, 200)
    assert result.response.status == 200
    assert result.verdict.error is None
    assert len(world.sent) == 3


@pytest.mark.parametrize("status", [400, 401, 404, 501])
def test_what_cannot_end_differently_is_not_tried_again(world: Any, status: int) -> None:
    """The verdict decides: what is not transient is sent once."""
    world.run(None, status)
    assert world.times == [0]


@pytest.mark.parametrize(("safety", "sends"), [("safe", 4), ("idempotent", 4), ("keyed", 4), ("unsafe", 1)])
def test_an_unknown_outcome_is_repeated_only_where_that_is_safe(
    world: Any, timed_out: SendError, safety: Safety, sends: int
) -> None:
    """After a lost answer only what cannot be done twice is sent again."""
    world.run(world.call(safety=safety), timed_out)
    assert len(world.sent) == sends


def test_what_was_not_sent_is_repeated_whatever_it_is(world: Any, unconnected: SendError) -> None:
    """A connection that failed did nothing: also an unsafe call is tried again."""
    world.run(world.call(safety="unsafe"), unconnected)
    assert len(world.sent) == 4


def test_a_result_that_asks_for_a_retry_without_an_error_is_a_result(world: Any) -> None:
    """Without an error there is nothing to try again."""
    world.run(None, lambda call: Result(Verdict(outcome=Outcome.DONE, health="ok", retry=True), Response(status=200)))
    assert world.times == [0]


# Retry-After


def test_nothing_is_sent_before_retry_after(world: Any, retry_after: Answers) -> None:
    """The vendor's own wait is kept to the second, also where it is longer than our longest delay."""
    world.use(max_delay_seconds=1.0)
    world.run(None, retry_after(429, "5"), 200)
    assert world.times == [0, 5]


def test_backoff_counts_where_it_is_longer_than_retry_after(world: Any, retry_after: Answers) -> None:
    """Retry-After is the least wait, not the only one."""
    world.use(base_delay_seconds=4.0)
    world.run(None, retry_after(503, "1"), 200)
    assert world.times == [0, 4]


def test_a_long_retry_after_goes_to_the_caller(world: Any, retry_after: Answers) -> None:
    """A wait over ``max_inline_wait_seconds`` is not waited: verdict and error say how long; nothing more is sent."""
    call = world.call(seconds=300.0)
    result = world.run(call, retry_after(429, "6"), 200)
    assert world.times == [0]
    assert world.io.now() == 0
    assert result.verdict.retry_after == result.verdict.error.retry_after == 6
    assert result.verdict.error.message == "stripe answered GET /x with 429."


def test_our_own_delay_may_be_longer_than_the_inline_wait(world: Any) -> None:
    """``max_inline_wait_seconds`` limits what others impose; our own backoff has its own limit."""
    world.use(base_delay_seconds=8.0)
    world.run(None, 500, 200)
    assert world.times == [0, 8]


# The deadline


def test_a_wait_that_does_not_fit_goes_to_the_caller(world: Any, retry_after: Answers) -> None:
    """Now plus the wait must lie before the deadline; otherwise the failure comes now, with the wait."""
    result = world.run(world.call(seconds=3.0), retry_after(503, "3"), 200)
    assert world.times == [0]
    assert result.verdict.retry_after == result.verdict.error.retry_after == 3


def test_backoff_that_does_not_fit_goes_to_the_caller(world: Any) -> None:
    """Backoff is clipped by the deadline too: 0.5 and 1 second fit into 3, 2 more do not."""
    result = world.run(world.call(seconds=3.0), 500)
    assert world.times == [0, 0.5, 1.5]
    assert result.verdict.retry_after == result.verdict.error.retry_after == 2


def test_time_spent_in_attempts_counts(world: Any) -> None:
    """The deadline is the whole call's: slow attempts leave less for retries."""
    world.attempt_seconds = 2.0
    world.run(world.call(seconds=5.0), 500)
    assert world.times == [0, 2.5]


# The time of one attempt


def test_an_attempt_that_another_may_follow_has_the_attempt_timeout(world: Any) -> None:
    """Every attempt but the last ends after ``attempt_timeout_seconds``; the last one has all that is left."""
    world.attempt_timeout_seconds = 4.0
    world.use(max_retries=2)
    world.run(None, 500)
    assert [sent.deadline for sent in world.sent] == [4.0, 4.5, None]


def test_the_attempt_timeout_is_clipped_to_the_call(world: Any) -> None:
    """No attempt may outlive its call."""
    world.run(world.call(seconds=6.0), 500, 200)
    assert [sent.deadline for sent in world.sent] == [6.0, 6.0]


def test_unsafe_attempts_have_all_the_time_there_is(world: Any, unconnected: SendError) -> None:
    """Cutting an unsafe attempt short would make its outcome unknown, and nothing could follow."""
    world.run(world.call(safety="unsafe"), unconnected, unconnected, 200)
    assert [sent.deadline for sent in world.sent] == [None, None, None]


def test_the_safety_of_the_call_counts_not_of_its_method(world: Any) -> None:
    """A call that a key made repeatable has the attempt timeout."""
    call = world.call(safety="unsafe")
    call.safety = "keyed"
    world.run(call, 200)
    assert [sent.deadline for sent in world.sent] == [10.0]


def test_without_budget_an_attempt_has_all_the_time_there_is(world: Any) -> None:
    """Where no retry could be paid for, cutting an attempt short gains nothing."""
    world.use(budget_ratio=0.0, budget_floor_per_second=0.0)
    world.run(None, 500)
    assert [sent.deadline for sent in world.sent] == [None]


def test_a_single_attempt_has_all_the_time_there_is(world: Any) -> None:
    """Without retries the only attempt is the last one."""
    world.use(max_retries=0)
    world.run(None, 500)
    assert [sent.deadline for sent in world.sent] == [None]


# Bodies and policies


def test_a_body_that_cannot_be_opened_again_has_one_attempt(world: Any) -> None:
    """What was read while it was sent is gone: the call is not tried again, and its attempt is not cut short."""
    request = Request(method="PUT", source=Source(parts=[], repeatable=False))
    world.run(world.call(request=request), 500)
    assert [(sent.at, sent.deadline) for sent in world.sent] == [(0, None)]


def test_a_body_that_can_be_opened_again_is_sent_again(world: Any) -> None:
    """A source that opens anew for every attempt is retried like bytes."""
    world.run(world.call(request=Request(method="PUT", source=Source(parts=[]))), 500, 200)
    assert len(world.sent) == 2


def test_an_operation_brings_its_own_policy(world: Any) -> None:
    """The policy of the operation replaces the service's, in both directions."""
    own = RetryPolicy(max_retries=5, base_delay_seconds=1.0, backoff="constant", jitter="none")
    world.use(max_retries=0)
    world.run(world.call(retry=own), 500)
    assert world.times == [0, 1, 2, 3, 4, 5]
    world.use(max_retries=3)
    world.sent.clear()
    world.run(world.call(retry=RetryPolicy(max_retries=0)), 500)
    assert world.times == [0]


def test_decorrelated_jitter_follows_the_delay_before(world: Any) -> None:
    """Each delay is drawn from the one before, not from a Retry-After in between."""
    world.use(jitter="decorrelated", max_retries=20, max_delay_seconds=1000.0)
    world.run(world.call(seconds=1e9), 500)
    waits = [later - earlier for earlier, later in pairwise(world.times)]
    assert all(0.5 <= wait <= 3 * before + 1e-9 for before, wait in zip([0.5, *waits], waits, strict=False))
    assert max(waits) > 1.5


def test_chance_comes_from_the_io(world: Any) -> None:
    """One seed, one trace: two calls of one world wait differently, two worlds alike."""
    other = type(world)(jitter="full")
    world.use(jitter="full")
    world.run(None, 500)
    other.run(None, 500)
    assert world.times == other.times
    first, second, third = (later - earlier for earlier, later in pairwise(world.times))
    assert len({round(share, 9) for share in (first / 0.5, second / 1.0, third / 2.0)}) == 3
    assert max(first / 0.5, second / 1.0, third / 2.0) <= 1
