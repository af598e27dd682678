"""Permits: counted, fair, shared by threads and loops, and never lost."""

from __future__ import annotations

import asyncio
import gc
import threading
import time

import pytest

from nexus_connector.io.permits import Permits
from nexus_connector.process import Locks

SOON = 10.0


def later(seconds: float) -> float:
    return time.monotonic() + seconds


def test_no_more_than_there_are() -> None:
    """While all are held, the next one waits until its deadline, then TimeoutError."""
    permits = Permits(2)
    with permits.acquire(later(SOON)), permits.acquire(later(SOON)), pytest.raises(TimeoutError):
        permits.acquire(later(0))
    assert permits.free == 2


def test_a_waiting_thread_gets_the_next_one() -> None:
    """A permit given back goes to the one who waits."""
    permits = Permits(1)
    held = permits.acquire(later(SOON))
    got = threading.Event()

    def wait() -> None:
        with permits.acquire(later(6 * SOON)):  # it must be woken: its own deadline comes too late for this test
            got.set()

    thread = threading.Thread(target=wait)
    thread.start()
    held.release()
    assert got.wait(SOON)
    thread.join(SOON)
    assert permits.free == 1


def test_a_permit_that_comes_free_just_before_the_wait_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between a first look in vain and the queue a permit may come free: nobody would wake the one who waits."""
    monkeypatch.setattr(Permits, "try_acquire", lambda self: None)
    permits = Permits(1)
    with permits.acquire(later(6 * SOON)) as lease:
        assert lease.held
        assert permits.free == 0
    assert permits.free == 1


def test_threads_and_loops_share_them() -> None:
    """A loop waits for what a thread holds, without blocking the loop."""

    async def main() -> None:
        permits = Permits(1)
        held = permits.acquire(later(SOON))
        waiting = asyncio.ensure_future(permits.acquire_async(later(6 * SOON), asyncio.get_running_loop()))
        for _ in range(3):
            await asyncio.sleep(0)
        assert not waiting.done()
        await asyncio.to_thread(held.release)
        lease = await asyncio.wait_for(waiting, SOON)
        assert permits.free == 0
        lease.release()
        assert permits.free == 1

    asyncio.run(main())


def test_an_async_wait_ends_by_its_deadline() -> None:
    """A loop that waits in vain gets TimeoutError, and leaves the queue."""

    async def main() -> None:
        permits = Permits(1)
        held = permits.acquire(later(SOON))
        with pytest.raises(TimeoutError):
            await permits.acquire_async(later(0), asyncio.get_running_loop())
        held.release()
        assert permits.free == 1

    asyncio.run(main())


def test_a_cancelled_wait_costs_no_permit() -> None:
    """Cancelling a waiter, before or after its permit came, gives the permit back."""

    async def main() -> None:
        for hand_over_first in (False, True):
            permits = Permits(1)
            held = permits.acquire(later(SOON))
            waiting = asyncio.ensure_future(permits.acquire_async(later(6 * SOON), asyncio.get_running_loop()))
            await asyncio.sleep(0)
            if hand_over_first:
                held.release()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            held.release()
            del waiting
            gc.collect()
            assert permits.free == 1

    asyncio.run(main())


def test_a_lease_forgotten_is_given_back() -> None:
    """A frame that dies with its lease, by Ctrl-C or whatever, gives the permit back."""
    permits = Permits(1)

    def forget() -> None:
        permits.acquire(later(SOON))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        forget()
    gc.collect()
    assert permits.free == 1


def test_releasing_twice_gives_one_back() -> None:
    """A lease counts once, however often it is released."""
    permits = Permits(1)
    lease = permits.acquire(later(SOON))
    lease.release()
    lease.release()
    assert permits.free == 1


def test_first_come_first_served() -> None:
    """Permits go to waiters in the order in which they came; a newcomer does not overtake."""

    async def main() -> None:
        permits, order = Permits(1), []
        loop = asyncio.get_running_loop()
        held = permits.acquire(later(SOON))

        async def wait(number: int) -> None:
            lease = await permits.acquire_async(later(SOON), loop)
            order.append(number)
            lease.release()

        tasks = [asyncio.ensure_future(wait(number)) for number in range(5)]
        await asyncio.sleep(0)
        assert permits.try_acquire() is None
        held.release()
        await asyncio.gather(*tasks)
        assert order == [0, 1, 2, 3, 4]

    asyncio.run(main())


def test_many_threads_lose_nothing() -> None:
    """After much use by many threads exactly all permits are free, and never too many were held."""
    permits, lock = Permits(3), threading.Lock()
    held, most = 0, 0

    def work() -> None:
        nonlocal held, most
        for _ in range(200):
            with permits.acquire(later(60)):
                with lock:
                    held += 1
                    most = max(most, held)
                with lock:
                    held -= 1

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert permits.free == 3
    assert most <= 3


def test_a_lock_is_forgotten_when_nobody_uses_it() -> None:
    """The lock table holds a key only while somebody holds or awaits it."""
    locks = Locks()
    with locks.of("a") as first, locks.of("a") as second:
        assert first is second
        assert len(locks._locks) == 1
    assert not locks._locks
