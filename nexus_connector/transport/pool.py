"""The transport over urllib3's pools: one lane per origin, one exchange per send."""

from __future__ import annotations

import functools
import importlib.metadata
import threading
from typing import TYPE_CHECKING

from ..errors import InvalidRequestError
from .exchange import exchange
from .failure import ended_here
from .lane import Lane
from .origin import Origin, split_base
from .outgoing import Prelude
from .redirect import MAX_REDIRECTS, next_request, too_many
from .sockets import Sockets
from .tls import TlsContexts

if TYPE_CHECKING:
    from ..message import Request
    from . import Abort, Received, TransportOptions


@functools.cache
def _agent() -> str:
    try:
        return f"nexus-connector/{importlib.metadata.version('nexus-connector')}"
    except importlib.metadata.PackageNotFoundError:
        return "nexus-connector"


class PoolTransport:
    """A `Transport` over urllib3's connections, without its retries and redirects.

    Every wait ends by the deadline of the send, with one exception: the look-up of a name cannot be interrupted.
    TLS is always verified, 1.2 at least; ``http://`` leads to this machine only.

    Args:
        options: What the service says about its connections.
        contexts: TLS contexts to share with other services; own ones if left out.

    >>> from nexus_connector.transport import TransportOptions
    >>> transport = PoolTransport(TransportOptions(max_connections=10))
    >>> transport.close()
    """

    def __init__(self, options: TransportOptions, *, contexts: TlsContexts | None = None) -> None:
        self._options = options
        self._contexts = contexts or TlsContexts()
        self._sockets = Sockets()
        self._lock = threading.Lock()
        self._lanes: dict[Origin, Lane] = {}
        self._bases: dict[str, tuple[Lane, str, Prelude]] = {}
        self._agent = _agent()

    def send(self, request: Request, *, deadline: float, abort: Abort | None = None, stream: bool = False) -> Received:
        """Send `request` to ``request.base_url`` and return the answer.

        Args:
            request: Checked request.
            deadline: When it must have ended, ``time.monotonic()`` seconds; with `stream`, when the headers are due.
            abort: Lets another thread end this send at once, but for the look-up of a name.
            stream: Hand the body over unread; `TransportOptions.max_body_bytes` does not bound it then.

        Raises:
            SendError: If no whole answer came, or redirects lead astray.
            InvalidRequestError: If the request cannot be sent as it is; nothing was sent.
            ConfigurationError: If the service's `ca_file` cannot be used; nothing was sent.
            ConnectorClosedError: If the transport is closed; nothing was sent.
        """
        for _ in range(1 + MAX_REDIRECTS):
            received = self._send_one(request, deadline, abort, stream=stream)
            if not self._options.follow_redirects:
                return received
            following = self._follow(request, received)
            if following is None:
                return received
            request = following
        raise too_many()

    def _follow(self, request: Request, received: Received) -> Request | None:
        stands = False
        try:
            following = next_request(request, received.status, received.headers.get("location"), self._options)
            stands = following is None
            return following
        finally:
            if received.stream is not None and not stands:
                received.stream.close()

    def _send_one(self, request: Request, deadline: float, abort: Abort | None, *, stream: bool) -> Received:
        self._sockets.check()
        lane, base_path, prelude = self._bases.get(request.base_url) or self._find(request.base_url)
        target = base_path + request.target
        if not target.startswith("/"):
            message = "The path of a request begins with one slash."
            raise InvalidRequestError(message, hint="Nothing was sent.")
        if abort is not None and abort.fired:
            raise ended_here(lane.origin.host, "connect", wrote=False)
        with lane.check_out(deadline, abort) as checkout:
            return exchange(
                checkout,
                request,
                target,
                deadline=deadline,
                limit=self._options.max_body_bytes,
                prelude=prelude,
                stream=stream,
            )

    def _find(self, base_url: str) -> tuple[Lane, str, Prelude]:
        origin, path = split_base(base_url)
        context = self._contexts.get(self._options.ca_file) if origin.scheme == "https" else None
        with self._lock:
            self._sockets.check()
            lane = self._lanes.get(origin)
            if lane is None:
                lane = self._lanes[origin] = Lane(origin, self._options.max_connections, self._sockets, context)
            base = self._bases[base_url] = lane, path, Prelude.to(origin.authority, self._agent)
            return base

    def close(self) -> None:
        """End every connection, those in use too: a send under way fails. May be called twice."""
        self._sockets.close()
        with self._lock:
            lanes = list(self._lanes.values())
        for lane in lanes:
            lane.close()
