"""Leases: tokens taken several at once cost no trip; they expire, and are never more than the limit has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from nexus_connector.gates import Refusal, Wait
from nexus_connector_limiter._leases import Leases
from nexus_connector_limiter._plugin import rules_of

Makes = Callable[..., Any]


def test_a_busy_process_asks_rarely(desk: Makes) -> None:
    """Ten calls a second of 6,000 a minute cost a fraction of as many questions."""
    world = desk(limits=("6000/min",))
    for _ in range(300):
        attempt, answer = world.begin()
        assert answer is None
        assert attempt.send_by == pytest.approx(world.io.now() + 0.05)
        world.end(attempt)
        world.io.advance(0.05)
    print(f"\n300 calls, {len(world.store.ran)} questions")
    assert len(world.store.ran) < 30


@pytest.mark.parametrize("options", [{"lease": "off"}, {"limits": ("100/s",)}, {"max_concurrency": 500}])
def test_exact_limits_ask_for_each_call(desk: Makes, options: dict[str, Any]) -> None:
    """Without leases, for short windows, and with permits, each call is one question."""
    world = desk(**{"limits": ("60000/min",), **options})
    for _ in range(20):
        world.begin()
    assert world.store.ran.count("limiter.take") == 20


def test_one_exact_limit_makes_all_exact(desk: Makes) -> None:
    """Nothing is kept back for leases that cannot be: an operation with a short limit asks, others do not."""
    mixed = rules_of(desk(limits=("10/s", "1000/h")).options, None, blocking=True)
    assert not mixed.leases
    own = rules_of(desk(limits=("1000/h",), endpoints={"GET /s": ("5/s",)}).options, None, blocking=True)
    assert [own.lease_us("GET /s"), own.lease_us("GET /x")] == [0, 5_000_000]


def test_a_lease_expires(desk: Makes) -> None:
    """Tokens that were not used in time are lost; the next question asks for fewer."""
    world = desk(limits=("6000/min",))
    for _ in range(20):
        world.begin()
    asked = len(world.store.ran)
    world.io.advance(2.5)
    world.begin()
    assert len(world.store.ran) == asked + 1


def test_what_was_not_sent_is_there_again(desk: Makes) -> None:
    """A leased token that a hook left unused goes back to the lease, without telling anybody."""
    world = desk(limits=("6000/min",))
    last = [world.begin()[0] for _ in range(5)][-1]
    ran = len(world.store.ran)
    for _ in range(50):
        world.end(last, sent=False)
        last, answer = world.begin()
        assert answer is None
    assert len(world.store.ran) == ran


def test_a_pause_stops_leased_tokens_too(desk: Makes) -> None:
    """After a 429 nothing is sent from what was kept."""
    world = desk(limits=("6000/min",))
    attempts = [world.begin()[0] for _ in range(5)]
    world.end(attempts[-1], status=429)
    assert isinstance(world.begin()[1], Wait)


@pytest.mark.parametrize("limit", ["600/min", "6000/min", "2000/s"])
def test_eight_processes_use_what_there_is_and_no_more(desk: Makes, limit: str, fullest: Callable[..., int]) -> None:
    """Saturated by eight processes at least 85 % of a leased limit is used, and no window holds too many."""
    world = desk(8, limits=(limit,))
    [quota] = rules_of(world.options, None, blocking=True).common
    per_second = quota.calls * 1_000_000 / quota.window_us
    seconds = min(120.0, max(2.5, 6000 / per_second))
    sends: list[tuple[int, int]] = []
    by: Counter[int] = Counter()
    end, number = seconds, 0
    while world.io.now() < end:
        number += 1
        process = number * 7 % 8
        attempt, answer = world.begin(process)
        if not isinstance(answer, Refusal):
            wait = answer.seconds if isinstance(answer, Wait) else 0.0
            sends.append((round((world.io.now() + wait + (number % 2) * 0.05) * 1_000_000), 1))
            by[process] += 1
        world.end(attempt, process)
        world.io.advance(1 / per_second / 1.5)
    used = sum(at <= end * 1_000_000 for at, _ in sends) / (seconds * per_second)
    trips = len(world.store.ran) / len(sends)
    print(f"\n{limit}: {used:.1%} used, fullest window {fullest(sends, quota.window_us)}, {trips:.2f} trips per call")
    assert used >= 0.85
    assert fullest(sends, quota.window_us) <= quota.calls


def test_tokens_used_at_the_last_moment_fit_too(bench: Makes, fullest: Callable[..., int]) -> None:
    """All that was taken early is sent as late as it may be, all that is taken later at once: no window overflows."""
    desk = bench("600/min", leases=True)
    [quota] = desk.rules.common
    begin, latest = desk.now_us, quota.lease_us + 50_000
    sends: list[tuple[int, int]] = []
    while desk.now_us < begin + 2 * quota.window_us:
        reply = desk.granted(block=100)
        moment = desk.now_us + reply.us
        sends += [(max(moment, begin + latest), 1)] * reply.block
        desk.now_us = moment
    print(f"\nfullest window {fullest(sends, quota.window_us)} of {quota.calls}")
    assert fullest(sends, quota.window_us) <= quota.calls


def test_only_one_thread_asks_for_more() -> None:
    """While one asks for a block the others ask for themselves; who got nothing lets another one try."""
    leases = Leases()
    assert [leases.wanted("k", 0.0), leases.wanted("k", 0.0)] == [1, 0]
    leases.drop("k")
    assert leases.wanted("k", 0.0) == 1


def test_old_leases_are_forgotten() -> None:
    """A thousand tenants that came once leave nothing behind."""
    leases = Leases()
    for number in range(1500):
        leases.wanted(number, float(number))
        leases.keep(number, 1, number + 1.0)
    assert len(leases._rows) < 1010


def test_operations_without_limits_of_their_own_share_tokens(desk: Makes) -> None:
    """What was taken for one path serves every other one; an operation with a limit of its own takes its own."""
    world = desk(limits=("6000/min",), endpoints={"GET /own": ("3000/min",)})
    for number in range(300):
        world.end(world.begin(operation=f"GET /{number}")[0])
        world.io.advance(0.05)
    shared = len(world.store.ran)
    world.end(world.begin(operation="GET /own")[0])
    print(f"\n300 paths, {shared} questions")
    assert shared < 30
    assert len(world.store.ran) == shared + 1


def test_many_that_live_are_not_looked_through_each_time() -> None:
    """Three thousand tenants with tokens: those that have expired are looked for when as many have come again."""
    leases = Leases()
    for number in range(3000):
        leases.wanted(number, 0.0)
        leases.keep(number, 2, 5.0)
    rows = leases._rows
    for number in range(3000, 3500):
        leases.wanted(number, 0.0)
    assert leases._rows is rows
    for number in range(4000, 6000):
        leases.wanted(number, 6.0)
        leases.drop(number)
    assert len(leases._rows) < 3000


def test_what_was_worked_out_is_kept_up_to_a_number(desk: Makes) -> None:
    """Calls of any number of costs are each counted as what they cost; those of all paths are of one kind."""
    world = desk(limits=("1000000/s",))
    [gate] = world.gates
    for number in range(1, 600):
        attempt = world.attempt(operation=f"GET /{number}")
        gate.ask(attempt)
        attempt.call.operation = attrs.evolve(attempt.call.operation, cost=float(number))
        assert gate._kind(attempt.call).cost == number
    assert 0 < len(gate._kinds) <= 256


@pytest.mark.parametrize(
    ("limits", "endpoints", "leased"),
    [
        (("1000/s",), {}, True),
        (("60000/min",), {"GET /x": ("2000/s",)}, True),
        (("999/s",), {}, False),
        (("600/min",), {}, False),
        (("1000/s", "600/min"), {}, False),
        (("1000/s",), {"GET /x": ("600/min",)}, False),
    ],
)
def test_memory_is_asked_for_each_call_of_a_slow_limit(
    desk: Makes, limits: tuple[str, ...], endpoints: dict[str, tuple[str, ...]], leased: bool
) -> None:
    """Where asking takes no time, tokens are taken several at once only if every limit is a fast one."""
    options = desk(limits=limits, endpoints=endpoints).options
    assert rules_of(options, None, blocking=False).leases is leased
    assert rules_of(options, None, blocking=True).leases is (limits != ("999/s",))
