"""Connections: urllib3's, opened by a deadline, where an abort can reach them, and never by themselves."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import time
from typing import TYPE_CHECKING, TypeAlias, cast

import attrs
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.wait import wait_for_write

from ..io.turns import wait_for_turn
from .wire import Wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..verdict import Phase
    from . import Abort
    from .sockets import Sockets

    _Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
    _Found: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, str, _Address]


_UNDER_WAY = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK})


@attrs.frozen
class Watch:
    """What ends the opening of a connection: the deadline, the abort handle, the closing of the transport."""

    deadline: float
    abort: Abort | None
    sockets: Sockets

    def left(self, shares: int = 1) -> float:
        """Return the seconds left, divided by `shares`.

        Raises:
            TimeoutError: If none are.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left / shares

    @property
    def is_over(self) -> bool:
        """Whether this side gave up."""
        return self.sockets.closed or (self.abort is not None and self.abort.fired)

    def keep(self, sock: socket.socket) -> None:
        """Put a new socket where abort and close reach it."""
        self.sockets.add(sock)
        if self.abort is not None:
            self.abort.watch(sock)

    def trade(self, old: socket.socket, new: socket.socket) -> None:
        """Put the TLS socket in the place of the plain one, whose descriptor it took over."""
        self.keep(new)
        self.sockets.end(old)

    def end(self, sock: socket.socket) -> None:
        """Close a socket, out of their reach."""
        if self.abort is not None:
            self.abort.watch(None)
        self.sockets.end(sock)


class Connection(HTTPConnection):
    """A plain connection.

    Attributes:
        phase: How far the present send has come.
        wire: The wire opened last.
    """

    auto_open = 0  # http.client would connect by itself, without a deadline

    phase: Phase = "dns"
    wire: Wire | None = None

    def open(self, watch: Watch) -> Wire:
        """Look up the name and connect. The look-up cannot be interrupted; what follows it ends by the deadline.

        Raises:
            OSError: If there is no connection; `phase` says where that failed.
        """
        self.phase, self.wire = "dns", None
        watch.left()
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        watch.left()
        self.phase = "connect"
        sock = self._reach(found, watch)
        try:
            sock = self._secure(sock, watch)
        except BaseException:
            watch.end(sock)
            raise
        self.wire = wire = Wire(sock, watch.sockets)
        self.sock = cast("socket.socket", wire)
        return wire

    def _reach(self, found: Sequence[_Found], watch: Watch) -> socket.socket:
        # Each address gets an equal share of what is left, so that a live one behind dead ones has its turn.
        failure = OSError("the name has no address")
        for index, (family, kind, protocol, _, address) in enumerate(found):
            share = watch.left(len(found) - index)
            sock = socket.socket(family, kind, protocol)
            try:
                self._connect(sock, address, share, watch)
            except OSError as error:
                watch.end(sock)
                failure = error
                if watch.is_over:
                    break
            except BaseException:
                watch.end(sock)
                raise
            else:
                return sock
        raise failure

    def _connect(self, sock: socket.socket, address: _Address, seconds: float, watch: Watch) -> None:
        watch.keep(sock)
        for option in self.socket_options or ():
            sock.setsockopt(*option)
        sock.setblocking(False)
        number = sock.connect_ex(address)
        if number in _UNDER_WAY:
            # Shutting a socket down ends its connecting once that began, and does nothing before: so look here.
            if not watch.is_over:
                until = time.monotonic() + seconds
                wait_for_turn(sock, until, writing=True)
                if not wait_for_write(sock, max(0.0, until - time.monotonic())):
                    raise TimeoutError
            number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if watch.is_over:
            raise ConnectionAbortedError
        if number:
            raise OSError(number, os.strerror(number))

    def _secure(self, sock: socket.socket, watch: Watch) -> socket.socket:  # plain HTTP, to this machine only
        return sock


class TlsConnection(Connection, HTTPSConnection):
    """A connection under TLS, verified by its context."""

    def _secure(self, sock: socket.socket, watch: Watch) -> socket.socket:
        self.phase = "tls"
        context: ssl.SSLContext = vars(self)["ssl_context"]
        # The handshake is a step of its own: inside wrap_socket no abort would reach the socket.
        tls = context.wrap_socket(sock, server_hostname=self.host, do_handshake_on_connect=False)
        try:
            watch.trade(sock, tls)
            tls.settimeout(watch.left())
            tls.do_handshake()
        except BaseException:
            watch.end(tls)
            raise
        self.is_verified = context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname
        return tls
