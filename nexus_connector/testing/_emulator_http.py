"""The server's side of HTTP/1.1: bytes in, whole requests out. No socket, no clock.

Strict where leniency would hide a broken client: one Host, one framing of the body, no bare line feeds, no folding.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NoReturn

import attrs

from ..headers import Headers

MAX_HEAD_BYTES = 65_536
_MAX_LINE_BYTES = 8_192

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEAD = re.compile(rf"({_NAME}) ([\x21-\x7e]+) HTTP/1\.([01])((?:\r\n{_NAME}:[^\0\r\n]*)*)")
_FIELD = re.compile(rf"\r\n({_NAME}):[ \t]*([^\0\r\n]*)")
_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?]*")


class MalformedRequestError(ValueError):
    """A client sent something that is not an HTTP/1.1 request; `status` is what a server answers to that.

    >>> MalformedRequestError("two Host fields").status
    400
    """

    def __init__(self, detail: str, status: int = 400) -> None:
        super().__init__(detail)
        self.status = status


@attrs.frozen(kw_only=True)
class Head:
    """Request line and header fields.

    Attributes:
        length: Bytes of the body; ``None``: it comes in chunks.
        keep_alive: Whether the connection outlives the answer.
        expects_continue: Whether the client waits for ``100 Continue`` before it sends the body.
    """

    method: str
    target: str
    path: str
    query: str
    headers: Headers
    raw_headers: tuple[tuple[str, str], ...]
    length: int | None
    keep_alive: bool
    expects_continue: bool


@lru_cache(maxsize=512)  # a client's heads mostly repeat; measured: half the time of a small request
def parse_head(block: bytes) -> Head:
    r"""Parse the head of a request.

    Args:
        block: All lines up to the empty one, without the last CRLF.

    Raises:
        MalformedRequestError: If it is not well formed.

    >>> head = parse_head(b"POST /a?b=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3")
    >>> head.method, head.path, head.query, head.length, head.keep_alive
    ('POST', '/a', 'b=1', 3, True)
    """
    text = block.decode("latin-1")
    match = _HEAD.fullmatch(text)
    if match is None:
        first, *lines = text.split("\r\n")
        bad = next((line for line in lines if not _FIELD.fullmatch("\r\n" + line)), first)
        _malformed(f"bad request line or header field {bad[:80]!r}")
    method, target, minor, fields = match.groups()
    raw_headers = tuple((name, value.rstrip(" \t")) for name, value in _FIELD.findall(fields))
    headers = Headers(raw_headers)
    host = headers.get("host")
    if minor == "1" and (host is None or "," in host):
        _malformed("exactly one Host field is required")
    path, _, query = _ORIGIN.sub("", target, count=1).partition("?")
    return Head(
        method=method,
        target=target,
        path=path or "/",
        query=query,
        headers=headers,
        raw_headers=raw_headers,
        length=_body_length(headers),
        keep_alive=minor == "1" and not _says(headers, "connection", "close"),
        expects_continue=minor == "1" and _says(headers, "expect", "100-continue"),
    )


def _says(headers: Headers, name: str, word: str) -> bool:
    value = headers.get(name)
    return value is not None and word in [item.strip().lower() for item in value.split(",")]


def _body_length(headers: Headers) -> int | None:
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if coding is None:
        if length is not None and not _LENGTH.fullmatch(length):
            _malformed(f"bad Content-Length {length[:80]!r}")
        return int(length or 0)
    if length is not None:
        _malformed("both Content-Length and Transfer-Encoding")
    if coding.lower() != "chunked":
        _malformed(f"unknown Transfer-Encoding {coding[:80]!r}", status=501)
    return None


def _malformed(detail: str, *, status: int = 400) -> NoReturn:
    raise MalformedRequestError(detail, status)


class RequestReader:
    r"""Cuts what a connection receives into requests.

    >>> reader = RequestReader()
    >>> reader.feed(b"GET / HTTP/1.1\r\nHost: x\r\n")
    >>> reader.next() is None, reader.idle
    (True, False)
    >>> reader.feed(b"\r\n")
    >>> head, body = reader.next()
    >>> head.method, body, reader.idle
    ('GET', b'', True)
    """

    __slots__ = ("_body", "_buffer", "_chunk_left", "_head", "_told_to_continue")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: Head | None = None
        self._body = bytearray()
        self._chunk_left: int | None = None
        self._told_to_continue = False

    @property
    def idle(self) -> bool:
        """Whether nothing of a next request has arrived."""
        return self._head is None and not self._buffer

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        self._buffer += data

    def next(self) -> tuple[Head, bytes] | None:
        """Take the next whole request, as head and body; ``None``: more bytes are needed.

        Raises:
            MalformedRequestError: If it never becomes one; the reader is of no use after that.
        """
        head = self._head or self._read_head()
        if head is None:
            return None
        body = self._read_chunks() if head.length is None else self._read_exactly(head.length)
        self._head = head if body is None else None
        return None if body is None else (head, body)

    def take_expectation(self) -> bool:
        """Tell, once per request, whether its client waits for ``100 Continue`` now."""
        head = self._head
        if head is None or not head.expects_continue or self._told_to_continue:
            return False
        self._told_to_continue = True
        return not self._buffer and not self._body

    def _read_head(self) -> Head | None:
        end = self._buffer.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
        if end < 0:
            if len(self._buffer) >= MAX_HEAD_BYTES:
                _malformed(f"header fields over {MAX_HEAD_BYTES} bytes", status=431)
            return None
        block = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        self._told_to_continue = False
        return parse_head(block)

    def _read_exactly(self, length: int) -> bytes | None:
        if not length:
            return b""
        if len(self._buffer) < length:
            return None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body

    def _read_chunks(self) -> bytes | None:
        while True:
            if self._chunk_left:
                data = self._read_exactly(self._chunk_left + 2)
                if data is None:
                    return None
                if not data.endswith(b"\r\n"):
                    _malformed("chunk is longer than its size")
                self._body += data[:-2]
                self._chunk_left = None
            line = self._read_line()
            if line is None:
                return None
            if self._chunk_left is None:
                self._chunk_left = _parse_chunk_size(line)
            elif not line:  # the end of the trailer fields, which nobody asked for
                body, self._body, self._chunk_left = bytes(self._body), bytearray(), None
                return body

    def _read_line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n", 0, _MAX_LINE_BYTES)
        if end < 0:
            if len(self._buffer) >= _MAX_LINE_BYTES:
                _malformed("chunk size or trailer field too long")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line


def _parse_chunk_size(line: bytes) -> int:
    match = _CHUNK_SIZE.fullmatch(line)
    if match is None:
        _malformed(f"bad chunk size {line[:80]!r}")
    return int(match[1], 16)
