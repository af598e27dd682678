from __future__ import annotations

import os
import socket
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from nexus_connector.io.drive import drive
from nexus_connector.state import AtomicOp, Plain, Store, StoreError, WatchedStore
from nexus_connector_redis._connections import ThreadPlaces

MakeStore = Callable[..., Store]


def _add(state: Plain, now_ms: int, args: Sequence[Plain]) -> tuple[Plain, int, Plain]:
    total = (state if isinstance(state, int) else 0) + 1
    return total, 600_000, total


TWIN = AtomicOp(name="failures.add", version=1, py=_add, lua="local n = (state or 0) + 1 return n, 600000, n")
SLOW = AtomicOp(name="failures.slow", version=1, py=_add)

both_faces = pytest.mark.parametrize("face", ["store", "twin"])

ASKS: Sequence[Callable[[Store], object]] = [
    lambda store: store.run([(TWIN, ("crm",), ())]),
    lambda store: store.run([(SLOW, ("crm",), ())]),
    lambda store: store.get(("crm",)),
    lambda store: store.put(("crm",), b"1", ttl_ms=1000),
    lambda store: store.delete(("crm",)),
]
each_ask = pytest.mark.parametrize("ask", ASKS, ids=["twin", "slow", "get", "put", "delete"])


def connections_of(store: Any) -> Any:
    """Return the connections of a store to its one server."""
    return store._line._servers[None]


@both_faces
@each_ask
def test_a_killed_server_is_a_store_error(make_store: MakeStore, server: Any, ask: Callable[[Store], object]) -> None:
    """A server that dies: `StoreError`, each time; started again, empty, it works again, without a new store."""
    store = make_store(server.url)
    assert store.run([(TWIN, ("crm",), ())]) == [1]
    server.kill()
    for _ in range(3):
        with pytest.raises(StoreError, match="Redis at"):
            ask(store)

    server.start()

    ask(store)
    assert store.run([(TWIN, ("other",), ()), (SLOW, ("other", "b"), ())]) == [1, 1]


@both_faces
@each_ask
def test_a_stopped_server_is_a_store_error(make_store: MakeStore, server: Any, ask: Callable[[Store], object]) -> None:
    """A server that hangs costs one timeout, on an old connection and on a new one; then it goes on."""
    store = make_store(server.url, timeout_seconds=0.1)
    server.pause()
    for _ in range(2):
        with pytest.raises(StoreError, match=r"no answer within 0\.1 s"):
            ask(store)
    server.resume()

    with server.admin as admin:
        admin.flushall()
    again = make_store(server.url)
    assert again.run([(TWIN, ("crm",), ()), (SLOW, ("crm", "b"), ())]) == [1, 1]


@both_faces
@pytest.mark.parametrize("op", [TWIN, SLOW])
def test_what_may_have_been_done_is_not_done_again(
    make_store: MakeStore, server: Any, tap: Callable[..., Any], op: AtomicOp
) -> None:
    """The answer was lost: `StoreError`, and nothing was sent a second time."""
    wiretap = tap(server)
    store, direct = make_store(wiretap.url), make_store(server.url)
    store.run([(op, ("crm",), ())])
    trips = wiretap.trips
    wiretap.cut = True

    with pytest.raises(StoreError):
        store.run([(op, ("crm",), ())])

    assert wiretap.trips == trips + 1
    done = 1 if op is TWIN else 0  # the first trip of the other one only reads
    assert direct.run([(op, ("crm",), ())]) == [2 + done]


@both_faces
def test_a_connection_that_was_closed_meanwhile_is_made_anew(make_store: MakeStore, server: Any) -> None:
    """Redis closes idle connections: the next call notices before it sends anything, and goes on with a new one."""
    store = make_store(server.url)
    store.run([(TWIN, ("crm",), ())])
    with server.admin as admin:
        admin.client_kill_filter(_type="normal", skipme=True)

    assert store.run([(TWIN, ("crm",), ())]) == [2]


def test_after_an_interrupt_no_answer_is_taken_for_another(make_store: MakeStore, server: Any) -> None:
    """Interrupted while an answer is under way, the connection is given up: the next call gets its own answer."""
    store = make_store(server.url, max_connections=1)
    store.put(("a",), b"a", ttl_ms=60_000)
    store.put(("b",), b"b", ttl_ms=60_000)
    connections = connections_of(store)
    (wire,) = [place for place in connections._places._idle if place is not None]

    def interrupted(most: int) -> bytes:
        raise KeyboardInterrupt

    wire.receive = interrupted
    with pytest.raises(KeyboardInterrupt):
        store.get(("a",))

    assert [place for place in connections._places._idle if place is not None] == []
    assert store.get(("b",)) == b"b"


@both_faces
def test_threads_wait_for_a_connection(make_store: MakeStore, server: Any) -> None:
    """More threads than connections: each has its turn, and there are never more connections than allowed."""
    store = make_store(server.url, max_connections=2)
    errors: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(50):
                store.run([(TWIN, ("crm",), ())])
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert store.run([(TWIN, ("crm",), ())]) == [401]
    with server.admin as admin:
        assert len(admin.client_list(_type="normal")) - 1 <= 2


def test_a_thread_without_a_connection_does_not_wait_for_ever(make_store: MakeStore, server: Any) -> None:
    """All connections in use for longer than the timeout: `StoreError` that says so."""
    store = make_store(server.url, max_connections=1, timeout_seconds=0.1)
    store.get(("crm",))
    connections = connections_of(store)
    place = connections._places._idle.pop()

    with pytest.raises(StoreError, match="all 1 connections are in use"):
        store.get(("crm",))

    connections._places.put(place)
    assert store.get(("crm",)) is None


def test_closing_gives_back_what_is_in_use_when_it_is_done(make_store: MakeStore, server: Any) -> None:
    """Idle connections end at once, a busy one after its call; a closed store that is asked again keeps nothing."""
    store = make_store(server.url)
    store.get(("crm",))
    connections = connections_of(store)

    def close_in_between(state: Plain, now_ms: int, args: Sequence[Plain]) -> tuple[Plain, int, Plain]:
        store.close()
        return 1, 60_000, None

    store.run([(AtomicOp(name="failures.close", version=1, py=close_in_between), ("crm",), ())])

    assert [place for place in connections._places._idle if place is not None] == []
    assert store.run([(TWIN, ("crm",), ())]) == [2]
    assert [place for place in connections._places._idle if place is not None] == []
    assert len(connections._places._idle) == 16


def test_a_child_leaves_the_connections_of_its_parent_alone(make_store: MakeStore, server: Any) -> None:
    """A forked child that goes on with the store it inherited makes connections of its own."""
    store = make_store(server.url)
    store.run([(TWIN, ("crm",), ())])
    child = os.fork()
    if child == 0:
        try:
            replies = [store.run([(TWIN, ("crm",), ())]) for _ in range(20)]
            os._exit(0 if all(replies) else 1)
        finally:
            os._exit(2)
    replies = [store.run([(TWIN, ("crm",), ())])[0] for _ in range(20)]

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(set(map(repr, replies))) == 20
    assert store.run([(TWIN, ("crm",), ())]) == [42]


SECRET = "open:s%same/"


@both_faces
@pytest.mark.parametrize(
    "user",
    ["", "intruder:wrong-password-of-mine@", ":wrong-password-of-mine@"],
    ids=["no password", "wrong user", "wrong password"],
)
def test_no_error_shows_a_password(make_store: MakeStore, make_server: Callable[..., Any], user: str) -> None:
    """Refused by the server: the error says why and where, and neither it nor its traceback holds a password."""
    server = make_server("--requirepass", SECRET, tcp=True)
    store = make_store(f"redis://{user}127.0.0.1:{server.port}/0")

    with pytest.raises(StoreError, match=f"Redis at 127.0.0.1:{server.port}") as caught:
        store.get(("crm",))

    told = "".join(traceback.format_exception(caught.value))
    assert "NOAUTH" in told or "Authentication" in told or "invalid" in told
    assert "wrong-password-of-mine" not in told


@both_faces
def test_a_password_that_the_server_repeats_is_hidden(make_store: MakeStore, make_server: Callable[..., Any]) -> None:
    """A server without AUTH repeats what it was sent; the error does not."""
    server = make_server("--rename-command", "AUTH", "", tcp=True)
    store = make_store(f"redis://:wrong-password-of-mine@127.0.0.1:{server.port}/0")

    with pytest.raises(StoreError, match=r"unknown command.*\*\*\*\*") as caught:
        store.get(("crm",))

    assert "wrong-password-of-mine" not in "".join(traceback.format_exception(caught.value))


@both_faces
def test_it_logs_in(make_store: MakeStore, make_server: Callable[..., Any]) -> None:
    """User, password and database of the URL are used, percent-decoded."""
    server = make_server("--requirepass", SECRET, tcp=True)
    password = "open%3As%25same%2F"
    first = make_store(f"redis://:{password}@127.0.0.1:{server.port}/0")
    second = make_store(f"redis://default:{password}@127.0.0.1:{server.port}/3")
    third = make_store(f"unix://:{password}@{server.path}?db=3")

    assert first.run([(TWIN, ("crm",), ())]) == [1]
    assert second.run([(TWIN, ("crm",), ())]) == [1]
    assert third.run([(TWIN, ("crm",), ())]) == [2]


@both_faces
def test_what_redis_refuses_is_a_store_error(make_store: MakeStore, make_server: Callable[..., Any]) -> None:
    """Out of memory, a replica, an operation with a bug: `StoreError` with the reason."""
    store = make_store(make_server("--maxmemory", "1", "--maxmemory-policy", "noeviction").url)
    for ask in (ASKS[0], ASKS[3]):
        with pytest.raises(StoreError, match=r"OOM|maxmemory"):
            ask(store)

    replica = make_store(make_server("--replicaof", "127.0.0.1", "1", "--replica-serve-stale-data", "no").url)
    with pytest.raises(StoreError, match="MASTER is down"):
        ASKS[2](replica)


@both_faces
def test_what_is_not_redis_is_a_store_error(make_store: MakeStore) -> None:
    """Something else that listens there, and answers what no Redis does, is a `StoreError`, too."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def nonsense() -> None:
            near, _ = listener.accept()
            with near:
                near.recv(1000)
                near.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=nonsense)
        thread.start()
        store = make_store(f"redis://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(StoreError, match="Redis at"):
            store.get(("crm",))
        thread.join()


def test_it_says_what_it_is(make_store: MakeStore, server: Any) -> None:
    """Product and version, asked of the server; who may not know gets the product; nobody there is a `StoreError`."""
    store: Any = make_store(server.url)
    with server.admin as admin:
        assert store.describe() == f"Redis {admin.info('server')['redis_version']}"
        admin.execute_command("ACL", "SETUSER", "plain", "on", ">word", "~*", "+get")
    plain: Any = make_store(f"unix://plain:word@{server.path}")
    assert plain.describe() == "Redis"

    server.kill()
    with pytest.raises(StoreError, match="Redis at"):
        store.describe()


def test_a_valkey_is_called_by_its_name(make_store: MakeStore) -> None:
    """It calls itself a Redis, too, of the version that it began from."""
    info = b"# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.0\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            near, _ = listener.accept()
            with near:
                near.recv(1000)
                near.sendall(b"$%d\r\n%b\r\n" % (len(info), info))

        thread = threading.Thread(target=answer)
        thread.start()
        store: Any = make_store(f"redis://127.0.0.1:{listener.getsockname()[1]}")
        assert store.describe() == "Valkey 8.1.0"
        thread.join()


@both_faces
def test_what_the_resolver_refuses_is_a_store_error(make_store: MakeStore) -> None:
    """A host name that cannot be one fails as a server that is not there does."""
    with pytest.raises(StoreError, match="Redis at"):
        make_store("redis://crm..example").get(("crm",))


def test_watched_it_is_left_alone_and_comes_back(make_store: MakeStore, server: Any) -> None:
    """Before it stands the core's watch: one degradation, one recovery, and no waiting in between."""
    now = [0.0]
    told: list[object] = []
    background: list[Callable[[], None]] = []

    class Watcher:
        def degraded(self, message: str) -> None:
            told.append(message)

        def recovered(self, seconds: float) -> None:
            told.append(seconds)

    store = WatchedStore(
        make_store(server.url, timeout_seconds=0.1), now=lambda: now[0], later=background.append, watcher=Watcher()
    )
    server.pause()
    for _ in range(20):
        with pytest.raises(StoreError):
            store.run([(TWIN, ("crm",), ())])
    now[0] = 1.0
    with pytest.raises(StoreError, match="left alone"):
        store.run([(TWIN, ("crm",), ())])
    server.resume()
    with server.admin as admin:
        admin.ping()
    (trial,) = background
    trial()

    assert store.run([(SLOW, ("other",), ())]) == [1]
    (message, seconds) = told
    assert str(message).endswith("no answer within 0.1 s")
    assert seconds == 1.0


def test_who_waits_for_a_connection_is_told_of_it() -> None:
    """A place that comes back wakes a thread that waits for one, and no other thread may take what it was given."""
    places = ThreadPlaces(1)
    wire = drive(places.take(0.0))
    got: list[object] = []
    threads = [threading.Thread(target=lambda: got.append(drive(places.take(60.0)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    while places._waiting < 3:
        threading.Event().wait(0.001)
    for count in (1, 2, 3):
        places.put(wire)
        while len(got) < count and any(thread.is_alive() for thread in threads):
            threading.Event().wait(0.001)
    for thread in threads:
        thread.join()
    assert got == [wire] * 3
    assert places._waiting == 0
    with pytest.raises(TimeoutError):
        drive(places.take(0.0))
