"""The background thread: takes records, events and posts off the call's path and hands them on in small batches."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias, TypeVar

from .events import Event
from .records import IntegrationLog

T = TypeVar("T")

Make: TypeAlias = Callable[[], IntegrationLog]
Post: TypeAlias = Callable[[], None]

QUEUE_LIMIT: Final = 10_000
BATCH: Final = 32
LINGER_SECONDS: Final = 0.005
"""How long the thread lets a batch gather; far below the 50 ms in which a record must be out."""
SLOW_SECONDS: Final = 0.01
"""How long receivers may take in a row before the records have their turn."""

_log = logging.getLogger("nexus_connector.background")


class Sinks(Protocol):
    """Who gets what was queued."""

    def deliver_records(self, records: Sequence[IntegrationLog]) -> None:
        """Hand records to the ``store_log`` hooks; never raises."""
        ...

    def deliver_event(self, event: Event) -> None:
        """Hand an event to its receivers and sink hooks; never raises."""
        ...

    def deliver_dropped(self, records: int, events: int) -> None:
        """Tell that a full queue cost records or events; never raises."""
        ...


class Outbox(Protocol):
    """Where the pipeline leaves what others shall hear of."""

    def record(self, make: Make) -> None:
        """Queue a record; it is built and redacted later."""
        ...

    def event(self, event: Event) -> None:
        """Queue an event."""
        ...

    def post(self, post: Post) -> None:
        """Queue a write to a shared store."""
        ...

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until all that is queued now is delivered; returns whether it was in time."""
        ...

    def close(self, timeout_seconds: float) -> None:
        """Deliver what is queued, for at most this long, and take no more."""
        ...


class InlineOutbox:
    """Delivers at once, in the caller's thread: the order of tests is the order of things."""

    def __init__(self, sinks: Sinks) -> None:
        self._sinks = sinks

    def record(self, make: Make) -> None:
        """Build and deliver a record."""
        self._sinks.deliver_records([make()])

    def event(self, event: Event) -> None:
        """Deliver an event."""
        self._sinks.deliver_event(event)

    def post(self, post: Post) -> None:
        """Write to the store."""
        post()

    def flush(self, timeout_seconds: float) -> bool:  # nothing ever waits here
        """Nothing is ever queued."""
        return True

    def close(self, timeout_seconds: float) -> None:
        """Nothing is ever queued."""


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

    Args:
        sinks: Who gets what was queued.
        limit: Records, and events, that may wait; more are dropped and counted.
    """

    def __init__(self, sinks: Sinks, limit: int = QUEUE_LIMIT) -> None:
        self._sinks = sinks
        self._limit = limit
        self._records: deque[Make | _Marker] = deque()
        self._events: deque[Event | _Marker] = deque()
        self._posts: deque[Post | _Marker] = deque()
        self._dropped = [0, 0]
        self._wake = threading.Event()
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
        self._rouse()

    def event(self, event: Event) -> None:
        """Queue an event; drop and count it if the queue is full."""
        if self._closed or len(self._events) >= self._limit:
            self._dropped[1] += 1
            return
        self._events.append(event)
        self._rouse()

    def post(self, post: Post) -> None:
        """Queue a write; it is never dropped, for a gate counts on it."""
        self._posts.append(post)
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
        if not self._wake.is_set():
            self._wake.set()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="nexus-background", daemon=True)
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._hurry.wait(LINGER_SECONDS)
            self._wake.clear()
            while self._step():
                time.sleep(0)  # let the callers have the interpreter between batches
            if self._closed and not (self._records or self._events or self._posts):
                return
            if not self._closed:
                self._hurry.clear()

    def _step(self) -> bool:
        """Hand on one batch of each lane; returns whether there was any."""
        posts, records = _take(self._posts), _take(self._records)
        for post in posts:
            _deliver_post(post)
        built = [record for make in records if (record := _build(make)) is not None]
        if built:
            self._sinks.deliver_records(built)
        events = self._deliver_events()
        for marker in (*posts, *records):
            if isinstance(marker, _Marker):
                marker.hand_on()
        self._report_dropped()
        return bool(posts or records or events)

    def _deliver_events(self) -> int:
        """Hand on a batch of events, but let records pass when a receiver is slow."""
        count, until = 0, time.monotonic() + SLOW_SECONDS
        while self._events and count < BATCH and time.monotonic() < until:
            event = self._events.popleft()
            count += 1
            if isinstance(event, _Marker):
                event.hand_on()
            else:
                self._sinks.deliver_event(event)
        return count

    def _report_dropped(self) -> None:
        records, events = self._dropped
        if records or events:
            self._dropped[0] -= records
            self._dropped[1] -= events
            self._sinks.deliver_dropped(records, events)


def _take(lane: deque[T]) -> list[T]:
    return [lane.popleft() for _ in range(min(BATCH, len(lane)))]


def _build(make: Make | _Marker) -> IntegrationLog | None:
    if isinstance(make, _Marker):
        return None
    try:
        return make()
    except Exception:
        _log.exception("a record could not be built")
        return None


def _deliver_post(post: Post | _Marker) -> None:
    if isinstance(post, _Marker):
        return
    try:
        post()
    except Exception:
        _log.exception("a write to a store failed")
