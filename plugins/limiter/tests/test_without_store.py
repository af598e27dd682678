"""The store is down: each process goes on with its share of every limit, or refuses; never without a limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nexus_connector.errors import LocalRateLimitError
from nexus_connector.gates import Again, Refusal, Wait
from nexus_connector.state import StoreError
from nexus_connector_limiter._share import CAREFUL_SECONDS

Makes = Callable[..., Any]
GONE = StoreError("no answer within 0.1 s")


def sends_in(world: Any, seconds: float, process: int = 0) -> int:
    """How many calls are sent at once or after a wait, in so many seconds, by one that asks all the time."""
    end, count = world.io.now() + seconds, 0
    while True:
        attempt, answer = world.begin(process)
        if isinstance(answer, Wait):
            world.io.advance(answer.seconds)
        elif isinstance(answer, Refusal):
            world.io.advance(0.5)
        if world.io.now() >= end:
            return count
        count += not isinstance(answer, Refusal)
        world.end(attempt, process)


@pytest.mark.parametrize(("limit", "share", "most"), [("100/s", 0.25, 25), ("2/s", 0.25, 1), ("100/s", 1.0, 100)])
def test_a_process_has_its_share(desk: Makes, limit: str, share: float, most: int) -> None:
    """A quarter of the limit for each process, or what the options say; also where that is less than one call."""
    world = desk(limits=(limit,), share=share)
    world.store.gone = GONE
    sent = sends_in(world, 20)
    quota, _, _ = limit.partition("/")
    allowed = 20 * share * int(quota)
    assert 0.8 * allowed <= sent <= allowed + 1
    assert sends_in(desk(limits=(limit,)), 1) <= int(quota)


def test_it_can_refuse_instead(desk: Makes) -> None:
    """``when_store_down = "refuse"``: nothing is sent, and the error says what to mend."""
    world = desk(limits=("100/s",), when_store_down="refuse")
    world.store.gone = GONE
    _, answer = world.begin()
    assert isinstance(answer, Refusal)
    assert isinstance(answer.error, LocalRateLimitError)
    assert answer.error.retry_after == 1.0
    assert "does not answer" in str(answer.error)
    world.store.gone = None
    assert world.begin()[1] is None


def test_an_outage_begins_as_if_a_call_had_just_been_made(desk: Makes) -> None:
    """What the processes sent before it counts at the vendor: none of them begins with a call at once."""
    world = desk(3, limits=("10/s",))
    world.begin()
    world.store.gone = GONE
    waits = [world.begin(process)[1] for process in range(3)]
    assert all(isinstance(wait, Wait) and wait.seconds >= 0.4 for wait in waits)


def test_after_an_outage_the_share_counts_for_a_while(desk: Makes) -> None:
    """Others may not be back yet: a process that is keeps to its share as well, one that missed nothing does not."""
    world = desk(2, limits=("10/s",))
    world.store.gone = GONE
    world.end(world.begin()[0])
    world.store.gone = None
    attempt, answer = world.begin()
    assert isinstance(answer, Again)
    assert answer.seconds == pytest.approx(0.934, abs=0.001)  # twice its own pace
    assert world.store.ran == ["limiter.look"]
    assert world.begin(1)[1] is None
    assert world.again(attempt, answer) is None
    assert world.store.ran == ["limiter.look", "limiter.take", "limiter.take"]
    world.end(attempt)


def test_a_call_that_has_room_in_its_share_asks_the_shared_limit(desk: Makes) -> None:
    """Both must have room; what is not sent goes back to both."""
    world = desk(2, limits=("2/s",), share=1.0)
    world.store.gone = GONE
    world.end(world.begin()[0])
    world.io.advance(1.1)
    world.store.gone = None
    assert world.begin(1)[1] is None
    attempt, answer = world.begin()
    assert isinstance(answer, Wait)
    world.end(attempt, sent=False)
    assert isinstance(world.begin()[1], Wait)
    assert world.store.ran == ["limiter.take", "limiter.take", "limiter.give", "limiter.take"]


def test_the_store_may_fail_again_before_the_share_is_used(desk: Makes) -> None:
    """A call that has its room and finds the store gone once more is sent out of the share, once."""
    world = desk(limits=("10/s",))
    world.store.gone = GONE
    world.end(world.begin()[0])
    world.store.gone = None
    attempt, answer = world.begin()
    assert isinstance(answer, Again)
    world.store.gone = GONE
    assert world.again(attempt, answer) is None
    assert attempt.send_by == pytest.approx(world.io.now() + 0.05)
    assert isinstance(world.begin()[1], Wait)


def test_the_shared_limit_counts_again_when_the_store_is_back(desk: Makes) -> None:
    """What was sent alone is not in it; after a while it is the only one."""
    world = desk(2, limits=("10/s",))
    world.begin()
    world.store.gone = GONE
    world.begin()
    world.store.gone = None
    world.io.advance(CAREFUL_SECONDS + 0.5)
    assert world.begin()[1] is None
    attempt, answer = world.begin()
    assert isinstance(answer, Wait)
    assert answer.seconds == pytest.approx(0.117, abs=0.001)
    assert world.store.ran == ["limiter.take"] * 3
    world.end(attempt)


def test_a_pause_holds_without_the_store_and_is_told_later(desk: Makes) -> None:
    """A 429 that the store never heard of pauses this process, and the others as soon as it can be told."""
    world = desk(2, limits=("100/s",))
    attempt, _ = world.begin()
    world.store.gone = GONE
    world.end(attempt, status=429)
    other = world.attempt(max_wait=0.5)
    assert isinstance(world.gates[0].check(other), Refusal)
    assert isinstance(world.begin()[1], Wait)
    world.store.gone = None
    world.io.advance(0.25)
    world.again(*world.begin())
    _, answer = world.begin(1)
    assert isinstance(answer, Wait)
    assert 0 < answer.seconds < 0.75


def test_permits_are_shared_out_too(desk: Makes) -> None:
    """A quarter of the permits, at least one; they come back to where they were taken."""
    world = desk(max_concurrency=8)
    world.store.gone = GONE
    first, _ = world.begin()
    world.begin()
    assert isinstance(world.begin()[1], Again)
    world.store.gone = None
    assert world.end(first) == ()
    world.store.gone = GONE
    assert world.begin()[1] is None
