"""The background thread: short steps, longer ones under load, nothing lost, drops told once in a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import pytest

from nexus_connector import Event, IntegrationLog
from nexus_connector.background import (
    BACKLOG,
    BATCH,
    LATE_SECONDS,
    LINGER_SECONDS,
    LONG_STEP_SECONDS,
    REPORT_SECONDS,
    STEP_SECONDS,
    Background,
)

SOON = 20.0


class Clock:
    """Stands still but for what a test adds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Sinks:
    """Keeps what it gets; holds the thread in each event until it is let go."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.batches: list[list[object]] = []
        self.events: list[object] = []
        self.reports: list[tuple[int, int]] = []
        self.expected = 0
        self.entered, self.release = threading.Event(), threading.Event()
        self.reported, self.complete = threading.Event(), threading.Event()

    @property
    def records(self) -> list[object]:
        return [record for batch in self.batches for record in batch]

    def deliver_records(self, records: Sequence[IntegrationLog]) -> None:
        self.batches.append(list(records))
        if len(self.records) == self.expected:
            self.complete.set()

    def deliver_event(self, event: Event) -> None:
        self.events.append(event)
        self.entered.set()
        self.release.wait(SOON)

    def deliver_dropped(self, records: int, events: int) -> None:
        self.reports.append((records, events))
        self.reported.set()

    def hold(self, background: Background) -> None:
        """Hold the thread in an event: what is queued from now on is all there when it goes on."""
        self.release.clear()
        self.entered.clear()
        background.event(partial(an_event, "held"))
        assert self.entered.wait(SOON)

    def let_go(self) -> None:
        """Let the thread go on; the step in which it was held is over."""
        self.clock.now += STEP_SECONDS
        self.release.set()


def a_record(value: object, lasting: float = 0.0, clock: Clock | None = None) -> Callable[[], Any]:
    """Return what builds a record, in so many seconds of a clock."""

    def make() -> object:
        if clock is not None:
            clock.now += lasting
        return value

    return make


def an_event(value: object) -> Any:
    """Return a stand-in for an event; nothing here looks into it."""
    return cast("Event", value)


@pytest.fixture
def sinks() -> Sinks:
    """Return sinks that hold the thread in its events."""
    return Sinks()


def held(sinks: Sinks, *, limit: int = 10_000) -> Background:
    """Return a thread that is held in an event."""
    background = Background(sinks, limit=limit, clock=sinks.clock)
    sinks.hold(background)
    return background


def test_a_step_ends_when_its_time_is_over(sinks: Sinks) -> None:
    """Of few records that each take longer than a step, each is delivered by itself."""
    background = held(sinks)
    sinks.expected = 10
    for number in range(10):
        background.record(a_record(number, STEP_SECONDS * 1.5, sinks.clock))
    sinks.let_go()
    assert sinks.complete.wait(SOON)
    background.close(SOON)
    assert sinks.batches == [[number] for number in range(10)]


def test_a_backlog_makes_steps_longer(sinks: Sinks) -> None:
    """The more waits, the more is done between two pauses; batches stay small."""
    background = held(sinks)
    sinks.expected = BACKLOG * 40
    for number in range(sinks.expected):
        background.record(a_record(number, STEP_SECONDS * 1.001, sinks.clock))
    sinks.let_go()
    assert sinks.complete.wait(SOON)
    background.close(SOON)
    assert sinks.records == list(range(BACKLOG * 40))
    assert [len(batch) for batch in sinks.batches[:4]] == [BATCH, 41 - BATCH, BATCH, 40 - BATCH]
    assert len(sinks.batches[-1]) == 1


def test_a_thread_that_came_late_works_longer(sinks: Sinks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where others keep the interpreter, a pause lasts far longer than asked for: the step behind it is a long one."""
    background = held(sinks)
    sinks.expected = 13

    def sleep(seconds: float) -> None:
        sinks.clock.now += seconds + (LATE_SECONDS * 1.1 if sinks.batches else 0.0)

    monkeypatch.setattr("nexus_connector.background.time.sleep", sleep)
    for number in range(13):
        background.record(a_record(number, LONG_STEP_SECONDS * 0.1001, sinks.clock))
    sinks.let_go()
    assert sinks.complete.wait(SOON)
    background.close(SOON)
    assert [len(batch) for batch in sinks.batches] == [1, 10, 2]


def test_a_flush_hurries(sinks: Sinks) -> None:
    """While somebody waits for the end the steps are long, however little waits."""
    background = held(sinks)
    for number in range(20):
        background.record(a_record(number, LONG_STEP_SECONDS * 0.1001, sinks.clock))
    flush = threading.Thread(target=background.flush, args=(SOON,))
    flush.start()
    assert vars(background)["_hurry"].wait(SOON)
    sinks.let_go()
    flush.join(SOON)
    background.close(SOON)
    assert [len(batch) for batch in sinks.batches] == [10, 10]


def test_what_cannot_be_built_costs_only_itself(sinks: Sinks, caplog: pytest.LogCaptureFixture) -> None:
    """A record whose building raises is logged; those around it are delivered, in order."""

    def broken() -> IntegrationLog:
        raise ValueError("no record")

    sinks.release.set()
    background = Background(sinks)
    for make in (a_record(1), broken, a_record(2)):
        background.record(make)
    background.close(SOON)
    assert sinks.records == [1, 2]
    assert "could not be built" in caplog.text


def test_drops_are_told_at_once_and_then_once_a_second(sinks: Sinks) -> None:
    """The first report comes at once, the next not before its second is over, and then with the exact sum."""
    background = held(sinks, limit=1)

    def drop(count: int) -> None:
        """Fill the queue while the thread is held, overflow it, and let go."""
        for number in range(1 + count):
            background.record(a_record(number))
        sinks.let_go()

    drop(3)
    assert sinks.reported.wait(SOON)
    sinks.reported.clear()
    for count in (2, 4):
        sinks.hold(background)
        drop(count)
    sinks.hold(background)
    assert sinks.reports == [(3, 0)]
    sinks.clock.now += REPORT_SECONDS
    drop(1)
    assert sinks.reported.wait(SOON)
    background.close(SOON)
    assert sinks.reports == [(3, 0), (7, 0)]


def test_a_report_does_not_wait_for_more_to_come(sinks: Sinks) -> None:
    """What a full queue cost is told at the end at the latest, however short ago the last report was."""
    background = held(sinks, limit=1)
    for number in range(3):
        background.record(a_record(number))
    sinks.let_go()
    assert sinks.reported.wait(SOON)
    sinks.hold(background)
    for _ in range(4):
        background.event(partial(an_event, "more"))
    sinks.let_go()
    background.close(SOON)
    assert sinks.reports == [(2, 0), (0, 3)]


def test_nothing_is_lost_between_sleeping_and_waking(sinks: Sinks) -> None:
    """Threads that queue one by one, each at the moment the thread may go to sleep, find all of it delivered."""
    sinks.release.set()
    background = Background(sinks)

    def queue(name: int) -> None:
        for number in range(200):
            background.record(a_record((name, number)))
            if number % 20 == name:
                assert background.flush(SOON)

    threads = [threading.Thread(target=queue, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert background.flush(SOON)
    background.close(SOON)
    for name in range(4):
        own = [record for record in cast("list[tuple[int, int]]", sinks.records) if record[0] == name]
        assert own == [(name, number) for number in range(200)]


def test_what_comes_while_the_thread_goes_to_sleep_wakes_it(sinks: Sinks) -> None:
    """A record queued after the last look and before the sleep, by a thread that still found it awake, is delivered."""
    sinks.release.set()
    sinks.expected = 2
    background = Background(sinks)

    class Wake(threading.Event):
        def clear(self) -> None:
            super().clear()
            if len(sinks.records) == 1:
                background.record(a_record("late"))

    vars(background)["_wake"] = Wake()
    background.record(a_record("first"))
    delivered = sinks.complete.wait(SOON)
    background.close(SOON)
    assert delivered
    assert sinks.records == ["first", "late"]


def test_posts_come_before_records_and_records_before_events(sinks: Sinks) -> None:
    """What was queued while the thread was busy leaves in the order of its lanes."""
    background = held(sinks)
    order: list[str] = []
    background.event(partial(an_event, "event"))
    background.record(lambda: cast("Any", order.append("record")))
    background.post(lambda: order.append("post"))
    sinks.deliver_event = lambda event: order.append(str(event))  # type: ignore[method-assign]  # to see the order
    sinks.let_go()
    background.close(SOON)
    assert order == ["post", "record", "event"]


def test_posts_gather_between_two_steps_that_take_some(sinks: Sinks) -> None:
    """What is posted soon after others waits until its time has come; the other lanes do not wait for it."""
    background = Background(sinks, clock=sinks.clock)
    first, second = threading.Event(), threading.Event()
    background.post(first.set)
    sinks.hold(background)
    assert first.is_set()
    background.post(second.set)
    sinks.expected = 1
    background.record(a_record("beside"))
    sinks.let_go()
    assert sinks.complete.wait(SOON)
    assert not second.is_set()
    sinks.clock.now += LINGER_SECONDS
    assert second.wait(SOON)
    background.close(SOON)


def test_more_posts_than_a_batch_do_not_wait(sinks: Sinks) -> None:
    """Of many posts the next batch leaves with the next step, and a flush waits for nothing."""
    background = held(sinks)
    done: list[int] = []
    enough = threading.Event()
    for number in range(2 * BATCH):
        background.post(partial(done.append, number))
    background.post(enough.set)
    sinks.let_go()
    assert enough.wait(SOON)
    assert done == list(range(2 * BATCH))
    background.post(partial(done.append, -1))
    assert background.flush(SOON)
    assert done[-1] == -1
    background.close(SOON)
