"""What a server answers is read as redis-py reads it, in however many pieces it comes; what follows it is nobody's."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from typing import Any

import hypothesis.strategies as st
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from redis import connection as driver
from redis.exceptions import AskError, InvalidResponse, MovedError, NoScriptError

from nexus_connector.state import Store, StoreError
from nexus_connector_redis._replies import UnfinishedError, read

texts = st.binary(max_size=40).map(lambda text: text.replace(b"\r", b"").replace(b"\n", b""))
refusals = st.sampled_from(
    [b"ERR no", b"NOSCRIPT No matching script.", b"MOVED 3999 127.0.0.1:6381", b"ASK 1 h:7", b"OOM full", b"odd \xff"]
)


def _written(reply: Any) -> bytes:
    if isinstance(reply, list):
        return b"*%d\r\n" % len(reply) + b"".join(map(_written, reply))
    kind, value = reply
    if kind == "$":
        return b"$-1\r\n" if value is None else b"$%d\r\n%b\r\n" % (len(value), value)
    return f"{kind}".encode() + (b"%d" % value if kind == ":" else value) + b"\r\n"


replies = st.recursive(
    st.tuples(st.just("$"), st.binary(max_size=60) | st.none())
    | st.tuples(st.just(":"), st.integers(-(2**63), 2**63 - 1))
    | st.tuples(st.just("+"), texts)
    | st.tuples(st.just("-"), refusals),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


def _refused(text: str) -> Exception:
    error: Exception = driver.DefaultParser(65_536).parse_error(text)  # type: ignore[no-untyped-call]
    return error


def _plain(reply: object) -> object:
    """What can be compared: errors are equal if class and text are."""
    if isinstance(reply, list):
        return [_plain(each) for each in reply]
    return (type(reply), str(reply)) if isinstance(reply, Exception) else reply


class _Canned(driver.Connection):
    """A connection of redis-py's that reads from a socket of the test's."""

    def __init__(self, end: socket.socket) -> None:
        super().__init__(protocol=2, socket_timeout=5)
        self._sock = end
        self._parser.on_connect(self)

    def _host_error(self) -> str:
        return "here"


def _by_redis_py(data: bytes, count: int) -> list[object]:
    near, far = socket.socketpair()
    with near, far:
        far.sendall(data)
        connection, found = _Canned(near), []
        for _ in range(count):
            try:
                found.append(connection.read_response())
            except redis.ResponseError as error:
                found.append(error)
        return found


@settings(max_examples=300, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(sent=st.lists(replies, min_size=1, max_size=4))
def test_it_reads_what_redis_py_reads(sent: list[Any]) -> None:
    """Random replies, one behind the other: the same values, and the same errors; of a part of one it reads nothing."""
    data = b"".join(map(_written, sent))
    at, found = 0, list[object]()
    for _ in sent:
        reply, at = read(data, at, _refused)
        found.append(reply)
    assert at == len(data)
    assert _plain(found) == _plain(_by_redis_py(data, len(sent)))
    for cut in range(len(_written(sent[0]))):
        with pytest.raises(UnfinishedError):
            read(data[:cut], 0, _refused)


@pytest.mark.parametrize(
    ("line", "kind"),
    [(b"-NOSCRIPT x", NoScriptError), (b"-MOVED 1 h:2", MovedError), (b"-ASK 1 h:2", AskError)],
)
def test_refusals_keep_their_kind(line: bytes, kind: type[Exception]) -> None:
    """The store acts on them: loads the script, asks the other node."""
    assert isinstance(read(line + b"\r\n", 0, _refused)[0], kind)


@pytest.mark.parametrize("data", [b"HTTP/1.1 400 Bad Request\r\n", b"\r\n", b"$x\r\n", b"*1x\r\n", b":\r\n", b"(1\r\n"])
def test_what_no_redis_writes_is_an_error(data: bytes) -> None:
    """It is neither a reply nor the beginning of one."""
    with pytest.raises((InvalidResponse, ValueError)):
        read(data, 0, _refused)


@contextmanager
def _answering(*answers: list[bytes]) -> Generator[str]:
    """Stand on a port and answer each connection's questions with the pieces of one answer after the other."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(10)

        def serve() -> None:
            for pieces in answers:
                near, _ = listener.accept()
                near.settimeout(10)
                with near:
                    for piece in pieces:
                        if not near.recv(65_536):
                            break
                        near.sendall(piece)
                    near.recv(65_536)  # until it is given up, or asked once more

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def test_what_nobody_asked_for_is_taken_for_no_answer(make_store: Callable[..., Store]) -> None:
    """A connection on which more comes than was asked for is given up: the next question goes over another one."""
    with _answering([b"$1\r\na\r\n$1\r\nb\r\n"], [b"$1\r\nc\r\n"]) as url:
        store = make_store(url)
        assert store.get(("k",)) == b"a"
        assert store.get(("k",)) == b"c"
        store.close()


def test_a_server_without_room_is_a_store_error(make_store: Callable[..., Store]) -> None:
    """It says so in place of an answer: that is none to this command, and the next one goes over another connection."""
    with _answering([b"-ERR max number of clients reached\r\n"], [b"$1\r\nc\r\n"]) as url:
        store = make_store(url)
        with pytest.raises(StoreError, match="max number of clients"):
            store.get(("k",))
        assert store.get(("k",)) == b"c"
        store.close()
