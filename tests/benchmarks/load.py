"""Load: candidates take turns within each round, and every call is timed."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import attrs

from .rows import Reading, reading

T = TypeVar("T")

WARM_UP = 50
"""Calls of every candidate before the first round."""
PAUSE_SECONDS = 0.02
"""Between two candidates: what one of them left running ends before the next one begins."""


def _nothing() -> None:
    pass


class Candidate(Protocol):
    """What is measured.

    Attributes:
        name: Its name in rows and reports.
        drain: Waits until all that its calls have left behind is done.
        close: Ends it.
    """

    @property
    def name(self) -> str: ...
    @property
    def drain(self) -> Callable[[], None]: ...
    @property
    def close(self) -> Callable[[], None]: ...

    def once(self) -> bytes:
        """Make one call and return what it brought, so that nobody is fast by failing."""
        ...

    def times(self, count: int) -> list[float]:
        """Make calls, one after the other; return the seconds of each."""
        ...


@attrs.frozen(kw_only=True)
class Blocking:
    """A candidate whose calls block.

    Attributes:
        name: See `Candidate`.
        call: One call; returns the body of its answer.
        drain: See `Candidate`.
        close: See `Candidate`.
    """

    name: str
    call: Callable[[], bytes]
    drain: Callable[[], None] = _nothing
    close: Callable[[], None] = _nothing

    def once(self) -> bytes:
        """Make one call."""
        return self.call()

    def times(self, count: int) -> list[float]:
        """Make calls; return the seconds of each."""
        call, clock, times = self.call, time.perf_counter, [0.0] * count
        for index in range(count):
            started = clock()
            call()
            times[index] = clock() - started
        return times


@attrs.frozen(kw_only=True)
class Prepared(Generic[T]):
    """A candidate whose calls need something fresh each, which is made before the clock runs.

    Attributes:
        name: See `Candidate`.
        prepare: Makes what one call needs.
        call: One call; returns the body of its answer.
        drain: See `Candidate`.
        close: See `Candidate`.
    """

    name: str
    prepare: Callable[[], T]
    call: Callable[[T], bytes]
    drain: Callable[[], None] = _nothing
    close: Callable[[], None] = _nothing

    def once(self) -> bytes:
        """Make one call."""
        return self.call(self.prepare())

    def times(self, count: int) -> list[float]:
        """Make calls; return the seconds of each."""
        call, clock, times = self.call, time.perf_counter, [0.0] * count
        for index, argument in enumerate([self.prepare() for _ in range(count)]):
            started = clock()
            call(argument)
            times[index] = clock() - started
        return times


@attrs.frozen(kw_only=True)
class Awaited:
    """A candidate whose calls are awaited, on an event loop that runs only for them.

    Attributes:
        name: See `Candidate`.
        call: One call; returns the body of its answer.
        loop: The loop.
        drain: See `Candidate`.
        close: See `Candidate`; the loop is closed by whoever made it.
    """

    name: str
    call: Callable[[], Awaitable[bytes]]
    loop: asyncio.AbstractEventLoop
    drain: Callable[[], None] = _nothing
    close: Callable[[], None] = _nothing

    def once(self) -> bytes:
        """Make one call."""
        return self.loop.run_until_complete(_result(self.call))

    def times(self, count: int) -> list[float]:
        """Make calls, each after the one before; return the seconds of each."""
        return self.loop.run_until_complete(_times(self.call, count))


async def _result(call: Callable[[], Awaitable[bytes]]) -> bytes:
    return await call()


async def _times(call: Callable[[], Awaitable[bytes]], count: int) -> list[float]:
    clock, times = time.perf_counter, [0.0] * count
    for index in range(count):
        started = clock()
        await call()
        times[index] = clock() - started
    return times


@attrs.frozen(kw_only=True)
class Plan:
    """How much is measured.

    Attributes:
        rounds: Rounds; in each every candidate has its turn.
        calls: Calls of a turn.
    """

    rounds: int
    calls: int

    @property
    def in_all(self) -> int:
        """Calls of one candidate in a whole run: the first, the warm-up and the measured ones."""
        return 1 + WARM_UP + self.rounds * self.calls


@attrs.frozen(kw_only=True)
class Machine:
    """Where and how much is measured.

    Attributes:
        plan: How much.
        folder: Where files go; a new one for each group.
        core: Core of the servers; this process has another one where there are two. ``None``: it cannot be chosen.
    """

    plan: Plan
    folder: Path
    core: int | None


def measure(
    candidates: Sequence[Candidate], plan: Plan, *, expected: bytes | None = None, warm_up: int = WARM_UP
) -> dict[str, list[Reading]]:
    """Measure candidates in turns; who begins a round changes from round to round.

    Args:
        candidates: Who is measured.
        plan: How much.
        expected: What a call of each must bring; ``None``: it is not looked at.
        warm_up: Calls of each before the first round.

    Raises:
        AssertionError: If one of them brings something else.
    """
    for candidate in candidates:
        body = candidate.once()
        assert expected is None or body == expected, f"{candidate.name} brought {body!r}"
        if warm_up:
            candidate.times(warm_up)
        candidate.drain()
    readings: dict[str, list[Reading]] = {candidate.name: [] for candidate in candidates}
    for number in range(plan.rounds):
        shift = number % len(candidates)
        for candidate in (*candidates[shift:], *candidates[:shift]):
            gc.collect()
            time.sleep(PAUSE_SECONDS)
            readings[candidate.name].append(_turn(candidate, plan.calls))
    return readings


def _turn(candidate: Candidate, calls: int) -> Reading:
    """Measure one candidate; what its background thread does for these calls counts as its own."""
    started = time.process_time()
    times = candidate.times(calls)
    candidate.drain()
    return reading(times, time.process_time() - started)


def take_core() -> int | None:
    """Pin this process to one core, and return one for those it is measured against; ``None``: there is none to pin.

    Threads that are started later are pinned with it, so this comes before them.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[0]})
    return cores[-1]
