"""The background thread: takes records, events and posts off the call's path and hands them on in small batches."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from .outbox import InlineOutbox, Make, MakeEvent, Outbox, Post, Sinks

if TYPE_CHECKING:
    from .records import IntegrationLog

__all__ = ["Background", "InlineOutbox", "Outbox"]

T = TypeVar("T")

QUEUE_LIMIT: Final = 10_000
BATCH: Final = 32
LINGER_SECONDS: Final = 0.005
"""How long the thread lets a batch gather; far below the 50 ms in which a record must be out."""
STEP_SECONDS: Final = 0.000_2
"""How long the thread builds records at a time: whoever waits for the interpreter meanwhile has a call under way."""
PAUSE_SECONDS: Final = 0.001
"""How long it lets go between two steps. It has to sleep: after a mere yield it would be back before anybody else."""
BACKLOG: Final = 64
"""Each so many that wait make a step as much longer, so that the thread keeps up with whatever comes."""
LATE_SECONDS: Final = 0.004
"""A wait that lasts so much longer than asked for: others compute without a break, and short steps would not do."""
LONG_STEP_SECONDS: Final = 0.01
"""The longest step, and how long records or receivers may take in a row before the others have their turn."""
REPORT_SECONDS: Final = 1.0
"""How far apart reports of what a full queue cost are."""

_log = logging.getLogger("nexus_connector.background")


class _Marker:
    """Passes through every lane; when the last has handed it on, all that was queued before it is out."""

    def __init__(self, lanes: int) -> None:
        self.left = lanes
        self.passed = threading.Event()

    def hand_on(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.passed.set()


class Background:
    """Bounded queues and the one thread that empties them; the thread starts with the first thing queued.

    It shares the interpreter with those who call: it lets things gather, then works in short steps with pauses
    between them, and in longer ones the more there is to do.

    Args:
        sinks: Who gets what was queued.
        limit: Records, and events, that may wait; more are dropped and counted.
        clock: Monotonic seconds.
    """

    def __init__(self, sinks: Sinks, limit: int = QUEUE_LIMIT, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._sinks = sinks
        self._limit = limit
        self._clock = clock
        self._records: deque[Make | _Marker] = deque()
        self._events: deque[MakeEvent | _Marker] = deque()
        self._posts: deque[Post | _Marker] = deque()
        self._dropped = [0, 0]
        self._report_at = -math.inf
        self._post_at = -math.inf
        self._wake = threading.Event()
        self._is_awake = False
        self._hurry = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def record(self, make: Make) -> None:
        """Queue a record; drop and count it if the queue is full."""
        if self._closed or len(self._records) >= self._limit:
            self._dropped[0] += 1
            return
        self._records.append(make)
        if not self._is_awake:
            self._rouse()

    def event(self, make: MakeEvent) -> None:
        """Queue an event; drop and count it if the queue is full."""
        if self._closed or len(self._events) >= self._limit:
            self._dropped[1] += 1
            return
        self._events.append(make)
        if not self._is_awake:
            self._rouse()

    def post(self, post: Post) -> None:
        """Queue a write; it is never dropped, for a gate counts on it."""
        self._posts.append(post)
        if not self._is_awake:
            self._rouse()

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until all that is queued now is delivered; returns whether it was in time."""
        thread = self._thread
        if thread is None or not thread.is_alive():  # after close: it ended when everything was out
            return True
        if threading.current_thread() is thread:
            return False
        marker = _Marker(3)
        self._posts.append(marker)
        self._records.append(marker)
        self._events.append(marker)
        self._hurry.set()
        self._rouse()
        return marker.passed.wait(timeout_seconds)

    def close(self, timeout_seconds: float) -> None:
        """Deliver what is queued, for at most this long, and end the thread."""
        self._closed = True
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return
        self._hurry.set()
        self._wake.set()
        thread.join(timeout_seconds)
        if thread.is_alive():
            _log.warning("closed with %d records and %d events not delivered", len(self._records), len(self._events))

    def _rouse(self) -> None:
        if self._thread is None:
            self._start()
        self._wake.set()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="nexus-background", daemon=True)
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        while not (self._closed and not self._is_waiting()):
            self._sleep()
            self._empty(is_late=self._is_late_after(self._hurry.wait, LINGER_SECONDS))
            self._report_dropped()
            if not self._closed:
                self._hurry.clear()

    def _sleep(self) -> None:
        """Wait until something is queued, or there is something to report."""
        self._wake.clear()
        self._is_awake = False
        # Whoever queues something now either sees that this thread sleeps, or is seen by it.
        if not (self._is_waiting() or self._closed):
            self._wake.wait(max(0.0, self._report_at - self._clock()) if any(self._dropped) else None)
        self._is_awake = True

    def _is_waiting(self) -> bool:
        return bool(self._records or self._events or self._posts)

    def _empty(self, *, is_late: bool) -> None:
        """Hand on all that is queued, step by step."""
        while self._is_waiting():
            backlog = max(len(self._records), len(self._events))
            seconds = min(STEP_SECONDS * (1 + backlog // BACKLOG), LONG_STEP_SECONDS)
            self._step(LONG_STEP_SECONDS if is_late or self._hurry.is_set() else seconds)
            if self._is_waiting() and not self._hurry.is_set():
                if self._records or self._events:
                    is_late = self._is_late_after(time.sleep, PAUSE_SECONDS)
                else:
                    is_late = self._is_late_after(self._hurry.wait, LINGER_SECONDS)

    def _is_late_after(self, wait: Callable[[float], object], seconds: float) -> bool:
        """Wait, and say whether it was long until the interpreter was free again."""
        asked = self._clock()
        wait(seconds)
        return self._clock() > asked + seconds + LATE_SECONDS

    def _step(self, seconds: float) -> None:
        """Hand on some of each lane, for about so long each; posts by number, for they wait by themselves.

        Posts gather between two steps that take some: a success that waits speaks for those that come after it.
        """
        if self._posts and (self._clock() >= self._post_at or self._hurry.is_set() or self._closed):
            for _ in range(min(BATCH, len(self._posts))):
                _hand_on(self._posts.popleft(), _deliver_post)
            if not self._posts:  # else there are more than a batch
                self._post_at = self._clock() + LINGER_SECONDS
        until = self._clock() + seconds
        while self._records:
            self._deliver_batch(until)
            if self._clock() >= until:
                break
        until = self._clock() + seconds
        while self._events:
            _hand_on(self._events.popleft(), self._deliver_event)
            if self._clock() >= until:
                break
        self._report_dropped()

    def _deliver_event(self, make: MakeEvent) -> None:
        event = _build(make)
        if event is not None:
            self._sinks.deliver_event(event)

    def _deliver_batch(self, until: float) -> None:
        """Build records until the batch is full or its time is over, and deliver them."""
        built: list[IntegrationLog] = []
        marker: _Marker | None = None
        while self._records and len(built) < BATCH:
            make = self._records.popleft()
            if isinstance(make, _Marker):
                marker = make
                break
            record = _build(make)
            if record is not None:
                built.append(record)
            if self._clock() >= until:
                break
        if built:
            self._sinks.deliver_records(built)
        if marker is not None:
            marker.hand_on()

    def _report_dropped(self) -> None:
        """Tell what a full queue cost, the first time at once, then every second; at the latest when all is out."""
        records, events = self._dropped
        if not (records or events):
            return
        now = self._clock()
        if now >= self._report_at or (self._hurry.is_set() and not self._is_waiting()):
            self._report_at = now + REPORT_SECONDS
            self._dropped[0] -= records
            self._dropped[1] -= events
            self._sinks.deliver_dropped(records, events)


def _hand_on(thing: T | _Marker, deliver: Callable[[T], object]) -> None:
    if isinstance(thing, _Marker):
        thing.hand_on()
    else:
        deliver(thing)


def _build(make: Callable[[], T]) -> T | None:
    try:
        return make()
    except Exception:
        _log.exception("a record or an event could not be built")
        return None


def _deliver_post(post: Post) -> None:
    try:
        post()
    except Exception:
        _log.exception("a write to a store failed")
