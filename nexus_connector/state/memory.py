"""The memory store: state of this process, gone with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

from .store import Item, Key, Plain

_SWEEP_AFTER: Final = 1024
"""So many writes at least lie between two sweeps."""


class MemoryStore:
    """Keeps states in a dictionary behind one lock.

    Args:
        clock: The time in seconds, never going back; virtual in tests.

    >>> store = MemoryStore(lambda: 0.0)
    >>> store.put(("demo", "k"), b"v", ttl_ms=1000), store.get(("demo", "k"))
    (True, b'v')
    """

    durable = False
    blocking = False

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._states: dict[Key, tuple[Plain, int]] = {}
        self._values: dict[Key, tuple[bytes, int]] = {}
        self._writes_left = _SWEEP_AFTER

    def run(self, items: Sequence[Item]) -> list[Plain]:
        """Run operations in the order of their keys; replies come in the order of `items`."""
        with self._lock:
            now = self._now_ms()
            replies: list[Plain] = [None] * len(items)
            order = (0,) if len(items) == 1 else sorted(range(len(items)), key=lambda index: items[index][1])
            for index in order:
                op, key, args = items[index]
                kept = self._states.get(key)
                state, ttl_ms, replies[index] = op.py(kept[0] if kept and kept[1] > now else None, now, args)
                if state is not None:
                    self._states[key] = (state, now + ttl_ms)
                elif kept is not None:
                    del self._states[key]
            self._writes_left -= 1
            if self._writes_left <= 0:
                self._sweep(now)
        return replies

    def get(self, key: Key) -> bytes | None:
        """Return the value under `key`."""
        with self._lock:
            kept = self._values.get(key)
            return kept[0] if kept is not None and kept[1] > self._now_ms() else None

    def put(self, key: Key, value: bytes, *, ttl_ms: int, if_absent: bool = False) -> bool:
        """Keep `value` for `ttl_ms` milliseconds."""
        with self._lock:
            now = self._now_ms()
            kept = self._values.get(key)
            if if_absent and kept is not None and kept[1] > now:
                return False
            self._values[key] = (value, now + ttl_ms)
            self._writes_left -= 1
            if self._writes_left <= 0:
                self._sweep(now)
            return True

    def delete(self, key: Key) -> None:
        """Forget `key`, its state and its value."""
        with self._lock:
            self._states.pop(key, None)
            self._values.pop(key, None)

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._states.clear()
            self._values.clear()

    def _now_ms(self) -> int:
        # A nanosecond's grace: a clock that was moved in many small steps has lost that much to rounding.
        return int(self._clock() * 1000 + 1e-6)

    def _sweep(self, now: int) -> None:
        """Drop what has expired: keys of tenants that never come back must not pile up.

        The next one comes when as many writes have been made as there are keys: looking at all of them costs the same
        for each write, however many there are.
        """
        self._states = {key: kept for key, kept in self._states.items() if kept[1] > now}
        self._values = {key: kept for key, kept in self._values.items() if kept[1] > now}
        self._writes_left = max(_SWEEP_AFTER, len(self._states) + len(self._values))
