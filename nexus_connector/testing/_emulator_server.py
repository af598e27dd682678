"""The listening socket of an emulated vendor, and the thread with the event loop that serves it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from concurrent.futures import Future

from ._emulator_book import Book
from ._emulator_connection import Connection, reset_on_close

_BACKLOG = 2048
_OUT_OF_FILES_PAUSE_SECONDS = 0.1


class Server:
    """Serves from construction to `close`.

    Accepts by itself instead of using ``loop.create_server``, so that connections are counted, and refused, before TLS.

    Args:
        book: Routes and arrivals.
        name: For the thread.
        port: TCP port; 0 takes a free one.
        ssl_context: With one, every connection starts with a TLS handshake.

    >>> server = Server(Book("stripe", record=True), name="stripe", port=0, ssl_context=None)
    >>> server.close()
    >>> server.closed
    True
    """

    def __init__(self, book: Book, *, name: str, port: int, ssl_context: ssl.SSLContext | None) -> None:
        self._book = book
        self._ssl_context = ssl_context
        self._connections: set[Connection] = set()
        self._handshakes: dict[asyncio.Task[None], socket.socket] = {}
        self._listener = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._run, name=f"emulator-{name}", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether `close` is done."""
        return not self._thread.is_alive()

    def close(self) -> None:
        """Reset all connections, end the thread and wait for it; no effect if that was done before."""
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def close_idle(self) -> int:
        """Close the connections on which no request is under way; return how many once it is done."""
        if self.closed:
            return 0
        done = Future[int]()
        self._loop.call_soon_threadsafe(self._close_idle, done)
        return done.result()

    def _close_idle(self, done: Future[int]) -> None:
        idle = [connection for connection in self._connections if connection.idle]
        for connection in idle:
            connection.close()
        self._loop.call_soon(done.set_result, len(idle))  # the sockets themselves close in the next turn

    def _run(self) -> None:
        self._listen()
        self._loop.run_forever()
        self._loop.run_until_complete(self._shut_down())
        self._loop.close()

    async def _shut_down(self) -> None:
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for sock in self._handshakes.values():
            with contextlib.suppress(OSError):  # the client was faster
                reset_on_close(sock)
                sock.shutdown(socket.SHUT_RDWR)
        await asyncio.gather(*self._handshakes)
        while self._connections:
            for connection in tuple(self._connections):
                connection.reset()
            await asyncio.sleep(0)

    def _listen(self) -> None:
        if self._listener.fileno() >= 0:  # not closed during the pause
            self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(_BACKLOG):
            try:
                sock, _address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no file descriptor left: the waiting client would wake the loop again and again
                self._loop.remove_reader(self._listener)
                self._loop.call_later(_OUT_OF_FILES_PAUSE_SECONDS, self._listen)
                return
            self._admit(sock)

    def _admit(self, sock: socket.socket) -> None:
        number, refused = self._book.accept()
        if refused:
            reset_on_close(sock)
            sock.close()
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._connect(sock, number))
        self._handshakes[task] = sock
        task.add_done_callback(self._handshakes.pop)

    async def _connect(self, sock: socket.socket, number: int) -> None:
        def protocol() -> Connection:
            return Connection(sock, number, self._book, self._connections)

        with contextlib.suppress(OSError):  # the client gave up, or does not speak TLS as we do
            await self._loop.connect_accepted_socket(protocol, sock, ssl=self._ssl_context)
