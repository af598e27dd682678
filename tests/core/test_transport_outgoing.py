"""What leaves: our bytes of a request against urllib3's, and nothing that could split one."""

from __future__ import annotations

import io
from functools import partial
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from urllib3.connection import HTTPConnection

from nexus_connector.body import Source
from nexus_connector.errors import InvalidRequestError
from nexus_connector.headers import Headers
from nexus_connector.message import Request
from nexus_connector.sendable import check_wire
from nexus_connector.transport.checkout import Checkout
from nexus_connector.transport.origin import split_base
from nexus_connector.transport.outgoing import Prelude, write

TOKEN = "!#$%&'*+.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-"
AUTHORITY = "vendor.example:8443"
OWN = ("host", "accept-encoding", "user-agent", "content-length", "transfer-encoding")

names = st.text(TOKEN, min_size=1, max_size=8) | st.sampled_from(["Host", "User-Agent", "accept-encoding", "X-Id"])
values = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=12)
targets = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20).map(lambda text: "/" + text)
bodies = st.binary(max_size=40)
methods = st.sampled_from(["GET", "HEAD", "DELETE", "OPTIONS", "POST", "PUT", "PATCH", "REPORT"])


class Memory:
    """A socket for either side: keeps what is sent."""

    def __init__(self) -> None:
        self.sent = b""
        self.pieces = 0
        self.wrote = False

    def sendall(self, data: bytes) -> None:
        self.sent += data
        self.pieces += 1
        self.wrote = True

    def settimeout(self, seconds: float | None) -> None: ...

    def close(self) -> None: ...


class InMemory:
    """A checkout whose connection is a `Memory`."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.wrote = False

    def begin(self, deadline: float) -> Memory:
        return self.memory


def ours(request: Request, target: str) -> Memory:
    checkout = InMemory()
    write(cast("Checkout", checkout), request, target, deadline=0.0, prelude=Prelude.to(AUTHORITY, "agent/1"))
    return checkout.memory


def theirs(request: Request, target: str) -> bytes:
    """What urllib3 sends, given the fields that it would take from its pool's defaults."""
    connection = HTTPConnection("vendor.example", 8443)
    memory = Memory()
    connection.sock = cast("Any", memory)
    given_ = {name.lower() for name in request.headers}
    fields = {} if "accept-encoding" in given_ else {"Accept-Encoding": "gzip, deflate"}
    fields |= {} if "user-agent" in given_ else {"User-Agent": "agent/1"}
    connection.request(request.method, target, request.body or None, {**fields, **dict(request.headers.pairs())})
    return memory.sent


def lines(message: bytes) -> tuple[bytes, set[bytes], bytes]:
    """Request line, header lines with names in lower case (their order means nothing), body."""
    head, _, body = message.partition(b"\r\n\r\n")
    first, *fields = head.split(b"\r\n")
    pairs = [field.partition(b":") for field in fields]
    return first, {name.lower() + b":" + value for name, _, value in pairs}, body


@given(methods, targets, st.dictionaries(names, values, max_size=4), bodies)
@example("POST", "/", {}, b"")
@example("GET", "/?a=b", {"hOsT": "other.example", "User-Agent": "mine", "Accept-Encoding": "br"}, b"x")
def test_requests_are_urllib3s(method: str, target: str, fields: dict[str, str], body: bytes) -> None:
    """The same request line, header fields and body leave as urllib3 would send; a small request in one piece."""
    headers = Headers({name: value for name, value in fields.items() if name.lower() not in OWN[3:]})
    request = Request(method=method, path=target, headers=headers, body=body)
    check_wire(request)
    memory = ours(request, target)
    assert lines(memory.sent) == lines(theirs(request, target))
    assert memory.pieces == 1


@given(st.text(max_size=12), st.text(min_size=1, max_size=8), st.text(max_size=12))
@example("/a\r\nX: 1", "X-Id", "1")
@example("/a b", "X-Id", "1")
@example("/\x7f", "X-Id", "1")
@example("/a", "X-Id", "1\n2")
@example("/a", "X-Id", "1\r2")
@example("/a", "X\r\nY", "1")
@example("/a", "X-Id", "\0")
@example("/a", "X-Id", "€")
def test_no_request_is_two(target: str, name: str, value: str) -> None:
    """Whatever came past the checks of the core: one request line of three words, one line a field, or nothing."""
    request = Request(path=target, headers=Headers({name: value}))
    try:
        sent = ours(request, target).sent
    except ValueError:
        return
    first, *fields = sent.removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert first.split(b" ") == [b"GET", target.encode("ascii"), b"HTTP/1.1"]
    assert len(fields) == (3 if name.lower() in OWN[:3] else 3 if name.lower() in OWN[3:] else 4)
    assert not set(sent.replace(b"\r\n", b"")) & {*b"\r\n\0"}


def test_a_length_of_the_callers_own_does_not_count() -> None:
    """The body says how it is delimited, no header field that somebody set."""
    fields = Headers({"Content-Length": "7", "Transfer-Encoding": "chunked"})
    sent = ours(Request(method="POST", headers=fields, body=b"four"), "/").sent
    assert sent.endswith(b"\r\nContent-Length: 4\r\n\r\nfour")
    assert b"chunked" not in sent


@pytest.mark.parametrize(
    ("parts", "length", "framing", "body"),
    [
        ([b"abc", b"", b"def"], None, b"Transfer-Encoding: chunked", b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"),
        ([b"abc", b"", b"def"], 6, b"Content-Length: 6", b"abcdef"),
        ([], None, b"Transfer-Encoding: chunked", b"0\r\n\r\n"),
        ([], 0, b"Content-Length: 0", b""),
    ],
)
def test_sources_are_chunked_or_counted(parts: list[bytes], length: int | None, framing: bytes, body: bytes) -> None:
    """A source of known length is counted, another one comes in chunks, of which only the last one is empty."""
    source = Source(parts=[partial(io.BytesIO, part) for part in parts], length=length)
    sent = ours(Request(method="POST", source=source), "/").sent
    head, _, rest = sent.partition(b"\r\n\r\n")
    assert framing in head
    assert rest == body


def test_a_large_body_is_not_copied() -> None:
    """A body beyond 64 KiB leaves by itself, behind its head."""
    memory = ours(Request(method="PUT", body=b"x" * 65_537), "/")
    assert memory.pieces == 2


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://vendor.example/v1", "vendor.example"),
        ("https://vendor.example:444", "vendor.example:444"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("https://[::1]", "[::1]"),
    ],
)
def test_the_host_field(url: str, authority: str) -> None:
    """The port of the scheme is left out, an IPv6 address has its brackets (RFC 9110 section 7.2)."""
    assert split_base(url)[0].authority == authority


def test_a_refused_path_is_not_repeated() -> None:
    """A path that would end the request line is an error before anything is sent, without its text."""
    with pytest.raises(InvalidRequestError) as caught:
        check_wire(Request(path="/a\nsecret"))
    assert "secret" not in str(caught.value)
