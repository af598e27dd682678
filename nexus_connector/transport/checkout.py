"""Checkouts: one connection in use by one send, and the slot that it takes up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from . import SendError
from .connection import Watch
from .failure import explain

if TYPE_CHECKING:
    from types import TracebackType

    from .abort import Abort
    from .answer import Answer
    from .connection import Connection
    from .lane import Lane
    from .slots import Slot
    from .wire import Wire


class Checkout:
    """One connection in use; `finish` or `drop` ends it.

    If an interrupt prevents both, nothing is lost: a slot let go of leaves a new one, a wire let go of closes.
    """

    __slots__ = ("_abort", "_lane", "_slot", "connection")

    def __init__(self, lane: Lane, slot: Slot, connection: Connection, abort: Abort | None) -> None:
        self.connection = connection
        self._lane = lane
        self._slot: Slot | None = slot
        self._abort = abort

    def begin(self, deadline: float) -> Wire:
        """Make the connection ready for a request: open it if it is not, and let the abort handle reach it.

        Args:
            deadline: When the request must have ended, ``time.monotonic()`` seconds.

        Raises:
            OSError: If it could not be opened.
        """
        connection, abort = self.connection, self._abort
        wire = connection.wire
        if wire is None or connection.sock is None:
            wire = self._lane.open(connection, Watch(deadline, abort, self._lane.sockets))
        connection.phase = "write"
        if abort is not None:
            abort.watch(wire.sock)
            if abort.fired:
                raise ConnectionAbortedError
        wire.begin(deadline, takes_turns=abort is not None)
        return wire

    def extend(self, deadline: float) -> None:
        """Move the deadline of what is read from now on."""
        if self.connection.wire is not None:
            self.connection.wire.extend(deadline)

    @property
    def wrote(self) -> bool:
        """Whether the first byte of the request was written."""
        return self.connection.wire is not None and self.connection.wire.wrote

    @property
    def has_ended(self) -> bool:
        """Whether the stream of bytes from the server came to its end."""
        return self.connection.wire is not None and self.connection.wire.ended

    @property
    def is_over(self) -> bool:
        """Whether this side gave up: the abort handle fired, or the transport was closed."""
        return self._lane.sockets.closed or (self._abort is not None and self._abort.fired)

    def check_end(self) -> None:
        """Tell a body that the server ended from one that looks so because this side shut the connection down.

        Raises:
            ConnectionAbortedError: If it is the latter.
        """
        if self.has_ended and self.is_over:
            raise ConnectionAbortedError

    def finish(self, answer: Answer) -> None:
        """Give the connection back after a whole answer, or drop it if it cannot serve another request."""
        answer.close()
        connection, wire = self.connection, self.connection.wire
        if wire is None or connection.sock is None or not answer.reusable or wire.ended or not wire.is_clean:
            self.drop()
            return
        if self._abort is not None:
            self._abort.watch(None)
        # From here on drop() does nothing: an interrupt may close the connection, but never leaves it given and ended.
        slot, self._slot = self._slot, None
        if slot is not None:
            wire.rest()
            self._lane.give(connection)
            self._lane.slots.put(slot)

    def drop(self) -> None:
        """End the connection; again, and after `finish`, is harmless."""
        slot, self._slot = self._slot, None
        if slot is not None:
            if self._abort is not None:
                self._abort.watch(None)
            if self.connection.wire is not None:
                self.connection.wire.end()
            self._lane.slots.put(slot)

    def shut(self) -> None:
        """Wake a thread that reads on the connection; what it reads then is the end."""
        if self.connection.wire is not None:
            self.connection.wire.shut()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop the connection if anything went wrong, and say what in the transport's words."""
        if error is None:
            return
        failure: BaseException = error
        if isinstance(error, Exception) and not isinstance(error, SendError):
            failure = self._explain(error)
        self.drop()
        if failure is not error:
            raise failure

    def _explain(self, error: Exception) -> Exception:
        host = self._lane.origin.host
        return explain(error, host=host, phase=self.connection.phase, wrote=self.wrote, is_over=self.is_over)
