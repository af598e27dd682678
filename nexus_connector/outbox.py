"""The outbox: where the pipeline leaves records, events and posts, and who gets them from there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from .events import Event
    from .records import IntegrationLog

Make: TypeAlias = "Callable[[], IntegrationLog]"
MakeEvent: TypeAlias = "Callable[[], Event]"
Post: TypeAlias = Callable[[], None]


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

    def event(self, make: MakeEvent) -> None:
        """Queue an event; it is made later."""
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

    def event(self, make: MakeEvent) -> None:
        """Make and deliver an event."""
        self._sinks.deliver_event(make())

    def post(self, post: Post) -> None:
        """Write to the store."""
        post()

    def flush(self, timeout_seconds: float) -> bool:  # nothing ever waits here
        """Nothing is ever queued."""
        return True

    def close(self, timeout_seconds: float) -> None:
        """Nothing is ever queued."""
