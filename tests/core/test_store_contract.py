"""The suite of stores: the memory store passes it, and each rule finds the store that breaks it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest

from nexus_connector.state import Item, Key, MemoryStore, Plain, Store, StoreError, encode_key
from nexus_connector.testing import StoreContract


class TestMemoryStore(StoreContract):
    shared: ClassVar[bool] = False
    now = 0.0

    def make_store(self) -> Store:
        return MemoryStore(lambda: self.now)

    def advance(self, seconds: float) -> None:
        self.now += seconds


class TestSharedMemory(TestMemoryStore):
    """Two stores on one place within a process: what a server would be."""

    shared: ClassVar[bool] = True

    def make_store(self) -> Store:
        store: Store = vars(self).setdefault("kept", Kept(lambda: self.now))
        return store

    def make_lost_store(self) -> Store:
        return Lost("no answer")

    def test_a_forked_child_disturbs_nobody(self) -> None:
        """A child has a copy of it."""
        pytest.skip("memory is not shared with a child")


class Kept(MemoryStore):
    """Keeps what it has when it is closed."""

    def close(self) -> None:
        pass


class Lost(MemoryStore):
    def __init__(self, message: str) -> None:
        super().__init__(lambda: 0.0)
        self._message = message

    def _fail(self, *_: Any, **__: Any) -> Any:
        raise StoreError(self._message)

    run = get = put = delete = _fail


class Reversed(MemoryStore):
    def run(self, items: Sequence[Item]) -> list[Plain]:
        return super().run(items)[::-1]


class Rounding(MemoryStore):
    def run(self, items: Sequence[Item]) -> list[Plain]:
        return super().run([(op, key, [self._rounded(each) for each in args]) for op, key, args in items])

    def _rounded(self, value: Plain) -> Plain:
        return float(f"{value:.14g}") if isinstance(value, float) else value


class BoolsAsNumbers(Rounding):
    def _rounded(self, value: Plain) -> Plain:
        return int(value) if isinstance(value, bool) else value


class EmptyIsNothing(MemoryStore):
    def get(self, key: Key) -> bytes | None:
        return super().get(key) or None


class ClaimsAlways(MemoryStore):
    def put(self, key: Key, value: bytes, *, ttl_ms: int, if_absent: bool = False) -> bool:
        return super().put(key, value, ttl_ms=ttl_ms)


class ClaimExtends(MemoryStore):
    def put(self, key: Key, value: bytes, *, ttl_ms: int, if_absent: bool = False) -> bool:
        kept = self.get(key)
        if if_absent and kept is not None:
            super().put(key, kept, ttl_ms=ttl_ms)
            return False
        return super().put(key, value, ttl_ms=ttl_ms)


class DeletesValuesOnly(MemoryStore):
    def delete(self, key: Key) -> None:
        self._values.pop(key, None)


class JoinedKeys(MemoryStore):
    def _named(self, key: Key) -> Key:
        return (":".join(key),)

    def run(self, items: Sequence[Item]) -> list[Plain]:
        return super().run([(op, self._named(key), args) for op, key, args in items])


class CutKeys(JoinedKeys):
    def _named(self, key: Key) -> Key:
        return (encode_key(key)[:1000],)


class ReplacedKeys(JoinedKeys):
    def _named(self, key: Key) -> Key:
        return tuple(part.encode("utf-8", "replace").decode() for part in key)


class NeverExpires(MemoryStore):
    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(lambda: 0.0)


class NarrowTimes(MemoryStore):
    def put(self, key: Key, value: bytes, *, ttl_ms: int, if_absent: bool = False) -> bool:
        return super().put(key, value, ttl_ms=min(ttl_ms, 2**31 - 1), if_absent=if_absent)


class FractionsOfTime(MemoryStore):
    def _now_ms(self) -> Any:
        return self._clock() * 1000


class TimeGoesBack(MemoryStore):
    asked = 10**9

    def _now_ms(self) -> int:
        self.asked -= 1
        return self.asked


class ForgetsOnError(MemoryStore):
    def run(self, items: Sequence[Item]) -> list[Plain]:
        try:
            return super().run(items)
        except LookupError:
            for _, key, _ in items:
                self.delete(key)
            raise


class WrapsErrors(MemoryStore):
    def run(self, items: Sequence[Item]) -> list[Plain]:
        try:
            return super().run(items)
        except LookupError as error:
            raise StoreError("no.") from error


class GetThenSet(MemoryStore):
    """The negative control: it reads, lets others in, and writes."""

    def run(self, items: Sequence[Item]) -> list[Plain]:
        replies: list[Plain] = []
        for op, key, args in items:
            with self._lock:
                state = self._states.get(key, (None, 0))[0]
            threading.Event().wait(0.0001)
            new, ttl_ms, reply = op.py(state, 0, args)
            with self._lock:
                self._states[key] = (new, ttl_ms)
            replies.append(reply)
        return replies

    def put(self, key: Key, value: bytes, *, ttl_ms: int, if_absent: bool = False) -> bool:
        if if_absent and self.get(key) is not None:
            return False
        threading.Event().wait(0.0001)
        return super().put(key, value, ttl_ms=ttl_ms)


class ClosesOnce(MemoryStore):
    closed = False

    def close(self) -> None:
        assert not self.closed, "closed twice"
        self.closed = True


def suite(store: Any, lost: Store | None = None, *, shared: bool = False) -> StoreContract:
    """The suite of a store."""

    class Suite(TestMemoryStore):
        def make_store(self) -> Store:
            made: Store = store(lambda: self.now)
            return made

        def make_lost_store(self) -> Store | None:
            return lost

    Suite.shared = shared
    return Suite()


@pytest.mark.parametrize(
    ("store", "test", "arguments"),
    [
        (Reversed, "test_replies_come_in_the_order_of_the_items", []),
        (Rounding, "test_plain_values_survive", [0.30000000000000004]),
        (BoolsAsNumbers, "test_plain_values_survive", [True]),
        (EmptyIsNothing, "test_values_are_bytes", [b""]),
        (ClaimsAlways, "test_values_are_replaced_claimed_and_forgotten", []),
        (ClaimExtends, "test_values_expire", []),
        (DeletesValuesOnly, "test_states_and_values_do_not_mix", []),
        (JoinedKeys, "test_no_two_keys_are_one", []),
        (CutKeys, "test_no_two_keys_are_one", []),
        (ReplacedKeys, "test_no_two_keys_are_one", []),
        (NeverExpires, "test_states_expire", []),
        (NeverExpires, "test_values_expire", []),
        (NeverExpires, "test_it_answers_like_the_memory_store", [0]),
        (DeletesValuesOnly, "test_it_answers_like_the_memory_store", [0]),
        (BoolsAsNumbers, "test_it_answers_like_the_memory_store", [0]),
        (ClaimsAlways, "test_it_answers_like_the_memory_store", [0]),
        (NarrowTimes, "test_long_times_are_kept", []),
        (FractionsOfTime, "test_it_tells_time", []),
        (TimeGoesBack, "test_it_tells_time", []),
        (ForgetsOnError, "test_an_operation_that_raises_changes_nothing", []),
        (WrapsErrors, "test_an_operation_that_raises_changes_nothing", []),
        (GetThenSet, "test_threads_lose_no_update", []),
        (GetThenSet, "test_one_thread_claims", []),
        (ClosesOnce, "test_it_may_be_closed_twice", []),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_bad_store_is_found(store: Any, test: str, arguments: list[Any]) -> None:
    """Each rule of StoreContract fails for the store that breaks it, and passes for the memory store."""
    with pytest.raises((AssertionError, pytest.fail.Exception, StoreError)):
        getattr(suite(store), test)(*arguments)
    getattr(TestMemoryStore(), test)(*arguments)


@pytest.mark.parametrize("test", ["test_other_stores_see_it", "test_a_forked_child_disturbs_nobody"])
def test_a_store_that_shares_nothing_is_found(test: str) -> None:
    """Who says that two stores have one place is taken at his word."""
    with pytest.raises(AssertionError):
        getattr(suite(MemoryStore, shared=True), test)()


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        (MemoryStore(lambda: 0.0), "DID NOT RAISE"),
        (Lost(f"no answer from u:{StoreContract.password}@h"), "shows the password"),
        (Lost(""), "says nothing"),
    ],
)
def test_a_bad_answer_to_a_lost_server_is_found(lost: Store, message: str) -> None:
    """No error, an empty one, or one with a password in it."""
    with pytest.raises((AssertionError, pytest.fail.Exception), match=message):
        suite(MemoryStore, lost).test_a_lost_server_is_a_store_error()


def test_the_suite_needs_a_store() -> None:
    """Who forgets ``make_store`` or ``advance`` is told by its name."""
    with pytest.raises(NotImplementedError):
        StoreContract().test_states_are_kept()
    with pytest.raises(NotImplementedError):
        StoreContract().advance(1)
