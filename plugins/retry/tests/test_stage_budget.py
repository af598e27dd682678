"""The budget at work: calls of one service pay for their retries together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from nexus_connector.io.drive import drive
from nexus_connector.message import Response
from nexus_connector.pipeline import Result

Answers = Callable[[int, str], Response]


def test_the_budget_refuses_and_the_vendors_error_stays(world: Any) -> None:
    """Without budget the failure is returned as it came: text, status and wait are the vendor's."""
    world.use(budget_ratio=0.0, budget_floor_per_second=0.0)
    result = world.run(None, 500)
    assert world.times == [0]
    assert result.verdict.error.message == "stripe answered GET /x with 500."
    assert result.verdict.error.retry_after is None
    assert world.events == []


def test_a_wait_that_does_not_fit_takes_nothing_from_the_budget(world: Any, retry_after: Answers) -> None:
    """Only a retry that is made is paid for."""
    world.use(budget_ratio=0.0, budget_floor_per_second=0.001)
    world.run(None, retry_after(429, "60"))
    world.sent.clear()
    world.run(None, 500, 200)
    assert len(world.sent) == 2


def test_calls_share_one_budget(world: Any) -> None:
    """The tokens of a service are there once: what one call takes another does not have."""
    world.use(budget_ratio=0.0, budget_floor_per_second=0.001, max_retries=1)
    world.run(None, 500)
    world.run(None, 500)
    assert len(world.sent) == 3


@pytest.mark.parametrize("limit", [1, 100, 1500])
def test_an_outage_is_not_amplified(world: Any, limit: int) -> None:
    """Against a vendor that always fails, 1,500 calls send at most 1.1 requests each, plus the floor of the time
    it took, however many are under way at once.
    """
    world.use(jitter="full")
    world.attempt_seconds = 0.0
    world.script = [500]

    async def one() -> Result:
        call = world.call()
        return cast("Result", await world.stage(call, call.operation.request, world.next))

    results = drive(world.io.gather([one] * 1500, limit))
    assert all(isinstance(result, Result) for result in results)
    assert len(world.sent) <= 1500 * 1.10 + 10 * max(1.0, world.io.now()) + 1e-6
    assert len(world.sent) > 1500


def test_an_outage_in_no_time_is_bounded_by_the_ratio(world: Any) -> None:
    """Without the floor the bound is the ratio alone."""
    world.use(budget_floor_per_second=0.0)
    for _ in range(1500):
        world.run(None, 500)
    assert len(world.sent) == 1500 + 150


def test_a_full_budget_is_spent_and_filled_again(world: Any) -> None:
    """Calls beyond those that fill it add nothing; what is taken from it counts, and later calls pay for more."""
    world.use(budget_ratio=0.1, budget_floor_per_second=0.0, max_retries=1)
    for _ in range(500):
        world.run(None, 200)
    world.sent.clear()
    for _ in range(40):
        world.run(None, 500)
    assert len(world.sent) == 40 + 13, "ten that were kept, and 0.1 for each call but the first"
    assert world.sent[-1].deadline is None
    world.sent.clear()
    for _ in range(10):
        world.run(None, 200)
    world.run(None, 500)
    assert len(world.sent) == 12
