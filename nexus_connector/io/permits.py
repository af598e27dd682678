"""Permits: how many may do a thing at once, for threads and event loops alike; one permit is a lock."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future


class Lease:
    """One permit held. It is given back when released, or with the frame that held it, whatever ended that frame."""

    __slots__ = ("_permits", "held")

    def __init__(self, permits: Permits) -> None:
        self._permits = permits
        self.held = False

    def release(self) -> None:
        """Give the permit back. May be called twice."""
        if self.held:
            self.held = False
            self._permits.give_back()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def __del__(self) -> None:
        self.release()


class Permits:
    """A counted gate, first come, first served.

    Args:
        count: Permits in all, at least 1.

    >>> permits = Permits(1)
    >>> with permits.acquire(deadline=0.0):
    ...     permits.free
    0
    >>> permits.free
    1
    """

    __slots__ = ("_lock", "_waiters", "free")

    def __init__(self, count: int) -> None:
        # Reentrant: a lease may be collected, and so released, while this very thread holds the lock.
        self._lock = threading.RLock()
        self._waiters: deque[_Waiter] = deque()
        self.free = count

    def try_acquire(self) -> Lease | None:
        """Return a lease if one is free now and nobody waits for it."""
        lease = Lease(self)
        with self._lock:
            if self.free > 0 and not self._waiters:
                self.free -= 1
                lease.held = True
        return lease if lease.held else None

    def acquire(self, deadline: float) -> Lease:
        """Wait in this thread until a permit is free.

        Raises:
            TimeoutError: If none is free by `deadline` (``time.monotonic()`` seconds).
        """
        lease = self.try_acquire()
        if lease is not None:
            return lease
        event = threading.Event()
        waiter = self._enqueue(event.set)
        try:
            event.wait(max(0.0, deadline - time.monotonic()))
        finally:
            self._leave(waiter)
        if waiter.lease.held:
            return waiter.lease
        raise TimeoutError

    async def acquire_async(self, deadline: float, loop: AbstractEventLoop) -> Lease:
        """Wait on the event loop until a permit is free.

        Raises:
            TimeoutError: If none is free by `deadline` (``time.monotonic()`` seconds).
        """
        lease = self.try_acquire()
        if lease is not None:
            return lease
        future: Future[None] = loop.create_future()
        waiter = self._enqueue(lambda: _wake(loop, future))
        timer = loop.call_later(max(0.0, deadline - time.monotonic()), _settle, future)
        try:
            await future
        except BaseException:
            self._leave(waiter)
            waiter.lease.release()
            raise
        finally:
            timer.cancel()
        self._leave(waiter)
        if waiter.lease.held:
            return waiter.lease
        raise TimeoutError

    def give_back(self) -> None:
        """Free one permit, for the one who has waited longest."""
        with self._lock:
            if self._waiters:
                waiter = self._waiters.popleft()
                waiter.lease.held = True
                wake = waiter.wake
            else:
                self.free += 1
                return
        wake()

    def _enqueue(self, wake: Callable[[], None]) -> _Waiter:
        waiter = _Waiter(Lease(self), wake)
        with self._lock:
            if self.free > 0 and not self._waiters:
                self.free -= 1
                waiter.lease.held = True
            else:
                self._waiters.append(waiter)
        if waiter.lease.held:
            wake()
        return waiter

    def _leave(self, waiter: _Waiter) -> None:
        with self._lock:
            if not waiter.lease.held and waiter in self._waiters:
                self._waiters.remove(waiter)


class _Waiter:
    __slots__ = ("lease", "wake")

    def __init__(self, lease: Lease, wake: Callable[[], None]) -> None:
        self.lease = lease
        self.wake = wake


def _settle(future: Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _wake(loop: AbstractEventLoop, future: Future[None]) -> None:
    try:
        loop.call_soon_threadsafe(_settle, future)
    except RuntimeError:  # the loop is closed: its waiter is gone, and its lease goes with the waiter
        return
