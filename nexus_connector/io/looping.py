"""The event-loop Io of the async face: waits on the loop, sends in threads, ends the socket of a cancelled call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Final, TypeVar

from ..errors import ConnectorClosedError
from ..state.store import twin_of
from ..transport.abort import Abort

if TYPE_CHECKING:
    from ..call import Call
    from ..message import Request
    from ..process import Process
    from ..state import Item, Plain, Store
    from ..transport import Received
    from .threads import Job, Threads

T = TypeVar("T")

CANCEL_SECONDS: Final = 0.25
"""How long a cancelled call waits for its thread after it has ended the socket."""


class LoopIo:
    """Waits on the running event loop; what blocks goes to the I/O threads of the process.

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
        """Wait on the loop; ``close()`` of the connector ends the wait."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(max(0.0, seconds), _finish, future)
        with self._process().sleeping(lambda: loop.call_soon_threadsafe(_end, future)):
            try:
                await future
            finally:
                timer.cancel()

    async def send(self, call: Call, request: Request, deadline: float) -> Received:
        """Wait for the permit on the loop, then send in a thread; cancelling ends the socket."""
        wire, stream, send_by = call.target.wire(), call.operation.stream, call.send_by
        try:
            lease = wire.permits.try_acquire()
            if lease is None:
                lease = await wire.permits.acquire_async(deadline, asyncio.get_running_loop())
        except TimeoutError:
            raise wire.busy() from None
        threads, abort = self._process().threads(), Abort()
        job = threads.begin(
            lambda: wire.send_with(lease, request, deadline, abort=abort, stream=stream, send_by=send_by)
        )
        try:
            return await _result(threads, job, abort)
        finally:
            if job.refused:
                lease.release()

    async def store_run(self, store: Store, items: Sequence[Item]) -> list[Plain]:
        """Run operations of a store: by its asyncio twin if it has one, else in a thread if it blocks."""
        if not store.blocking:
            return store.run(items)
        twin = twin_of(store)
        return await self.run(lambda: store.run(items)) if twin is None else await twin.run(items)

    @asynccontextmanager
    async def lock(self, key: Hashable, deadline: float) -> AsyncGenerator[None]:
        """Hold the lock of `key` in this process."""
        with (
            self._process().locks.of(key) as permits,
            await permits.acquire_async(deadline, asyncio.get_running_loop()),
        ):
            yield

    async def run(self, function: Callable[[], T]) -> T:
        """Call a function that blocks, in a thread, with the caller's context."""
        threads = self._process().threads()
        return await _result(threads, threads.begin(function))

    async def gather(self, tasks: Sequence[Callable[[], Awaitable[T]]], limit: int) -> list[T | Exception]:
        """Run tasks at the same time, at most `limit` at once."""
        free = asyncio.Semaphore(max(1, limit))

        async def one(task: Callable[[], Awaitable[T]]) -> T | Exception:
            async with free:
                try:
                    return await task()
                except Exception as error:
                    return error

        return await asyncio.gather(*[one(task) for task in tasks])


async def _result(threads: Threads, job: Job[T], abort: Abort | None = None) -> T:
    """Wait for a job; if this is cancelled, end the job and wait a while until it has ended."""
    try:
        await job.ended
    except asyncio.CancelledError:
        if not threads.take_back(job):
            if abort is not None:
                abort.fire()
            await job.give_up(CANCEL_SECONDS)
        raise
    return job.outcome()


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _end(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_exception(ConnectorClosedError("The connector was closed while a call waited."))
