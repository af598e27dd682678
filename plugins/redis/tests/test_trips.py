from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import pytest

from nexus_connector.state import AtomicOp, Item, MemoryStore, Plain, Store, StoreError

MakeStore = Callable[..., Store]


def _add(state: Plain, now_ms: int, args: Sequence[Plain]) -> tuple[Plain, int, Plain]:
    total = (state if isinstance(state, int) else 0) + 1
    return total, 600_000, total


def counter(name: str, *, lua: bool = True) -> AtomicOp:
    """Return an operation that counts; each name has a script of its own."""
    text = "local total = (state or 0) + 1 return total, 600000, total"
    return AtomicOp(name=name, version=1, py=_add, lua=text if lua else None)


both_faces = pytest.mark.parametrize("face", ["store", "twin"])

ADD = counter("trips.add")
SLOW = counter("trips.slow", lua=False)


@pytest.fixture
def wiretap(tap: Callable[..., Any], server: Any) -> Any:
    """A wire to a server of the test's own."""
    return tap(server)


@both_faces
def test_a_batch_is_one_round_trip(wiretap: Any, make_store: MakeStore) -> None:
    """All operations of a batch that have a twin cost one round trip together, and so does each other method."""
    store = make_store(wiretap.url)
    other = counter("trips.other")
    batch: list[Item] = [(op, ("crm", str(number)), ()) for number in range(20) for op in (ADD,)]
    store.run([*batch, (other, ("crm", "x"), ())])

    assert wiretap.count(lambda: store.run([(ADD, ("crm", "0"), ())])) == 1
    assert wiretap.count(lambda: store.run([*batch, (other, ("crm", "x"), ())])) == 1
    assert wiretap.count(lambda: store.get(("crm",))) == 1
    assert wiretap.count(lambda: store.put(("crm",), b"1", ttl_ms=1000, if_absent=True)) == 1
    assert wiretap.count(lambda: store.delete(("crm",))) == 1
    assert wiretap.count(lambda: store.run([])) == 0


@both_faces
def test_without_a_twin_it_is_two(wiretap: Any, make_store: MakeStore) -> None:
    """Operations without a twin cost a second round trip, once for all of a batch, with or without others in it."""
    store = make_store(wiretap.url)
    batch: list[Item] = [(SLOW, ("crm", str(number)), ()) for number in range(20)]
    store.run([(ADD, ("crm", "x"), ()), *batch])

    assert wiretap.count(lambda: store.run(batch)) == 2
    assert wiretap.count(lambda: store.run([(ADD, ("crm", "x"), ()), *batch, (SLOW, ("crm", "0"), ())])) == 2
    assert store.run([(ADD, ("crm", "x"), ()), *batch[:1]]) == [3, 5]


@both_faces
def test_several_operations_on_one_key_are_one_step(wiretap: Any, make_store: MakeStore) -> None:
    """With twins and without, they run one after the other, in the order of the batch, and are written together."""
    store = make_store(wiretap.url)
    double = AtomicOp(
        name="trips.double",
        version=1,
        py=lambda state, now_ms, args: (2 * int(str(state)), 600_000, 2 * int(str(state))),
        lua="return 2 * state, 600000, 2 * state",
    )
    key = ("crm", "x")
    assert store.run([(ADD, key, ()), (double, key, ()), (SLOW, key, ()), (double, key, ())]) == [1, 2, 3, 6]
    wiretap.sent = b""

    assert store.run([(double, key, ()), (ADD, key, ()), (double, key, ())]) == [12, 13, 26]
    assert b"$1\r\n%c\r\n" % 26 in wiretap.sent
    assert b"$1\r\n%c\r\n" % 13 not in wiretap.sent


@both_faces
def test_only_unknown_scripts_are_loaded(wiretap: Any, make_store: MakeStore) -> None:
    """One more round trip loads the scripts that Redis does not know; what it did already is not done again."""
    store = make_store(wiretap.url)
    known, unknown = counter("trips.known"), counter("trips.unknown")
    store.run([(known, ("crm", "a"), ())])
    wiretap.sent = b""

    trips = wiretap.count(
        lambda: store.run([(known, ("crm", "a"), ()), (unknown, ("crm", "b"), ()), (unknown, ("crm", "c"), ())])
    )

    assert trips == 2
    assert wiretap.sent.count(b"trips.unknown") == 1, "the text was sent more than once"
    assert b"trips.known" not in wiretap.sent
    assert store.run([(op, ("crm", name), ()) for op, name in ((known, "a"), (unknown, "b"), (unknown, "c"))]) == [
        *(3, 2, 2)
    ]


@both_faces
@pytest.mark.parametrize("op", [ADD, SLOW])
def test_forgotten_scripts_are_loaded_again(wiretap: Any, make_store: MakeStore, server: Any, op: AtomicOp) -> None:
    """SCRIPT FLUSH, as a restart does it, costs one round trip and no update."""
    store = make_store(wiretap.url)
    store.run([(op, ("crm",), ())])
    usual = wiretap.count(lambda: store.run([(op, ("crm",), ())]))
    with server.admin as admin:
        admin.script_flush()

    assert wiretap.count(lambda: store.run([(op, ("crm",), ())])) == usual + 1
    assert store.run([(op, ("crm",), ())]) == [4]


@both_faces
def test_flushall_is_a_fresh_start(make_store: MakeStore, server: Any) -> None:
    """Redis emptied: states and values are gone, nothing fails."""
    store = make_store(server.url)
    store.run([(ADD, ("crm",), ())])
    store.put(("crm",), b"1", ttl_ms=60_000)
    with server.admin as admin:
        admin.flushall()

    assert store.get(("crm",)) is None
    assert store.run([(ADD, ("crm",), ()), (SLOW, ("crm", "b"), ())]) == [1, 1]


def test_an_operation_that_is_never_left_alone_gives_up(make_store: MakeStore, shared_url: str) -> None:
    """Computing on a state that always changes meanwhile ends with an error, not never; nothing was written."""
    store, other, key = make_store(shared_url), make_store(shared_url), (uuid4().hex,)
    tries: list[Plain] = []

    def hindered(state: Plain, now_ms: int, args: Sequence[Plain]) -> tuple[Plain, int, Plain]:
        tries.append(state)
        other.run([(ADD, key, ())])
        return "mine", 600_000, None

    with pytest.raises(StoreError, match="others changed the state"):
        store.run([(AtomicOp(name="trips.hindered", version=1, py=hindered), key, ())])

    assert len(tries) == 1000
    assert store.run([(ADD, key, ())]) == [1001]


@both_faces
def test_a_hindered_operation_computes_again(make_store: MakeStore, shared_url: str) -> None:
    """Somebody came between: the operation gets the new state; its neighbours in the batch are not run again."""
    store, other, tag = make_store(shared_url), make_store(shared_url), uuid4().hex
    states: list[Plain] = []

    def hindered(state: Plain, now_ms: int, args: Sequence[Plain]) -> tuple[Plain, int, Plain]:
        states.append(state)
        if len(states) < 3:
            other.run([(ADD, (tag, "a"), ())])
        return 100, 600_000, state

    op = AtomicOp(name="trips.hindered", version=1, py=hindered)
    assert store.run([(op, (tag, "a"), ()), (SLOW, (tag, "b"), ()), (ADD, (tag, "c"), ())]) == [2, 1, 1]
    assert states == [None, 1, 2]
    assert store.run([(ADD, (tag, "a"), ()), (SLOW, (tag, "b"), ()), (ADD, (tag, "c"), ())]) == [101, 2, 2]


@pytest.mark.parametrize("ttl_ms", [0, -1])
def test_a_value_without_time_to_live_is_not_kept(make_store: MakeStore, shared_url: str, ttl_ms: int) -> None:
    """What lives for no time replaces and claims as in the memory store, and is gone at once."""
    for store in (make_store(shared_url), MemoryStore(lambda: 0.0)):
        key = (uuid4().hex,)
        assert store.put(key, b"1", ttl_ms=ttl_ms, if_absent=True) is True
        assert store.get(key) is None
        store.put(key, b"2", ttl_ms=60_000)
        assert store.put(key, b"3", ttl_ms=ttl_ms, if_absent=True) is False
        assert store.get(key) == b"2"
        assert store.put(key, b"4", ttl_ms=ttl_ms) is True
        assert store.get(key) is None


_WORKER = """
import sys
from nexus_connector.state import AtomicOp
from nexus_connector_redis import RedisOptions, plugin

url, prefix, lua, rounds = sys.argv[1:]
def add(state, now_ms, args):
    return (state or 0) + 1, 600_000, (state or 0) + 1
text = "local total = (state or 0) + 1 return total, 600000, total"
op = AtomicOp(name="worker.add", version=1, py=add, lua=text if lua == "yes" else None)
store = plugin.factory(RedisOptions(timeout_seconds=30, key_prefix=prefix)).store(url, "shared")
for _ in range(int(rounds)):
    store.run([(op, ("crm", "count"), ()), (op, ("crm", "other"), ())])
store.close()
"""


def test_processes_lose_no_update(make_store: MakeStore, shared_url: str, prefix: str) -> None:
    """Four processes count on the same keys at once, two by twins and two without: every count is there."""
    rounds, kinds = 150, ["yes", "no", "yes", "no"]
    workers = [
        subprocess.Popen([sys.executable, "-c", _WORKER, shared_url, prefix, kind, str(rounds)]) for kind in kinds
    ]
    assert [worker.wait(120) for worker in workers] == [0] * len(kinds)

    store = make_store(shared_url)
    assert store.run([(ADD, ("crm", "count"), ()), (ADD, ("crm", "other"), ())]) == [len(kinds) * rounds + 1] * 2
    for name in ("count", "other"):
        store.delete(("crm", name))
