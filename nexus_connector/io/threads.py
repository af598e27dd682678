"""The I/O threads: they do for the event loops of a process what blocks."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar, cast

from ..errors import ConnectorClosedError
from .turns import Turns

T = TypeVar("T")


class Job(Generic[T]):
    """One call of a function that blocks: done by a thread in its caller's context, awaited by the caller's loop.

    Attributes:
        ended: Done when it has ended, on the loop that asked.
        refused: Whether it was taken back before it began.
    """

    __slots__ = (
        "_context",
        "_error",
        "_function",
        "_given_up",
        "_has_landed",
        "_landing",
        "_value",
        "ended",
        "refused",
    )

    def __init__(self, function: Callable[[], T], landing: Landing) -> None:
        self._function = function
        self._context = contextvars.copy_context()
        self._landing = landing
        self._value: Any = None
        self._error: BaseException | None = None
        self._has_landed = False
        self._given_up = False
        self.refused = False
        self.ended: asyncio.Future[None] = landing.loop.create_future()

    def run(self) -> None:
        """Call the function, in this thread."""
        try:
            self._value = self._context.run(self._function)
        except BaseException as error:  # the loop raises it
            self._error = error
        self._landing.bring(self)

    def refuse(self, error: BaseException) -> None:
        """End it without having begun."""
        self.refused = True
        self._error = error
        self._landing.bring(self)

    def land(self) -> None:
        """Tell who waits, on the loop."""
        self._has_landed = True
        if self._given_up:
            self._value = self._error = None
        if not self.ended.done():  # else it was cancelled
            self.ended.set_result(None)

    def outcome(self) -> T:
        """Return what the function returned, or raise what it raised; once, after it has ended."""
        error, self._error = self._error, None
        if error is None:
            value, self._value = self._value, None
            return cast("T", value)
        try:
            raise error
        finally:
            del error  # its traceback holds this frame

    async def give_up(self, seconds: float) -> None:
        """Wait until it has ended, for at most this long; what comes of it is dropped, now or later."""
        self._given_up = True
        if self._has_landed:
            self._value = self._error = None
        else:
            self.ended = self._landing.loop.create_future()
            await asyncio.wait([self.ended], timeout=seconds)


class Landing:
    """Jobs that have ended, on their way to one loop: one wake-up, a system call, brings all that are there by then."""

    __slots__ = ("_ended", "_woken", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._ended: deque[Job[Any]] = deque()
        self._woken = False

    def bring(self, job: Job[Any]) -> None:
        """Hand a job to the loop, from any thread."""
        self._ended.append(job)
        if self._woken:  # the loop has yet to look
            return
        self._woken = True
        try:
            self.loop.call_soon_threadsafe(self._land)
        except RuntimeError:  # the loop is closed: nobody waits any more
            self._woken = False
            self._ended.clear()

    def _land(self) -> None:
        self._woken = False  # before it looks: what comes after its last look wakes it again
        while self._ended:
            self._ended.popleft().land()


class Threads:
    """Threads that do jobs, started one by one as they are needed.

    Only one at a time is called to work: it calls the next one as soon as it has found a job. If each job called one,
    hundreds of threads would wait for the interpreter, which costs more than the jobs: each of them wakes up every few
    milliseconds to ask for it, and the loop, which has yet to hand out the other jobs, queues behind them.

    Args:
        most: Threads at most.
    """

    def __init__(self, most: int) -> None:
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="nexus-io")
        self._jobs: deque[Job[Any]] = deque()
        self._landing: Landing | None = None
        self._turns = Turns()
        self._called = False
        self._closed = False

    def begin(self, function: Callable[[], T]) -> Job[T]:
        """Have a thread call a function; called on the loop that will await its result."""
        loop, landing = asyncio.get_running_loop(), self._landing
        if landing is None or landing.loop is not loop:
            landing = self._landing = Landing(loop)  # a loop may have several; one is kept
        job = Job(function, landing)
        self._jobs.append(job)
        try:
            self._call()
        except RuntimeError as error:  # closed, no thread can be started, or the interpreter ends
            self._refuse(str(error))
        return job

    def take_back(self, job: Job[Any]) -> bool:
        """Take back a job that no thread has begun; returns whether that was so."""
        try:
            self._jobs.remove(job)
        except ValueError:
            return False
        job.refused = True
        return True

    def close(self) -> None:
        """End what no thread has begun, and take no more. What is under way goes on; the threads end with it."""
        self._closed = True
        self._pool.shutdown(wait=False)
        self._called = False  # the next job calls again, and is refused
        self._refuse("")

    def _call(self) -> None:
        """Have one more thread come and look for jobs, unless one is on its way."""
        if self._called:
            return
        self._called = True
        try:
            self._pool.submit(self._work)
        except RuntimeError:
            self._called = False
            raise

    def _work(self) -> None:
        self._called = False  # before it looks: a job that comes after its last look calls again
        while True:
            try:
                job = self._jobs.popleft()
            except IndexError:
                return
            if self._jobs:
                with contextlib.suppress(RuntimeError):  # if none can come, this thread does the others too
                    self._call()
            turn = self._turns.begin()
            job.run()
            self._turns.end(turn)

    def _refuse(self, message: str) -> None:
        while True:
            try:
                job = self._jobs.popleft()
            except IndexError:
                return
            closed = ConnectorClosedError("The connector was closed while a call waited.")
            job.refuse(closed if self._closed else RuntimeError(message))
