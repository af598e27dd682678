"""Slots: how many connections of one origin may be in use, counted so that no interrupt can lose one."""

from __future__ import annotations

import queue
import weakref


class Slot:
    """The right to use one connection.

    Dropped instead of put back (Ctrl-C between any two steps), it leaves a new one in its place. It knows its home
    weakly, so that a dropped pool takes its slots with it; a spent one knows none.
    """

    home: weakref.ref[queue.SimpleQueue[Slot]] | None = None

    def __del__(self) -> None:
        free = self.home() if self.home is not None else None
        if free is not None:
            fresh = Slot()
            fresh.home = self.home
            free.put(fresh)


class Slots:
    """The free slots of one origin. A `queue.SimpleQueue` may be put to from ``__del__``, inside any lock.

    >>> slots = Slots(1)
    >>> slot = slots.take(0.0)
    >>> slots.take(0.0) is None
    True
    >>> del slot
    >>> len(slots)
    1
    """

    __slots__ = ("_free",)

    def __init__(self, count: int) -> None:
        self._free: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        home = weakref.ref(self._free)
        for _ in range(count):
            slot = Slot()
            slot.home = home
            self._free.put(slot)

    def take(self, seconds: float) -> Slot | None:
        """Take a free slot, or ``None`` if there is none within `seconds`."""
        try:
            return self._free.get(timeout=seconds) if seconds > 0 else self._free.get_nowait()
        except queue.Empty:
            return None

    def put(self, slot: Slot) -> None:
        """Put a slot back; `slot` itself is spent, since an old traceback may still hold it."""
        fresh = Slot()
        # No call in between: an interrupt finds exactly one of them alive.
        fresh.home, slot.home = slot.home, None
        self._free.put(fresh)

    def __len__(self) -> int:
        return self._free.qsize()
