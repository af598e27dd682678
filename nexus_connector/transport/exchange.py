"""Exchanges: one request written to a checked-out connection, and its answer read."""

from __future__ import annotations

import http.client
import io
from typing import TYPE_CHECKING, cast

from . import Received
from .answer import Answer, MalformedAnswerError, broken_off, too_large
from .decoding import PIECE_BYTES, open_body
from .outgoing import Prelude, write
from .wire_stream import WireStream

if TYPE_CHECKING:
    import socket

    from ..message import Request
    from .checkout import Checkout

_WITHOUT_BODY = frozenset({204, 304})


def exchange(
    checkout: Checkout, request: Request, target: str, *, deadline: float, limit: int, prelude: Prelude, stream: bool
) -> Received:
    """Send a request and return its answer. A whole answer gives the connection back, a stream keeps it.

    Args:
        checkout: The connection.
        request: What to send.
        target: Path and query, with the path of the base URL.
        deadline: When it must have ended, ``time.monotonic()`` seconds.
        limit: Largest body in memory, bytes.
        prelude: Header fields that it begins with.
        stream: Hand the body over unread.

    Raises:
        SendError: If the source or the answer is not what it should be.
        OSError: If the connection breaks or the deadline passes.
        http.client.HTTPException: If the answer is not HTTP.
        ValueError: If the request cannot be written, or the answer is not HTTP.
    """
    broken = write(checkout, request, target, deadline=deadline, prelude=prelude)
    answer = _read_head(checkout, request.method, broken)
    fields = answer.fields()
    if request.method == "HEAD" or answer.status in _WITHOUT_BODY:
        answer.close()
    coding = fields.get("content-encoding")
    if stream:
        pull = open_body(answer, coding, whole=False)
        return Received(answer.status, fields, stream=WireStream(checkout, answer, pull))
    body = b"" if answer.isclosed() else _read_body(answer, coding, limit)
    checkout.check_end()
    checkout.finish(answer)
    return Received(answer.status, fields, body)


def _read_head(checkout: Checkout, method: str, broken: OSError | None) -> Answer:
    connection = checkout.connection
    connection.phase = "read"
    try:
        answer = Answer(cast("socket.socket", connection.wire), method=method)
        answer.begin()
    except (OSError, http.client.HTTPException, ValueError):
        if broken is None:
            raise
        connection.phase = "write"
        raise broken from None
    if answer.status == 101:
        message = "it switches to a protocol that nobody asked for"
        raise MalformedAnswerError(message)
    if checkout.has_ended:
        # http.client takes the end of the stream for the end of the headers.
        raise broken_off()
    answer.reusable = broken is None and not answer.will_close
    return answer


def _read_body(answer: Answer, coding: str | None, limit: int) -> bytes:
    if answer.length is not None:
        if answer.length > limit:
            raise too_large(limit)
        if coding is None:
            return answer.read()
    answer.limit = limit
    pull = open_body(answer, coding, whole=True)
    whole = io.BytesIO()  # hands its buffer over in the end: no second copy
    while piece := pull(PIECE_BYTES):
        if whole.tell() + len(piece) > limit:
            raise too_large(limit)
        whole.write(piece)
    return whole.getvalue()
