"""Leases: tokens that this process took several at once, and spends without asking. Pure: time is an argument."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Final

import attrs

LARGEST: Final = 1000
"""More are never asked for at once."""
_ROWS: Final = 1000
"""From so many on, those that have expired are forgotten; next when twice as many are there as were left."""


@attrs.define
class Lease:
    """Tokens of one kind.

    Attributes:
        left: How many are left.
        until: When they expire.
        size: How many are asked for at once: doubled when they were used up in time, cut down when some expired.
        asking: Whether some thread is asking for more.
    """

    left: int = 0
    until: float = 0.0
    size: int = 1
    asking: bool = False


class Leases:
    """The leases of one service in one process. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[Hashable, Lease] = {}
        self._forget_at = _ROWS

    def spend(self, key: Hashable, now: float) -> bool:
        """Take one token that is there; ``False``: there is none."""
        with self._lock:
            lease = self._rows.get(key)
            if lease is None or lease.left < 1 or now >= lease.until:
                return False
            lease.left -= 1
            return True

    def wanted(self, key: Hashable, now: float) -> int:
        """Return how many to ask for; then call `keep` or `drop`. 0: another thread asks already, ask for one only."""
        with self._lock:
            if len(self._rows) >= self._forget_at:
                self._rows = {key: row for key, row in self._rows.items() if row.asking or row.until > now}
                self._forget_at = max(_ROWS, 2 * len(self._rows))
            lease = self._rows.setdefault(key, Lease())
            if lease.asking:
                return 0
            lease.asking = True
            if now < lease.until:
                lease.size = min(LARGEST, lease.size * 2)
            else:
                lease.size = max(1, lease.size - lease.left)
            return lease.size

    def keep(self, key: Hashable, got: int, until: float) -> None:
        """Keep what came beside the token of the one that asked."""
        with self._lock:
            lease = self._rows[key]
            lease.left, lease.until, lease.asking = got - 1, until, False

    def drop(self, key: Hashable) -> None:
        """Nothing came."""
        with self._lock:
            self._rows[key].asking = False

    def give_back(self, key: Hashable, now: float) -> None:
        """Take a token back that was not sent; it expires as the others do."""
        with self._lock:
            lease = self._rows.get(key)
            if lease is not None and now < lease.until:
                lease.left += 1
