"""The turns of I/O threads: of many whose answers come at once a few go on; nobody is forgotten, none waits in vain."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import queue
import select
import selectors
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, Self, TypeVar

import attrs
import pytest
import trustme

from nexus_connector import Connector
from nexus_connector.errors import TransportError
from nexus_connector.io import looping
from nexus_connector.io import turns as module
from nexus_connector.io.turns import AT_ONCE, MANY, Turn, Turns, wait_for_turn
from nexus_connector.message import Request
from nexus_connector.transport import Abort, Received, SendError, TransportOptions
from nexus_connector.transport.pool import PoolTransport
from nexus_connector.transport.sockets import Sockets
from nexus_connector.transport.wire import Wire

T = TypeVar("T")

SOON = 20.0
"""Longest wait for what must happen, seconds; nothing here takes that long unless it is broken."""
FAR = 1000.0
"""What does not pass within a test, seconds."""
BRIEF = 0.3
"""A deadline that is to pass, seconds."""
IDLE = 0.05
"""How long the thread that watches stays when nobody waits, seconds."""


def until(condition: Callable[[], object]) -> None:
    """Wait for what no event tells."""
    end = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.001)


def watching() -> set[threading.Thread]:
    """The threads that watch sockets, of everybody here."""
    return {thread for thread in threading.enumerate() if thread.name == "nexus-turns"}


class NotedTurns(Turns):
    """Notes of each wait whether its descriptor was watched."""

    def __init__(self, many: int, at_once: int, *, idle_seconds: float) -> None:
        super().__init__(many, at_once, idle_seconds=idle_seconds)
        self.noted: list[bool] = []

    def watch(self, turn: Turn, fd: int, *, writing: bool) -> bool:
        watched = super().watch(turn, fd, writing=writing)
        self.noted.append(watched)
        return watched


class Worker:
    """An I/O thread in a job, which does what it is told, one after the other."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._orders: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._begun: Future[Turn] = Future()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        self.turn = self._begun.result(SOON)

    def _work(self) -> None:
        turn = self._turns.begin()
        self._begun.set_result(turn)
        while (order := self._orders.get()) is not None:
            order()
        self._turns.end(turn)

    def do(self, function: Callable[[], T]) -> Future[T]:
        """Have it call a function."""
        done: Future[T] = Future()

        def order() -> None:
            try:
                done.set_result(function())
            except Exception as error:
                done.set_exception(error)

        self._orders.put(order)
        return done

    def wait(self, sock: socket.socket, *, seconds: float = FAR, writing: bool = False) -> Future[bool]:
        """Have it wait for its turn; done when it goes on, with what it was told."""
        return self.do(lambda: wait_for_turn(sock, time.monotonic() + seconds, writing=writing))

    def leave(self) -> None:
        """Have it end its job."""
        self._orders.put(None)

    def end(self) -> None:
        """End its job and its thread; again is harmless."""
        self.leave()
        self._thread.join(SOON)
        assert not self._thread.is_alive()


@attrs.frozen
class Waiting:
    """A worker that waits for its socket.

    Attributes:
        worker: It.
        near: Its socket.
        far: The other end.
        gone: Done when it went on.
    """

    worker: Worker
    near: socket.socket
    far: socket.socket
    gone: Future[bool]


class Crew:
    """Workers that take turns with each other, and pairs of connected sockets."""

    def __init__(self, many: int = 1, at_once: int = AT_ONCE, *, idle_seconds: float = IDLE) -> None:
        self.turns = NotedTurns(many, at_once, idle_seconds=idle_seconds)
        self._workers: list[Worker] = []
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for sock in self._open:  # whoever still waits goes on
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for worker in self._workers:
            worker.leave()
        for worker in self._workers:
            worker.end()
        if self.turns._is_watched:
            self.turns._idle_seconds = IDLE
            self.nudge()
            until(lambda: not self.turns._is_watched)
        for sock in self._open:
            sock.close()

    def worker(self) -> Worker:
        """Return one more thread, in a job."""
        worker = Worker(self.turns)
        self._workers.append(worker)
        return worker

    def keep(self, sock: socket.socket) -> socket.socket:
        """Shut a socket down and close it when the test is over."""
        self._open.append(sock)
        return sock

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """Return two connected sockets."""
        near, far = socket.socketpair()
        return self.keep(near), self.keep(far)

    def waiting(self) -> Waiting:
        """Return a worker whose socket has nothing to read."""
        before = len(self.turns._waiting)
        worker, (near, far) = self.worker(), self.pair()
        gone = worker.wait(near)
        until(lambda: len(self.turns._waiting) == before + 1)
        return Waiting(worker, near, far, gone)

    def ready(self) -> Waiting:
        """Return a worker whose socket can be read, and for whom there is no room."""
        made = self.waiting()
        made.far.send(b"x")
        until(lambda: made.worker.turn in self.turns._ready)
        return made

    def going(self) -> Waiting:
        """Return a worker that was let go on, and stays in its job."""
        made = self.waiting()
        made.far.send(b"x")
        made.gone.result(SOON)
        assert made.worker.turn in self.turns._going
        return made

    def nudge(self) -> None:
        """Wake who watches, with something that nobody waits for."""
        near, far = self.pair()
        far.send(b"x")
        assert self.turns._epoll is not None
        self.turns._epoll.register(near, select.EPOLLIN | select.EPOLLONESHOT)

    @property
    def books(self) -> tuple[int, int, int]:
        """How many wait, are ready, go on."""
        return len(self.turns._waiting), len(self.turns._ready), len(self.turns._going)


def needs_epoll() -> None:
    """Skip what is about turns where there are none."""
    if not hasattr(select, "epoll"):
        pytest.skip("without epoll every thread waits for itself")


@pytest.fixture
def _nobody_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, nobody holds its turn for too long."""
    monkeypatch.setattr(module, "HELD_SECONDS", FAR)


nobody_is_slow = pytest.mark.usefixtures("_nobody_is_slow")


@pytest.fixture
def crew(_nobody_is_slow: None) -> Iterator[Crew]:
    needs_epoll()
    with Crew() as made:
        yield made


# Who takes turns


def test_a_thread_of_somebody_else_does_not_wait(crew: Crew) -> None:
    """Whoever is no I/O thread reads for itself, however many jobs are under way."""
    crew.worker()
    near, _ = crew.pair()
    thread = threading.Thread(target=wait_for_turn, args=(near, time.monotonic() + FAR), daemon=True)
    thread.start()
    thread.join(SOON)
    assert not thread.is_alive()
    assert crew.turns.noted == []


@nobody_is_slow
def test_few_do_not_wait() -> None:
    """Below `many` jobs nothing is watched, by nobody; from there on further ones are, until one of the few ends."""
    needs_epoll()
    with Crew(many=3) as crew:
        before = watching()
        workers = [crew.worker() for _ in range(2)]
        for worker in workers:
            worker.wait(crew.pair()[0]).result(SOON)
        assert crew.turns.noted == [False, False]
        assert crew.books == (0, 0, 0)
        assert watching() <= before
        third = crew.waiting()
        assert crew.turns.noted == [False, False, True]
        assert len(watching() - before) == 1
        third.far.send(b"x")
        third.gone.result(SOON)
        third.worker.end()
        workers[0].wait(crew.pair()[0]).result(SOON)
        assert crew.turns.noted == [False, False, True, False]


@nobody_is_slow
def test_who_waits_for_its_turn_is_none_of_the_few() -> None:
    """Jobs that are watched, or ready but out of turn, leave room among the few; one that goes on is one of them."""
    needs_epoll()
    with Crew(many=3, at_once=1) as crew:
        few = [crew.worker() for _ in range(2)]
        crew.waiting()
        crew.going()
        crew.ready()
        assert crew.turns.noted == [True] * 3
        for worker in few:
            worker.end()
        crew.worker().wait(crew.pair()[0]).result(SOON)
        assert crew.turns.noted[3:] == [False]
        crew.waiting()
        assert crew.turns.noted[4:] == [True]


@nobody_is_slow
def test_who_is_one_of_few_gives_its_turn_back() -> None:
    """A thread that was let go on when there were many holds nothing any more after its next wait."""
    needs_epoll()
    with Crew(many=2) as crew:
        other, going = crew.worker(), crew.going()
        other.end()
        going.near.recv(1)
        going.worker.wait(going.near).result(SOON)
        assert crew.books == (0, 0, 0)
        assert not going.worker.turn.is_taken


def test_jobs_count_while_they_last(crew: Crew) -> None:
    """A thread that begins a job has the turn that it had before, and is under way until it ends."""
    worker = crew.worker()
    assert crew.turns._under_way == {worker.turn}

    def again() -> Turn:
        crew.turns.end(worker.turn)
        assert crew.turns._under_way == set()
        return crew.turns.begin()

    assert worker.do(again).result(SOON) is worker.turn
    assert crew.turns._under_way == {worker.turn}
    worker.end()
    assert crew.turns._under_way == set()


# What they wait for


def test_something_to_read(crew: Crew) -> None:
    """A thread goes on when its socket has something to read; one whose socket has nothing stays."""
    stays, goes = crew.waiting(), crew.waiting()
    goes.far.send(b"x")
    assert goes.gone.result(SOON)
    assert crew.turns._waiting == {stays.near.fileno(): stays.worker.turn}
    assert not stays.gone.done()
    stays.far.send(b"y")
    stays.gone.result(SOON)
    assert (goes.near.recv(9), stays.near.recv(9)) == (b"x", b"y")
    assert crew.turns.noted == [True, True]


def test_what_is_there_already(crew: Crew) -> None:
    """Something that came before the wait ends it, again and again: the same descriptor is watched anew each time."""
    worker, (near, far) = crew.worker(), crew.pair()
    for _ in range(3):
        far.send(b"x")
        worker.wait(near).result(SOON)
    assert near.recv(9) == b"xxx"
    assert crew.turns.noted == [True] * 3


def test_room_to_write(crew: Crew) -> None:
    """Who waits to write goes on when there is room, not when there is something to read, and then reads again."""
    worker, (near, far) = crew.worker(), crew.pair()
    near.setblocking(False)
    far.send(b"x")
    with contextlib.suppress(BlockingIOError):
        while True:
            near.send(bytes(65_536))
    gone = worker.wait(near, writing=True)
    until(lambda: crew.turns._waiting)
    other = crew.going()
    assert crew.turns._waiting == {near.fileno(): worker.turn}
    assert not gone.done()
    other.worker.end()
    far.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            far.recv(65_536)
    gone.result(SOON)
    worker.wait(near).result(SOON)
    assert near.recv(9) == b"x"


@contextlib.contextmanager
def unanswered() -> Iterator[socket.socket]:
    """A listener that neither accepts nor refuses: its queue of connections is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener


def test_the_end_of_connecting(crew: Crew) -> None:
    """Who waits for a connection goes on when it is there, and as well when it is refused."""
    with unanswered() as accepts, unanswered() as refuses:
        found = []
        for listener in (accepts, refuses):
            sock, worker = crew.keep(socket.socket()), crew.worker()
            sock.setblocking(False)
            assert sock.connect_ex(listener.getsockname()) == errno.EINPROGRESS
            found.append((sock, worker.wait(sock, writing=True)))
        until(lambda: crew.books == (2, 0, 0))
        assert not any(gone.done() for _, gone in found)
        accepts.setblocking(False)
        refuses.close()

        def is_connected() -> bool:
            with contextlib.suppress(BlockingIOError):
                accepts.accept()[0].close()
            return found[0][1].done()

        until(is_connected)  # the system asks anew after a second
        numbers = []
        for sock, gone in found:
            gone.result(SOON)
            numbers.append(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        assert numbers == [0, errno.ECONNREFUSED]


def test_a_connection_that_is_there_at_once(crew: Crew) -> None:
    """Connecting that has ended before the wait, in one way or the other, ends it."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        for address in (listener.getsockname(), bound.getsockname()):
            sock = crew.keep(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(address)
            crew.worker().wait(sock, writing=True).result(SOON)


@pytest.mark.parametrize("end", ["abort", "close", "peer"])
def test_a_socket_that_is_shut_down(crew: Crew, end: str) -> None:
    """An abort, the closing of the transport, and the peer's leaving each wake who waits."""
    abort, sockets, waiting = Abort(), Sockets(), crew.waiting()
    abort.watch(waiting.near)
    sockets.add(waiting.near)
    {"abort": abort.fire, "close": sockets.close, "peer": waiting.far.close}[end]()
    waiting.gone.result(SOON)
    assert waiting.near.recv(1) == b""
    assert crew.turns.noted == [True]


def test_connecting_that_is_shut_down(crew: Crew) -> None:
    """An abort wakes who waits for a connection."""
    abort, sock, worker = Abort(), crew.keep(socket.socket()), crew.worker()
    sock.setblocking(False)
    with unanswered() as listener:
        sock.connect_ex(listener.getsockname())
        abort.watch(sock)
        gone = worker.wait(sock, writing=True)
        until(lambda: crew.turns._waiting)
        abort.fire()
        gone.result(SOON)
    assert crew.turns.noted == [True]


@pytest.mark.parametrize("before", ["read", "given up"])
def test_a_descriptor_that_another_socket_gets(crew: Crew, before: str) -> None:
    """A number that was closed and is used again stands for the new socket, whatever became of the old one's wait."""
    worker, (near, far) = crew.worker(), crew.pair()
    if before == "read":
        far.send(b"x")
    worker.wait(near, seconds=FAR if before == "read" else BRIEF).result(SOON)
    new, new_far = socket.socketpair()
    crew.keep(new_far)
    with new:
        os.dup2(new.fileno(), near.fileno())  # closes what had the number, and nobody else gets it in between
    gone = worker.wait(near)
    until(lambda: crew.turns._waiting)
    far.close()
    crew.going().worker.end()
    assert crew.turns._waiting == {near.fileno(): worker.turn}
    assert not gone.done()
    new_far.send(b"y")
    gone.result(SOON)
    assert near.recv(9) == b"y"


def test_a_closed_socket(crew: Crew) -> None:
    """A socket that is closed already is not waited for: who reads it gets the error that it gets without turns."""
    worker, (near, _) = crew.worker(), crew.pair()
    near.close()
    worker.wait(near).result(SOON)
    assert crew.turns.noted == [False]
    assert crew.books == (0, 0, 0)


def test_bytes_inside_the_tls_socket(crew: Crew) -> None:
    """What TLS has already taken from the kernel is not waited for, as no kernel tells of it; what comes later is."""
    authority = trustme.CA()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_context)
    client_context = ssl.create_default_context()
    authority.configure_trust(client_context)
    worker, other, (near, far) = crew.worker(), crew.worker(), crew.pair()
    shaken = other.do(lambda: server_context.wrap_socket(far, server_side=True))
    client = client_context.wrap_socket(near, server_hostname="127.0.0.1")
    server = shaken.result(SOON)
    with client, server:
        server.send(b"abc")
        client.settimeout(SOON)
        assert client.recv(1) == b"a"
        assert client.pending() == 2
        worker.wait(client).result(SOON)
        assert crew.turns.noted == []
        assert client.recv(9) == b"bc"
        gone = worker.wait(client)
        until(lambda: crew.turns._waiting)
        server.send(b"d")
        gone.result(SOON)
        assert client.recv(9) == b"d"
        worker.end()


# A few at a time


@nobody_is_slow
def test_who_makes_room_lets_the_next_one_go_on() -> None:
    """One that ends its job, or waits again, lets exactly one go on, in the order in which they became ready."""
    needs_epoll()
    with Crew(at_once=2) as crew:
        first, second = crew.going(), crew.going()
        waiting = [crew.waiting() for _ in range(4)]
        order = [waiting[number] for number in (2, 0, 3, 1)]  # not that in which they began to wait
        for each in order:
            each.far.send(b"x")
            until(lambda turn=each.worker.turn: turn in crew.turns._ready)
        turns = [each.worker.turn for each in order]
        assert list(crew.turns._ready) == turns

        first.near.recv(1)
        first.worker.wait(first.near)
        order[0].gone.result(SOON)
        until(lambda: crew.books == (1, 3, 2))
        assert list(crew.turns._ready) == turns[1:]

        second.worker.end()
        order[1].gone.result(SOON)
        assert crew.books == (1, 2, 2)
        assert list(crew.turns._ready) == turns[2:]

        again = order[0].worker.wait(order[0].near)  # there is still something to read: it queues up behind the others
        order[2].gone.result(SOON)
        until(lambda: crew.books == (1, 2, 2))
        assert list(crew.turns._ready) == [turns[3], turns[0]]

        order[1].worker.end()
        order[3].gone.result(SOON)
        assert crew.books == (1, 1, 2)
        assert not again.done()
        order[2].worker.end()
        again.result(SOON)
        order[3].worker.end()
        assert set(crew.turns._going) == {turns[0]}
        assert crew.books == (1, 0, 1)


@nobody_is_slow
def test_never_more_than_a_few() -> None:
    """However many sockets can be read, and however often, no more than `at_once` threads are between two waits."""
    needs_epoll()
    rounds, going, most, lock = 20, 0, 0, threading.Lock()

    def work(sock: socket.socket) -> None:
        nonlocal going, most
        for _ in range(rounds):
            wait_for_turn(sock, time.monotonic() + FAR)
            with lock:
                going += 1
                most = max(most, going)
            sock.recv(1)
            with lock:
                going -= 1

    with Crew(at_once=3) as crew:
        workers = [crew.worker() for _ in range(24)]
        done = []
        for worker in workers:
            near, far = crew.pair()
            far.send(bytes(rounds))
            done.append(worker.do(lambda near=near: work(near)))
            worker.leave()
        for each in done:
            each.result(SOON)
        for worker in workers:
            worker.end()
        assert crew.turns.noted == [True] * (24 * rounds)
        assert crew.books == (0, 0, 0)
    assert 1 <= most <= 3


def test_who_keeps_its_turn_for_long_holds_nobody_up() -> None:
    """A job that blocks on something else keeps the others waiting for a moment, not until it ends."""
    needs_epoll()
    with Crew(at_once=1, idle_seconds=FAR) as crew:
        workers = []
        for _ in range(3):
            waiting = crew.waiting()
            waiting.far.send(b"x")
            waiting.gone.result(SOON)
            workers.append(waiting.worker)
        assert all(worker.turn.is_taken for worker in workers)


@nobody_is_slow
@pytest.mark.parametrize("how", ["ends", "waits"])
def test_a_turn_that_is_given_back_late(how: str) -> None:
    """Who was no longer reckoned with makes no room when it gives its turn back: not one too many goes on."""
    needs_epoll()
    with Crew(at_once=1) as crew:
        slow, second, third = crew.going(), crew.ready(), crew.ready()
        with crew.turns._lock:
            crew.turns._going[slow.worker.turn] -= 2 * FAR
        crew.nudge()
        second.gone.result(SOON)
        assert slow.worker.turn.is_taken
        slow.near.recv(1)
        if how == "ends":
            slow.worker.end()
        else:
            slow.worker.wait(slow.near)
            until(lambda: crew.turns._waiting)
        assert not slow.worker.turn.is_taken
        assert set(crew.turns._going) == {second.worker.turn}
        assert list(crew.turns._ready) == [third.worker.turn]
        assert not third.gone.done()
        second.worker.end()
        third.gone.result(SOON)


# Deadlines


def test_a_deadline_while_nothing_comes(crew: Crew) -> None:
    """Who has waited until its deadline goes on, is in no book any more, and can wait for the same socket again."""
    worker, (near, far) = crew.worker(), crew.pair()
    for seconds in (BRIEF, 0.0, -1.0):
        assert not worker.wait(near, seconds=seconds).result(SOON)
        assert crew.books == (0, 0, 0)
        assert not worker.turn.is_taken
    assert crew.turns.noted == [True], "where no time is left nothing is watched"
    gone = worker.wait(near)
    until(lambda: crew.turns._waiting)
    far.send(b"x")
    gone.result(SOON)
    assert crew.books == (0, 0, 1)


def test_what_comes_after_a_deadline(crew: Crew) -> None:
    """A descriptor that nobody waits for any more lets nobody go on."""
    worker, (near, far) = crew.worker(), crew.pair()
    worker.wait(near, seconds=BRIEF).result(SOON)
    far.send(b"x")
    crew.going()
    assert crew.books == (0, 0, 1)
    assert not worker.turn.is_taken


@nobody_is_slow
def test_a_deadline_while_others_go_on() -> None:
    """Who is ready, but out of turn until its deadline, goes on beside the others and leaves their turns alone."""
    needs_epoll()
    with Crew(at_once=1) as crew:
        going, worker, (near, far) = crew.going(), crew.worker(), crew.pair()
        far.send(b"x")
        assert worker.wait(near, seconds=BRIEF).result(SOON), "what came in time is to be read"
        assert crew.books == (0, 0, 1)
        assert set(crew.turns._going) == {going.worker.turn}
        assert not worker.turn.is_taken
        gone = worker.wait(near)
        until(lambda: crew.turns._ready)
        assert not gone.done()
        going.worker.end()
        gone.result(SOON)
        assert set(crew.turns._going) == {worker.turn}


def test_a_deadline_in_the_moment_in_which_it_is_let_go_on(crew: Crew) -> None:
    """Who is let go on as its time is over keeps the turn and gives it back later; its gate is closed again."""
    worker, (near, far) = crew.worker(), crew.pair()
    far.send(b"x")

    def give_up() -> None:
        assert crew.turns.watch(worker.turn, near.fileno(), writing=False)
        until(lambda: worker.turn.is_taken)
        assert crew.turns.forget(worker.turn, near.fileno()), "it can be read"

    worker.do(give_up).result(SOON)
    assert worker.turn.gate.locked()
    assert set(crew.turns._going) == {worker.turn}
    assert near.recv(1) == b"x"
    gone = worker.wait(near)
    until(lambda: crew.turns._waiting)
    assert crew.books == (1, 0, 0)
    assert not gone.done()
    far.send(b"y")
    gone.result(SOON)


@nobody_is_slow
def test_who_gives_up_leaves_others_alone() -> None:
    """Who was ready when its time was over leaves the books alone in which another one waits for the same number."""
    needs_epoll()
    with Crew(at_once=1) as crew:
        going, first, second, (near, far) = crew.going(), crew.worker(), crew.worker(), crew.pair()
        far.send(b"x")
        assert first.do(lambda: crew.turns.watch(first.turn, near.fileno(), writing=False)).result(SOON)
        until(lambda: first.turn in crew.turns._ready)
        assert near.recv(1) == b"x"
        gone = second.wait(near)
        until(lambda: crew.turns._waiting)
        first.do(lambda: crew.turns.forget(first.turn, near.fileno())).result(SOON)
        assert crew.books == (1, 0, 1)
        assert crew.turns._waiting == {near.fileno(): second.turn}
        going.worker.end()
        far.send(b"y")
        gone.result(SOON)


# Who watches


class Counted:
    """An epoll that counts the looks at it, and may be full."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.looks = 0
        self.full = False

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        self.looks += 1
        return self._epoll.poll(timeout)

    def modify(self, fd: int, events: int) -> None:
        self._epoll.modify(fd, events)

    def register(self, fd: int, events: int) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._epoll.register(fd, events)


def test_who_watches_leaves_when_nobody_waits(crew: Crew) -> None:
    """The thread that watches ends when there is nothing for it to do, and another one is there for the next wait."""
    for _ in range(2):
        before = watching()
        waiting = crew.waiting()
        [thread] = watching() - before
        waiting.far.send(b"x")
        waiting.gone.result(SOON)
        thread.join(SOON)
        assert not thread.is_alive()
    assert crew.turns.noted == [True] * 2


def test_who_watches_stays_while_somebody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not end, however long nothing comes."""
    needs_epoll()
    with Crew(idle_seconds=0.001) as crew:
        counted = Counted()
        monkeypatch.setattr(crew.turns, "_epoll", counted)
        waiting = crew.waiting()
        until(lambda: counted.looks > 5)
        assert crew.turns._is_watched
        waiting.far.send(b"x")
        waiting.gone.result(SOON)


def test_one_watches_for_all(crew: Crew) -> None:
    """However many wait, one thread watches; it holds up no program that ends."""
    before = watching()
    for _ in range(5):
        crew.waiting()
    [thread] = watching() - before
    assert thread.daemon


def test_no_thread_can_be_started(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without anybody to watch a thread waits for itself, and the next one asks again."""
    worker, (near, far) = crew.worker(), crew.pair()

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        worker.wait(near).result(SOON)
    assert crew.turns.noted == [False]
    assert crew.books == (0, 0, 0)
    gone = worker.wait(near)
    until(lambda: crew.turns._waiting)
    far.send(b"x")
    gone.result(SOON)


def test_no_descriptor_can_be_watched(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system watches no further descriptor a thread waits for itself; it gives its turn back all the same."""
    counted = Counted()
    monkeypatch.setattr(crew.turns, "_epoll", counted)
    going = crew.going()
    counted.full = True
    near, _ = crew.pair()
    going.worker.wait(near).result(SOON)
    assert crew.turns.noted == [True, False]
    assert crew.books == (0, 0, 0)
    assert not going.worker.turn.is_taken
    going.worker.wait(going.near).result(SOON)  # this one the system knows
    assert crew.turns.noted == [True, False, True]
    with tempfile.TemporaryFile() as file:  # nobody can watch a file
        turn = going.worker.turn
        assert going.worker.do(lambda: crew.turns.watch(turn, file.fileno(), writing=False)).result(SOON) is False
    counted.full = False


def test_no_descriptor_is_left(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none is left for epoll itself a thread waits for itself, and a later one asks again."""
    worker, (near, far) = crew.worker(), crew.pair()

    def refuse() -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(select, "epoll", refuse)
        worker.wait(near).result(SOON)
    assert crew.turns.noted == [False]
    assert not crew.turns._is_watched
    far.send(b"x")
    worker.wait(near).result(SOON)
    assert crew.turns.noted == [False, True]


def test_without_epoll_everybody_waits_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no epoll nothing is watched, however many there are."""
    monkeypatch.delattr(select, "epoll", raising=False)
    with Crew() as crew:
        monkeypatch.undo()
        worker, (near, _) = crew.worker(), crew.pair()
        worker.wait(near).result(SOON)
        worker.wait(near, writing=True).result(SOON)
        assert crew.turns.noted == [False, False]
        assert not crew.turns._is_watched


FORK = """
import os, socket, time
from nexus_connector import Connector
from nexus_connector.io.turns import Turns, wait_for_turn
import asyncio

connector = Connector.from_config({"services": {"crm": {"base_url": "https://crm.example"}}, "plugins": {"only": []}})
turns = connector.runtime.process.threads()._turns = Turns(1)

def job():
    near, far = socket.socketpair()
    far.send(b"x")
    wait_for_turn(near, time.monotonic() + 1000)
    near.recv(1)
    assert turns.begin().is_taken
    child = os.fork()
    if child == 0:
        wait_for_turn(near, time.monotonic() + 1000)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    far.send(b"y")
    wait_for_turn(near, time.monotonic() + 1000)
    return status, near.recv(9)

print(*asyncio.run(connector.as_async().run("crm", job, operation="fork")))
"""


def test_in_another_process_nothing_is_watched(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns that a parent has left to its child are nobody's: no wait, and no lock, which may be held for ever."""
    waits, ends = crew.going(), crew.going()
    with monkeypatch.context() as patch, crew.turns._lock:
        patch.setattr(crew.turns, "_pid", os.getppid())
        waits.worker.wait(waits.near).result(SOON)
        waits.worker.end()
        ends.worker.end()
    assert crew.turns.noted == [True, True, False]


def test_a_child_does_not_wait() -> None:
    """After a fork in a job nobody watches in the child: it waits for itself. The parent takes turns as before."""
    needs_epoll()
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SOON, check=True)
    assert done.stdout.split() == ["0", "b'y'"]


# The transport


class Held:
    """A server that reads requests and holds its answers back until it is told."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._selector = selectors.DefaultSelector()
        self._left, self._stop = socket.socketpair()
        self._heads: dict[socket.socket, bytes] = {}
        self._asked: dict[str, socket.socket] = {}
        self._changed = threading.Condition()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._left, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if sock is self._left:
                    return
                if sock is self._listener:
                    connection, _ = sock.accept()
                    self._heads[connection] = b""
                    self._selector.register(connection, selectors.EVENT_READ)
                else:
                    self._read(sock)

    def _read(self, connection: socket.socket) -> None:
        data = b""
        with contextlib.suppress(OSError):
            data = connection.recv(65_536)
        if not data:
            self._selector.unregister(connection)
            return
        head = self._heads[connection] = self._heads[connection] + data
        if head.endswith(b"\r\n\r\n"):
            self._heads[connection] = b""
            with self._changed:
                self._asked[head.split(b" ")[1].decode()] = connection
                self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        """Wait until so many requests are there."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._asked) >= count, SOON)

    def send(self, path: str, data: bytes) -> None:
        """Send bytes to who asked for a path; to nobody, if it has left."""
        with contextlib.suppress(OSError):
            self._asked[path].sendall(data)

    def answer(self, *paths: str) -> None:
        """Answer requests, all at once, with their own paths; without arguments: all of them."""
        for path in paths or list(self._asked):
            self.send(path, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path.encode()))

    def forget(self) -> None:
        """Forget who has asked so far."""
        self._asked.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.close()
        self._thread.join()
        self._selector.close()
        for sock in (self._left, self._listener, *self._heads):
            sock.close()


@pytest.fixture
def server() -> Iterator[Held]:
    with Held() as held:
        yield held


@pytest.fixture
def transport() -> Iterator[PoolTransport]:
    transport = PoolTransport(TransportOptions(max_connections=2))
    yield transport
    transport.close()


class Sender:
    """A worker that sends."""

    def __init__(self, crew: Crew, transport: PoolTransport) -> None:
        self._worker = crew.worker()
        self._transport = transport

    def send(self, url: str, path: str = "/", *, seconds: float = FAR, abort: Abort | None = None) -> Future[Received]:
        request = Request(base_url=url, path=path)
        return self._worker.do(lambda: self._transport.send(request, deadline=time.monotonic() + seconds, abort=abort))


@pytest.fixture
def sender(crew: Crew, transport: PoolTransport) -> Sender:
    return Sender(crew, transport)


def fail(sent: Future[Received]) -> SendError:
    """Return the failure of a send."""
    error = sent.exception(SOON)
    assert isinstance(error, SendError)
    return error


def test_a_send_that_may_be_aborted_takes_turns(crew: Crew, server: Held, sender: Sender) -> None:
    """The awaited face, which alone has an abort handle, takes turns; on the same connection the other one does not."""
    noted = crew.turns.noted
    for number, abort in enumerate((Abort(), None, Abort())):
        before = len(noted)
        sent = sender.send(server.url, f"/{number}", abort=abort)
        server.wait_for(number + 1)
        if abort is not None:
            until(lambda: crew.turns._waiting)
        server.answer(f"/{number}")
        assert sent.result(SOON).body == f"/{number}".encode()
        assert noted[before:] == ([True, True] if number == 0 else [True] if abort is not None else [])


def test_an_answer_that_does_not_come(crew: Crew, server: Held, sender: Sender) -> None:
    """A send that waits for its turn ends by its deadline, as one that does not, and is in no book any more."""
    failure = fail(sender.send(server.url, seconds=BRIEF, abort=Abort()))
    assert (failure.phase, failure.wrote, failure.timed_out) == ("read", True, True)
    assert crew.books[:2] == (0, 0)
    assert crew.turns.noted == [True, True]


@nobody_is_slow
def test_an_answer_that_comes_in_time_but_out_of_turn() -> None:
    """An answer that was there by the deadline is read, though others had their turn until then; not a byte more is."""
    needs_epoll()
    with Crew(at_once=1) as crew:
        crew.going()
        near, far = crew.pair()
        wire = Wire(near, Sockets())
        wire.begin(time.monotonic() + BRIEF, takes_turns=True)
        far.send(b"in time")
        reader = wire.makefile("rb")
        assert crew.worker().do(lambda: reader.read1(9)).result(SOON) == b"in time"
        far.send(b"late")
        with pytest.raises(TimeoutError):
            crew.worker().do(lambda: reader.read1(9)).result(SOON)


def test_a_connection_that_does_not_come(crew: Crew, sender: Sender) -> None:
    """Connecting ends by the deadline, too, whoever watches it."""
    with unanswered() as listener:
        port = listener.getsockname()[1]
        failure = fail(sender.send(f"http://127.0.0.1:{port}", seconds=BRIEF, abort=Abort()))
    assert (failure.phase, failure.wrote, failure.timed_out) == ("connect", False, True)
    assert crew.books == (0, 0, 0)
    assert crew.turns.noted == [True]


def test_a_connection_that_is_refused(crew: Crew, sender: Sender) -> None:
    """Who is refused is told so, not that its time was over."""
    with unanswered() as listener:
        port = listener.getsockname()[1]
        sent = sender.send(f"http://127.0.0.1:{port}", abort=Abort())
        until(lambda: crew.turns._waiting)
    failure = fail(sent)
    assert (failure.phase, failure.wrote, failure.timed_out) == ("connect", False, False)


class AbortAtOnce(Abort):
    """Fires in the same moment in which the send names its socket."""

    def watch(self, sock: socket.socket | None) -> None:
        self.fired = True
        super().watch(sock)


def test_a_send_that_is_ended_just_before_it_connects(crew: Crew, sender: Sender) -> None:
    """An abort before connecting began cannot end it by a shutdown: nobody waits for the connection."""
    with unanswered() as listener:
        port = listener.getsockname()[1]
        failure = fail(sender.send(f"http://127.0.0.1:{port}", abort=AbortAtOnce()))
    assert (failure.phase, failure.wrote, failure.timed_out) == ("connect", False, False)
    assert crew.turns.noted == []


@pytest.mark.parametrize("where", ["connect", "read"])
@pytest.mark.parametrize("end", ["abort", "close"])
def test_a_send_that_is_ended(
    crew: Crew, server: Held, transport: PoolTransport, sender: Sender, where: str, end: str
) -> None:
    """An abort, and closing the transport, end a send that waits for its turn."""
    abort = Abort()
    with unanswered() as listener:
        port = listener.getsockname()[1]
        sent = sender.send(server.url if where == "read" else f"http://127.0.0.1:{port}", abort=abort)
        if where == "read":
            server.wait_for(1)
        until(lambda: crew.turns._waiting)
        if end == "abort":
            abort.fire()
        else:
            transport.close()
        failure = fail(sent)
    assert (failure.phase, failure.wrote, failure.timed_out) == (where, where == "read", False)
    assert crew.books[:2] == (0, 0)


# All together


CALLS = 200


@contextlib.contextmanager
def connected(url: str, *, if_few: bool = True) -> Iterator[tuple[Connector, Turns]]:
    """A connector that may send many requests at once, and the turns of its threads, who take them even if few."""
    config = {"services": {"crm": {"base_url": url, "max_concurrency": 2 * CALLS}}, "plugins": {"only": []}}
    with Connector.from_config(config) as connector:
        threads = connector.runtime.process.threads()
        if if_few:
            threads._turns = Turns(1, idle_seconds=IDLE)
        yield connector, threads._turns


def calls(connector: Connector, count: int) -> list[asyncio.Task[Any]]:
    """Begin calls, each for a path of its own."""
    service = connector.as_async().service("crm")
    return [asyncio.ensure_future(service.get(f"/{number}")) for number in range(count)]


async def held_back(server: Held, turns: Turns, count: int, *, by_themselves: int = 0) -> None:
    """Wait until the server has so many requests, and who sent them wait for their turns, but for some at most."""
    await asyncio.to_thread(server.wait_for, count)
    await asyncio.to_thread(until, lambda: count - by_themselves <= len(turns._waiting) <= count)


def bodies(count: int) -> list[bytes]:
    return [f"/{number}".encode() for number in range(count)]


def test_answers_that_come_at_once(server: Held) -> None:
    """Two hundred awaited calls get their own answers, on new connections and on kept ones."""
    needs_epoll()
    with connected(server.url, if_few=False) as (connector, turns):

        async def main() -> None:
            for _ in range(3):
                tasks = calls(connector, CALLS)
                await held_back(server, turns, CALLS, by_themselves=CALLS // 2)  # the few
                assert watching()
                server.answer()
                answers = await asyncio.wait_for(asyncio.gather(*tasks), SOON)
                assert [answer.body for answer in answers] == bodies(CALLS)
                server.forget()

        asyncio.run(main())
        until(lambda: not (turns._under_way or turns._going))
        assert (turns._waiting, list(turns._ready)) == ({}, [])


def test_few_calls_at_once(server: Held) -> None:
    """Twenty awaited calls need nobody to watch."""
    with connected(server.url, if_few=False) as (connector, turns):

        async def main() -> None:
            tasks = calls(connector, 20)
            await asyncio.to_thread(server.wait_for, 20)
            server.answer()
            answers = await asyncio.wait_for(asyncio.gather(*tasks), SOON)
            assert [answer.body for answer in answers] == bodies(20)
            assert not turns._is_watched

        asyncio.run(main())


def test_many_calls_without_epoll(server: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no epoll many awaited calls at once are answered, too."""
    with monkeypatch.context() as patch:
        patch.delattr(select, "epoll", raising=False)
        opened = contextlib.ExitStack()
        connector, turns = opened.enter_context(connected(server.url))
    with opened:

        async def main() -> None:
            tasks = calls(connector, CALLS)
            await asyncio.to_thread(server.wait_for, CALLS)
            assert not turns._is_watched
            server.answer()
            answers = await asyncio.wait_for(asyncio.gather(*tasks), SOON)
            assert [answer.body for answer in answers] == bodies(CALLS)

        asyncio.run(main())


def test_cancelling_calls_that_wait(server: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that is cancelled while its thread waits for its turn ends, thread and all; the others are answered."""
    needs_epoll()
    monkeypatch.setattr(looping, "CANCEL_SECONDS", 10 * SOON)  # a cancelled call ends when its thread has
    with connected(server.url) as (connector, turns):

        async def main() -> None:
            tasks = calls(connector, CALLS)
            await held_back(server, turns, CALLS)
            gone, stay = tasks[::3], [task for task in tasks if task not in tasks[::3]]
            for task in gone:
                task.cancel()
            ended = await asyncio.wait_for(asyncio.gather(*gone, return_exceptions=True), SOON)
            assert {type(each) for each in ended} == {asyncio.CancelledError}
            assert len(turns._waiting) == len(stay)
            server.answer()
            answers = await asyncio.wait_for(asyncio.gather(*stay), SOON)
            assert [answer.body for answer in answers] == [
                body for number, body in enumerate(bodies(CALLS)) if number % 3
            ]

        asyncio.run(main())


def test_closing_while_calls_wait(server: Held) -> None:
    """Closing the connector ends every call whose thread waits for its turn, and its threads."""
    needs_epoll()
    with connected(server.url) as (connector, turns):

        async def main() -> None:
            tasks = calls(connector, CALLS)
            await held_back(server, turns, CALLS)
            await connector.as_async().close()
            ended = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), SOON)
            assert {type(each) for each in ended} == {TransportError}

        asyncio.run(main())
        until(lambda: not turns._under_way)
        assert not turns._waiting


def test_a_stream_beside_many_calls(server: Held) -> None:
    """A body that comes piece by piece is read as it comes while many other calls wait, each piece in a turn."""
    needs_epoll()
    pieces = [bytes([number]) * 1000 for number in range(5)]
    with connected(server.url) as (connector, turns):

        async def main() -> None:
            tasks = calls(connector, MANY)
            await held_back(server, turns, MANY)
            opening = asyncio.ensure_future(stream())
            await held_back(server, turns, MANY + 1)
            server.send("/stream", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
            assert await asyncio.wait_for(opening, SOON) == b"".join(pieces)
            server.answer(*[f"/{number}" for number in range(MANY)])
            await asyncio.wait_for(asyncio.gather(*tasks), SOON)

        async def stream() -> bytes:
            body = b""
            async with connector.as_async().service("crm").stream("/stream") as opened:
                pulled = opened.__aiter__()
                for piece in pieces:
                    reading = asyncio.ensure_future(anext(pulled))
                    await held_back(server, turns, MANY + 1)
                    server.send("/stream", piece)
                    body += await asyncio.wait_for(reading, SOON)
                assert [rest async for rest in pulled] == []
            return body

        asyncio.run(main())
