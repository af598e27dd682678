"""The transport under TLS: whom it trusts, and that nothing below TLS outlives a deadline or an abort."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from nexus_connector.errors import ConfigurationError
from nexus_connector.message import Request
from nexus_connector.testing.emulator import Answer, Bomb, DripBody, DripHeaders, Hang, Reset, VendorEmulator
from nexus_connector.transport import Abort, Received, SendError, TransportOptions
from nexus_connector.transport.pool import PoolTransport
from nexus_connector.transport.tls import TlsContexts

SOON = 0.3
LATE = 2.0
AT_ONCE = 1.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def server_context(authority: trustme.CA, *, day: dt.datetime | None = None) -> ssl.SSLContext:
    """A server's context with a certificate for 127.0.0.1 and api.example, valid now or on one day."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    end = day and day + dt.timedelta(days=1)
    authority.issue_cert("127.0.0.1", "api.example", not_before=day, not_after=end).configure_cert(context)
    return context


@pytest.fixture
def vendor(authority: trustme.CA) -> Iterator[VendorEmulator]:
    with VendorEmulator(ssl_context=server_context(authority)) as vendor:
        vendor.on("*", Answer(json={"ok": True}))
        yield vendor


@pytest.fixture
def transport(ca_file: str) -> Iterator[PoolTransport]:
    transport = PoolTransport(TransportOptions(max_connections=2, ca_file=ca_file))
    yield transport
    transport.close()


@contextlib.contextmanager
def serve(script: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does with each connection what its script says, one after the other; yields its base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepted: list[socket.socket] = []

    def run() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(10)  # under TLS nothing else ends a script whose test has failed
                accepted.append(connection)
                with connection, contextlib.suppress(OSError):
                    script(connection)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        for sock in (listener, *accepted):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def hang(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


def send(
    transport: PoolTransport, url: str, *, seconds: float = 10.0, abort: Abort | None = None, **request: Any
) -> Received:
    return transport.send(Request(base_url=url, **request), deadline=time.monotonic() + seconds, abort=abort)


def fail(transport: PoolTransport, url: str, **arguments: Any) -> SendError:
    with pytest.raises(SendError) as caught:
        send(transport, url, **arguments)
    return caught.value


def fail_by_deadline(transport: PoolTransport, url: str, **arguments: Any) -> SendError:
    begun = time.monotonic()
    failure = fail(transport, url, seconds=SOON, **arguments)
    assert SOON * 0.9 < time.monotonic() - begun < LATE
    assert failure.timed_out
    return failure


# Trust


def test_one_handshake_serves_many_sends(transport: PoolTransport, vendor: VendorEmulator) -> None:
    """Sends one after the other share one TLS connection."""
    for _ in range(20):
        assert send(transport, vendor.url).body == b'{"ok": true}'
    assert vendor.connections == 1


def test_the_host_name_is_verified_and_told(
    transport: PoolTransport, vendor: VendorEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name is checked against the certificate, whatever address it leads to; another name is refused for good."""
    port = int(vendor.host.rpartition(":")[2])
    found = [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: found)
    assert send(transport, f"https://api.example:{port}").status == 200
    failure = fail(transport, f"https://other.example:{port}")
    assert (failure.phase, failure.wrote, failure.transient, failure.timed_out) == ("tls", False, False, False)
    assert "other.example" in failure.message


def test_an_unknown_authority_is_refused(vendor: VendorEmulator) -> None:
    """A certificate of an authority that the system does not know is refused for good, before a byte is written."""
    transport = PoolTransport(TransportOptions())
    failure = fail(transport, vendor.url)
    assert (failure.phase, failure.wrote, failure.transient) == ("tls", False, False)
    assert not vendor.arrivals
    transport.close()


def test_an_expired_certificate_is_refused(transport: PoolTransport, authority: trustme.CA) -> None:
    """A certificate whose time is over is refused for good."""
    long_ago = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    with VendorEmulator(ssl_context=server_context(authority, day=long_ago)) as vendor:
        failure = fail(transport, vendor.url)
    assert (failure.phase, failure.wrote, failure.transient) == ("tls", False, False)
    assert "expired" in failure.message


def test_a_server_without_tls_is_refused(transport: PoolTransport) -> None:
    """A server that speaks plain HTTP where TLS is due gets no request."""
    with serve(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as url:
        failure = fail(transport, url)
    assert (failure.phase, failure.wrote, failure.timed_out) == ("tls", False, False)


def test_contexts_always_verify(ca_file: str) -> None:
    """Every context demands a certificate, checks its name and speaks TLS 1.2 at least."""
    contexts = TlsContexts()
    for context in (contexts.get(None), contexts.get(ca_file)):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_contexts_are_shared_and_made_when_needed(ca_file: str, vendor: VendorEmulator) -> None:
    """One context per authority serves all transports that share a cache; plain HTTP makes none."""
    made: list[str | None] = []

    class Counted(TlsContexts):
        def get(self, ca_file: str | None) -> ssl.SSLContext:
            made.append(ca_file)
            return super().get(ca_file)

    contexts = Counted()
    assert contexts.get(ca_file) is contexts.get(ca_file)
    made.clear()
    transports = [PoolTransport(TransportOptions(ca_file=ca_file), contexts=contexts) for _ in range(2)]
    assert not made
    with VendorEmulator() as plain:
        send(transports[0], plain.url)
    assert not made
    for transport in transports:
        assert send(transport, vendor.url).status == 200
        assert send(transport, vendor.url).status == 200
        transport.close()
    assert made == [ca_file, ca_file]


def test_a_ca_file_that_cannot_be_used(tmp_path: Path, vendor: VendorEmulator) -> None:
    """A private authority that cannot be read is a fault of the configuration, named by its path."""
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate")
    for path in (empty, tmp_path / "missing.pem"):
        transport = PoolTransport(TransportOptions(ca_file=str(path)))
        with pytest.raises(ConfigurationError, match=path.name):
            send(transport, vendor.url)
        transport.close()
    assert not vendor.connections


# Deadlines and aborts


def test_a_handshake_that_hangs_ends_by_the_deadline(transport: PoolTransport) -> None:
    """A server that accepts and says nothing: the handshake ends by the deadline, nothing was written."""
    with serve(hang) as url:
        failure = fail_by_deadline(transport, url)
        assert (failure.phase, failure.wrote) == ("tls", False)


def test_a_handshake_that_drips_ends_by_the_deadline(transport: PoolTransport) -> None:
    """A handshake that comes byte by byte moves no deadline."""
    stopped = threading.Event()

    def drip(connection: socket.socket) -> None:
        for byte in b"\x16\x03\x03\x40\x00" + bytes(500):
            connection.sendall(bytes([byte]))
            if stopped.wait(0.05):
                return

    with serve(drip) as url:
        failure = fail_by_deadline(transport, url)
        stopped.set()
        assert (failure.phase, failure.wrote) == ("tls", False)


@pytest.mark.parametrize("behaviour", [Hang(), DripHeaders(), DripBody()])
def test_answers_that_do_not_come_end_by_the_deadline(
    transport: PoolTransport, vendor: VendorEmulator, behaviour: Hang | DripHeaders | DripBody
) -> None:
    """Under TLS, too, no drip moves a deadline."""
    vendor.on("*", behaviour)
    failure = fail_by_deadline(transport, vendor.url)
    assert (failure.phase, failure.wrote) == ("read", True)


def test_a_record_that_drips_ends_by_the_deadline(transport: PoolTransport, authority: trustme.CA) -> None:
    """A TLS record that comes byte by byte, nothing of it readable before its end, moves no deadline."""
    context = server_context(authority)
    stopped = threading.Event()

    def drip(connection: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        for step in (tls.do_handshake, lambda: tls.read(65_536)):
            while True:
                try:
                    step()
                    break
                except ssl.SSLWantReadError:
                    connection.sendall(outgoing.read())
                    incoming.write(connection.recv(65_536))
        tls.write(OK + bytes(4_000))
        for byte in outgoing.read():
            connection.sendall(bytes([byte]))
            if stopped.wait(0.02):
                return

    with serve(drip) as url:
        failure = fail_by_deadline(transport, url)
        stopped.set()
        assert (failure.phase, failure.wrote) == ("read", True)


def test_a_server_that_does_not_read_ends_by_the_deadline(transport: PoolTransport, authority: trustme.CA) -> None:
    """A body that nobody takes: the write ends by the deadline, under TLS too."""
    stopped = threading.Event()

    def shake_hands(connection: socket.socket) -> None:
        with server_context(authority).wrap_socket(connection, server_side=True):
            stopped.wait(10)

    with serve(shake_hands) as url:
        failure = fail_by_deadline(transport, url, method="POST", body=b"x" * 30_000_000)
        stopped.set()
        assert (failure.phase, failure.wrote) == ("write", True)


class AbortOn(Abort):
    """Fires from another thread as soon as the send names its nth socket."""

    def __init__(self, nth: int) -> None:
        super().__init__()
        self._nth = nth

    def watch(self, sock: socket.socket | None) -> None:
        super().watch(sock)
        self._nth -= sock is not None
        if self._nth == 0 and sock is not None:
            threading.Thread(target=self.fire).start()


@pytest.mark.parametrize("round_", range(5))
def test_an_abort_in_the_handshake(transport: PoolTransport, round_: int) -> None:
    """An abort ends a handshake under way: the second socket that the handle is told of is the TLS one."""
    begun = time.monotonic()
    with serve(hang) as url:
        failure = fail(transport, url, abort=AbortOn(2))
    assert time.monotonic() - begun < AT_ONCE
    assert (failure.phase, failure.wrote, failure.timed_out) == ("tls", False, False)


def test_an_abort_while_reading(transport: PoolTransport, vendor: VendorEmulator) -> None:
    """An abort wakes a send that waits for its answer, and the next one works."""
    vendor.on("*", Hang(), Answer())
    abort = Abort()

    def fire() -> None:
        vendor.wait_for(1)
        abort.fire()

    thread = threading.Thread(target=fire)
    thread.start()
    begun = time.monotonic()
    failure = fail(transport, vendor.url, abort=abort)
    assert time.monotonic() - begun < AT_ONCE
    assert (failure.phase, failure.wrote, failure.timed_out) == ("read", True, False)
    thread.join()
    assert send(transport, vendor.url).status == 200


# Answers


def test_a_server_that_says_too_much_is_not_asked_again(transport: PoolTransport, authority: trustme.CA) -> None:
    """What is left undecrypted behind an answer is never taken for the next one: the connection is not used again."""
    connections: list[ssl.SSLSocket] = []
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 8151\r\n\r\n"
    assert len(head) + 8151 == 8192

    def answer(connection: socket.socket) -> None:
        with server_context(authority).wrap_socket(connection, server_side=True) as tls:
            connections.append(tls)
            while tls.recv(65_536):
                # One recv takes the answer; what follows in its record is in OpenSSL's hands, where no poll sees it.
                tls.sendall(head + b"x" * (8_192 - len(head)) + OK)

    with serve(answer) as url:
        for _ in range(3):
            assert send(transport, url).body == b"x" * (8_192 - len(head))
        transport.close()
    assert len(connections) == 3


def test_large_and_folded_answers(transport: PoolTransport, vendor: VendorEmulator) -> None:
    """Bodies of many records arrive whole; a bomb stops at the limit."""
    vendor.on("*", Answer(body=bytes(range(256)) * 10_000), Answer(body=bytes(1_000_000), gzip=True))
    assert send(transport, vendor.url).body == bytes(range(256)) * 10_000
    assert send(transport, vendor.url).body == bytes(1_000_000)
    assert vendor.connections == 1
    vendor.on("*", Bomb())
    assert "max_body_bytes" in fail(transport, vendor.url).message


@pytest.mark.parametrize("point", ["request", "headers", "body"])
def test_resets_are_no_answers(transport: PoolTransport, vendor: VendorEmulator, point: Any) -> None:
    """A reset anywhere in the answer is a break, the request written."""
    vendor.on("*", Reset(point))
    failure = fail(transport, vendor.url)
    assert (failure.phase, failure.wrote, failure.timed_out, failure.transient) == ("read", True, False, True)
