"""The emulated vendor: what it promises to every other test, over real sockets."""

from __future__ import annotations

import gzip
import io
import os
import resource
import socket
import ssl
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPConnection, HTTPMessage, HTTPResponse

import pytest
import trustme
import urllib3

from nexus_connector.testing._emulator_http import RequestReader
from nexus_connector.testing._emulator_script import script_of
from nexus_connector.testing.emulator import (
    Answer,
    Behaviour,
    Bomb,
    Compute,
    DripBody,
    DripHeaders,
    Hang,
    Infinite,
    Keyed,
    Raw,
    Reset,
    Stream,
    VendorEmulator,
    main,
)

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CLOSING_GET = GET.replace(b"x\r\n", b"x\r\nConnection: Close\r\n")
OK = Answer(200, json={"ok": True})

Dial = Callable[[VendorEmulator], socket.socket]
Contexts = tuple[ssl.SSLContext, ssl.SSLContext]
"""Of the server, and of a client that trusts it."""


@pytest.fixture
def vendor() -> Iterator[VendorEmulator]:
    """Run an emulator without routes."""
    with VendorEmulator() as emulator:
        yield emulator


@pytest.fixture
def dial() -> Iterator[Dial]:
    """Connect raw sockets, closed at the end of the test."""
    opened: list[socket.socket] = []

    def connect(emulator: VendorEmulator) -> socket.socket:
        host, _, port = emulator.host.partition(":")
        opened.append(socket.create_connection((host, int(port)), timeout=10))
        return opened[-1]

    yield connect
    for sock in opened:
        sock.close()


def ask(
    vendor: VendorEmulator, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, HTTPMessage, bytes]:
    """Send one request on a connection of its own; return status, headers and body."""
    method, _, path = target.partition(" ")
    client = HTTPConnection(vendor.host, timeout=10)
    try:
        client.request(method, path, body=body, headers=headers or {})
        response = client.getresponse()
        return response.status, response.headers, response.read()
    finally:
        client.close()


def read_to_end(sock: socket.socket) -> tuple[bytes, str]:
    """Read all that comes; return it, and whether the end was a "close" or a "reset"."""
    received = bytearray()
    try:
        while data := sock.recv(65_536):
            received += data
    except (ConnectionResetError, ssl.SSLEOFError):  # ssl reports some resets as a broken end of file
        return bytes(received), "reset"
    return bytes(received), "close"


def read_answer(sock: socket.socket, method: str = "GET") -> tuple[int, bytes]:
    """Read one answer and leave the connection open."""
    with HTTPResponse(sock, method=method) as response:
        response.begin()
        return response.status, response.read()


class TestRoutes:
    """Which behaviour answers which request."""

    def test_answers_are_used_up_in_order_and_the_last_repeats(self, vendor: VendorEmulator) -> None:
        """A route answers with its behaviours one after the other, then with the last one for ever."""
        vendor.on("POST /send", Answer(503), Answer(429, headers={"Retry-After": "1"}), Answer(202))
        answers = [ask(vendor, "POST /send") for _ in range(4)]
        assert [status for status, _, _ in answers] == [503, 429, 202, 202]
        assert answers[1][1]["Retry-After"] == "1"

    def test_on_again_replaces(self, vendor: VendorEmulator) -> None:
        """The same target set again forgets what it answered before."""
        vendor.on("/a", Answer(500), Answer(500))
        ask(vendor, "GET /a")
        vendor.on("/a", OK)
        assert ask(vendor, "GET /a")[0] == 200

    @pytest.mark.parametrize(
        ("target", "winner"),
        [
            ("GET /orders/1?x=/orders/2", "GET /orders/1"),
            ("PUT /orders/1", "/orders/1"),
            ("GET /orders/2", "GET /orders/*"),
            ("PUT /orders/2", "/orders/*"),
            ("PUT /orders/2/items", "/orders/*/items"),
            ("PUT /other", "*"),
        ],
    )
    def test_the_closest_target_wins(self, vendor: VendorEmulator, target: str, winner: str) -> None:
        """An exact path beats a pattern, then a method beats none, then the longer pattern; no query counts."""
        for route in ("*", "/orders/*", "GET /orders/*", "/orders/*/items", "/orders/1", "GET /orders/1"):
            vendor.on(route, Answer(json=route))
        assert ask(vendor, target)[2].decode() == f'"{winner}"'

    def test_unknown_route(self, vendor: VendorEmulator) -> None:
        """What has no route is answered with 404 and says what was asked, and still counts as an arrival."""
        vendor.on("POST /a", OK)
        status, _, body = ask(vendor, "GET /a")
        assert (status, body) == (404, b'{"error": "no route", "vendor": "vendor", "method": "GET", "path": "/a"}')
        assert len(vendor.arrivals) == 1

    @pytest.mark.parametrize("target", ["orders", "get /orders", "GET", "POST  /a"])
    def test_bad_target(self, vendor: VendorEmulator, target: str) -> None:
        """A target that could never match is refused when it is set."""
        with pytest.raises(ValueError, match="neither 'METHOD /path' nor '/path'"):
            vendor.on(target, OK)

    def test_route_without_behaviour(self, vendor: VendorEmulator) -> None:
        """A route answers something."""
        with pytest.raises(ValueError, match="at least one behaviour"):
            vendor.on("/a")


class TestArrivals:
    """What is remembered of each request."""

    def test_everything_sent_can_be_read(self, vendor: VendorEmulator, dial: Dial) -> None:
        """An arrival carries the request as sent: names in any case, repeated fields joined, and raw."""
        sock = dial(vendor)
        sock.sendall(
            b"POST /a%20b?c=1&d HTTP/1.1\r\nHost: x\r\nX-Tag: one\r\nx-tag:  two \r\nIdempotency-Key: k1\r\n"
            b'Content-Length: 8\r\n\r\n{"n": 1}'
        )
        read_answer(sock)
        sock.sendall(GET)
        read_answer(sock)
        first, second = vendor.arrivals
        assert (first.method, first.target, first.path, first.query) == ("POST", "/a%20b?c=1&d", "/a%20b", "c=1&d")
        assert first.headers["x-TAG"] == "one, two"
        assert first.raw_headers[1:3] == (("X-Tag", "one"), ("x-tag", "two"))
        assert (first.body, first.json(), first.key) == (b'{"n": 1}', {"n": 1}, "k1")
        assert (first.number, second.number, first.connection, second.connection) == (1, 2, 1, 1)
        assert first.at <= second.at
        assert second.key is None

    def test_filtered_by_target(self, vendor: VendorEmulator) -> None:
        """`arrivals_of` understands the targets of `on`."""
        for target in ("GET /a", "POST /a", "GET /b/1"):
            ask(vendor, target)
        assert [len(vendor.arrivals_of(target)) for target in ("/a", "POST /a", "/b/*", "/c", "")] == [2, 1, 1, 0, 3]

    def test_wait_for_arrivals(self, vendor: VendorEmulator) -> None:
        """`wait_for` wakes as soon as enough requests for the target have arrived, even those never answered."""
        vendor.on("/hang", Hang())

        def client() -> None:
            ask(vendor, "GET /other")
            with pytest.raises(ConnectionResetError):
                ask(vendor, "GET /hang")

        thread = threading.Thread(target=client)
        thread.start()
        assert [arrival.path for arrival in vendor.wait_for(1, "GET /hang")] == ["/hang"]
        vendor.close()
        thread.join()

    def test_wait_for_too_much(self, vendor: VendorEmulator) -> None:
        """A wait in vain says what was missing and what came instead."""
        ask(vendor, "GET /other?x=1")
        with pytest.raises(
            TimeoutError, match=r"vendor: 0 of 2 requests for /a arrived within 0 s; .*: GET /other\?x=1"
        ):
            vendor.wait_for(2, "/a", timeout_seconds=0)

    def test_without_record(self) -> None:
        """``record=False`` keeps nothing, so nothing can be waited for."""
        with VendorEmulator(record=False) as vendor:
            ask(vendor, "GET /")
            assert vendor.arrivals == []
            with pytest.raises(RuntimeError, match="record=False"):
                vendor.wait_for(1)

    def test_clear(self, vendor: VendorEmulator) -> None:
        """`clear` forgets routes, arrivals and effects; numbers start again."""
        vendor.on("/a", Keyed(OK))
        ask(vendor, "GET /a")
        vendor.clear()
        assert (vendor.arrivals, vendor.effects) == ([], {})
        assert ask(vendor, "GET /a")[0] == 404
        assert vendor.arrivals[0].number == 1


class TestHttp:
    """HTTP/1.1 as a server speaks it."""

    @pytest.fixture
    def many_files(self) -> Iterator[None]:
        """Allow two sockets for each of a thousand connections, more than many systems do by default."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
        yield
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def test_keep_alive(self, vendor: VendorEmulator) -> None:
        """Requests of a pooling client share one connection."""
        vendor.on("/", OK)
        with urllib3.HTTPConnectionPool("127.0.0.1", int(vendor.url.rpartition(":")[2]), maxsize=1) as pool:
            assert [pool.request("GET", "/").json() for _ in range(3)] == [{"ok": True}] * 3
        assert (vendor.connections, {arrival.connection for arrival in vendor.arrivals}) == (1, {1})

    @pytest.mark.parametrize("request_bytes", [CLOSING_GET, b"GET / HTTP/1.0\r\n\r\n"])
    @pytest.mark.parametrize("behaviour", [OK, DripHeaders(1e6), DripBody(1e6, body=b"abc")])
    def test_client_ends_keep_alive(
        self, vendor: VendorEmulator, dial: Dial, request_bytes: bytes, behaviour: Behaviour
    ) -> None:
        """A client that asks for the end, or speaks HTTP/1.0, gets its answer and then the end."""
        vendor.on("/", behaviour)
        sock = dial(vendor)
        sock.sendall(request_bytes)
        received, end = read_to_end(sock)
        assert received.count(b"Connection: close\r\n") == 1
        assert end == "close"

    def test_answer_ends_keep_alive(self, vendor: VendorEmulator, dial: Dial) -> None:
        """``Connection: close`` among the headers of an answer is kept to."""
        vendor.on("/", Answer(200, headers={"Connection": "close"}))
        sock = dial(vendor)
        sock.sendall(GET)
        assert read_to_end(sock) == (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "close")

    def test_chunked_request(self, vendor: VendorEmulator, dial: Dial) -> None:
        """A chunked body arrives as one, without framing, extensions and trailers; the connection goes on."""
        request = (
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5;a=b\r\nhello\r\nB\r\n, \r\n world!\r\n0\r\nX-Sum: 1\r\n\r\n"
        )
        sock = dial(vendor)
        sock.sendall(request)
        read_answer(sock)
        sock.sendall(request)
        read_answer(sock)
        assert [arrival.body for arrival in vendor.arrivals] == [b"hello, \r\n world!"] * 2

    @pytest.mark.parametrize(
        "rest", [b"Content-Length: 2\r\n\r\nhi", b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n"]
    )
    def test_request_in_single_bytes(self, rest: bytes) -> None:
        """How a request is cut on its way makes no difference; it is whole with its last byte, not before."""
        reader = RequestReader()
        whole: list[bytes] = []
        for byte in (b"POST / HTTP/1.1\r\nHost: x\r\n" + rest) * 2:
            assert len(whole) < 2
            reader.feed(bytes([byte]))
            request = reader.next()
            whole += [request[1]] if request else []
        assert (whole, reader.idle) == ([b"hi", b"hi"], True)

    def test_pipelined_requests(self, vendor: VendorEmulator, dial: Dial) -> None:
        """Requests sent without waiting are answered one at a time, in order, even if the first answer is late."""
        vendor.on("/", Answer(200, body=b"1", delay_seconds=0.01), DripBody(1e6, body=b"2"), Answer(200, body=b"3"))
        sock = dial(vendor)
        sock.sendall(GET * 2 + CLOSING_GET)
        received, _ = read_to_end(sock)
        assert [part.rpartition(b"\r\n")[2] for part in received.split(b"HTTP/1.1 200 OK")] == [b"", b"1", b"2", b"3"]

    def test_expect_continue(self, vendor: VendorEmulator, dial: Dial) -> None:
        """A client that waits for permission to send its body is told once to go on; one that has sent it is not."""
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        sock = dial(vendor)
        sock.sendall(head)
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"h")
        sock.sendall(b"i")
        assert read_answer(sock)[0] == 404
        sock.sendall(head + b"hi")
        assert read_answer(sock)[0] == 404
        assert [arrival.body for arrival in vendor.arrivals] == [b"hi", b"hi"]

    def test_absolute_target(self, vendor: VendorEmulator, dial: Dial) -> None:
        """A target written as an absolute URL is routed by its path."""
        vendor.on("/a", OK)
        sock = dial(vendor)
        sock.sendall(b"GET http://x/a?b HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_answer(sock)[0] == 200
        assert (vendor.arrivals[0].target, vendor.arrivals[0].query) == ("http://x/a?b", "b")

    @pytest.mark.parametrize(
        ("request_bytes", "status"),
        [
            (b"GET /\r\n\r\n", 400),
            (b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
            (b"GET / HTTP/1.1\nHost: x\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nHost: x\r\nX-Id: a\nb\r\n\r\n", 400),
            (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
            (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
            (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
            (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
            (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400),
            (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 8192, 400),
            (b"GET / HTTP/1.1\r\nHost: " + b"x" * 65_536, 431),
        ],
    )
    def test_malformed_request(self, vendor: VendorEmulator, dial: Dial, request_bytes: bytes, status: int) -> None:
        """What is not HTTP/1.1 to the letter is refused, ends the connection and is no arrival."""
        sock = dial(vendor)
        sock.sendall(request_bytes)
        received, _ = read_to_end(sock)
        assert received.startswith(b"HTTP/1.1 %d " % status)
        assert b'"error": "malformed request"' in received
        assert vendor.arrivals == []

    def test_client_leaves_in_the_middle(self, vendor: VendorEmulator, dial: Dial) -> None:
        """Half a request is no arrival."""
        sock = dial(vendor)
        sock.sendall(GET[:-1])
        sock.shutdown(socket.SHUT_WR)
        assert read_to_end(sock) == (b"", "close")
        assert vendor.arrivals == []

    def test_a_thousand_connections(self, many_files: None, dial: Dial) -> None:
        """A thousand clients may hold connections open and be served over them again and again."""
        with VendorEmulator() as vendor:
            vendor.on("/", OK)
            clients = [dial(vendor) for _ in range(1000)]
            for _ in range(2):
                for client in clients:
                    client.sendall(GET)
                assert {read_answer(client) for client in clients} == {(200, b'{"ok": true}')}
            assert (vendor.connections, len(vendor.arrivals)) == (1000, 2000)


class TestAnswers:
    """Vendors that behave."""

    def test_json(self, vendor: VendorEmulator) -> None:
        """A JSON answer is labelled as such; ``None`` is a value like any other; the test's own headers win."""
        vendor.on("/", Answer(json=None), Answer(299, json=[1], headers={"content-type": "application/problem+json"}))
        status, headers, body = ask(vendor, "GET /")
        assert (status, headers["Content-Type"], body) == (200, "application/json", b"null")
        status, headers, body = ask(vendor, "GET /")
        assert (status, headers["Content-Type"], body) == (299, "application/problem+json", b"[1]")

    def test_gzip(self, vendor: VendorEmulator) -> None:
        """``gzip=True`` compresses the body and says so."""
        vendor.on("/", Answer(json={"text": "x" * 1000}, gzip=True))
        _, headers, body = ask(vendor, "GET /")
        assert headers["Content-Encoding"] == "gzip"
        assert len(body) < 100
        assert gzip.decompress(body) == b'{"text": "%b"}' % (b"x" * 1000)

    @pytest.mark.parametrize("behaviour", [OK, DripBody(), Infinite(), Bomb(), Stream(1)])
    def test_head_has_no_body(self, vendor: VendorEmulator, dial: Dial, behaviour: Behaviour) -> None:
        """``HEAD`` gets the headers of the answer alone, and the connection goes on."""
        vendor.on("/", behaviour)
        sock = dial(vendor)
        sock.sendall(GET.replace(b"GET", b"HEAD") + CLOSING_GET.replace(b"GET", b"HEAD"))
        received, _ = read_to_end(sock)
        assert received.count(b"HTTP/1.1 200 OK\r\n") == received.count(b"\r\n\r\n") == 2
        assert received.endswith(b"\r\n\r\n")

    @pytest.mark.parametrize("status", [204, 304])
    def test_status_without_body(self, vendor: VendorEmulator, dial: Dial, status: int) -> None:
        """204 and 304 never carry a body, nor its length."""
        vendor.on("/", Answer(status, json={"ok": True}))
        sock = dial(vendor)
        sock.sendall(CLOSING_GET)
        received, _ = read_to_end(sock)
        assert received.endswith(b"\r\n\r\n")
        assert b"Content-Length" not in received

    def test_delay_holds_up_nobody_else(self, vendor: VendorEmulator, dial: Dial) -> None:
        """A late answer is late on its own connection only."""
        vendor.on("/", Answer(delay_seconds=3600))
        vendor.on("/quick", OK)
        dial(vendor).sendall(GET)
        vendor.wait_for(1)
        assert ask(vendor, "GET /quick")[0] == 200

    @pytest.mark.parametrize(
        ("make", "text"),
        [
            (lambda: Answer(json=1, body=b"1"), "either json or body"),
            (lambda: Answer(headers={"X-Id": "a\r\nb"}), "Raw"),
            (lambda: Answer(headers={"X-Id": "\u20ac"}), "latin-1"),
            (lambda: Answer(100), "'status'"),
            (lambda: Answer(delay_seconds=-1), "'delay_seconds'"),
            (lambda: DripBody(0), "'bytes_per_second'"),
            (lambda: Stream(0), "'megabytes'"),
            (lambda: Infinite(b""), "'chunk'"),
        ],
    )
    def test_impossible_behaviours(self, make: Callable[[], Behaviour], text: str) -> None:
        """What could not be sent is refused where the test writes it."""
        with pytest.raises(ValueError, match=text):
            make()

    def test_compute(self, vendor: VendorEmulator) -> None:
        """A computed answer is made from the request; one that fails tells the client."""
        vendor.on("/", Compute(lambda arrival: Answer(201, body=arrival.body[::-1])))
        vendor.on("/bad", Compute(lambda arrival: Answer(json=arrival.json())))
        assert ask(vendor, "POST /", b"abc")[::2] == (201, b"cba")
        status, _, body = ask(vendor, "POST /bad", b"{")
        assert status == 500
        assert b"JSONDecodeError" in body


class TestMisbehaviour:
    """Vendors and networks that do not."""

    def test_hang(self, vendor: VendorEmulator, dial: Dial) -> None:
        """A hanging request has arrived and is never answered; its connection ends when the client leaves."""
        vendor.on("/", Hang())
        sock = dial(vendor)
        sock.sendall(GET)
        vendor.wait_for(1)
        assert vendor.close_idle() == 0
        sock.shutdown(socket.SHUT_WR)
        assert read_to_end(sock) == (b"", "close")

    @pytest.mark.parametrize(
        ("behaviour", "answered", "body"),
        [(Reset(), False, b""), (Reset(after="headers"), True, b""), (Reset(after="body"), True, b"x" * 500)],
    )
    def test_reset(self, vendor: VendorEmulator, dial: Dial, behaviour: Reset, answered: bool, body: bytes) -> None:
        """A reset comes after the whole request, after the headers of the answer, or in the middle of its body."""
        vendor.on("/", behaviour)
        sock = dial(vendor)
        sock.sendall(GET)
        received, end = read_to_end(sock)
        assert (received.startswith(b"HTTP/1.1 200 OK\r\nContent-Length: 1000"), end) == (answered, "reset")
        assert received.partition(b"\r\n\r\n")[2] == body
        assert len(vendor.arrivals) == 1

    def test_refused_connections(self, vendor: VendorEmulator, dial: Dial) -> None:
        """The next connections are reset before anything is read, then all is well again."""
        vendor.on("/", OK)
        vendor.refuse_connections(2)
        for _ in range(2):
            with pytest.raises(ConnectionResetError):
                dial(vendor).recv(1)
        assert ask(vendor, "GET /")[0] == 200
        assert (vendor.connections, len(vendor.arrivals)) == (3, 1)

    def test_close_idle(self, vendor: VendorEmulator, dial: Dial) -> None:
        """Idle connections are closed, those with a request under way stay."""
        vendor.on("/", OK)
        vendor.on("/late", Hang())
        socks = [dial(vendor) for _ in range(4)]
        for sock in socks:
            sock.sendall(GET)
            read_answer(sock)
        socks[2].sendall(GET[:5])
        socks[3].sendall(GET.replace(b"/ ", b"/late "))
        vendor.wait_for(5)
        assert vendor.close_idle() == 2
        assert [read_to_end(sock) for sock in socks[:2]] == [(b"", "close")] * 2
        socks[2].sendall(GET[5:])
        assert read_answer(socks[2])[0] == 200

    def test_drip_body(self, vendor: VendorEmulator, dial: Dial) -> None:
        """The headers come at once; the body comes whole in the end, or leaves the client waiting for ever."""
        vendor.on("/", DripBody(0.001), DripBody(2000, body=b"y" * 50))
        sock = dial(vendor)
        sock.sendall(GET)
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            received += sock.recv(1000)
        assert b"Content-Length: 1000\r\n" in received
        assert ask(vendor, "GET /")[2] == b"y" * 50

    def test_drip_headers(self, vendor: VendorEmulator) -> None:
        """Slow headers are complete in the end."""
        vendor.on("/", DripHeaders(10_000, padding_bytes=50))
        status, headers, body = ask(vendor, "GET /")
        assert (status, headers["X-Padding"], body) == (200, "x" * 50, b"")

    @pytest.mark.parametrize(
        ("behaviour", "steps"),
        [
            (DripBody(10, body=b"abc"), [(0.1, b"a"), (0.1, b"b"), (0.1, b"c")]),
            (DripBody(200, body=b"abc"), [(0.01, b"ab"), (0.005, b"c")]),
        ],
    )
    def test_drip_pace(self, behaviour: DripBody, steps: list[tuple[float, bytes]]) -> None:
        """Each byte is preceded by its share of a second; above 100 a second several share a wait."""
        assert list(script_of(behaviour, "GET", close=False).steps)[1:] == steps

    def test_infinite(self, vendor: VendorEmulator) -> None:
        """An endless body goes on as long as the client reads; after that the vendor serves others."""
        vendor.on("/", Infinite(b"abc" * 1000))
        vendor.on("/other", OK)
        with urllib3.PoolManager() as http:
            response = http.request("GET", vendor.url, preload_content=False)
            assert response.read(5_000_000).startswith(b"abcabc")
            assert ask(vendor, "GET /other")[0] == 200
            response.close()

    def test_bomb(self, vendor: VendorEmulator) -> None:
        """A bomb is one valid gzip member, a thousandth of what it inflates to."""
        vendor.on("/", Bomb(megabytes=8))
        with urllib3.PoolManager() as http:
            assert http.request("GET", vendor.url).data == bytes(8 << 20)
            packed = http.request("GET", vendor.url, decode_content=False).data
        assert len(packed) < 10_000
        unpacker = zlib.decompressobj(wbits=31)
        assert unpacker.decompress(packed) == bytes(8 << 20)
        assert (unpacker.eof, unpacker.unused_data) == (True, b"")

    def test_stream(self, vendor: VendorEmulator) -> None:
        """A stream has the announced length, whatever the size of its pieces."""
        vendor.on("/", Stream(3, chunk_bytes=100_000))
        _, headers, body = ask(vendor, "GET /")
        assert (headers["Content-Length"], body) == (str(3 << 20), b"x" * (3 << 20))

    def test_stream_waits_for_the_reader(self, vendor: VendorEmulator, dial: Dial) -> None:
        """A terabyte for a client that does not read waits outside of memory, and holds up nobody."""
        vendor.on("/", Stream(1 << 20))
        vendor.on("/other", OK)
        dial(vendor).sendall(GET)
        vendor.wait_for(1)
        for _ in range(50):
            assert ask(vendor, "GET /other")[0] == 200

    def test_small_answers_wait_for_the_reader(self, vendor: VendorEmulator, dial: Dial) -> None:
        """Pipelined requests are not taken while their client does not read the answers; later all are answered."""
        vendor.on("/", Answer(200, body=b"x" * (4 << 20)))
        sock = dial(vendor)
        sock.sendall(GET * 9 + CLOSING_GET)
        vendor.wait_for(1)
        ask(vendor, "GET /other")
        assert len(vendor.arrivals_of("/")) < 10
        received, _ = read_to_end(sock)
        assert received.count(b"HTTP/1.1 200 OK") == 10

    def test_raw(self, vendor: VendorEmulator, dial: Dial) -> None:
        """Raw bytes are sent as they are, then the connection ends."""
        vendor.on("/", Raw(b"HTTP/1.1 two hundred\n"))
        sock = dial(vendor)
        sock.sendall(GET)
        assert read_to_end(sock) == (b"HTTP/1.1 two hundred\n", "close")

    def test_out_of_files(self, vendor: VendorEmulator) -> None:
        """When no file descriptor is left, clients wait; they are served once there is one."""
        vendor.on("/", OK)
        sock = socket.socket()
        sock.settimeout(10)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
        try:
            sock.connect(("127.0.0.1", int(vendor.url.rpartition(":")[2])))
            vendor.close_idle()  # a turn of the loop
            assert vendor.connections == 0
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with sock:
            sock.sendall(GET)
            assert read_answer(sock)[0] == 200


class TestKeys:
    """Idempotency keys."""

    def test_a_known_key_replays(self, vendor: VendorEmulator) -> None:
        """A key stands for one effect: its answer is kept and repeated byte for byte, on every route."""
        numbers = iter(range(100))
        vendor.on("POST /charges", Keyed(Compute(lambda _: Answer(201, json={"id": next(numbers)}))))
        vendor.on("POST /refunds", Keyed(OK))
        bodies = [ask(vendor, "POST /charges", headers={"Idempotency-Key": key})[2] for key in ("k1", "k2", "k1")]
        assert bodies == [b'{"id": 0}', b'{"id": 1}', b'{"id": 0}']
        assert ask(vendor, "POST /refunds", headers={"idempotency-key": "k2"})[2] == b'{"id": 1}'
        assert vendor.effects == {"k1": 1, "k2": 1}

    def test_without_a_key_every_request_counts(self, vendor: VendorEmulator) -> None:
        """Requests without a key are effects of their own."""
        vendor.on("/", Keyed(OK))
        ask(vendor, "POST /")
        ask(vendor, "POST /")
        assert vendor.effects == {"unkeyed-1": 1, "unkeyed-2": 1}

    def test_lost_answer(self, vendor: VendorEmulator) -> None:
        """``lose=True`` performs the effect and resets; a second try with the key gets the answer that was lost."""
        vendor.on(
            "/",
            Keyed(Answer(201, json="first"), lose=True, key_header="X-Key"),
            Keyed(Answer(201, json="second"), key_header="X-Key"),
        )
        with pytest.raises(ConnectionResetError):
            ask(vendor, "POST /", headers={"X-Key": "k1"})
        assert vendor.effects == {"k1": 1}
        assert ask(vendor, "POST /", headers={"X-Key": "k1"})[2] == b'"first"'
        assert vendor.effects == {"k1": 1}


class TestLife:
    """Start and end."""

    def test_close_resets_and_joins(self, vendor: VendorEmulator, dial: Dial) -> None:
        """Closing resets what is open, ends the thread, and may be done again; what arrived stays readable."""
        vendor.on("/", Hang())
        idle, hanging = dial(vendor), dial(vendor)
        idle.sendall(GET.replace(b"/ ", b"/other "))
        read_answer(idle)
        hanging.sendall(GET)
        vendor.wait_for(2)
        vendor.close()
        vendor.close()
        assert [read_to_end(sock) for sock in (idle, hanging)] == [(b"", "reset")] * 2
        assert not any(thread.name == "emulator-vendor" for thread in threading.enumerate())
        assert (len(vendor.arrivals), vendor.close_idle()) == (2, 0)
        with pytest.raises(ConnectionRefusedError):
            ask(vendor, "GET /")

    def test_close_right_after_connect(self, vendor: VendorEmulator, dial: Dial) -> None:
        """Connections that nobody has looked at yet end with the emulator, too."""
        socks = [dial(vendor) for _ in range(20)]
        vendor.close()
        assert {read_to_end(sock)[0] for sock in socks} == {b""}

    def test_start_and_close_by_hand(self) -> None:
        """`start` and `close` do what the with block does; a closed emulator stays closed, its port is free again."""
        vendor = VendorEmulator(name="stripe")
        vendor.close()
        with pytest.raises(RuntimeError, match="not started"):
            _ = vendor.url
        vendor.start()
        vendor.start()
        port = int(vendor.url.rpartition(":")[2])
        assert ask(vendor, "GET /")[0] == 404
        vendor.close()
        assert repr(vendor) == f"VendorEmulator(name='stripe', url='http://127.0.0.1:{port}')"
        with pytest.raises(RuntimeError, match="is closed"):
            vendor.start()
        with VendorEmulator(port=port) as again:
            assert again.url == vendor.url
            with pytest.raises(OSError, match="in use"):
                VendorEmulator(port=port).start()

    def test_process(self) -> None:
        """As a program it prints its URL, answers everything alike, and ends with its stdin."""
        command = [sys.executable, "-m", "nexus_connector.testing.emulator", "--delay-seconds", "0.001"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            with urllib3.PoolManager() as http:
                assert http.request("PUT", url + "/any/thing?x=1", body=b"{}").json() == {"ok": True}
            process.stdin.close()
        assert process.returncode == 0

    def test_main_ends_with_stdin(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """Where stdin is closed already, the program ends at once."""
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
        main(["--port", "0"])
        assert capsys.readouterr().out.startswith("http://127.0.0.1:")


class TestTls:
    """The same over https."""

    @pytest.fixture
    def contexts(self) -> Contexts:
        """Make an authority and a certificate for this machine."""
        authority = trustme.CA()
        contexts = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.tempfile() as path:
            contexts[0].load_cert_chain(path)
        contexts[1].load_verify_locations(cadata=authority.cert_pem.bytes().decode())
        return contexts

    @pytest.fixture
    def secure(self, contexts: Contexts) -> Iterator[VendorEmulator]:
        """Run an emulator that speaks https."""
        with VendorEmulator(ssl_context=contexts[0]) as emulator:
            yield emulator

    def test_https(self, secure: VendorEmulator, contexts: Contexts, dial: Dial) -> None:
        """With a context the emulator speaks https: answers, keep-alive, close of idle connections."""
        secure.on("/", OK, Stream(1))
        assert secure.url.startswith("https://127.0.0.1:")
        with contexts[1].wrap_socket(dial(secure), server_hostname="127.0.0.1") as sock:
            sock.sendall(GET)
            assert read_answer(sock) == (200, b'{"ok": true}')
            sock.sendall(GET)
            assert len(read_answer(sock)[1]) == 1 << 20
            assert secure.close_idle() == 1
            assert sock.recv(1) == b""

    @pytest.mark.parametrize("behaviour", [Reset("headers"), Hang()])
    def test_reset(self, secure: VendorEmulator, contexts: Contexts, dial: Dial, behaviour: Behaviour) -> None:
        """A reset, by a behaviour or by `close`, comes without the TLS farewell."""
        secure.on("/", behaviour)
        with contexts[1].wrap_socket(dial(secure), server_hostname="127.0.0.1", suppress_ragged_eofs=False) as sock:
            sock.sendall(GET)
            secure.wait_for(1)
            if behaviour == Hang():
                secure.close()
            assert read_to_end(sock)[1] == "reset"

    def test_broken_handshakes(self, secure: VendorEmulator, dial: Dial) -> None:
        """Clients that do not speak TLS, or say nothing, count as connections and never hold up the close."""
        silent, plain = dial(secure), dial(secure)
        plain.sendall(GET)
        read_to_end(plain)
        secure.refuse_connections(1)
        with pytest.raises(ConnectionResetError):
            dial(secure).recv(1)
        assert secure.connections == 3
        secure.close()
        assert read_to_end(silent)[0] == b""
