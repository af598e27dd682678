"""The way out: a request written to a connection, its body from memory or from a source."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING

from . import SendError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from ..body import Source
    from ..headers import Headers
    from ..message import Request
    from .checkout import Checkout

_HELD_BYTES = 65_536
"""Requests with bodies up to this leave in one piece."""


def write(checkout: Checkout, request: Request, target: str, *, deadline: float, agent: str) -> OSError | None:
    """Write a request.

    Returns:
        What broke the writing, if the answer may be there nevertheless: a server may refuse a body half sent.

    Raises:
        SendError: If the source of the body fails.
        OSError: If there is no connection, it breaks before the first byte, or the deadline passes.
        ValueError: If the request cannot be written as HTTP.
    """
    fields = _fields(request.headers, agent)
    if request.source is None:
        return _write(checkout, request, target, fields, request.body or None, deadline=deadline)
    if request.source.length is not None:
        fields["Content-Length"] = str(request.source.length)
    with contextlib.closing(_pieces(request.source, checkout)) as pieces:
        # The first piece is taken here, so that a source that cannot be opened fails before the first byte.
        body = itertools.chain((next(pieces, b""),), pieces)
        return _write(checkout, request, target, fields, body, deadline=deadline)


def _write(
    checkout: Checkout,
    request: Request,
    target: str,
    fields: dict[str, str],
    body: bytes | Iterator[bytes] | None,
    *,
    deadline: float,
) -> OSError | None:
    wire = checkout.begin(deadline, hold=request.source is None and len(request.body) <= _HELD_BYTES)
    try:
        checkout.connection.request(request.method, target, body, fields)
        wire.flush()
    except TimeoutError:
        raise
    except OSError as error:
        if not wire.wrote:
            raise
        return error
    return None


def _fields(headers: Headers, agent: str) -> dict[str, str]:
    # How the body is delimited is decided here, by the body.
    if "content-length" in headers or "transfer-encoding" in headers:
        headers = headers.without("content-length", "transfer-encoding")
    fields = dict(headers.pairs())
    if "accept-encoding" not in headers:
        fields["Accept-Encoding"] = "gzip, deflate"
    if "user-agent" not in headers:
        fields["User-Agent"] = agent
    return fields


def _pieces(source: Source, checkout: Checkout) -> Generator[bytes, None, None]:
    count, length = 0, source.length
    try:
        for piece in source.chunks():
            count += len(piece)
            if length is not None and count > length:
                break
            yield piece
    except Exception as error:
        message = f"The source of the body could not be read ({type(error).__name__})."
        raise SendError(message, phase="write", wrote=checkout.wrote, transient=False, own=True) from error
    if length is not None and count != length:
        message = f"The source of the body gave {'fewer' if count < length else 'more'} than its {length} bytes."
        raise SendError(message, phase="write", wrote=checkout.wrote, transient=False, own=True)
