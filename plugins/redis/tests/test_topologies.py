from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot
from redis.exceptions import MovedError

from nexus_connector.state import AtomicOp, Item, Key, Plain, Store, StoreError
from nexus_connector_redis import _questions

MakeStore = Callable[..., Store]
MakeServer = Callable[..., Any]
Until = Callable[[Callable[[], object]], None]

SLOTS = 16384


def _add(state: Plain, now_ms: int, args: Sequence[Plain]) -> tuple[Plain, int, Plain]:
    total = (state if isinstance(state, int) else 0) + 1
    return total, 600_000, total


both_faces = pytest.mark.parametrize("face", ["store", "twin"])

TWIN = AtomicOp(name="topologies.add", version=1, py=_add, lua="local n = (state or 0) + 1 return n, 600000, n")
SLOW = AtomicOp(name="topologies.slow", version=1, py=_add)

parts = st.text(st.characters(), max_size=8) | st.text("{}:1a", max_size=8)


@given(first=parts, rests=st.lists(st.lists(parts, max_size=3), min_size=2, max_size=4))
def test_keys_that_share_their_first_part_share_a_slot(first: str, rests: list[list[str]]) -> None:
    """The first part alone places a key, also if it is empty or has braces; states and values lie together."""
    names = [_questions.name(prefix, (first, *rest)) for rest in rests for prefix in (b"nexus:s", b"nexus:v")]

    assert len({key_slot(name) for name in names}) == 1
    assert len(set(names)) == 2 * len(set(map(tuple, rests)))


@given(keys=st.lists(st.lists(parts, min_size=1, max_size=3), min_size=2, max_size=6))
def test_no_two_keys_have_one_name(keys: list[list[str]]) -> None:
    """Different keys have different names, whatever they hold."""
    assert len({_questions.name(b"nexus:s", tuple(key)) for key in keys}) == len(set(map(tuple, keys)))


def test_first_parts_are_spread() -> None:
    """Services do not all come to one node."""
    assert len({key_slot(_questions.name(b"nexus:s", (f"service-{number}", "x"))) for number in range(100)}) > 90


@pytest.fixture
def cluster(make_server: MakeServer, until: Until) -> Any:
    """Two nodes that have half of the slots each."""
    nodes = [make_server("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", tcp=True) for _ in range(2)]
    first, second = nodes
    first.admin.execute_command("CLUSTER", "SET-CONFIG-EPOCH", 1)
    second.admin.execute_command("CLUSTER", "SET-CONFIG-EPOCH", 2)
    first.admin.execute_command("CLUSTER", "ADDSLOTS", *range(SLOTS // 2))
    second.admin.execute_command("CLUSTER", "ADDSLOTS", *range(SLOTS // 2, SLOTS))
    first.admin.execute_command("CLUSTER", "MEET", "127.0.0.1", second.port)
    for node in nodes:
        until(lambda node=node: b"cluster_state:ok" in _raw(node, "CLUSTER", "INFO"))
        until(lambda node=node: len(_raw(node, "CLUSTER", "SLOTS", parse=True)) == 2)
    return nodes


def _raw(node: Any, *command: str, parse: bool = False) -> Any:
    admin = node.admin
    admin.response_callbacks.clear()
    with contextlib.closing(admin):
        answer = admin.execute_command(*command)
    return answer if parse or isinstance(answer, bytes) else str(answer).encode()


def _url(*nodes: Any) -> str:
    return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)


def _key_on(half: int, prefix: str) -> Key:
    return next(
        (f"crm{number}", "x")
        for number in range(1000)
        if key_slot(_questions.name(prefix.encode() + b"s", (f"crm{number}", "x"))) * 2 // SLOTS == half
    )


@both_faces
def test_a_cluster_is_one_store(cluster: Any, make_store: MakeStore) -> None:
    """Batches over nodes, with twins and without; values; any node of the URL is enough to begin with."""
    store = make_store(_url(cluster[0]))
    keys = [(f"service-{number}", "x") for number in range(20)]
    batch: list[Item] = [(TWIN if number % 2 else SLOW, key, ()) for number, key in enumerate(keys)]

    assert store.run(batch) == [1] * 20
    assert make_store(_url(cluster[1])).run(batch) == [2] * 20
    assert all(store.put(key, b"1", ttl_ms=60_000, if_absent=True) for key in keys)
    assert not any(store.put(key, b"1", ttl_ms=60_000, if_absent=True) for key in keys)
    for key in keys:
        store.delete(key)
    assert [store.get(key) for key in keys] == [None] * 20
    assert store.run(batch) == [1] * 20
    for node in cluster:
        assert node.admin.dbsize() > 0


def _migrate(source: Any, target: Any, slot: int) -> tuple[str, str]:
    ids = tuple(_raw(node, "CLUSTER", "MYID").decode() for node in (source, target))
    _raw(target, "CLUSTER", "SETSLOT", str(slot), "IMPORTING", ids[0])
    _raw(source, "CLUSTER", "SETSLOT", str(slot), "MIGRATING", ids[1])
    return ids


@both_faces
@pytest.mark.parametrize("op", [TWIN, SLOW])
def test_keys_that_move_are_followed(cluster: Any, make_store: MakeStore, prefix: str, op: AtomicOp) -> None:
    """While a slot moves (ASK) and after it has (MOVED), each operation runs once, on the node that has the key."""
    source, target = cluster
    store, key = make_store(_url(*cluster)), _key_on(0, prefix)
    name = _questions.name(prefix.encode() + b"s", key)
    slot = key_slot(name)
    assert store.run([(op, key, ())]) == [1]
    ids = _migrate(source, target, slot)

    assert store.run([(op, key, ())]) == [2], "not moved yet"
    source.admin.migrate("127.0.0.1", target.port, [name], 0, 5000)
    assert store.run([(op, key, ())]) == [3], "moved: the source says ASK"
    assert store.run([(op, key, ()), (TWIN, (key[0], "new"), ())]) == [4, 1]
    assert source.admin.dbsize() == 0
    for node in (target, source):
        _raw(node, "CLUSTER", "SETSLOT", str(slot), "NODE", ids[1])

    assert store.run([(op, key, ())]) == [5], "the source says MOVED"
    source.admin.config_resetstat()
    assert store.run([(op, key, ())]) == [6]
    assert "cmdstat_evalsha" not in source.admin.info("commandstats"), "the new place was not remembered"


def test_a_cluster_without_a_node_is_a_store_error(
    cluster: Any, make_store: MakeStore, prefix: str, until: Until
) -> None:
    """A node that dies is a `StoreError` for its keys; with its slots given to another one the store goes on."""
    store = make_store(_url(*cluster), timeout_seconds=5)
    mine, lost = _key_on(0, prefix), _key_on(1, prefix)
    store.run([(TWIN, mine, ()), (TWIN, lost, ())])
    cluster[1].kill()

    with pytest.raises(StoreError, match=f"127.0.0.1:{cluster[1].port}"):
        store.run([(TWIN, lost, ())])
    until(lambda: b"cluster_state:fail" in _raw(cluster[0], "CLUSTER", "INFO"))
    with pytest.raises(StoreError, match=r"cluster is down"):
        store.run([(TWIN, mine, ())])

    cluster[0].admin.execute_command("CLUSTER", "DELSLOTS", *range(SLOTS // 2, SLOTS))
    with pytest.raises(StoreError, match=r"no node|cluster is down|not served|Redis at"):
        store.run([(TWIN, lost, ())])
    cluster[0].admin.execute_command("CLUSTER", "ADDSLOTS", *range(SLOTS // 2, SLOTS))
    until(lambda: b"cluster_state:ok" in _raw(cluster[0], "CLUSTER", "INFO"))
    assert store.run([(TWIN, mine, ()), (TWIN, lost, ())]) == [2, 1]


def test_a_key_that_is_sent_around_is_a_store_error(cluster: Any, make_store: MakeStore) -> None:
    """Nodes that do not agree where a slot is end in a `StoreError`, not in a circle."""
    store = make_store(_url(*cluster))
    servers = store._questions._servers  # type: ignore[attr-defined]
    store.get(("crm",))
    asked = []

    async def exchange(line: object, host: object, requests: Sequence[object], *, asking: bool) -> list[object]:
        asked.append(host)
        return [MovedError("7 127.0.0.1:7")]

    servers._exchange = exchange
    with pytest.raises(StoreError, match="from node to node"):
        store.get(("crm",))
    assert len(asked) == 5


@both_faces
def test_no_cluster_where_the_url_says_one(make_server: MakeServer, make_store: MakeStore) -> None:
    """A lone server under a cluster's URL, and nobody at all: `StoreError` that says why."""
    with pytest.raises(StoreError, match="cluster support disabled"):
        make_store(_url(make_server(tcp=True))).get(("crm",))
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1:"):
        make_store("redis+cluster://127.0.0.1:1").get(("crm",))


@pytest.fixture
def sentinels(make_server: MakeServer, until: Until) -> Any:
    """A server, a replica of it, and two sentinels that watch it under the name main."""
    server = make_server(tcp=True)
    replica = make_server("--replicaof", "127.0.0.1", str(server.port), tcp=True)
    text = (
        f"sentinel monitor main 127.0.0.1 {server.port} 1\n"
        "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n"
    )
    watchers = [make_server("--sentinel", tcp=True, config=text) for _ in range(2)]
    for watcher in watchers:
        until(lambda watcher=watcher: str(replica.port) in str(_raw(watcher, "SENTINEL", "REPLICAS", "main")))
    return server, replica, watchers


@both_faces
def test_sentinels_know_the_server(sentinels: Any, make_store: MakeStore, until: Until) -> None:
    """The server is asked for by name; a sentinel that is gone is passed over; after a failover the store goes on."""
    server, replica, watchers = sentinels
    url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{watchers[0].port},127.0.0.1:{watchers[1].port}/main/0"
    store = make_store(url)
    assert store.run([(TWIN, ("crm",), ()), (SLOW, ("crm", "b"), ())]) == [1, 1]
    server.admin.wait(1, 5000)

    server.kill()
    with pytest.raises(StoreError, match="Redis at"):
        store.run([(TWIN, ("crm",), ())])
    until(lambda: str(replica.port).encode() in _raw(watchers[0], "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"))
    until(lambda: b"master" in _raw(replica, "ROLE"))

    assert store.run([(TWIN, ("crm",), ()), (SLOW, ("crm", "b"), ())]) == [2, 2]


@both_faces
def test_sentinels_that_do_not_know_it(sentinels: Any, make_store: MakeStore) -> None:
    """A name that no sentinel knows, and sentinels that do not answer: `StoreError` that says which."""
    _, _, watchers = sentinels
    with pytest.raises(StoreError, match="no sentinel knows a master called 'other'"):
        make_store(f"redis+sentinel://127.0.0.1:{watchers[0].port}/other").get(("crm",))
    with pytest.raises(StoreError, match=r"no sentinel knows.*127\.0\.0\.1:1"):
        make_store("redis+sentinel://127.0.0.1:1/main").get(("crm",))


@both_faces
def test_rediss_checks_the_certificate(
    make_server: MakeServer, make_store: MakeStore, tap: Callable[..., Any], tmp_path: Path
) -> None:
    """rediss:// speaks TLS with a server whose certificate is good, and with no other."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(f"{tmp_path}/ca.pem")
    wiretap = tap(make_server(), context)
    url = f"rediss://127.0.0.1:{wiretap.port}"

    store = make_store(f"{url}?ssl_ca_certs={tmp_path}/ca.pem")
    assert [store.run([(TWIN, ("crm",), ())]) for _ in range(3)] == [[1], [2], [3]]
    assert wiretap.connections == 1
    with pytest.raises(StoreError, match="CERTIFICATE_VERIFY_FAILED"):
        make_store(url).get(("crm",))
