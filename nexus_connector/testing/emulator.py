"""`VendorEmulator`: a real HTTP/1.1 server on this machine that stands in for a vendor, well behaved or not.

In a test it runs in a thread and is told what each route answers. To try things out by hand,
``python -m nexus_connector.testing.emulator`` runs it in a process of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import ssl
import sys
from collections.abc import Sequence
from typing import Self

from ._emulator_behaviours import (
    Behaviour,
    Bomb,
    Compute,
    DripBody,
    DripHeaders,
    Hang,
    Infinite,
    Keyed,
    Raw,
    Reset,
    Stream,
)
from ._emulator_book import Book
from ._emulator_exchange import Answer, Arrival
from ._emulator_server import Server

__all__ = [
    "Answer",
    "Arrival",
    "Behaviour",
    "Bomb",
    "Compute",
    "DripBody",
    "DripHeaders",
    "Hang",
    "Infinite",
    "Keyed",
    "Raw",
    "Reset",
    "Stream",
    "VendorEmulator",
    "main",
]


class VendorEmulator:
    """A vendor on ``127.0.0.1``, for as long as the ``with`` block (or from `start` to `close`).

    All methods and properties may be used from any thread. An unknown route is answered with 404 and says so in JSON.

    Args:
        name: Label of the vendor, in messages and thread names.
        ssl_context: Server context; with one, the emulator speaks https only.
        port: TCP port; 0, the default, takes a free one.
        record: Whether requests are kept in `arrivals`. ``False`` keeps memory flat under a benchmark.

    >>> from http.client import HTTPConnection
    >>> with VendorEmulator() as vendor:
    ...     vendor.on("POST /mail/send", Answer(503), Answer(202, headers={"X-Message-Id": "m1"}))
    ...     client = HTTPConnection(vendor.host)
    ...     for _ in range(2):
    ...         client.request("POST", "/mail/send", body="{}", headers={"Idempotency-Key": "k1"})
    ...         with client.getresponse() as response:
    ...             response.status
    ...     client.close()
    ...     vendor.arrivals[1].key, vendor.connections
    503
    202
    ('k1', 1)
    """

    def __init__(
        self, *, name: str = "vendor", ssl_context: ssl.SSLContext | None = None, port: int = 0, record: bool = True
    ) -> None:
        self._name = name
        self._ssl_context = ssl_context
        self._port = port
        self._book = Book(name, record=record)
        self._server: Server | None = None

    def __repr__(self) -> str:
        return f"VendorEmulator(name={self._name!r}, url={self.url if self._server else None!r})"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def start(self) -> None:
        """Listen and serve; no effect if it already does.

        Raises:
            OSError: If the port is taken.
            RuntimeError: If the emulator was closed.
        """
        if self._server is None:
            self._server = Server(self._book, name=self._name, port=self._port, ssl_context=self._ssl_context)
        elif self._server.closed:
            message = f"{self!r} is closed; for a vendor that comes back, start a new one with the same port"
            raise RuntimeError(message)

    def close(self) -> None:
        """Reset all connections and end the thread; no effect if it is not running. What arrived stays readable."""
        if self._server is not None:
            self._server.close()

    @property
    def host(self) -> str:
        """Host and port: ``"127.0.0.1:PORT"``."""
        return f"127.0.0.1:{self._running().port}"

    @property
    def url(self) -> str:
        """Base URL, without a slash at the end; known from the start on, even after the close."""
        return f"{'https' if self._ssl_context else 'http'}://{self.host}"

    @property
    def arrivals(self) -> list[Arrival]:
        """All requests so far, in the order in which they were complete."""
        return self.arrivals_of("")

    def arrivals_of(self, target: str) -> list[Arrival]:
        """Return the requests for a target, written as in `on`."""
        return self._book.arrivals(target)

    @property
    def effects(self) -> dict[str, int]:
        """Number of effects that `Keyed` routes really performed, by idempotency key."""
        return self._book.effects()

    @property
    def connections(self) -> int:
        """TCP connections accepted so far, refused ones included."""
        return self._book.connections()

    def on(self, target: str, *behaviours: Behaviour) -> None:
        """Set what a route answers, instead of what it answered before.

        Args:
            target: ``"POST /mail/send"``, or a path alone for any method. ``*``, ``?`` and ``[...]`` in the path are
                wildcards (``*`` also matches ``/``). An exact path beats a pattern, then a method beats none, then the
                longer pattern wins.
            behaviours: Used up in order, one per request; the last one repeats.

        >>> VendorEmulator().on("/orders/*", Answer(json={"id": 1}))
        """
        self._book.on(target, behaviours)

    def clear(self) -> None:
        """Forget routes, arrivals (numbers start at 1 again) and effects. Connections stay open."""
        self._book.clear()

    def wait_for(self, count: int, target: str = "", timeout_seconds: float = 5.0) -> list[Arrival]:
        """Block until requests have arrived.

        Args:
            count: How many, counted from the last `clear`.
            target: Which ones, written as in `on`. Default: all.
            timeout_seconds: Longest wait.

        Returns:
            All requests for the target so far, in order.

        Raises:
            TimeoutError: If fewer arrive in time; the text says how many did.

        >>> VendorEmulator(name="stripe").wait_for(1, "POST /charges", timeout_seconds=0)
        Traceback (most recent call last):
            ...
        TimeoutError: stripe: 0 of 1 requests for POST /charges arrived within 0 s; last of all that arrived: nothing
        """
        return self._book.wait_for(count, target, timeout_seconds)

    def refuse_connections(self, count: int) -> None:
        """Reset the next `count` connections as soon as they are accepted, before anything is read, TLS included.

        The client may notice while it connects, or only when it sends or reads.

        >>> VendorEmulator().refuse_connections(2)
        """
        self._book.refuse(count)

    def close_idle(self) -> int:
        """Close all connections on which no request is under way, now; return how many."""
        return self._running().close_idle()

    def _running(self) -> Server:
        if self._server is None:
            message = "the emulator was not started; use it in a with block, or call start()"
            raise RuntimeError(message)
        return self._server


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve ``{"ok": true}`` on every route until stdin closes; print the URL first, on a line of its own.

    Args:
        arguments: Of the command line; ``None``: those of this process.

    >>> main(["--help"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    SystemExit: 0
    """
    parser = argparse.ArgumentParser(prog="nexus_connector.testing.emulator", description="A vendor for benchmarks.")
    parser.add_argument("--port", type=int, default=0, help="TCP port; 0: a free one (default)")
    parser.add_argument("--delay-seconds", type=float, default=0.0, help="time before each answer (default 0)")
    options = parser.parse_args(arguments)
    _raise_file_limit()
    with VendorEmulator(port=options.port, record=False) as vendor, contextlib.suppress(KeyboardInterrupt):
        vendor.on("*", Answer(json={"ok": True}, delay_seconds=options.delay_seconds))
        print(vendor.url, flush=True)  # noqa: T201  # for the process that started this one
        sys.stdin.buffer.read()


def _raise_file_limit() -> None:
    """Allow as many connections as the system lets us: the usual soft limit is 1,024 files."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # not on Windows; refused on macOS if unlimited
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()
