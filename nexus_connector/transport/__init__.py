"""Transports: one request goes out, one answer or one failure comes back, by the deadline."""

from __future__ import annotations

from typing import Protocol

import attrs

from ..headers import Headers
from ..message import Request
from ..stream import BodyStream
from ..verdict import Phase
from .abort import Abort

__all__ = ["Abort", "Received", "SendError", "TooLateError", "Transport", "TransportOptions"]


class SendError(Exception):
    """A send without an answer, in the transport's own words; the core makes the error that the caller sees.

    Args:
        message: What happened, without secrets.
        phase: Where it happened.
        wrote: Whether the first byte of the request was written.
        timed_out: Whether the deadline ended it.
        transient: Whether a further attempt could end differently.
        own: Whether this side is the reason, not the vendor: its health is not touched.
    """

    def __init__(
        self,
        message: str,
        *,
        phase: Phase,
        wrote: bool,
        timed_out: bool = False,
        transient: bool = True,
        own: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.phase: Phase = phase
        self.wrote = wrote
        self.timed_out = timed_out
        self.transient = transient
        self.own = own


class TooLateError(Exception):
    """A send was not made: the moment by which it must have begun had passed."""


@attrs.frozen
class Received:
    """An answer as it came.

    Attributes:
        status: HTTP status.
        headers: Header fields.
        body: Whole body, decompressed; empty if it is streamed.
        stream: The body under way, if the caller asked for it.
    """

    status: int
    headers: Headers
    body: bytes = b""
    stream: BodyStream | None = None


@attrs.frozen(kw_only=True)
class TransportOptions:
    """What a service says about its connections.

    Attributes:
        max_connections: Connections kept and used at once, per origin.
        max_body_bytes: Largest body, compressed and decompressed.
        follow_redirects: Whether redirects are followed.
        allowed_hosts: Hosts beside its own that a redirect may lead to.
        ca_file: A private certificate authority (PEM); ``None``: the system's.
    """

    max_connections: int = 100
    max_body_bytes: int = 100 * 1024 * 1024
    follow_redirects: bool = False
    allowed_hosts: tuple[str, ...] = ()
    ca_file: str | None = None


class Transport(Protocol):
    """Sends requests of one service over its connections. Threads may share it; it waits on nothing but the wire."""

    def send(self, request: Request, *, deadline: float, abort: Abort | None = None, stream: bool = False) -> Received:
        """Send `request` to ``request.base_url`` and return the answer.

        Args:
            request: Checked request.
            deadline: When it must have ended (`stream`: when the headers must be here), ``time.monotonic()`` seconds.
            abort: Lets another thread end this send at once.
            stream: Hand the body over unread.

        Raises:
            SendError: If no whole answer came.
        """
        ...

    def close(self) -> None:
        """End every connection, those in use too. May be called twice."""
        ...
