"""The memory store: atomic, expiring, bounded, on the clock it is given."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from nexus_connector.state import AtomicOp, MemoryStore, Plain, encode_key


def _count(state: Plain, now_ms: int, args: Sequence[Plain]) -> tuple[Plain, int, Plain]:
    number = (state if isinstance(state, int) else 0) + 1
    return number, 1000, [number, now_ms]


def _forget(state: Plain, now_ms: int, args: Sequence[Plain]) -> tuple[Plain, int, Plain]:
    return None, 0, state


COUNT = AtomicOp(name="test.count", version=1, py=_count)
FORGET = AtomicOp(name="test.forget", version=1, py=_forget)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_replies_come_in_the_order_of_the_items() -> None:
    """A batch is run in the order of its keys, and answered in the order in which it was asked."""
    store = MemoryStore(Clock())
    store.run([(COUNT, ("b",), ())])
    assert store.run([(COUNT, ("b",), ()), (COUNT, ("a",), ())]) == [[2, 0], [1, 0]]


def test_states_expire() -> None:
    """A state is gone when its time is over, to the millisecond."""
    clock = Clock()
    store = MemoryStore(clock)
    store.run([(COUNT, ("k",), ())])
    clock.now = 0.999
    assert store.run([(COUNT, ("k",), ())]) == [[2, 999]]
    clock.now = 1.999
    assert store.run([(COUNT, ("k",), ())]) == [[1, 1999]]


def test_a_moment_reached_in_small_steps_is_reached() -> None:
    """What rounding takes from a clock that is moved a thousand times does not cost a millisecond."""
    clock = Clock()
    store = MemoryStore(clock)
    for _ in range(60_000):
        clock.now += 0.001
    assert clock.now < 60.0
    assert store.run([(COUNT, ("k",), ())]) == [[1, 60_000]]


def test_none_forgets_a_state() -> None:
    """An operation that returns None deletes, also where nothing was."""
    store = MemoryStore(Clock())
    assert store.run([(FORGET, ("k",), ())]) == [None]
    store.run([(COUNT, ("k",), ())])
    assert store.run([(FORGET, ("k",), ())]) == [1]
    assert store.run([(COUNT, ("k",), ())]) == [[1, 0]]


def test_values_are_kept_replaced_and_claimed() -> None:
    """put() replaces; with if_absent only the first one wins until it expires; delete() forgets."""
    clock = Clock()
    store = MemoryStore(clock)
    key = ("v", "1")
    assert store.get(key) is None
    assert store.put(key, b"1", ttl_ms=1000)
    assert not store.put(key, b"2", ttl_ms=1000, if_absent=True)
    assert store.put(key, b"3", ttl_ms=1000)
    assert store.get(key) == b"3"
    clock.now = 1.0
    assert store.get(key) is None
    assert store.put(key, b"4", ttl_ms=1000, if_absent=True)
    store.delete(key)
    assert store.get(key) is None
    store.put(key, b"5", ttl_ms=1000)
    store.close()
    assert store.get(key) is None


def test_it_says_what_it_is() -> None:
    """What it keeps ends with the process, and nobody waits for it: gates settle on it at once."""
    store = MemoryStore(Clock())
    assert not store.durable
    assert not store.blocking


def test_values_alone_do_not_pile_up() -> None:
    """Keys that are only claimed are dropped after a while too."""
    clock = Clock()
    store = MemoryStore(clock)
    for number in range(5000):
        clock.now = number * 0.01
        store.put(("value", str(number)), b"x", ttl_ms=1000)
    assert len(store._values) < 1500


def test_what_has_expired_does_not_pile_up() -> None:
    """Keys that never come back are dropped after a while."""
    clock = Clock()
    store = MemoryStore(clock)
    for number in range(5000):
        clock.now = number * 0.01
        store.run([(COUNT, ("tenant", str(number)), ())])
        store.put(("value", str(number)), b"x", ttl_ms=1000)
    assert len(store._states) < 1500
    assert len(store._values) < 1500
    store.close()
    assert not store._states


def test_threads_lose_no_update() -> None:
    """Operations are atomic: many threads count exactly."""
    store = MemoryStore(Clock())

    def work() -> None:
        for _ in range(500):
            store.run([(COUNT, ("k",), ())])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert store.run([(FORGET, ("k",), ())]) == [4000]


@given(st.lists(st.text(max_size=6), max_size=4), st.lists(st.text(max_size=6), max_size=4))
def test_no_two_keys_are_written_alike(first: list[str], second: list[str]) -> None:
    """Hostile names cannot make one key look like another."""
    assert (encode_key(tuple(first)) == encode_key(tuple(second))) == (first == second)


def test_many_keys_are_looked_through_as_rarely_as_they_are_many() -> None:
    """Ten thousand keys that live: looking for expired ones costs each write the same as with a thousand."""
    store = MemoryStore(Clock())
    for number in range(10_000):
        store.put(("value", str(number)), b"x", ttl_ms=60_000)
    looked, kept = 0, store._values
    for _ in range(9_000):
        store.run([(COUNT, ("k",), ())])
        looked, kept = looked + (store._values is not kept), store._values
    assert looked <= 1


def test_states_alone_do_not_pile_up() -> None:
    """The same for keys that only operations touch."""
    clock = Clock()
    store = MemoryStore(clock)
    for number in range(5000):
        clock.now = number * 0.01
        store.run([(COUNT, ("tenant", str(number)), ())])
    assert len(store._states) < 1500
