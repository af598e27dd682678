"""The asyncio twin: a line for each event loop, which ends with it, and is nobody else's."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import warnings
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import pytest
from redis.asyncio import connection as loop_drivers

from nexus_connector.state import AsyncStore, AtomicOp, Plain, Store, StoreError, twin_of

MakeStore = Callable[..., Store]
Until = Callable[[Callable[[], bool]], None]


def _add(state: Plain, now_ms: int, args: Sequence[Plain]) -> tuple[Plain, int, Plain]:
    total = (state if isinstance(state, int) else 0) + 1
    return total, 600_000, total


ADD = AtomicOp(name="loops.add", version=1, py=_add, lua="local n = (state or 0) + 1 return n, 600000, n")
KEY = ("crm",)


def count(twin: AsyncStore) -> Awaitable[list[Plain]]:
    """Count on the one key of a test."""
    return twin.run([(ADD, KEY, ())])


def twin_at(store: Store) -> AsyncStore:
    """Return the twin, which must be there."""
    twin = twin_of(store)
    assert twin is not None
    return twin


@pytest.fixture
def clients(server: Any) -> Callable[[], int]:
    """Return how many clients the server has, this question not among them."""

    def number() -> int:
        with server.admin as admin:
            return len(admin.client_list(_type="normal")) - 1

    return number


def test_a_loop_takes_its_connections_with_it(
    make_store: MakeStore, server: Any, clients: Callable[[], int], until: Until
) -> None:
    """What ``asyncio.run`` ends closes its connections without a word; the next loop has its own, with one state."""
    twin = twin_at(make_store(server.url))

    async def work(expected: int) -> None:
        assert await count(twin) == [expected]
        assert await count(twin) == [expected + 1]
        assert clients() == 1

    for expected in (1, 3, 5):
        asyncio.run(work(expected))
        until(lambda: clients() == 0)
    assert twin._lines == {}  # type: ignore[attr-defined]
    gc.collect()  # a connection that was left open would say so here


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning", "ignore:loop is closed:ResourceWarning")
def test_what_a_closed_loop_left_is_dropped(
    make_store: MakeStore, server: Any, clients: Callable[[], int], until: Until
) -> None:
    """Nobody ended its generators, so that nothing was closed with it: another loop that asks lets go of it."""
    twin = twin_at(make_store(server.url))
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(count(twin)) == [1]  # type: ignore[arg-type]
    loop.close()
    del loop

    async def work() -> None:
        assert await count(twin) == [2]
        assert len(twin._lines) == 1  # type: ignore[attr-defined]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
        until(lambda: clients() == 1)

    asyncio.run(work())


def test_loops_in_threads_do_not_meet(make_store: MakeStore, server: Any) -> None:
    """Several loops at once, and a thread that blocks: no update is lost, no reply is somebody else's."""
    store = make_store(server.url)
    twin = twin_at(store)
    replies: list[Plain] = []

    async def work() -> None:
        for got in await asyncio.gather(*[count(twin) for _ in range(50)]):
            replies.extend(got)

    def block() -> None:
        for _ in range(50):
            replies.extend(store.run([(ADD, KEY, ())]))

    threads = [threading.Thread(target=asyncio.run, args=(work(),)) for _ in range(3)]
    threads.append(threading.Thread(target=block))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, map(str, replies))) == list(range(1, 201))


def test_tasks_wait_for_a_connection(make_store: MakeStore, server: Any, clients: Callable[[], int]) -> None:
    """More tasks than connections: each has its turn, and there are never more connections than allowed."""
    twin = twin_at(make_store(server.url, max_connections=2))

    async def work() -> None:
        replies = await asyncio.gather(*[count(twin) for _ in range(100)])
        assert sorted(str(reply) for [reply] in replies) == sorted(map(str, range(1, 101)))
        assert clients() <= 2

    asyncio.run(work())


def test_a_task_without_a_connection_does_not_wait_for_ever(make_store: MakeStore, server: Any) -> None:
    """All connections in use for longer than the timeout: `StoreError` that says so; later there is one again."""
    twin = twin_at(make_store(server.url, max_connections=1, timeout_seconds=0.1))

    async def work() -> None:
        assert await twin.get(KEY) is None
        [kept] = twin._lines.values()  # type: ignore[attr-defined]
        places = kept.line._servers[None]._places
        wire = await places.take(1)
        with pytest.raises(StoreError, match="all 1 connections are in use"):
            await twin.get(KEY)
        places.put(wire)
        assert await twin.get(KEY) is None

    asyncio.run(work())


def test_after_a_cancel_no_answer_is_taken_for_another(make_store: MakeStore, server: Any, until: Until) -> None:
    """Cancelled while an answer is under way, the connection is given up: the next call gets its own answer."""
    twin = twin_at(make_store(server.url, max_connections=1))

    async def work() -> None:
        for name in (b"a", b"b"):
            await twin.put((name.decode(),), name, ttl_ms=60_000)
        [kept] = twin._lines.values()  # type: ignore[attr-defined]
        server.pause()
        task = asyncio.ensure_future(twin.get(("a",)))
        while not task.done():
            await asyncio.sleep(0)
            # Only now is it sent: the wire is taken, and its answer is waited for.
            if kept.line._servers[None]._places._queue.empty():
                await asyncio.sleep(0)
                task.cancel()
        assert task.cancelled()
        server.resume()
        assert kept.line._servers[None]._places._queue._queue == [None]
        assert await twin.get(("b",)) == b"b"

    asyncio.run(work())


def test_an_answer_that_came_counts(make_store: MakeStore, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop was busy elsewhere for longer than the timeout: what had come by then is the answer."""
    twin = twin_at(make_store(server.url, timeout_seconds=0.05))
    sent = loop_drivers.AbstractConnection.send_packed_command
    stalls: list[float] = []

    async def send(self: Any, command: Any, check_health: bool = True) -> None:
        await sent(self, command, check_health=check_health)
        loop = asyncio.get_running_loop()
        loop.call_soon(stall, loop)

    def stall(loop: asyncio.AbstractEventLoop) -> None:
        before = loop.time()
        threading.Event().wait(0.1)  # as an application does that computes on the loop
        stalls.append(loop.time() - before)

    async def work() -> None:
        assert await count(twin) == [1]
        monkeypatch.setattr(loop_drivers.AbstractConnection, "send_packed_command", send)
        assert await count(twin) == [2]
        assert await count(twin) == [3]

    asyncio.run(work())
    assert len(stalls) == 2
    assert min(stalls) > 0.05


def test_closing_the_store_closes_its_loops_connections(
    make_store: MakeStore, server: Any, clients: Callable[[], int], until: Until
) -> None:
    """Closed from a thread, while the loop runs; a closed store that is asked again keeps nothing, on any loop."""
    store = make_store(server.url)
    twin = twin_at(store)

    async def quiet() -> None:
        while await asyncio.to_thread(clients):
            await asyncio.sleep(0.001)

    async def work() -> None:
        assert await count(twin) == [1]
        await asyncio.to_thread(store.close)
        await asyncio.wait_for(quiet(), 30)
        assert await count(twin) == [2]
        await asyncio.wait_for(quiet(), 30)

    async def again() -> None:
        assert await count(twin) == [3]
        await asyncio.wait_for(quiet(), 30)

    asyncio.run(work())
    asyncio.run(again())


def test_closing_the_twin_closes_those_of_its_loop(
    make_store: MakeStore, server: Any, clients: Callable[[], int], until: Until
) -> None:
    """Idle ones at once; threads keep theirs. It may be closed twice, and where nobody has asked."""
    store = make_store(server.url)
    twin = twin_at(store)

    async def work() -> None:
        await twin.close()
        await asyncio.gather(*[count(twin) for _ in range(3)])
        await twin.close()
        await twin.close()
        await asyncio.to_thread(until, lambda: clients() == 1)

    store.get(KEY)
    asyncio.run(work())
    assert store.run([(ADD, KEY, ())]) == [4]


def test_closing_the_store_minds_no_loop_that_is_gone(make_store: MakeStore, server: Any) -> None:
    """A loop that was closed without an end is passed by."""
    store = make_store(server.url)
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(count(twin_at(store))) == [1]  # type: ignore[arg-type]
    loop.run_until_complete(twin_at(store).close())
    loop.close()

    store.close()


def test_a_child_leaves_the_loops_of_its_parent_alone(
    make_store: MakeStore, server: Any, clients: Callable[[], int]
) -> None:
    """Forked while the loop runs, it counts on a loop of its own; the parent goes on over its own connection."""
    store = make_store(server.url)
    twin = twin_at(store)

    def child(loop: Any, done: list[bool]) -> None:
        def touched(*_: object) -> None:
            raise AssertionError

        async def work() -> None:
            for _ in range(20):
                await count(twin)
            await twin.close()

        loop.call_soon_threadsafe = touched
        asyncio.run(work())
        store.close()
        done.append(True)

    async def parent() -> None:
        assert await count(twin) == [1]
        [kept] = twin._lines.values()  # type: ignore[attr-defined]
        loop = asyncio.get_running_loop()
        [wire] = [wire for wire in kept.line._servers[None]._places._queue._queue if wire is not None]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads of other tests may be about
            pid = os.fork()
        if pid == 0:
            done: list[bool] = []
            try:
                thread = threading.Thread(target=child, args=(loop, done))
                thread.start()
                thread.join()
            finally:
                os._exit(0 if done else 1)
        for _ in range(20):
            await count(twin)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert await count(twin) == [42]
        assert [wire] == [wire for wire in kept.line._servers[None]._places._queue._queue if wire is not None]
        assert clients() == 1

    asyncio.run(parent())


def test_a_store_that_asyncio_cannot_reach_has_no_twin(make_store: MakeStore) -> None:
    """Some TLS options are only those of connections that block: then event loops ask in threads."""
    assert twin_of(make_store("rediss://127.0.0.1:1?ssl_validate_ocsp=true")) is None
    assert twin_of(make_store("rediss://127.0.0.1:1")) is not None
    store = make_store("rediss://127.0.0.1:1?ssl_validate_ocsp=true")
    store.close()
    assert cast("Any", store).twin is None
