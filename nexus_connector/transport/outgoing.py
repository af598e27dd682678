"""The way out: a request written to a connection, its body from memory or from a source."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Final

import attrs

from . import SendError

if TYPE_CHECKING:
    from collections.abc import Generator

    from ..body import Source
    from ..message import Request
    from .checkout import Checkout
    from .wire import Wire

_HELD_BYTES: Final = 65_536
"""Requests with bodies up to this leave in one piece."""
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
"""Methods whose empty body needs no length (RFC 9110 section 8.6)."""
_FRAMING: Final = ("content-length", "transfer-encoding")
_TARGET: Final = re.compile(r"[\x21-\x7e]+")


@attrs.frozen
class Prelude:
    """The header fields that every request to an origin begins with, unless it has its own.

    Attributes:
        lines: Field lines by name, lower case.
        text: All of them.
    """

    lines: dict[str, str]
    text: str

    @classmethod
    def to(cls, authority: str, agent: str) -> Prelude:
        """Return the one for a host and port."""
        lines = {
            "host": f"Host: {authority}\r\n",
            "accept-encoding": "Accept-Encoding: gzip, deflate\r\n",
            "user-agent": f"User-Agent: {agent}\r\n",
        }
        return cls(lines, "".join(lines.values()))


def write(checkout: Checkout, request: Request, target: str, *, deadline: float, prelude: Prelude) -> OSError | None:
    """Write a request.

    urllib3's and http.client's own writing costs a tenth of a whole call; what they refuse is refused here or in
    `check_wire`, and the tests hold the bytes against theirs.

    Returns:
        What broke the writing, if the answer may be there nevertheless: a server may refuse a body half sent.

    Raises:
        SendError: If the source of the body fails.
        OSError: If there is no connection, it breaks before the first byte, or the deadline passes.
        ValueError: If the request cannot be written as HTTP.
    """
    source, body = request.source, request.body
    if source is None:
        framing = f"Content-Length: {len(body)}" if body or request.method not in _WITHOUT_BODY else None
        head = _head(request, target, prelude, framing)
        pieces = (head + body,) if len(body) <= _HELD_BYTES else (head, body)
        return _write(checkout.begin(deadline), pieces)
    framing = "Transfer-Encoding: chunked" if source.length is None else f"Content-Length: {source.length}"
    head = _head(request, target, prelude, framing)
    with contextlib.closing(_pieces(source, checkout)) as body_pieces:
        # The first piece is taken here, so that a source that cannot be opened fails before the first byte.
        first = next(body_pieces, b"")
        return _write_from(checkout.begin(deadline), head, first, body_pieces, is_chunked=source.length is None)


def _write(wire: Wire, pieces: tuple[bytes, ...]) -> OSError | None:
    try:
        for piece in pieces:
            wire.sendall(piece)
    except TimeoutError:
        raise
    except OSError as error:
        if not wire.wrote:
            raise
        return error
    return None


def _write_from(
    wire: Wire, head: bytes, first: bytes, rest: Generator[bytes, None, None], *, is_chunked: bool
) -> OSError | None:
    broken = _write(wire, (head,))
    piece: bytes | None = first
    while broken is None and piece is not None:
        if piece:  # an empty chunk would be the last one
            broken = _write(wire, (b"%x\r\n%b\r\n" % (len(piece), piece),) if is_chunked else (piece,))
        piece = next(rest, None) if broken is None else None
    return broken if broken is not None or not is_chunked else _write(wire, (b"0\r\n\r\n",))


def _head(request: Request, target: str, prelude: Prelude, framing: str | None) -> bytes:
    """Return request line and header fields.

    Raises:
        ValueError: If something in them would end a line or the request line too early.
    """
    headers, own = request.headers, prelude.text
    if headers.has_any(_FRAMING):  # how the body is delimited is decided here, by the body
        headers = headers.without(*_FRAMING)
    if headers.has_any(prelude.lines):
        own = "".join([line for name, line in prelude.lines.items() if name not in headers])
    fields = headers.pairs()
    lines = [f"{request.method} {target} HTTP/1.1\r\n{own}", *[f"{name}: {value}\r\n" for name, value in fields]]
    lines.append("\r\n" if framing is None else f"{framing}\r\n\r\n")
    text = "".join(lines)
    ends = 2 + own.count("\n") + len(fields) + (framing is not None)
    if not _TARGET.fullmatch(target) or text.count("\n") != ends or text.count("\r") != ends or "\0" in text:
        message = "a line of the request holds what would end it"
        raise ValueError(message)
    return text.encode("latin-1")


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
