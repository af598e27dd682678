"""Streams: a response body handed over unread, on both faces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .io import Io
    from .message import Response
    from .verdict import Verdict


class BodyStream(Protocol):
    """A body under way, as a transport gives it."""

    def read(self, deadline: float) -> bytes:
        """Return the next piece, at most 64 KiB; empty at the end. Blocks until `deadline` (monotonic seconds).

        Raises:
            SendError: If the connection breaks, the deadline passes or the body is larger than allowed.
        """
        ...

    def close(self) -> None:
        """Give the connection back if the body is read, else end it. May be called twice."""
        ...


Closed = Callable[[BaseException | None], None]
"""Called once when a stream ends, with what broke it."""


class StreamBody:
    """The state that both faces of a stream share: reads through the call's Io, and settles once.

    Attributes:
        broken: What it means that the body broke off; ``None``: it did not.
    """

    def __init__(
        self, body: BodyStream, io: Io, *, idle_timeout_seconds: float, fail: Callable[[BaseException], BaseException]
    ) -> None:
        self._body = body
        self._io = io
        self._idle_timeout_seconds = idle_timeout_seconds
        self._fail = fail
        self._closed: list[Closed] = []
        self._open = True
        self.broken: Verdict | None = None

    def on_close(self, closed: Closed) -> None:
        """Call `closed` when the stream ends; the permit, the record and the gates end with it."""
        self._closed.append(closed)

    async def read(self) -> bytes:
        """Return the next piece; empty at the end."""
        if not self._open:
            return b""
        deadline = self._io.now() + self._idle_timeout_seconds
        try:
            return await self._io.run(lambda: self._body.read(deadline))
        except Exception as error:
            failure = self._fail(error)
            self.close(failure)
            raise failure from error
        except BaseException as error:
            self.close(error)
            raise

    def close(self, error: BaseException | None = None) -> None:
        """End the stream; only the first call counts."""
        if not self._open:
            return
        self._open = False
        self._body.close()
        for closed in self._closed:
            closed(error)


class WholeBody(StreamBody):
    """A body that is already here, for code that asked for a stream."""

    def __init__(self, body: bytes) -> None:
        self._rest = body

    def on_close(self, closed: Closed) -> None:
        """Nothing ends with it: everything has ended already."""

    async def read(self) -> bytes:
        """Return all of it, once."""
        piece, self._rest = self._rest, b""
        return piece

    def close(self, error: BaseException | None = None) -> None:
        """Nothing is open."""


class Stream:
    """A response whose body is read piece by piece. Close it, or use it with ``with``.

    Attributes:
        status: HTTP status.
        headers: Header fields.
    """

    def __init__(
        self, response: Response, body: StreamBody, drive: Callable[[Coroutine[Any, Any, bytes]], bytes]
    ) -> None:
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        self._body = body
        self._drive = drive

    def __iter__(self) -> Iterator[bytes]:
        while piece := self._drive(self._body.read()):
            yield piece


class AsyncStream:
    """A response whose body is read piece by piece. Use it with ``async with``.

    Attributes:
        status: HTTP status.
        headers: Header fields.
    """

    def __init__(self, response: Response, body: StreamBody) -> None:
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self._body.read():
            yield piece


def stream_of(response: Response) -> StreamBody:
    """Return the body of a response that was asked for as a stream; what a hook or stage answered is already whole."""
    return response.stream or WholeBody(response.body)
