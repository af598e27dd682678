"""The transport and what goes over the wire: requests as they arrive, answers as they are read."""

from __future__ import annotations

import gzip
import importlib.metadata
import io
import json
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from nexus_connector.body import Source, open_content
from nexus_connector.errors import InvalidRequestError
from nexus_connector.headers import Headers
from nexus_connector.message import Request
from nexus_connector.stream import BodyStream
from nexus_connector.testing.emulator import Answer, Behaviour, Bomb, DripBody, Infinite, Raw, VendorEmulator
from nexus_connector.testing.emulator import Stream as Endless
from nexus_connector.transport import Received, SendError, TransportOptions
from nexus_connector.transport.origin import split_base
from nexus_connector.transport.pool import PoolTransport

LIMIT = 4 * 1024 * 1024
MEGABYTE = 1024 * 1024


@pytest.fixture
def vendor() -> Iterator[VendorEmulator]:
    with VendorEmulator() as vendor:
        yield vendor


@pytest.fixture
def transport() -> Iterator[PoolTransport]:
    transport = PoolTransport(TransportOptions(max_connections=2, max_body_bytes=LIMIT))
    yield transport
    transport.close()


class Sender:
    """Sends to one vendor whose every route does what the last call of `on` says."""

    def __init__(self, transport: PoolTransport, vendor: VendorEmulator) -> None:
        self._transport = transport
        self.vendor = vendor

    def on(self, *behaviours: Behaviour | bytes) -> None:
        self.vendor.on("*", *(Raw(each) if isinstance(each, bytes) else each for each in behaviours))

    def send(
        self, method: str = "GET", *, base: str = "", seconds: float = 10.0, stream: bool = False, **request: Any
    ) -> Received:
        ready = Request(method=method, base_url=self.vendor.url + base, **request)
        return self._transport.send(ready, deadline=time.monotonic() + seconds, stream=stream)

    def stream(self, **request: Any) -> BodyStream:
        stream = self.send(stream=True, **request).stream
        assert stream is not None
        return stream

    def fail(self, **request: Any) -> SendError:
        with pytest.raises(SendError) as caught:
            self.send(**request)
        return caught.value


@pytest.fixture
def sender(transport: PoolTransport, vendor: VendorEmulator) -> Sender:
    return Sender(transport, vendor)


def read_all(stream: BodyStream) -> bytes:
    return b"".join(iter(lambda: stream.read(time.monotonic() + 10), b""))


# Requests


@pytest.mark.parametrize(
    ("base", "path", "query", "target"),
    [
        ("", "/", (), "/"),
        ("", "/orders", (("page", "2"), ("q", "a b&c")), "/orders?page=2&q=a%20b%26c"),
        ("/", "/orders", (), "/orders"),
        ("/api/v2", "/orders", (), "/api/v2/orders"),
        ("/api/v2/", "/orders", (), "/api/v2/orders"),
        ("/api/v2", "//evil.example/x", (), "/api/v2//evil.example/x"),
        ("", "//evil.example/x", (), "//evil.example/x"),
    ],
)
def test_the_target_is_base_path_and_path(
    sender: Sender, base: str, path: str, query: tuple[tuple[str, str], ...], target: str
) -> None:
    """A request goes to the host of its base URL; whatever its path looks like, it is a path there."""
    sender.on(Answer())
    sender.send(base=base, path=path, query=query)
    arrival = sender.vendor.arrivals[0]
    assert (arrival.target, arrival.headers["Host"]) == (target, sender.vendor.host)


@pytest.mark.parametrize("path", ["http://evil.example/", "@evil.example/", "orders", "", "/a b", "/a\r\nX: y"])
def test_a_path_that_is_none_is_refused(sender: Sender, path: str) -> None:
    """A path that does not begin with a slash, or cannot stand in a request line, is never sent."""
    with pytest.raises(InvalidRequestError):
        sender.send(path=path)
    assert not sender.vendor.arrivals


@pytest.mark.parametrize(
    "base_url",
    [
        "http://example.com",
        "http://192.0.2.1",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://[2001:db8::1]",
        "ftp://127.0.0.1",
        "127.0.0.1:80",
        "https://",
        "https://user:secret@example.com",
        "https://example.com?key=1",
        "https://example.com#part",
        "https://example.com:99999",
        "https://exa mple.com",
        f"https://{'x' * 64}.example",
        "",
    ],
)
def test_a_base_url_that_leads_into_the_open_is_refused(transport: PoolTransport, base_url: str) -> None:
    """Plain HTTP goes to this machine only, and a base URL is scheme, host, port and path; else nothing is sent."""
    with pytest.raises(InvalidRequestError) as caught:
        transport.send(Request(base_url=base_url), deadline=time.monotonic() + 10)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("base_url", "origin", "path"),
    [
        ("https://API.Example.com", "https://api.example.com", ""),
        ("https://api.example.com:443/v1/", "https://api.example.com", "/v1"),
        ("https://api.example.com.:8443", "https://api.example.com:8443", ""),
        ("https://bücher.example/ü", "https://xn--bcher-kva.example", "/ü"),
        ("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443", ""),
        ("http://[::1]:8080", "http://[::1]:8080", ""),
        ("http://127.8.9.10", "http://127.8.9.10", ""),
        ("http://localhost:80", "http://localhost", ""),
    ],
)
def test_base_urls_are_split_into_origin_and_path(base_url: str, origin: str, path: str) -> None:
    """Hosts compare in one form: lower case, ASCII, without the default port."""
    split, rest = split_base(base_url)
    assert (str(split), rest) == (origin, path)


def test_an_ipv6_host_is_named_in_brackets() -> None:
    """A request to an IPv6 address says so in its Host header."""
    with VendorEmulator() as vendor, pytest.MonkeyPatch.context() as patch:
        vendor.on("*", Answer())
        address = ("127.0.0.1", int(vendor.host.rpartition(":")[2]))
        patch.setattr("socket.getaddrinfo", lambda *_args, **_kwargs: [(2, 1, 6, "", address)])
        transport = PoolTransport(TransportOptions())
        transport.send(Request(base_url=f"http://[::1]:{address[1]}"), deadline=time.monotonic() + 10)
        transport.close()
        assert vendor.arrivals[0].headers["Host"] == f"[::1]:{address[1]}"


def test_default_headers(sender: Sender) -> None:
    """A request says what it accepts and who sends it, unless it has its own words for that."""
    sender.on(Answer())
    sender.send()
    sender.send(headers=Headers({"accept-encoding": "identity", "user-agent": "mine/1", "X-Id": "7"}))
    first, second = (dict(arrival.headers) for arrival in sender.vendor.arrivals)
    agent = f"nexus-connector/{importlib.metadata.version('nexus-connector')}" if _is_installed() else "nexus-connector"
    assert first == {"Host": sender.vendor.host, "Accept-Encoding": "gzip, deflate", "User-Agent": agent}
    assert second == {"Host": sender.vendor.host, "accept-encoding": "identity", "user-agent": "mine/1", "X-Id": "7"}


def _is_installed() -> bool:
    return bool(list(importlib.metadata.distributions(name="nexus-connector")))


@pytest.mark.parametrize("size", [0, 1, 100, 65_536, 65_537, 3_000_000])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET"])
def test_bodies_arrive_with_their_length(sender: Sender, method: str, size: int) -> None:
    """Bytes of any size arrive whole, with one Content-Length: a method that expects a body says 0 without one."""
    sender.on(Answer())
    sender.send(method, body=b"x" * size)
    arrival = sender.vendor.arrivals[0]
    assert arrival.body == b"x" * size
    expected = None if not size and method in {"GET", "DELETE"} else str(size)
    assert arrival.headers.get("Content-Length") == expected


def test_the_body_decides_the_framing(sender: Sender) -> None:
    """What a hook or an adapter says about length and transfer coding is not sent: it could smuggle a request."""
    sender.on(Answer())
    lies = Headers({"Content-Length": "1", "transfer-encoding": "chunked"})
    sender.send("POST", body=b"four", headers=lies)
    arrival = sender.vendor.arrivals[0]
    assert (arrival.body, arrival.headers.get("Content-Length")) == (b"four", "4")
    assert "Transfer-Encoding" not in arrival.headers


def source_of(data: bytes, length: int | None) -> Source:
    return Source(parts=[lambda: io.BytesIO(data[:10]), lambda: io.BytesIO(data[10:])], length=length)


@pytest.mark.parametrize("data", [b"", b"short", b"x" * 200_000])
def test_sources_are_sent_with_their_length_or_in_chunks(sender: Sender, data: bytes) -> None:
    """A source that knows its length says so, one that does not comes in chunks; sent twice, it is read twice."""
    sender.on(Answer())
    for length in (len(data), None, len(data)):
        sender.send("POST", source=source_of(data, length))
    arrivals = sender.vendor.arrivals
    assert [arrival.body for arrival in arrivals] == [data] * 3
    assert [arrival.headers.get("Content-Length") for arrival in arrivals] == [str(len(data)), None, str(len(data))]
    assert [arrival.headers.get("Transfer-Encoding") for arrival in arrivals] == [None, "chunked", None]
    assert sender.vendor.connections == 1


def test_a_file_is_sent_from_its_path(sender: Sender, tmp_path: Path) -> None:
    """Content given as a path is read while it is sent."""
    path = tmp_path / "data"
    path.write_bytes(b"y" * 100_000)
    sender.on(Answer())
    content = open_content(path)
    assert isinstance(content, Source)
    sender.send("PUT", source=content)
    assert sender.vendor.arrivals[0].body == b"y" * 100_000


class Broken(io.BytesIO):
    """Fails behind its data."""

    def read(self, size: int | None = -1, /) -> bytes:
        if piece := super().read(size):
            return piece
        message = "secret path"
        raise OSError(message)


@pytest.mark.parametrize(
    ("source", "wrote"),
    [
        pytest.param(source_of(b"x" * 100, 101), True, id="fewer bytes"),
        pytest.param(source_of(b"x" * 100, 99), True, id="more bytes"),
        pytest.param(Source(parts=[lambda: Broken(b"x" * 100)], length=200), True, id="breaks"),
        pytest.param(Source(parts=[lambda: Broken(b"x" * 100)]), True, id="breaks in chunks"),
        pytest.param(Source(parts=[lambda: Broken(b"")], length=200), False, id="breaks at once"),
    ],
)
def test_a_source_that_lies_fails_the_send(sender: Sender, source: Source, wrote: bool) -> None:
    """A source that gives other than it said is the source's failure, and its connection is not used again."""
    sender.on(Answer())
    failure = sender.fail(method="POST", source=source)
    assert (failure.phase, failure.wrote, failure.transient, failure.timed_out) == ("write", wrote, False, False)
    assert "source" in failure.message
    assert "secret" not in failure.message
    assert sender.send().status == 200
    assert len(sender.vendor.arrivals) == 1


def test_sources_are_closed(sender: Sender) -> None:
    """Whether the send succeeds or fails, the source's file is closed after it."""
    opened: list[BinaryIO] = []

    def open_part() -> BinaryIO:
        opened.append(io.BytesIO(b"x" * 100_000))
        return opened[-1]

    sender.on(Answer(), b"")
    sender.send("POST", source=Source(parts=[open_part]))
    sender.fail(method="POST", source=Source(parts=[open_part]))
    sender.fail(method="POST", source=Source(parts=[open_part], length=70_000))
    assert [file.closed for file in opened] == [True] * 3


# Answers


def test_status_headers_and_body_come_as_they_are(sender: Sender) -> None:
    """Any status is an answer; its fields keep order and case, repeated ones are joined, folded ones unfolded."""
    sender.on(
        b"HTTP/1.1 404 Not Found\r\nX-Id:  7 \r\nSet-Cookie: a=1\r\nX-Long: one\r\n  two\r\nset-cookie: b=2\r\n"
        b"Content-Length: 4\r\n\r\nbody"
    )
    received = sender.send()
    assert (received.status, received.body, received.stream) == (404, b"body", None)
    assert received.headers.pairs() == [
        ("X-Id", "7"),
        ("Set-Cookie", "a=1, b=2"),
        ("X-Long", "one two"),
        ("Content-Length", "4"),
    ]


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", Answer(200, body=b"never sent")),
        ("HEAD", Answer(200, body=b"never sent", gzip=True)),
        ("GET", Answer(204)),
        ("GET", Answer(304, headers={"Content-Length": "9999999999"})),
        ("GET", Answer(204, headers={"Transfer-Encoding": "chunked"})),
        ("GET", Answer(200)),
        ("GET", Answer(200, headers={"Content-Encoding": "gzip"})),
    ],
)
def test_answers_without_a_body(sender: Sender, method: str, answer: Answer) -> None:
    """What has no body by method, status or length is read as such, streamed too, and the connection is kept."""
    sender.on(answer)
    assert sender.send(method).body == b""
    stream = sender.stream(method=method)
    assert read_all(stream) == b""
    stream.close()
    sender.send(method)
    assert sender.vendor.connections == 1


@pytest.mark.parametrize("interim", [b"HTTP/1.1 100 Continue", b"HTTP/1.1 102 Wait", b"HTTP/1.1 103 Hints\r\nLink: x"])
def test_interim_answers_are_passed_over(sender: Sender, interim: bytes) -> None:
    """An answer of the 1xx kind is not the answer."""
    sender.on((interim + b"\r\n\r\n") * 3 + b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok")
    received = sender.send()
    assert (received.status, received.body, received.headers.pairs()) == (201, b"ok", [("Content-Length", "2")])


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody", b"body"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nbody", b"body"),
        (b"HTTP/1.1 200\r\nContent-Length: 4\r\n\r\nbody", b"body"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: multipart/mixed; boundary=x\r\nContent-Length: 4\r\n\r\nbody", b"body"),
        (CHUNKED + b"4\r\nbody\r\n0\r\n\r\n", b"body"),
        (CHUNKED + b"2;x=y\r\nbo\r\n02\r\ndy\r\n0\r\nTrailer: 1\r\n\r\n", b"body"),
        (CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\n") + b"4\r\nbody\r\n0\r\n\r\n", b"body"),
    ],
)
def test_the_ways_a_body_ends(sender: Sender, data: bytes, body: bytes, is_stream: bool) -> None:
    """A body ends by its length, its last chunk or the end of the connection, streamed or whole."""
    sender.on(data)
    received = sender.send(stream=is_stream)
    if received.stream is None:
        assert received.body == body
    else:
        assert read_all(received.stream) == body
        received.stream.close()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x00\x01\x02 no HTTP\r\n\r\n", id="no status line"),
        pytest.param(b"HTTP/1.1 abc OK\r\n\r\n", id="no status"),
        pytest.param(b"HTTP/1.1 42 OK\r\n\r\n", id="no such status"),
        pytest.param(b"HTTP/2 200 OK\r\n\r\n", id="no such version"),
        pytest.param(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 " + b"2" * 70_000, id="endless status line"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", id="endless header"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", id="too many headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 2\r\n\r\nok", id="no header"),
        pytest.param(b"HTTP/1.1 200 OK\r\nName : x\r\nContent-Length: 2\r\n\r\nok", id="space in a name"),
        pytest.param(b"HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 2\r\n\r\nok", id="no name"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: b\r\rContent-Length: 2\r\n\r\nok", id="bare CR"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok", id="no length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", id="negative length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", id="signed length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 0_2\r\n\r\nok", id="Python's length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nok", id="huge length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!", id="two lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\nok", id="unknown transfer coding"),
        pytest.param(CHUNKED + b"zz\r\nok\r\n0\r\n\r\n", id="no chunk size"),
        pytest.param(CHUNKED + b"-1\r\nok\r\n0\r\n\r\n", id="negative chunk size"),
        pytest.param(CHUNKED + b"-5\r\nok\r\n0\r\n\r\n", id="very negative chunk size"),
        pytest.param(CHUNKED + b"\r\n\r\nok\r\n0\r\n\r\n", id="empty chunk size"),
        pytest.param(CHUNKED + b"1" * 70_000, id="endless chunk size"),
    ],
)
def test_an_answer_that_is_not_http_is_none(sender: Sender, data: bytes) -> None:
    """What is malformed is never half understood: no answer, the request written, the connection not used again."""
    sender.on(data, data, Answer())
    failures = [sender.fail()]
    with pytest.raises(SendError) as caught:
        sender.stream().read(time.monotonic() + 10)
    failures.append(caught.value)
    for failure in failures:
        assert (failure.phase, failure.wrote, failure.timed_out) == ("read", True, False)
    assert sender.send().status == 200
    assert sender.vendor.connections == 3


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("coding", ["gzip", "identity"])
def test_a_body_shorter_than_its_length_is_none(sender: Sender, coding: str, is_stream: bool) -> None:
    """A body that ends before its length does is no answer, even if its coding would be satisfied."""
    body = gzip.compress(b"x" * 1000)
    sender.on(b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: 999\r\n\r\n%b" % (coding.encode(), body))
    with pytest.raises(SendError) as caught:
        read_all(sender.stream()) if is_stream else sender.send()
    assert (caught.value.phase, caught.value.wrote, caught.value.transient) == ("read", True, True)


# Content codings


def bare_deflate(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-zlib.MAX_WBITS)


CODINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("x-gzip", gzip.compress),
    ("GZIP", gzip.compress),
    ("gzip", lambda data: gzip.compress(data[:10]) + gzip.compress(data[10:])),
    ("gzip", lambda data: gzip.compress(data) + bytes(1000)),
    ("deflate", zlib.compress),
    ("deflate", bare_deflate),
    ("gzip, deflate", lambda data: zlib.compress(gzip.compress(data))),
    ("unknown", lambda data: data),
    ("identity", lambda data: data),
]


@pytest.mark.parametrize("data", [b"", b"small", json.dumps(list(range(100_000))).encode()])
@pytest.mark.parametrize("number", range(len(CODINGS)))
def test_bodies_are_taken_out_of_their_coding(sender: Sender, number: int, data: bytes) -> None:
    """gzip, both forms of deflate and chains of them are undone, whole and streamed; what nobody knows stays."""
    coding, encode = CODINGS[number]
    sender.on(Answer(body=encode(data), headers={"Content-Encoding": coding}))
    assert sender.send().body == data
    stream = sender.stream()
    assert read_all(stream) == data
    stream.close()
    assert sender.vendor.connections == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("coding", "body"),
    [
        pytest.param("gzip", b"no gzip", id="no gzip"),
        pytest.param("deflate", b"\xff" * 50, id="no deflate"),
        pytest.param("deflate", b"x", id="one byte of deflate"),
        pytest.param("gzip", gzip.compress(b"x" * 1000)[:-12], id="breaks off"),
        pytest.param("gzip", gzip.compress(b"x" * 1000)[:-1], id="breaks off in the checksum"),
        pytest.param("gzip", gzip.compress(b"x" * 1000)[:-8] + b"12345678", id="wrong checksum"),
        pytest.param("deflate", zlib.compress(b"x" * 1000)[:-5], id="deflate breaks off"),
        pytest.param("deflate, gzip", gzip.compress(b"no deflate at all"), id="chain"),
    ],
)
def test_a_body_that_is_not_what_its_coding_says(sender: Sender, coding: str, body: bytes, stream: bool) -> None:
    """A body that cannot be taken out of its coding is no answer, and asking again would not help."""
    sender.on(Answer(body=body, headers={"Content-Encoding": coding}))
    with pytest.raises(SendError) as caught:
        read_all(sender.stream()) if stream else sender.send()
    assert (caught.value.phase, caught.value.wrote, caught.value.transient) == ("read", True, False)


# Size


def is_too_large(failure: SendError) -> bool:
    return (
        (failure.phase, failure.wrote, failure.transient) == ("read", True, False)
        and "max_body_bytes" in failure.message
        and str(LIMIT) in failure.message
    )


NOTHING = gzip.compress(b"") * (LIMIT // 10)
NOTHING_IN_CHUNKS = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
    % (
        len(NOTHING),
        NOTHING,
    )
)


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(Answer(body=b"x" * (LIMIT + 1)), id="length"),
        pytest.param(Answer(headers={"Content-Length": str(10**12)}), id="announced length"),
        pytest.param(Infinite(), id="chunks"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (LIMIT + 1), id="until the end"),
        pytest.param(Answer(body=bytes(LIMIT + 1), gzip=True), id="gzip"),
        pytest.param(Bomb(1024), id="bomb"),
        pytest.param(NOTHING_IN_CHUNKS, id="compressed bytes of nothing"),
        pytest.param(
            Answer(body=gzip.compress(gzip.compress(bytes(LIMIT + 1))), headers={"Content-Encoding": "gzip, gzip"}),
            id="gzip in gzip",
        ),
    ],
)
def test_a_body_over_the_limit_is_refused(sender: Sender, behaviour: Behaviour | bytes) -> None:
    """No more than the limit is read, by announced length, on the wire or out of its coding."""
    sender.on(behaviour, Answer())
    assert is_too_large(sender.fail())
    assert sender.send().status == 200


@pytest.mark.parametrize("encode", [bytes, gzip.compress])
def test_a_body_of_exactly_the_limit_is_read(sender: Sender, encode: Callable[[bytes], bytes]) -> None:
    """The limit itself is allowed."""
    coding = {} if encode is bytes else {"Content-Encoding": "gzip"}
    sender.on(Answer(body=encode(bytes(LIMIT)), headers=coding))
    assert len(sender.send().body) == LIMIT


@pytest.mark.parametrize("behaviour", [Bomb(1024), Infinite(), Answer(headers={"Content-Length": str(LIMIT + 1)})])
def test_memory_is_bounded_by_the_limit(sender: Sender, behaviour: Behaviour) -> None:
    """A gigabyte folded into a megabyte never takes more memory than the limit and a few pieces."""
    sender.on(Answer(), behaviour)
    sender.send()
    tracemalloc.start()
    try:
        assert is_too_large(sender.fail())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < LIMIT + 3 * MEGABYTE


# Streams


def test_a_stream_is_read_in_pieces_and_gives_its_connection_back(sender: Sender) -> None:
    """Pieces are at most 64 KiB; a stream read to its end, and only that, gives its connection back."""
    data = bytes(range(256)) * 4096
    sender.on(Answer(body=data))
    stream = sender.stream()
    pieces = list(iter(lambda: stream.read(time.monotonic() + 10), b""))
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= 65_536
    assert stream.read(time.monotonic() + 10) == b""
    stream.close()
    stream.close()
    assert stream.read(time.monotonic() + 10) == b""
    sender.send()
    assert sender.vendor.connections == 1
    half = sender.stream()
    half.read(time.monotonic() + 10)
    half.close()
    assert half.read(time.monotonic() + 10) == b""
    sender.send()
    assert sender.vendor.connections == 2


def test_a_stream_hands_over_what_is_there(sender: Sender) -> None:
    """A piece does not wait until it is full: an event stream is read as it comes."""
    sender.on(CHUNKED + b"5\r\nfirst\r\n")
    stream = sender.stream()
    assert stream.read(time.monotonic() + 10) == b"first"
    with pytest.raises(SendError):
        stream.read(time.monotonic() + 10)
    stream.close()


def test_a_stream_may_be_larger_than_the_limit(sender: Sender) -> None:
    """The limit is for bodies in memory: a stream passes it, holding one piece at a time."""
    sender.on(Answer(), Endless(64), Bomb(64))
    sender.send()
    for _ in range(2):
        stream = sender.stream()
        tracemalloc.start()
        try:
            total = sum(map(len, iter(lambda: stream.read(time.monotonic() + 10), b"")))  # noqa: B023
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        stream.close()
        assert total == 64 * MEGABYTE
        assert peak < 3 * MEGABYTE


def test_a_read_of_a_stream_has_its_own_deadline(sender: Sender) -> None:
    """The deadline of the send ends with the headers; each read brings its own."""
    sender.on(DripBody(5), Answer())
    begun = time.monotonic()
    stream = sender.stream(seconds=0.3)
    for _ in range(4):
        assert stream.read(time.monotonic() + 10) == b"x"
    assert time.monotonic() - begun > 0.3
    with pytest.raises(SendError) as caught:
        stream.read(time.monotonic() + 0.01)
    assert (caught.value.phase, caught.value.wrote, caught.value.timed_out) == ("read", True, True)
    stream.close()
    assert sender.send().status == 200
