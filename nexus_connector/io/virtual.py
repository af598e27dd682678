"""The virtual Io of tests: hours of waits in milliseconds, and one trace for one seed."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Hashable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from .drive import misuse

if TYPE_CHECKING:
    from ..call import Call
    from ..message import Request
    from ..state import Item, Plain, Store
    from ..transport import Received

T = TypeVar("T")

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""When virtual time begins."""


class VirtualIo:
    """Waits by moving its own clock. Serves both faces: nothing in it suspends, except between gathered tasks.

    Args:
        seed: Seed of the random sequence.

    >>> VirtualIo().wall().year
    2026
    """

    def __init__(self, seed: int = 0) -> None:
        self.elapsed_seconds = 0.0
        self._random = Random(seed)  # noqa: S311  # jitter, not cryptography
        self._stepping = 0
        self._held: set[Hashable] = set()

    @property
    def random(self) -> Random:
        """The seeded random sequence."""
        return self._random

    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self.elapsed_seconds

    def wall(self) -> datetime:
        """The virtual time of day."""
        return EPOCH + timedelta(seconds=self.elapsed_seconds)

    def advance(self, seconds: float) -> None:
        """Move the clock, as if nothing happened for a while."""
        self.elapsed_seconds += max(0.0, seconds)

    async def sleep(self, seconds: float) -> None:
        """Move the clock; between gathered tasks, let the one that is due first go on."""
        if self._stepping:
            await _Until(self.elapsed_seconds + max(0.0, seconds))
        else:
            self.advance(seconds)

    async def send(self, call: Call, request: Request, deadline: float) -> Received:
        """Hand the request to the wire's transport, without permits: virtual calls do not overlap."""
        return call.target.wire().transport.send(request, deadline=deadline, stream=call.operation.stream)

    async def store_run(self, store: Store, items: Sequence[Item]) -> list[Plain]:
        """Run operations of a store."""
        return store.run(items)

    @asynccontextmanager
    async def lock(self, key: Hashable, deadline: float) -> AsyncGenerator[None]:
        """Wait, in virtual time, until no gathered sibling holds the lock of `key`."""
        while key in self._held:
            if self.elapsed_seconds >= deadline or not self._stepping:
                raise TimeoutError
            await _Until(min(deadline, self.elapsed_seconds + 0.001))
        self._held.add(key)
        try:
            yield
        finally:
            self._held.discard(key)

    async def run(self, function: Callable[[], T]) -> T:
        """Call a function; its own waits are not virtual."""
        return function()

    async def gather(self, tasks: Sequence[Callable[[], Awaitable[T]]], limit: int) -> list[T | Exception]:
        """Step tasks in the order of virtual time, at most `limit` begun at once."""
        results: dict[int, T | Exception] = {}
        waiting = deque(enumerate(tasks))
        due: list[tuple[float, int, Coroutine[Any, Any, T]]] = []
        try:
            while waiting or due:
                while waiting and len(due) < max(1, limit):
                    index, task = waiting.popleft()
                    heapq.heappush(due, (self.elapsed_seconds, index, cast("Coroutine[Any, Any, T]", task())))
                if due[0][0] > self.elapsed_seconds and self._stepping:
                    await _Until(due[0][0])  # a gather inside a gathered task: its siblings may be due before
                at, index, coroutine = heapq.heappop(due)
                self.elapsed_seconds = max(self.elapsed_seconds, at)
                self._stepping += 1
                try:
                    heapq.heappush(due, (_next_step(coroutine), index, coroutine))
                except StopIteration as stop:
                    results[index] = stop.value
                except Exception as error:
                    results[index] = error
                finally:
                    self._stepping -= 1
        finally:
            for _, _, coroutine in due:  # cancelled: what has begun ends here, not when it is collected
                coroutine.close()
        return [results[index] for index in range(len(tasks))]


def _next_step(coroutine: Coroutine[Any, Any, object]) -> float:
    """Let a task run until it waits; returns until when."""
    at = coroutine.send(None)
    if not isinstance(at, float):
        at = coroutine.throw(misuse(coroutine))  # it waits on something else: as under the sync face
    if isinstance(at, float):
        return at
    error = misuse(coroutine)
    coroutine.close()
    raise error


class _Until:
    """Suspends a gathered task until a moment of virtual time."""

    def __init__(self, at: float) -> None:
        self._at = float(at)

    def __await__(self) -> Generator[float, None, None]:
        yield self._at
