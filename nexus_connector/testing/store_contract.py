"""`StoreContract`: what every store promises to gates and stages, as tests that a plugin's own tests inherit."""

from __future__ import annotations

from contextlib import closing
from itertools import pairwise
from random import Random

import pytest

from ..state import Item, MemoryStore, Plain, Store, twin_of
from ._store_operations import (
    ADD,
    FAIL,
    FORGET,
    HOSTILE_KEYS,
    NOW,
    PLAIN_VALUES,
    SWAP,
    TTL_MS,
    any_step,
    fresh_key,
    same,
)
from ._store_sharing import SharingContract, Twinned


class StoreContract(SharingContract):
    """Derive from it, say how the store is made, and the tests are yours.

    All tests use keys of their own, so that one server may serve them all. Nothing sleeps: `advance` lets time pass.
    A store that has an asyncio twin says so: then every test runs twice, and the second time the twin is asked.

    Attributes:
        shared: Whether two stores made by `make_store` in one test keep their states in the same place.
        has_twin: Whether these stores have a ``twin`` for event loops.
        password: What the URL of `make_lost_store` holds, and no error may show.

    >>> from nexus_connector.state import MemoryStore, Store
    >>> class TestMyStore(StoreContract):
    ...     shared = False
    ...     now = 0.0
    ...     def make_store(self) -> Store:
    ...         return MemoryStore(lambda: self.now)
    ...     def advance(self, seconds: float) -> None:
    ...         self.now += seconds
    >>> TestMyStore().test_states_expire()
    """

    def test_it_says_what_it_is(self) -> None:
        """``durable``, ``blocking`` and whether there is a twin are known without asking anybody."""
        with self.store() as store:
            twin = twin_of(store)
            assert self.has_twin or twin is None, "it has a twin: set has_twin, so that this suite asks it, too"
            assert isinstance(store.durable, bool), "durable is True or False"
            assert isinstance(store.blocking, bool), "blocking is True or False"

    def test_states_are_kept(self) -> None:
        """An operation finds the state that the one before left; nothing at first, and nothing after a ``None``."""
        key = fresh_key()
        with self.store() as store:
            assert store.run([(ADD, key, (5,))]) == [5]
            assert store.run([(ADD, key, (2,))]) == [7]
            assert store.run([(FORGET, key, ())]) == [7]
            assert store.run([(FORGET, key, ())]) == [None]
            assert store.run([(ADD, key, (1,))]) == [1]

    def test_replies_come_in_the_order_of_the_items(self) -> None:
        """One reply for each item of a batch; several operations on one key run one after the other, as asked."""
        tag, chance = fresh_key()[0], Random(7)  # noqa: S311  # a test's dice
        numbers = [chance.randrange(40) for _ in range(200)]
        counts: dict[int, int] = {}
        expected: list[Plain] = []
        for number in numbers:
            counts[number] = counts.get(number, 0) + 1
            expected.append(counts[number])
        with self.store() as store:
            assert store.run([]) == []
            assert store.run([(ADD, (tag, str(number)), (1,)) for number in numbers]) == expected
            batch: list[Item] = [(SWAP, (tag, "b"), ("x",)), (ADD, (tag, "a"), (3,)), (SWAP, (tag, "b"), ("y",))]
            assert store.run([*batch, (FORGET, (tag, "b"), ()), (SWAP, (tag, "b"), ("z",))]) == [
                *(None, 3, "x", "y", None)
            ]

    @pytest.mark.parametrize("value", PLAIN_VALUES, ids=lambda value: repr(value)[:30])
    def test_plain_values_survive(self, value: Plain) -> None:
        """Whatever `Plain` allows comes back as it was: as argument, as state and as reply."""
        key = fresh_key()
        with self.store() as store:
            first, again = store.run([(SWAP, key, (value,))]), store.run([(SWAP, key, (None,))])
            assert first == [None]
            assert same(again, [value]), f"{value!r} came back as {again[0]!r}"

    @pytest.mark.parametrize("value", [b"", b"\0", bytes(range(256)), b"x" * 1_000_000], ids=len)
    def test_values_are_bytes(self, value: bytes) -> None:
        """A value comes back byte by byte, also an empty one."""
        key = fresh_key()
        with self.store() as store:
            assert store.get(key) is None
            assert store.put(key, value, ttl_ms=TTL_MS) is True
            assert store.get(key) == value

    def test_values_are_replaced_claimed_and_forgotten(self) -> None:
        """``put`` replaces; with ``if_absent`` only the first one wins; ``delete`` forgets, also what is not there."""
        key = fresh_key()
        with self.store() as store:
            store.delete(key)
            assert store.put(key, b"1", ttl_ms=TTL_MS, if_absent=True) is True
            assert store.put(key, b"2", ttl_ms=TTL_MS, if_absent=True) is False
            assert store.get(key) == b"1"
            assert store.put(key, b"3", ttl_ms=TTL_MS) is True
            assert store.get(key) == b"3"
            store.delete(key)
            assert store.get(key) is None
            assert store.put(key, b"4", ttl_ms=TTL_MS, if_absent=True) is True

    def test_states_and_values_do_not_mix(self) -> None:
        """A state and a value may have one key; ``delete`` forgets both."""
        key = fresh_key()
        with self.store() as store:
            store.put(key, b"value", ttl_ms=TTL_MS)
            assert store.run([(SWAP, key, ("state",))]) == [None]
            assert store.get(key) == b"value"
            assert store.put(key, b"other", ttl_ms=TTL_MS, if_absent=True) is False
            assert store.run([(FORGET, key, ())]) == ["state"]
            assert store.get(key) == b"value"
            store.run([(SWAP, key, ("state",))])
            store.delete(key)
            assert store.get(key) is None
            assert store.run([(FORGET, key, ())]) == [None]

    def test_no_two_keys_are_one(self) -> None:
        """Separators, case, blanks, NUL, length, odd characters: no key is taken for another."""
        tag = fresh_key()[0]
        keys = [*[(tag, *key) for key in HOSTILE_KEYS], *[(tag + part, "x") for part in ("", " ", "\0", "}{", ":1")]]
        with self.store() as store:
            for key in keys:
                assert store.run([(ADD, key, (1,))]) == [1], f"{key!r:.200} met the state of another key"
                assert store.put(key, repr(key).encode(), ttl_ms=TTL_MS, if_absent=True), f"{key!r:.200} was taken"
            assert store.run([(ADD, key, (1,)) for key in keys]) == [2] * len(keys)
            for key in keys:
                assert store.get(key) == repr(key).encode(), f"{key!r:.200} holds what was put under another key"

    def test_states_expire(self) -> None:
        """A state lives for the time of the operation that wrote it last, and no longer."""
        key = fresh_key()
        with self.store() as store:
            store.run([(ADD, key, (1,))])
            self.advance(300)
            assert store.run([(ADD, key, (1,))]) == [2], "it was gone before its time"
            self.advance(300)
            assert store.run([(ADD, key, (1,))]) == [3], "the second write did not extend it"
            self.advance(600)
            assert store.run([(ADD, key, (1,))]) == [1], "it outlived its time"

    def test_values_expire(self) -> None:
        """A value lives for its own time: a refused claim does not extend it, a new value brings its own."""
        key = fresh_key()
        with self.store() as store:
            store.put(key, b"1", ttl_ms=TTL_MS)
            self.advance(300)
            assert store.get(key) == b"1", "it was gone before its time"
            assert store.put(key, b"2", ttl_ms=TTL_MS, if_absent=True) is False
            self.advance(300)
            assert store.get(key) is None, "it outlived its time"
            assert store.put(key, b"3", ttl_ms=TTL_MS, if_absent=True) is True, "what has expired holds no place"
            assert store.put(key, b"4", ttl_ms=2 * TTL_MS) is True
            self.advance(900)
            assert store.get(key) == b"4", "the second value had the time of the first"

    def test_long_times_are_kept(self) -> None:
        """Thirty days in milliseconds are more than 32 bits hold."""
        key, days = fresh_key(), 86_400
        with self.store() as store:
            store.put(key, b"1", ttl_ms=30 * days * 1000)
            self.advance(29 * days)
            assert store.get(key) == b"1"
            self.advance(days)
            assert store.get(key) is None

    def test_it_tells_time(self) -> None:
        """Operations get whole milliseconds that do not go back, whichever store is asked."""
        key = fresh_key()
        with self.stores(2) as stores:
            told = [moment for store in stores * 10 for moment in store.run([(NOW, key, ()), (NOW, fresh_key(), ())])]
        times = [moment for moment in told if isinstance(moment, int) and not isinstance(moment, bool)]
        assert times == told, f"now_ms was {told!r:.200}"
        assert all(before <= after for before, after in pairwise(times)), f"the time went back: {times}"

    def test_an_operation_that_raises_changes_nothing(self) -> None:
        """What an operation raises comes out as it is; its key is as before, and the store goes on."""
        key = fresh_key()
        with self.store() as store:
            store.run([(ADD, key, (1,))])
            with pytest.raises(LookupError):
                store.run([(FAIL, key, ())])
            assert store.run([(ADD, key, (1,))]) == [2]

    @pytest.mark.parametrize("seed", range(5))
    def test_it_answers_like_the_memory_store(self, seed: int) -> None:
        """A random sequence of operations, values and pauses gives the replies that the memory store gives.

        With a twin, each step asks either face of the stores: both see one state.
        """
        chance, tag, now = Random(seed), fresh_key()[0], [0.0]  # noqa: S311  # a test's dice
        keys = [(tag,), (tag, ""), (tag, "a"), (tag, "a", "b")]
        with closing(MemoryStore(lambda: now[0])) as model, self.stores(2) as made:
            stores: list[Store] = [*made, *[each.plain for each in made if isinstance(each, Twinned)]]
            for step in range(150):
                ask = any_step(chance, keys)
                expected, got = ask(model), ask(chance.choice(stores))
                assert same(got, expected), f"step {step} of seed {seed}: {got!r:.300}, memory says {expected!r:.300}"
                if chance.random() < 0.1:  # lives last odd hundreds of seconds: no pause ends near the end of one
                    now[0] += 200
                    self.advance(200)
