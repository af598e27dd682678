"""Flights: calls of this process that want the same answer at the same time, so that one of them asks for all."""

from __future__ import annotations

import threading
from collections.abc import Generator, Hashable
from contextlib import contextmanager

import attrs

from ._kept import Kept


@attrs.define(eq=False)
class Flight:
    """The calls that want one answer.

    Attributes:
        landings: How many of them have come back with an answer, whoever may use it.
        kept: What the last of those brought; ``None``: nothing that another call may use.
    """

    landings: int = 0
    kept: Kept | None = None

    def land(self, kept: Kept | None) -> None:
        """Come back."""
        self.kept = kept
        self.landings += 1


class Flights:
    """The flights of one service in this process; each is forgotten with its last call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[Hashable, tuple[Flight, int]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    @contextmanager
    def of(self, key: Hashable) -> Generator[Flight]:
        """Take part in the flight of a key."""
        with self._lock:
            flight, users = self._flights.get(key) or (Flight(), 0)
            self._flights[key] = (flight, users + 1)
        try:
            yield flight
        finally:
            with self._lock:
                flight, users = self._flights[key]
                if users == 1:
                    del self._flights[key]
                else:
                    self._flights[key] = (flight, users - 1)
