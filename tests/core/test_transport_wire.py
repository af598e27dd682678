"""The transport where the wire misbehaves: deadlines, breaks, aborts, closing, and slots that are never lost."""

from __future__ import annotations

import contextlib
import errno
import gc
import http.client
import io
import queue
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Self

import pytest
import urllib3

from nexus_connector.body import Source
from nexus_connector.errors import ConnectorClosedError, InvalidRequestError
from nexus_connector.headers import Headers
from nexus_connector.message import Request
from nexus_connector.transport import Abort, Received, SendError, TransportOptions
from nexus_connector.transport.pool import PoolTransport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SOON = 0.3
"""Deadline of sends that must end by it, seconds."""
LATE = 2.0
"""When such a send must be over, on a slow machine too."""
AT_ONCE = 1.0
"""When an aborted send must be over; its own deadline is far."""

Script = Callable[[socket.socket], None]


class Peer:
    """A server that does with each connection what its script says; the last script repeats."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = scripts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._accepted: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self.stopped = threading.Event()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads[0].start()

    @property
    def connections(self) -> int:
        return len(self._accepted)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                script = self._scripts[min(len(self._accepted), len(self._scripts) - 1)]
                self._accepted.append(connection)
                thread = threading.Thread(target=self._run, args=(script, connection))
                self._threads.append(thread)
                thread.start()

    def _run(self, script: Script, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            script(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stopped.set()
        for sock in (self._listener, *self._accepted):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def drip(self, connection: socket.socket, data: bytes) -> None:
        """Send ten bytes a second, one by one."""
        for byte in data:
            connection.sendall(bytes([byte]))
            if self.stopped.wait(0.1):
                return


def read_head(connection: socket.socket) -> bytes:
    """Read a request up to the end of its headers; empty if the client left."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return b""
        head += byte
    return head


def answers(data: bytes) -> Script:
    """Answer every request on the connection with these bytes."""

    def script(connection: socket.socket) -> None:
        while read_head(connection):
            connection.sendall(data)

    return script


def hang(connection: socket.socket) -> None:
    """Read, and answer nothing."""
    while connection.recv(65_536):
        pass


def reset(connection: socket.socket) -> None:
    """Close with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def after_head(data: bytes, then: Script) -> Script:
    """Read one request, send these bytes, go on."""

    def script(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(data)
        then(connection)

    return script


def wait(peer: Peer) -> None:
    """Do nothing until the test is over."""
    peer.stopped.wait()


def leave(connection: socket.socket) -> None:
    """Close in order."""
    connection.close()


@pytest.fixture
def transport() -> Iterator[PoolTransport]:
    transport = PoolTransport(TransportOptions(max_connections=2))
    yield transport
    transport.close()


def send(
    transport: PoolTransport,
    url: str,
    *,
    seconds: float = 10.0,
    abort: Abort | None = None,
    stream: bool = False,
    **request: Any,
) -> Received:
    return transport.send(
        Request(base_url=url, **request), deadline=time.monotonic() + seconds, abort=abort, stream=stream
    )


def fail(transport: PoolTransport, url: str, **arguments: Any) -> SendError:
    """Send, and return the failure."""
    with pytest.raises(SendError) as caught:
        send(transport, url, **arguments)
    return caught.value


def fail_by_deadline(transport: PoolTransport, url: str, **arguments: Any) -> SendError:
    """Send with a near deadline, and return the failure that came by it."""
    begun = time.monotonic()
    failure = fail(transport, url, seconds=SOON, **arguments)
    assert SOON * 0.9 < time.monotonic() - begun < LATE
    assert failure.timed_out
    return failure


# Connections


def test_connections_are_kept(transport: PoolTransport) -> None:
    """Sends one after the other share one connection."""
    with Peer(answers(OK)) as peer:
        for _ in range(20):
            assert send(transport, peer.url).body == b"ok"
        assert peer.connections == 1


def test_a_connection_closed_while_idle_is_replaced(transport: PoolTransport) -> None:
    """That the server closes an idle connection is no failure of the next send."""
    closed = threading.Event()

    def answer_once(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(OK)
        connection.close()
        closed.set()

    with Peer(answer_once, answers(OK)) as peer:
        assert send(transport, peer.url).status == 200
        assert closed.wait(5)
        assert send(transport, peer.url).status == 200
        assert peer.connections == 2


@pytest.mark.parametrize("extra", [b"x", OK, b"x" * 20_000])
def test_a_server_that_says_too_much_is_not_asked_again(transport: PoolTransport, extra: bytes) -> None:
    """Bytes behind an answer are never taken for the next one: the connection is not used again."""
    with Peer(answers(OK + extra), answers(OK)) as peer:
        assert send(transport, peer.url).body == b"ok"
        assert send(transport, peer.url).body == b"ok"
        assert peer.connections == 2


def test_connections_are_bounded(transport: PoolTransport) -> None:
    """With all connections in use a further send waits for one, until its deadline, without touching the wire."""
    with Peer(answers(OK)) as peer:
        streams = [send(transport, peer.url, stream=True).stream for _ in range(2)]
        failure = fail_by_deadline(transport, peer.url)
        assert (failure.phase, failure.wrote) == ("connect", False)
        assert peer.connections == 2
        for stream in streams:
            assert stream is not None
            stream.close()
        assert send(transport, peer.url).status == 200


def test_a_waiting_send_gets_the_connection_that_comes_free(transport: PoolTransport) -> None:
    """A send that waits for a connection goes on as soon as one is given back."""
    with Peer(answers(OK)) as peer:
        streams = [send(transport, peer.url, stream=True).stream for _ in range(2)]
        statuses: queue.SimpleQueue[int] = queue.SimpleQueue()
        thread = threading.Thread(target=lambda: statuses.put(send(transport, peer.url).status))
        thread.start()
        for stream in streams:
            assert stream is not None
            stream.close()
        assert statuses.get(timeout=5) == 200
        thread.join()


def test_many_threads_share_a_transport() -> None:
    """Threads get their own answers, over no more connections than allowed."""

    def echo(connection: socket.socket) -> None:
        while head := read_head(connection):
            target = head.split(b" ")[1]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target))

    transport = PoolTransport(TransportOptions(max_connections=4))
    wrong: list[str] = []

    def work(name: int) -> None:
        for number in range(50):
            path = f"/{name}/{number}"
            if send(transport, peer.url, path=path).body.decode() != path:
                wrong.append(path)

    with Peer(echo) as peer:
        threads = [threading.Thread(target=work, args=(name,)) for name in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        transport.close()
        assert not wrong
        assert peer.connections <= 4


# Deadlines


def test_a_hanging_server_ends_by_the_deadline(transport: PoolTransport) -> None:
    """No answer at all: the read ends by the deadline, and the request was written."""
    with Peer(hang) as peer:
        failure = fail_by_deadline(transport, peer.url)
        assert (failure.phase, failure.wrote, failure.transient) == ("read", True, True)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Pad: " + b"x" * 1000, id="header"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000, id="body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 500, id="chunks"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000, id="until the end"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100, id="interim answers"),
    ],
)
def test_a_drip_ends_by_the_deadline(transport: PoolTransport, answer: bytes) -> None:
    """A byte every tenth of a second moves no deadline, wherever in the answer it drips."""

    def drip(connection: socket.socket) -> None:
        read_head(connection)
        peer.drip(connection, answer)

    with Peer(drip) as peer:
        failure = fail_by_deadline(transport, peer.url)
        assert (failure.phase, failure.wrote) == ("read", True)


def test_a_server_that_does_not_read_ends_by_the_deadline(transport: PoolTransport) -> None:
    """A body that nobody takes: the write ends by the deadline, and bytes of it were written."""
    with Peer(lambda _connection: wait(peer)) as peer:
        failure = fail_by_deadline(transport, peer.url, method="POST", body=b"x" * 30_000_000)
        assert (failure.phase, failure.wrote) == ("write", True)


def test_a_slow_reader_moves_no_deadline(transport: PoolTransport) -> None:
    """A server that takes a large body bit by bit does not move the deadline of the write."""

    def sip(connection: socket.socket) -> None:
        while connection.recv(20_000) and not peer.stopped.wait(0.05):
            pass

    with Peer(sip) as peer:
        content = b"x" * 30_000_000  # made here: it takes a part of so near a deadline
        source = Source(parts=[lambda: io.BytesIO(content)], length=len(content))
        failure = fail_by_deadline(transport, peer.url, method="POST", source=source)
        assert (failure.phase, failure.wrote) == ("write", True)


def test_a_deadline_in_the_past_sends_nothing(transport: PoolTransport) -> None:
    """A send whose time is over does not begin, on a new connection or a kept one."""
    with Peer(answers(OK)) as peer:
        failure = fail(transport, peer.url, seconds=-1.0)
        assert (failure.phase, failure.wrote, failure.timed_out, peer.connections) == ("dns", False, True, 0)
        send(transport, peer.url)
        failure = fail(transport, peer.url, seconds=-1.0)
        assert (failure.phase, failure.wrote, failure.timed_out) == ("write", False, True)


# Names and addresses


def name_leads_to(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    """Let every name have these addresses."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: found)


@contextlib.contextmanager
def dead_addresses(count: int) -> Iterator[list[tuple[str, int]]]:
    """Addresses that neither accept nor refuse: their queue of connections is full."""
    with contextlib.ExitStack() as stack:
        addresses = []
        for number in range(count):
            listener = stack.enter_context(socket.socket())
            listener.bind((f"127.0.0.{number + 10}", 0))
            listener.listen(0)
            addresses.append(listener.getsockname())
            for _ in range(3):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(listener.getsockname())
        yield addresses


def test_a_refused_connection_was_not_written(transport: PoolTransport) -> None:
    """A port where nobody listens: nothing was written, and later it may work."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    failure = fail(transport, f"http://127.0.0.1:{port}")
    assert (failure.phase, failure.wrote, failure.timed_out, failure.transient) == ("connect", False, False, True)


def test_an_unknown_name_was_not_written(transport: PoolTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that cannot be looked up fails in phase dns, naming the host."""

    def look_up(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    failure = fail(transport, "https://name.invalid")
    assert (failure.phase, failure.wrote, failure.timed_out) == ("dns", False, False)
    assert "name.invalid" in failure.message


def test_dead_addresses_end_by_the_deadline(transport: PoolTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with several dead addresses takes no longer than the deadline, not that long for each."""
    with dead_addresses(4) as addresses:
        name_leads_to(monkeypatch, *addresses)
        failure = fail_by_deadline(transport, "http://localhost")
        assert (failure.phase, failure.wrote) == ("connect", False)


def test_a_live_address_behind_dead_ones_has_its_turn(
    transport: PoolTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each address gets a share of the time, so that the last one is still tried."""
    with Peer(answers(OK)) as peer, dead_addresses(2) as addresses:
        name_leads_to(monkeypatch, *addresses, ("127.0.0.1", int(peer.url.rpartition(":")[2])))
        begun = time.monotonic()
        assert send(transport, "http://localhost", seconds=0.9).status == 200
        assert time.monotonic() - begun < 0.9


# Breaks


def test_a_server_that_closes_at_once(transport: PoolTransport) -> None:
    """A connection closed as soon as it is accepted breaks the send, which did not time out."""
    with Peer(leave) as peer:
        failure = fail(transport, peer.url)
        assert (failure.timed_out, failure.transient) == (False, True)


@pytest.mark.parametrize("ends", [reset, leave])
@pytest.mark.parametrize(
    "begin",
    [
        pytest.param(b"", id="before the answer"),
        pytest.param(b"HTTP/1.1 2", id="in the status line"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Type: te", id="in a header"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n", id="between headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", id="after the headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody", id="in the body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nbody", id="in a chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n", id="between chunks"),
    ],
)
def test_an_answer_that_breaks_off_is_none(transport: PoolTransport, begin: bytes, ends: Script) -> None:
    """Wherever the connection breaks, by RST or in order, there is no answer, and the request was written."""
    with Peer(after_head(begin, ends)) as peer:
        failure = fail(transport, peer.url)
        assert (failure.phase, failure.wrote, failure.timed_out, failure.transient) == ("read", True, False, True)


def test_an_early_answer_is_read(transport: PoolTransport) -> None:
    """A server that refuses a large body half sent and closes is heard, and not asked again on that connection."""
    refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig"
    with Peer(after_head(refusal, leave), answers(OK)) as peer:
        received = send(transport, peer.url, method="POST", body=b"x" * 30_000_000)
        assert (received.status, received.body) == (413, b"big")
        assert send(transport, peer.url).status == 200
        assert peer.connections == 2


def test_a_write_that_breaks_without_an_answer(transport: PoolTransport) -> None:
    """A connection reset in the middle of the request fails in phase write, and some of it was written."""
    with Peer(after_head(b"", reset)) as peer:
        failure = fail(transport, peer.url, method="POST", body=b"x" * 30_000_000)
        assert (failure.phase, failure.wrote, failure.timed_out) == ("write", True, False)


def test_a_write_that_breaks_closes_the_source(transport: PoolTransport) -> None:
    """A source half read is closed with the send, not when its failure is forgotten."""
    file = io.BytesIO(b"x" * 30_000_000)
    with Peer(after_head(b"", reset)) as peer:
        failure = fail(transport, peer.url, method="POST", source=Source(parts=[lambda: file]))
        assert (failure.phase, failure.wrote, failure.timed_out) == ("write", True, False)
        assert file.closed


def test_a_write_that_breaks_at_once(transport: PoolTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that takes not a single byte leaves the request unwritten."""

    def broken(*_args: object) -> int:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    with Peer(answers(OK)) as peer:
        monkeypatch.setattr(socket.socket, "send", broken)
        failure = fail(transport, peer.url, method="POST", body=b"x")
        assert (failure.phase, failure.wrote, failure.timed_out) == ("write", False, False)


# What the request holds


def test_no_text_of_a_refused_header_is_repeated(transport: PoolTransport) -> None:
    """A header that HTTP cannot hold is refused before anything is written, without its text."""
    with Peer(answers(OK)) as peer, pytest.raises(InvalidRequestError) as caught:
        send(transport, peer.url, headers=Headers({"Authorization": "secret\r\nX: y"}))
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


# Abort


class AbortOn(Abort):
    """Fires from another thread as soon as the send names its nth socket."""

    def __init__(self, nth: int = 1) -> None:
        super().__init__()
        self._nth = nth

    def watch(self, sock: socket.socket | None) -> None:
        super().watch(sock)
        self._nth -= sock is not None
        if self._nth == 0 and sock is not None:
            threading.Thread(target=self.fire).start()


class AbortAtOnce(Abort):
    """Fires in the same moment in which the send names its socket."""

    def watch(self, sock: socket.socket | None) -> None:
        self.fired = True
        super().watch(sock)


@contextlib.contextmanager
def ends_at_once() -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < AT_ONCE


def test_an_abort_before_the_send(transport: PoolTransport) -> None:
    """A handle that fired already: nothing is written, no connection made."""
    abort = Abort()
    abort.fire()
    with Peer(answers(OK)) as peer:
        failure = fail(transport, peer.url, abort=abort)
        assert (failure.wrote, failure.timed_out, peer.connections) == (False, False, 0)


@pytest.mark.parametrize("round_", range(10))
def test_an_abort_while_connecting(transport: PoolTransport, monkeypatch: pytest.MonkeyPatch, round_: int) -> None:
    """An abort ends a connection under way at any moment of it, and no further address is tried."""
    with Peer(answers(OK)) as peer, dead_addresses(1) as addresses:
        name_leads_to(monkeypatch, *addresses, ("127.0.0.1", int(peer.url.rpartition(":")[2])))
        with ends_at_once():
            failure = fail(transport, "http://localhost", abort=AbortOn() if round_ else AbortAtOnce())
        assert (failure.phase, failure.wrote, failure.timed_out) == ("connect", False, False)
        assert not peer.connections


@pytest.mark.parametrize(
    "begin",
    [
        pytest.param(b"", id="waiting for headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbo", id="waiting for the body"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nbo", id="waiting for the end"),
    ],
)
def test_an_abort_while_reading(transport: PoolTransport, begin: bytes) -> None:
    """An abort wakes a send that waits for its answer; what it has of a body by then is no answer."""
    abort = Abort()

    def begin_and_fire(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(begin)
        abort.fire()
        hang(connection)

    with Peer(begin_and_fire) as peer, ends_at_once():
        failure = fail(transport, peer.url, abort=abort)
        assert (failure.phase, failure.wrote, failure.timed_out) == ("read", True, False)


def test_an_abort_after_the_send(transport: PoolTransport) -> None:
    """A handle whose send is over reaches no connection any more."""
    abort = Abort()
    with Peer(answers(OK)) as peer:
        send(transport, peer.url, abort=abort)
        abort.fire()
        assert send(transport, peer.url).status == 200
        assert peer.connections == 1


def test_an_abort_just_before_the_write(transport: PoolTransport) -> None:
    """An abort between connection and first byte: nothing was written, on a new connection or a kept one."""
    with Peer(answers(OK)) as peer:
        new = fail(transport, peer.url, abort=AbortAtOnce())
        send(transport, peer.url)
        kept = fail(transport, peer.url, abort=AbortAtOnce())
        assert (new.phase, new.wrote) == ("connect", False)
        assert (kept.phase, kept.wrote) == ("write", False)


def test_an_abort_while_waiting_for_a_connection(transport: PoolTransport) -> None:
    """An abort ends the wait for a connection that is in use elsewhere."""
    abort = Abort()
    with Peer(answers(OK)) as peer:
        streams = [send(transport, peer.url, stream=True).stream for _ in range(2)]
        threading.Timer(0.05, abort.fire).start()
        with ends_at_once():
            failure = fail(transport, peer.url, abort=abort)
        assert (failure.phase, failure.wrote, failure.timed_out) == ("connect", False, False)
        for stream in streams:
            assert stream is not None
            stream.close()


def test_an_abort_reaches_a_stream(transport: PoolTransport) -> None:
    """The handle of a streamed send ends the reads of its stream."""
    abort = Abort()
    with Peer(after_head(b"HTTP/1.1 200 OK\r\n\r\nbegin", hang)) as peer:
        stream = send(transport, peer.url, abort=abort, stream=True).stream
        assert stream is not None
        assert stream.read(time.monotonic() + 10) == b"begin"
        threading.Timer(0.05, abort.fire).start()
        with ends_at_once(), pytest.raises(SendError):
            stream.read(time.monotonic() + 10)
        stream.close()


# Closing


def test_closing_wakes_the_sends_under_way(transport: PoolTransport) -> None:
    """A close from another thread ends a send that waits for its answer."""

    def close(connection: socket.socket) -> None:
        read_head(connection)
        transport.close()
        hang(connection)

    with Peer(close) as peer:
        with ends_at_once():
            failure = fail(transport, peer.url)
        assert (failure.phase, failure.wrote, failure.timed_out) == ("read", True, False)


def test_closing_ends_idle_connections(transport: PoolTransport) -> None:
    """Idle connections end with the transport; closing again does nothing, sending is refused."""
    left = threading.Event()

    def answer_until_left(connection: socket.socket) -> None:
        answers(OK)(connection)
        left.set()

    with Peer(answer_until_left) as peer:
        send(transport, peer.url)
        transport.close()
        transport.close()
        assert left.wait(5)
        with pytest.raises(ConnectorClosedError):
            send(transport, peer.url)


def test_closing_ends_the_wait_for_a_connection(transport: PoolTransport) -> None:
    """A send that waits for a connection learns that there will be none."""
    with Peer(answers(OK)) as peer:
        streams = [send(transport, peer.url, stream=True).stream for _ in range(2)]
        threading.Timer(0.05, transport.close).start()
        with ends_at_once(), pytest.raises(ConnectorClosedError):
            send(transport, peer.url)
        for stream in streams:
            assert stream is not None
            stream.close()


def test_closing_a_stream_from_another_thread(transport: PoolTransport) -> None:
    """Closing a stream wakes the thread that reads it, whose read fails, and gives the slot back."""
    failures: queue.SimpleQueue[SendError] = queue.SimpleQueue()
    with Peer(after_head(b"HTTP/1.1 200 OK\r\n\r\nbegin", hang)) as peer:
        for _ in range(3):
            stream = send(transport, peer.url, stream=True).stream
            assert stream is not None
            stream.read(time.monotonic() + 10)

            def read(stream: Any = stream) -> None:
                with pytest.raises(SendError) as caught:
                    stream.read(time.monotonic() + 10)
                failures.put(caught.value)

            thread = threading.Thread(target=read)
            thread.start()
            with ends_at_once():
                threading.Event().wait(0.02)
                stream.close()
                thread.join()
            assert not failures.get(timeout=5).timed_out


# Slots


def test_failures_cost_no_slot(transport: PoolTransport) -> None:
    """However many sends fail, by whatever, the pool does not shrink."""
    scripts = [reset, leave, after_head(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbo", reset), hang]
    with Peer(*scripts * 3, answers(OK)) as peer:
        for _ in range(12):
            fail(transport, peer.url, seconds=0.05)
        streams = [send(transport, peer.url, stream=True).stream for _ in range(2)]
        for stream in streams:
            assert stream is not None
            stream.close()


def test_an_interrupt_mid_read_costs_no_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a send waits passes through untouched and gives the slot back."""
    transport = PoolTransport(TransportOptions(max_connections=1))
    real = socket.socket.recv_into

    def interrupted(*_args: object) -> int:
        raise KeyboardInterrupt

    with Peer(answers(OK)) as peer:
        for _ in range(3):
            with monkeypatch.context() as patch:
                patch.setattr(socket.socket, "recv_into", interrupted)
                with pytest.raises(KeyboardInterrupt):
                    send(transport, peer.url)
        assert socket.socket.recv_into is real
        assert send(transport, peer.url).status == 200
    transport.close()


class InterruptAt:
    """Raises KeyboardInterrupt the nth time that Python looks for signals: on entering a function, after a built-in."""

    def __init__(self, step: int) -> None:
        self._left = step

    @property
    def has_come(self) -> bool:
        return self._left < 0

    def __call__(self, _frame: FrameType, event: str, _argument: object) -> None:
        if event in {"call", "c_return"}:
            self._left -= 1
            if self._left == -1:
                raise KeyboardInterrupt

    def __enter__(self) -> None:
        sys.setprofile(self)

    def __exit__(self, *exc_info: object) -> None:
        sys.setprofile(None)


def test_an_interrupt_at_any_step_costs_no_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C at any moment of a send, in the libraries below too, leaves the pool as wide as it was."""
    ignored: list[BaseException | None] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: ignored.append(unraisable.exc_value))
    transport = PoolTransport(TransportOptions(max_connections=1))
    with Peer(answers(OK)) as peer:
        step, has_come = 0, True
        while has_come:
            assert send(transport, peer.url, seconds=5).body == b"ok", step
            request, deadline, abort = Request(base_url=peer.url, method="POST"), time.monotonic() + 5, Abort()
            interrupt = InterruptAt(step)
            with contextlib.suppress(KeyboardInterrupt), interrupt:
                transport.send(request, deadline=deadline, abort=abort)
            step, has_come = step + 1, interrupt.has_come
    transport.close()
    gc.collect()
    assert step > 120
    # One that falls into a finaliser is swallowed by Python; nothing else may be, such as a socket left open.
    assert {type(error) for error in ignored} <= {KeyboardInterrupt}


def test_a_send_that_is_dropped_costs_no_slot(transport: PoolTransport) -> None:
    """A stream that is forgotten unclosed gives its slot back when it is collected."""
    with Peer(answers(OK)) as peer:
        for _ in range(5):
            send(transport, peer.url, stream=True)
        assert send(transport, peer.url).status == 200


# What it stands on


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (urllib3.HTTPConnectionPool, "_get_conn"),
        (urllib3.HTTPConnectionPool, "_put_conn"),
        (urllib3.HTTPConnectionPool, "_validate_conn"),
        (urllib3.HTTPSConnectionPool, "_validate_conn"),
        (urllib3.HTTPConnectionPool, "QueueCls"),
        (urllib3.HTTPConnectionPool, "ConnectionCls"),
        (urllib3.connection.HTTPConnection, "auto_open"),
        (http.client.HTTPResponse, "_read_next_chunk_size"),
    ],
)
def test_the_names_below_the_public_surface_exist(owner: type, name: str) -> None:
    """What the transport uses of urllib3 and http.client beyond their documentation is there in this version."""
    assert hasattr(owner, name)


def test_the_pool_is_urllib3s_own_and_passes_through_our_hooks(transport: PoolTransport) -> None:
    """urllib3 makes connections of our class and keeps idle ones in our store: else its renaming would go unseen."""
    with Peer(answers(OK)) as peer:
        send(transport, peer.url)
        pool = next(iter(transport._lanes.values()))._pool
        assert pool.num_connections == 1
        connection = pool._get_conn()
        assert type(connection) is pool.ConnectionCls
        assert type(pool.pool) is pool.QueueCls
        connection.close()
