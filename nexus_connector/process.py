"""What is bound to one process: connections, permits, locks, threads, random sequence, background thread.

It sits in one object, so that a fork replaces it whole: a child never uses its parent's sockets, locks or threads.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING

from .background import Outbox
from .errors import ConnectorClosedError
from .io.permits import Lease, Permits
from .message import Request
from .stream import BodyStream
from .transport import Abort, Received, SendError, TooLateError, Transport
from .transport.tls import TlsContexts

if TYPE_CHECKING:
    from .io.threads import Threads
    from .opening import Stores


class Wire:
    """The way out of one service in this process: its permits and its transport.

    Args:
        transport: Sends.
        permits: How many sends may be under way at once.
    """

    def __init__(self, transport: Transport, permits: int) -> None:
        self.transport = transport
        self.permits = Permits(permits)

    def send(
        self, request: Request, deadline: float, *, stream: bool = False, send_by: float | None = None
    ) -> Received:
        """Wait for a permit in this thread, then send."""
        try:
            lease = self.permits.acquire(deadline)
        except TimeoutError:
            raise self.busy() from None
        return self.send_with(lease, request, deadline, abort=None, stream=stream, send_by=send_by)

    def send_with(
        self,
        lease: Lease,
        request: Request,
        deadline: float,
        *,
        abort: Abort | None,
        stream: bool,
        send_by: float | None = None,
    ) -> Received:
        """Send under a permit already held; a stream keeps it until it is closed.

        Raises:
            TooLateError: If it could not begin by `send_by`; the permit is given back.
        """
        if send_by is not None and time.monotonic() > send_by:
            lease.release()
            raise TooLateError
        if not stream:
            try:
                return self.transport.send(request, deadline=deadline, abort=abort)
            finally:
                lease.release()
        try:
            received = self.transport.send(request, deadline=deadline, abort=abort, stream=True)
        except BaseException:
            lease.release()
            raise
        if received.stream is None:
            lease.release()
            return received
        return Received(received.status, received.headers, received.body, _LeasedStream(received.stream, lease))

    def busy(self) -> SendError:
        """Return the failure of a call for which no permit came free in time."""
        text = "every connection of the service was in use until the time ran out (max_concurrency)"
        return SendError(text, phase="connect", wrote=False, timed_out=True, own=True)


class _LeasedStream:
    """A body whose end gives the permit back."""

    def __init__(self, body: BodyStream, lease: Lease) -> None:
        self._body = body
        self._lease = lease

    def read(self, deadline: float) -> bytes:
        return self._body.read(deadline)

    def close(self) -> None:
        try:
            self._body.close()
        finally:
            self._lease.release()


class Locks:
    """Locks by key, made when first asked for and forgotten when nobody holds or awaits them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[Hashable, tuple[Permits, int]] = {}

    @contextmanager
    def of(self, key: Hashable) -> Generator[Permits]:
        """Return the lock of `key`, kept while in use."""
        with self._lock:
            permits, users = self._locks.get(key) or (Permits(1), 0)
            self._locks[key] = (permits, users + 1)
        try:
            yield permits
        finally:
            with self._lock:
                permits, users = self._locks[key]
                if users == 1:
                    del self._locks[key]
                else:
                    self._locks[key] = (permits, users - 1)


class Process:
    """Everything of one runtime that a forked child must not share with its parent.

    Args:
        wires: Makes the wire of a service when it is first used.
        outbox: Where records, events and posts go: a queue with its thread, or straight on in tests.
        open_stores: Opens the stores of gates and stages, when they are first asked for.
        max_threads: Threads for blocking work under the async face.
    """

    def __init__(
        self, *, wires: Callable[[str], Wire], outbox: Outbox, open_stores: Callable[[], Stores], max_threads: int
    ) -> None:
        self.pid = os.getpid()
        self.random = Random()  # noqa: S311  # jitter and ids, not cryptography
        self._open_stores = open_stores
        self._stores: Stores | None = None
        self.locks = Locks()
        self.contexts = TlsContexts()
        self.outbox = outbox
        self._make_wire = wires
        self._max_threads = max_threads
        self._lock = threading.Lock()
        self._wires: dict[str, Wire] = {}
        self._threads: Threads | None = None
        self._sleepers: set[Callable[[], object]] = set()
        self._closed = threading.Event()

    def wire(self, service: str) -> Wire:
        """Return the way out of a service."""
        wire = self._wires.get(service)
        if wire is not None:
            return wire
        with self._lock:
            self._check_open()
            if service not in self._wires:
                self._wires[service] = self._make_wire(service)
            return self._wires[service]

    @property
    def stores(self) -> Stores:
        """Where gates and stages keep their state. Nothing connects before it is used.

        Raises:
            ConfigurationError: If nothing here opens one of them, or a URL that is a secret is not there.
        """
        if self._stores is None:
            with self._lock:
                if self._stores is None:
                    self._stores = self._open_stores()
        return self._stores

    def threads(self) -> Threads:
        """Return the I/O threads; they are started one by one as they are needed."""
        if self._threads is None:
            with self._lock:
                self._check_open()
                if self._threads is None:
                    from .io.threads import Threads  # here: the blocking face needs no asyncio

                    self._threads = Threads(self._max_threads)
        return self._threads

    def sleep(self, seconds: float) -> None:
        """Wait in this thread.

        Raises:
            ConnectorClosedError: If the connector is closed meanwhile.
        """
        if self._closed.wait(max(0.0, seconds)):
            raise ConnectorClosedError("The connector was closed while a call waited.")

    @contextmanager
    def sleeping(self, end: Callable[[], object]) -> Generator[None]:
        """Have `end` called if the connector is closed while the body runs."""
        with self._lock:
            self._check_open()
            self._sleepers.add(end)
        try:
            yield
        finally:
            with self._lock:
                self._sleepers.discard(end)

    def close(self, timeout_seconds: float) -> None:
        """End waits and connections, drain the background thread. May be called twice."""
        with self._lock:
            first = not self._closed.is_set()
            self._closed.set()
            sleepers, wires, threads = list(self._sleepers), list(self._wires.values()), self._threads
        if not first:
            return
        for end in sleepers:
            with contextlib.suppress(RuntimeError):  # its loop is closed
                end()
        for wire in wires:
            wire.transport.close()
        if threads is not None:
            threads.close()
        self.outbox.close(timeout_seconds)
        if self._stores is not None:
            self._stores.close()

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise ConnectorClosedError("The connector is closed.", hint="Build another one, or close later.")
