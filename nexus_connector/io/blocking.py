"""The blocking Io of the sync face: every wait happens in the calling thread."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .drive import drive

if TYPE_CHECKING:
    from ..call import Call
    from ..message import Request
    from ..process import Process
    from ..state import Item, Plain, Store
    from ..transport import Received

T = TypeVar("T")

_inside = threading.local()


class BlockingIo:
    """Waits by blocking, so that a coroutine over it never suspends.

    Args:
        process: Returns what is bound to this process; another one after a fork.
    """

    now = staticmethod(time.monotonic)

    def __init__(self, process: Callable[[], Process]) -> None:
        self._process = process

    @property
    def random(self) -> Random:
        """The random sequence of this process."""
        return self._process().random

    def wall(self) -> datetime:
        """The time of day, aware, UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait in this thread; ``close()`` of the connector ends the wait."""
        self._process().sleep(seconds)

    async def send(self, call: Call, request: Request, deadline: float) -> Received:
        """Send a request in this thread."""
        return call.target.wire().send(request, deadline, stream=call.operation.stream, send_by=call.send_by)

    async def store_run(self, store: Store, items: Sequence[Item]) -> list[Plain]:
        """Run operations of a store in this thread."""
        return store.run(items)

    @asynccontextmanager
    async def lock(self, key: Hashable, deadline: float) -> AsyncGenerator[None]:
        """Hold the lock of `key` in this process."""
        with self._process().locks.of(key) as permits, permits.acquire(deadline):
            yield

    async def run(self, function: Callable[[], T]) -> T:
        """Call a function that blocks."""
        return function()

    async def gather(self, tasks: Sequence[Callable[[], Awaitable[T]]], limit: int) -> list[T | Exception]:
        """Run tasks in threads with copied contexts; nested gathers run inline, for one full pool would deadlock."""
        if len(tasks) < 2 or limit < 2 or getattr(_inside, "gather", False):
            return [_attempt(task) for task in tasks]
        with ThreadPoolExecutor(min(limit, len(tasks)), thread_name_prefix="nexus-gather") as pool:
            futures = [pool.submit(contextvars.copy_context().run, _in_gather, task) for task in tasks]
            return [future.result() for future in futures]


def _in_gather(task: Callable[[], Awaitable[T]]) -> T | Exception:
    _inside.gather = True
    try:
        return _attempt(task)
    finally:
        _inside.gather = False


def _attempt(task: Callable[[], Awaitable[T]]) -> T | Exception:
    try:
        return drive(cast("Coroutine[Any, Any, T]", task()))
    except Exception as error:
        return error
