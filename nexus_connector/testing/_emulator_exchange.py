"""One exchange with an emulated vendor: the request as it arrived, and an ordinary answer to it."""

from __future__ import annotations

import json as jsonlib
import re
from collections.abc import Mapping
from functools import cached_property
from gzip import compress
from http import HTTPStatus
from types import MappingProxyType

import attrs
from attrs.validators import ge, in_

from ..headers import Headers

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_BODILESS = (204, 304)
_FORBIDDEN = re.compile(r"[\0\r\n]")


@attrs.frozen(kw_only=True)
class Arrival:
    """One whole request as it arrived.

    Attributes:
        at: When it was complete, in seconds of ``time.monotonic()``.
        number: Its place among all requests, from 1.
        connection: Number of the TCP connection it came on, from 1.
        method: As sent, usually upper case.
        path: Still percent-encoded, without the query.
        query: What follows the first ``?``; may be empty.
        target: Path and query (or absolute URL) exactly as sent.
        headers: By name in any case; repeated fields are joined with ``", "``.
        raw_headers: Pairs of name and value exactly as sent, in order.
        body: After removal of chunked framing.

    >>> arrival = Arrival(at=0.0, number=1, connection=1, method="POST", path="/a", query="", target="/a",
    ...     headers={"Idempotency-Key": "k1"}, raw_headers=(("Idempotency-Key", "k1"),), body=b'{"n": 1}')
    >>> arrival.json(), arrival.key
    ({'n': 1}, 'k1')
    """

    at: float
    number: int
    connection: int
    method: str
    path: str
    query: str
    target: str
    headers: Mapping[str, str]
    raw_headers: tuple[tuple[str, str], ...]
    body: bytes

    def json(self) -> object:
        """Return the body parsed as JSON.

        Raises:
            ValueError: If it is not JSON.
        """
        parsed: object = jsonlib.loads(self.body)
        return parsed

    @property
    def key(self) -> str | None:
        """The Idempotency-Key header, if there is one."""
        return self.headers.get("Idempotency-Key")


def render_head(status: int, fields: Mapping[str, str]) -> bytes:
    r"""Return status line and header fields, each with its line end, without the empty line that closes them.

    >>> render_head(204, {"X-Id": "1"})
    b'HTTP/1.1 204 No Content\r\nX-Id: 1\r\n'
    """
    lines = [f"HTTP/1.1 {status} {_PHRASES.get(status, '')}", *(f"{name}: {value}" for name, value in fields.items())]
    return "".join(line + "\r\n" for line in lines).encode("latin-1")


def _frozen_fields(fields: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in fields.items():
        if _FORBIDDEN.search(name + value):
            message = f"header {name!r} would break the framing; malformed answers are written with Raw(...)"
            raise ValueError(message)
    return MappingProxyType(dict(fields))


@attrs.frozen
class Answer:
    """An ordinary answer.

    Args:
        status: 200 to 999.
        json: Value sent as JSON, with its content type. Left out: `body` is sent; ``None`` is JSON ``null``.
        body: Bytes sent as they are.
        headers: Further fields; they win over what the emulator would say itself, Content-Length included.
        delay_seconds: How long the answer is held back after the request is complete.
        gzip: Compress the body and say so in Content-Encoding, whatever the request accepts.

    >>> Answer(429, headers={"Retry-After": "1"}).status
    429
    >>> Answer(json={"id": 1}).wire("GET").splitlines()[-1]
    b'{"id": 1}'
    """

    status: int = attrs.field(default=200, validator=in_(range(200, 1000)))
    json: object = attrs.field(default=..., kw_only=True)
    body: bytes = attrs.field(default=b"", kw_only=True)
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], converter=_frozen_fields, kw_only=True)
    delay_seconds: float = attrs.field(default=0.0, validator=ge(0), kw_only=True)
    gzip: bool = attrs.field(default=False, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.json is not ... and self.body:
            message = "give either json or body, not both"
            raise ValueError(message)
        self.wire("GET")  # now: what cannot be encoded is the error of this test, not of the server's thread

    @cached_property
    def closes(self) -> bool:
        """Whether `headers` say that the connection ends after this answer."""
        return (Headers(self.headers).get("connection") or "").lower() == "close"

    def wire(self, method: str, *, close: bool = False) -> bytes:
        """Return the whole answer as bytes.

        Args:
            method: Of the request; the answer to ``HEAD`` has no body.
            close: Say ``Connection: close``. Default: keep-alive.
        """
        if not close and method != "HEAD":
            return self._wire
        closing = b"Connection: close\r\n" if close and not self.closes else b""
        return self._head + closing + b"\r\n" + (b"" if method == "HEAD" else self._payload)

    @cached_property
    def _wire(self) -> bytes:
        return self._head + b"\r\n" + self._payload

    @cached_property
    def _payload(self) -> bytes:
        if self.status in _BODILESS:
            return b""
        plain = self.body if self.json is ... else jsonlib.dumps(self.json).encode()
        return compress(plain, mtime=0) if self.gzip else plain

    @cached_property
    def _head(self) -> bytes:
        fields = {"Content-Type": "application/json"} if self.json is not ... else {}
        if self.gzip:
            fields["Content-Encoding"] = "gzip"
        if self.status not in _BODILESS and "transfer-encoding" not in Headers(self.headers):
            fields["Content-Length"] = str(len(self._payload))
        return render_head(self.status, Headers(fields).with_fields(self.headers))
