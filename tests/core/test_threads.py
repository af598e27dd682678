"""The I/O threads: what blocks is done for the loops that ask, each gets its own outcomes, nothing is left behind."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from nexus_connector import Connector
from nexus_connector.errors import ConnectorClosedError, ConnectorError
from nexus_connector.io import looping
from nexus_connector.io.permits import Permits
from nexus_connector.io.threads import Job, Threads
from nexus_connector.process import Wire
from nexus_connector.transport import Abort, Received, SendError

SOON = 20.0
"""Longest wait for what must happen, seconds; nothing here takes that long unless it is broken."""


@pytest.fixture
def threads() -> Iterator[Threads]:
    made = Threads(8)
    yield made
    made.close()


async def outcome(job: Job[Any]) -> Any:
    await asyncio.wait_for(job.ended, SOON)
    return job.outcome()


class Blocker:
    """A function that blocks until it is let go."""

    def __init__(self, answer: object = None) -> None:
        self.begun = threading.Event()
        self.free = threading.Event()
        self._answer = answer

    def __call__(self) -> object:
        self.begun.set()
        assert self.free.wait(SOON)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


class Called:
    """In place of the pool: notes who is called to work."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []
        self.left = sys.maxsize

    def submit(self, work: Callable[[], None]) -> None:
        if not self.left:
            raise RuntimeError("can't start new thread")
        self.left -= 1
        self.calls.append(work)

    def shutdown(self, *, wait: bool) -> None:
        assert not wait
        self.left = 0


@pytest.fixture
def called(threads: Threads, monkeypatch: pytest.MonkeyPatch) -> Called:
    pool = Called()
    monkeypatch.setattr(threads, "_pool", pool)
    return pool


# Outcomes


def test_it_returns_and_raises(threads: Threads) -> None:
    """What the function returns or raises is what the caller gets, from another thread."""

    async def main() -> None:
        assert await outcome(threads.begin(threading.get_ident)) != threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            await outcome(threads.begin(lambda: 1 // 0))

    asyncio.run(main())


def test_the_function_sees_the_callers_context(threads: Threads) -> None:
    """Context variables are those of the caller when it asked; what the function sets stays its own."""
    name = contextvars.ContextVar("name", default="nobody")

    def change() -> str:
        seen = name.get()
        name.set("somebody else")
        return seen

    async def main() -> None:
        name.set("caller")
        job = threads.begin(change)
        name.set("caller later")
        assert await outcome(job) == "caller"
        assert name.get() == "caller later"

    asyncio.run(main())


def test_an_outcome_is_not_kept_alive(threads: Threads) -> None:
    """What was returned or raised dies with its last user: jobs, threads and tracebacks hold neither, in no circle."""

    class Thing:
        pass

    class FailureError(Exception):
        pass

    def fail() -> None:
        raise FailureError

    async def main() -> list[weakref.ref[Any]]:
        job = threads.begin(Thing)
        kept = [weakref.ref(await outcome(job))]
        failed: Job[None] = threads.begin(fail)
        try:
            await outcome(failed)
        except FailureError as error:
            kept.append(weakref.ref(error))
        return [each for each in kept if each() is not None]

    gc.disable()
    try:
        assert asyncio.run(main()) == []
    finally:
        gc.enable()


@pytest.mark.parametrize("face", ["blocking", "awaited"])
def test_a_function_that_raises_stop_iteration(face: str) -> None:
    """StopIteration, which no coroutine can raise, ends the call as RuntimeError on both faces; nothing hangs."""
    with Connector.from_config({"services": {"crm": {"base_url": "https://crm.example"}}}) as connector:

        def run() -> None:
            if face == "blocking":
                connector.run("crm", iter(()).__next__, operation="next")
            else:
                waiting = connector.as_async().run("crm", iter(()).__next__, operation="next")
                asyncio.run(asyncio.wait_for(waiting, SOON))

        with pytest.raises(ConnectorError) as caught:
            run()
        assert isinstance(caught.value.__cause__, RuntimeError)


# Threads


def test_each_job_has_a_thread(threads: Threads) -> None:
    """As many jobs as there may be threads are under way at once, however they were asked for."""
    meeting = threading.Barrier(8)

    async def main() -> None:
        await asyncio.gather(*[outcome(threads.begin(lambda: meeting.wait(SOON))) for _ in range(8)])

    asyncio.run(main())


def test_no_more_threads_than_allowed() -> None:
    """Further jobs wait until a thread is free, then are done in the order in which they came."""
    order: list[int] = []
    blocker = Blocker()

    async def main() -> None:
        threads = Threads(1)
        first = threads.begin(blocker)
        others = [threads.begin(lambda number=number: order.append(number)) for number in range(5)]
        await asyncio.to_thread(blocker.begun.wait, SOON)
        assert order == []
        blocker.free.set()
        for job in (first, *others):
            await outcome(job)
        threads.close()

    asyncio.run(main())
    assert order == [0, 1, 2, 3, 4]


def test_one_thread_at_a_time_is_called(threads: Threads, called: Called) -> None:
    """However many jobs there are, one thread is called; it calls the next one before it does its job, if there is one.

    Hundreds of threads woken at once fight for the interpreter: a thousand calls took 1.7 times as long.
    """
    calls: list[int] = []

    async def main() -> None:
        jobs = [threads.begin(lambda: calls.append(len(called.calls))) for _ in range(3)]
        assert len(called.calls) == 1
        called.calls[0]()
        assert calls == [2, 2, 2]
        for job in jobs:
            await outcome(job)
        called.calls[1]()  # it comes for nothing
        lone = threads.begin(lambda: None)
        called.calls[2]()
        assert len(called.calls) == 3
        await outcome(lone)

    asyncio.run(main())


def test_a_thread_that_cannot_be_started(threads: Threads, called: Called) -> None:
    """The one who asked is told, and it is not done later; what a thread finds waiting, it does itself."""
    done: list[str] = []

    async def main() -> None:
        called.left = 0
        with pytest.raises(RuntimeError, match="can't start new thread"):
            await outcome(threads.begin(lambda: done.append("refused")))
        called.left = 1
        jobs = [threads.begin(lambda name=name: done.append(name)) for name in ("a", "b")]
        [work] = called.calls
        work()
        for job in jobs:
            await outcome(job)

    asyncio.run(main())
    assert done == ["a", "b"]


def test_a_call_without_a_thread_gives_its_permit_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """If no thread can be started nothing is sent, and the permit is free, whoever still holds the error."""
    config = {"services": {"crm": {"base_url": "https://crm.example"}}, "plugins": {"only": []}}
    with Connector.from_config(config) as connector:
        process, none = connector.runtime.process, Called()
        none.left = 0
        monkeypatch.setattr(process.threads(), "_pool", none)
        permits = process.wire("crm").permits
        free = permits.free
        with pytest.raises(RuntimeError, match="can't start new thread") as caught:
            asyncio.run(connector.as_async().service("crm").get("/x"))
        assert permits.free == free, caught


# Loops


def test_outcomes_that_are_there_wake_the_loop_once(threads: Threads) -> None:
    """While the loop is busy, what ends costs one wake-up in all; every one that waits gets its own."""

    async def main() -> None:
        loop, wakes = asyncio.get_running_loop(), []
        wake = loop.call_soon_threadsafe

        def counted(callback: Callable[..., object], *args: Any, **options: Any) -> object:
            wakes.append(callback)
            return wake(callback, *args, **options)

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign, assignment]
        for _ in range(2):
            jobs = [threads.begin(lambda number=number: number) for number in range(20)]
            landing = threads._landing
            assert landing is not None
            while len(landing._ended) < len(jobs):
                threading.Event().wait(0.001)  # the loop stands still
            assert [await outcome(job) for job in jobs] == list(range(20))
        assert 2 <= len(wakes) < 10  # two threads may wake it at the same moment

    asyncio.run(main())


def test_each_loop_gets_its_own(threads: Threads) -> None:
    """Loops in several threads share the I/O threads; an outcome comes to the loop that asked, in its thread."""
    wrong: list[object] = []

    async def ask(name: str) -> None:
        for number in range(200):
            here = threading.get_ident()
            jobs = [threads.begin(lambda number=number, part=part: (name, number, part)) for part in range(3)]
            got = [await outcome(job) for job in jobs]
            if got != [(name, number, part) for part in range(3)] or threading.get_ident() != here:
                wrong.append(got)

    loops = [threading.Thread(target=lambda name=name: asyncio.run(ask(name))) for name in "abc"]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join(SOON)
        assert not loop.is_alive()
    assert wrong == []


def test_a_loop_that_is_gone(threads: Threads) -> None:
    """What ends after its loop was closed is dropped at once, and the threads serve others."""

    class Thing:
        pass

    things: list[weakref.ref[Thing]] = []
    blocker = Blocker()

    def make() -> Thing:
        blocker()
        thing = Thing()
        things.append(weakref.ref(thing))
        return thing

    async def leave() -> None:
        for _ in range(2):
            threads.begin(make)

    async def come() -> None:
        assert await outcome(threads.begin(lambda: "other")) == "other"

    asyncio.run(leave())
    blocker.free.set()
    until = time.monotonic() + SOON
    while len(things) < 2 or any(each() is not None for each in things):
        assert time.monotonic() < until
        threading.Event().wait(0.001)
    asyncio.run(come())


# Cancelling


@pytest.fixture
def awaited() -> Iterator[Connector]:
    config = {"services": {"crm": {"base_url": "https://crm.example"}}, "io_threads": 1, "plugins": {"only": []}}
    with Connector.from_config(config) as connector:
        yield connector


async def cancelled(waiting: Awaitable[object]) -> asyncio.CancelledError:
    """Cancel a task and return what it raised, frames and all."""
    task = asyncio.ensure_future(waiting)
    await asyncio.sleep(0)
    task.cancel()
    try:
        await asyncio.wait_for(task, SOON)
    except asyncio.CancelledError as error:
        return error
    raise AssertionError("it was not cancelled")


def test_cancelled_before_it_began(awaited: Connector) -> None:
    """What no thread has begun is taken back: it is never called."""
    blocker, called = Blocker(), threading.Event()

    async def main() -> None:
        io = awaited.runtime.loop_io
        first = asyncio.ensure_future(io.run(blocker))
        await asyncio.sleep(0)
        await cancelled(io.run(called.set))
        blocker.free.set()
        await asyncio.wait_for(first, SOON)
        assert await io.run(lambda: "the next one") == "the next one"

    asyncio.run(main())
    assert not called.is_set()


def test_cancelled_before_it_was_sent_gives_its_permit_back(awaited: Connector) -> None:
    """A call cancelled while it waits for a thread holds no permit any more, whoever still holds the cancellation."""
    blocker = Blocker()

    async def main() -> None:
        first = asyncio.ensure_future(awaited.runtime.loop_io.run(blocker))
        await asyncio.sleep(0)
        permits = awaited.runtime.process.wire("crm").permits
        free = permits.free
        error = await cancelled(awaited.as_async().service("crm").get("/x"))
        assert permits.free == free, error
        blocker.free.set()
        await asyncio.wait_for(first, SOON)

    asyncio.run(main())


@pytest.mark.parametrize("answer", [None, ValueError("late")], ids=["returns", "raises"])
def test_cancelled_while_it_runs(awaited: Connector, monkeypatch: pytest.MonkeyPatch, answer: Exception | None) -> None:
    """The caller waits a while, then goes; what comes of it later is dropped without a word, and the thread is free."""
    monkeypatch.setattr(looping, "CANCEL_SECONDS", 0.0)
    blocker, words = Blocker(answer), list[object]()

    class Thing:
        pass

    things: list[weakref.ref[Thing]] = []

    def make() -> Thing:
        blocker()
        thing = Thing()
        things.append(weakref.ref(thing))
        return thing

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: words.append(context))
        io = awaited.runtime.loop_io
        task = asyncio.ensure_future(io.run(make))
        await asyncio.to_thread(blocker.begun.wait, SOON)
        error = await cancelled(task)
        assert not blocker.free.is_set()
        blocker.free.set()
        assert await asyncio.wait_for(io.run(lambda: "next"), SOON) == "next"
        assert [each() for each in things] == [None] * (answer is None), error
        del task, error
        gc.collect()

    asyncio.run(main())
    assert words == []


class Hanging:
    """A transport that never answers; an abort may end it."""

    def __init__(self, *, can_be_ended: bool) -> None:
        self.begun = threading.Event()
        self.free = threading.Event()
        self._can_be_ended = can_be_ended

    def send(self, request: object, *, deadline: float, abort: Abort | None = None, stream: bool = False) -> Received:
        near, far = socket.socketpair()
        near.settimeout(SOON)
        with near, far:
            if abort is not None:
                abort.watch(near)
            self.begun.set()
            if self._can_be_ended:
                assert near.recv(1) == b""
            else:
                assert self.free.wait(SOON)
        raise SendError("ended", phase="read", wrote=True)

    def close(self) -> None:
        self.free.set()


async def cancelled_send(connector: Connector, transport: Hanging) -> Permits:
    """Cancel a call while it is sent; returns the permits of its service."""
    wire = connector.runtime.process._wires["crm"] = Wire(transport, 1)
    task = asyncio.ensure_future(connector.as_async().service("crm").get("/x"))
    await asyncio.to_thread(transport.begun.wait, SOON)
    await cancelled(task)
    return wire.permits


def test_cancelling_ends_the_send(awaited: Connector, monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket of a cancelled call is shut down: its thread ends long before its deadline, and the permit is back."""
    monkeypatch.setattr(looping, "CANCEL_SECONDS", 10 * SOON)

    async def main() -> None:
        permits = await cancelled_send(awaited, Hanging(can_be_ended=True))
        assert permits.free == 1

    asyncio.run(main())


def test_a_send_that_goes_on_keeps_its_permit(awaited: Connector, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancelled call whose thread has not ended in time leaves it the permit: it still uses its connection."""
    monkeypatch.setattr(looping, "CANCEL_SECONDS", 0.0)
    transport = Hanging(can_be_ended=False)

    async def main() -> None:
        permits = await cancelled_send(awaited, transport)
        assert permits.free == 0
        transport.free.set()
        lease = await permits.acquire_async(time.monotonic() + SOON, asyncio.get_running_loop())
        lease.release()

    asyncio.run(main())


def test_a_cancelled_call_waits_for_its_thread(awaited: Connector, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends in time is awaited: the caller goes on when the function has ended, not before."""
    monkeypatch.setattr(looping, "CANCEL_SECONDS", SOON)
    blocker, ended = Blocker(), threading.Event()

    def run() -> None:
        blocker()
        ended.set()

    async def main() -> None:
        task = asyncio.ensure_future(awaited.runtime.loop_io.run(run))
        await asyncio.to_thread(blocker.begun.wait, SOON)
        task.cancel()
        await asyncio.sleep(0)
        blocker.free.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    asyncio.run(main())


def test_cancelled_when_it_has_ended(awaited: Connector, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancellation that comes after the outcome, before the caller has seen it, costs no wait and keeps nothing."""
    monkeypatch.setattr(looping, "CANCEL_SECONDS", 10 * SOON)

    class Thing:
        pass

    async def main() -> None:
        things: list[weakref.ref[Thing]] = []

        def make() -> Thing:
            thing = Thing()
            things.append(weakref.ref(thing))
            return thing

        io = awaited.runtime.loop_io
        task = asyncio.ensure_future(io.run(make))
        await asyncio.sleep(0)
        landing = awaited.runtime.process.threads()._landing
        assert landing is not None
        while not landing._ended:
            threading.Event().wait(0.001)  # the loop stands still
        landing._land()
        task.cancel()
        error = None
        try:
            await asyncio.wait_for(task, SOON)
        except asyncio.CancelledError as cancellation:
            error = cancellation
        assert error is not None
        assert [each() for each in things] == [None]

    asyncio.run(main())


# The end


def test_closing_ends_what_waits_for_a_thread() -> None:
    """What no thread has begun ends as closed, not as cancelled; what runs goes on; nothing is begun any more."""
    threads, blocker = Threads(1), Blocker("done")

    async def main() -> None:
        first = threads.begin(blocker)
        waiting = threads.begin(lambda: "never")
        await asyncio.to_thread(blocker.begun.wait, SOON)
        threads.close()
        with pytest.raises(ConnectorClosedError):
            await outcome(waiting)
        blocker.free.set()
        assert await outcome(first) == "done"
        with pytest.raises(ConnectorClosedError):
            await outcome(threads.begin(lambda: "never"))

    asyncio.run(main())


def test_closing_gives_back_the_permits_of_what_was_not_sent(awaited: Connector) -> None:
    """A call that waits for a thread ends as closed, and its permit is free."""
    blocker = Blocker()

    async def main() -> None:
        first = asyncio.ensure_future(awaited.runtime.loop_io.run(blocker))
        await asyncio.sleep(0)
        permits = awaited.runtime.process.wire("crm").permits
        free = permits.free
        waiting = asyncio.ensure_future(awaited.as_async().service("crm").get("/x"))
        await asyncio.sleep(0)
        assert permits.free == free - 1
        await awaited.as_async().close()
        with pytest.raises(ConnectorClosedError):
            await waiting
        assert permits.free == free
        blocker.free.set()
        await first

    asyncio.run(main())


def test_closing_ends_who_was_called_but_never_came(threads: Threads, called: Called) -> None:
    """A thread that was called may not come any more after closing: later jobs must not wait for it."""

    async def main() -> None:
        first = threads.begin(lambda: "never")
        threads.close()
        for job in (first, threads.begin(lambda: "never")):
            with pytest.raises(ConnectorClosedError):
                await outcome(job)

    asyncio.run(main())


def program(code: str) -> str:
    """Run a program and return what it prints."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=SOON, check=True).stdout


BUILD = """
import asyncio, os, threading
from nexus_connector import Connector
connector = Connector.from_config({"services": {"crm": {"base_url": "https://crm.example"}}, "plugins": {"only": []}})
run = lambda function: asyncio.run(connector.as_async().run("crm", function, operation="run"))
"""


def test_a_program_ends_with_its_threads_at_rest() -> None:
    """Leaving without close() ends the program at once, though I/O threads are there."""
    assert program(BUILD + "print(run(lambda: threading.current_thread().name))").startswith("nexus-io")


def test_a_child_has_threads_of_its_own() -> None:
    """After a fork the parent's threads are gone; both processes go on with their own."""
    fork = """
assert run(os.getpid) == os.getpid()
child = os.fork()
mine = run(os.getpid) == os.getpid()
if child == 0:
    os._exit(0 if mine else 1)
print(mine, os.waitpid(child, 0)[1])
"""
    assert program(BUILD + fork).split() == ["True", "0"]
