"""The watch: hears of one call as it happens, and knows what there is to show of it."""

from __future__ import annotations

import time
from collections import Counter
from typing import TypeAlias

import attrs

from nexus_connector import AttemptFinished, CallSucceeded, Event, RateLimited, RetryScheduled


@attrs.frozen
class Attempt:
    """An attempt that has ended.

    Attributes:
        number: From 1.
        status: Status of the answer; ``None`` without one.
        outcome: What is known about the effect.
        seconds: How long it took.
        limited: What the vendor said about its limit; ``None``: nothing.
    """

    number: int
    status: int | None
    outcome: str
    seconds: float
    limited: RateLimited | None


@attrs.frozen
class Wait:
    """A wait before the next attempt.

    Attributes:
        seconds: How long it is.
        began: When it began, seconds of the clock that never goes back.
    """

    seconds: float
    began: float

    def passed(self, now: float) -> float:
        """Return how much of it is over, 0 to 1."""
        return min(1.0, (now - self.began) / self.seconds) if self.seconds > 0 else 1.0


Line: TypeAlias = Attempt | Wait


class Watch:
    """The receivers of one call. They run in the connector's background thread; the display only reads.

    Attributes:
        lines: What happened, in order.
        heard: Events heard, by class.
        success: The event that ended the call.
    """

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.heard: Counter[str] = Counter()
        self.success: CallSucceeded | None = None
        self._limited: RateLimited | None = None

    def attempted(self, event: AttemptFinished) -> None:
        """Hear of a send on the wire that ended."""
        self._hear(event)
        status, outcome, seconds = event.status, event.outcome.value, event.duration_seconds
        self.lines.append(Attempt(event.attempt, status, outcome, seconds, self._limited))
        self._limited = None

    def limited(self, event: RateLimited) -> None:
        """Hear that the vendor refuses for now."""
        self._hear(event)
        self._limited = event

    def waits(self, event: RetryScheduled) -> None:
        """Hear that another attempt will follow."""
        self._hear(event)
        self.lines.append(Wait(event.delay_seconds, time.monotonic()))

    def succeeded(self, event: CallSucceeded) -> None:
        """Hear that the call returned."""
        self._hear(event)
        self.success = event

    def _hear(self, event: Event) -> None:
        self.heard[type(event).__name__] += 1
