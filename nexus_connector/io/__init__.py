"""The Io: the only thing in the pipeline that may wait, and the only source of time and chance."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from ..call import Call
    from ..message import Request
    from ..state import Item, Plain, Store
    from ..transport import Received

T = TypeVar("T")


class Io(Protocol):
    """What stages and waiting hooks wait through: blocking, on an event loop, or in virtual time.

    Every wait takes the deadline it must end by, in seconds of `now()`.
    """

    @property
    def random(self) -> Random:
        """The random sequence of this process; seeded in virtual time."""
        ...

    def now(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    def wall(self) -> datetime:
        """The time of day, aware, UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    async def send(self, call: Call, request: Request, deadline: float) -> Received:
        """Send a request over the wire of the call's service: wait for a permit, send, give the permit back.

        Raises:
            SendError: If no whole answer came by `deadline`.
            TooLateError: If it could not begin by ``call.send_by``.
        """
        ...

    async def store_run(self, store: Store, items: Sequence[Item]) -> list[Plain]:
        """Run operations of a store."""
        ...

    def lock(self, key: Hashable, deadline: float) -> AbstractAsyncContextManager[None]:
        """Hold the lock of `key` in this process, for both faces.

        Raises:
            TimeoutError: If it is not free by `deadline`.
        """
        ...

    async def run(self, function: Callable[[], T]) -> T:
        """Call a function that blocks. It cannot be interrupted."""
        ...

    async def gather(self, tasks: Sequence[Callable[[], Awaitable[T]]], limit: int) -> list[T | Exception]:
        """Run tasks at the same time, at most `limit` at once; results and errors come in the order of `tasks`."""
        ...
