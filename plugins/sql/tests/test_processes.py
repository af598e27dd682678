"""Several processes on one database: no update is lost, and a killed one leaves nothing half done."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from nexus_connector.state import AtomicOp, LaterStore, Plain, Store
from nexus_connector_sql import SqlOptions
from nexus_connector_sql._plugin import SqlStores
from nexus_connector_sql._store import SqlStore

PROCESSES, ROUNDS = 4, 50
COUNTS = """
import sys
from nexus_connector.state import AtomicOp
from nexus_connector_sql import SqlOptions
from nexus_connector_sql._plugin import SqlStores

url, key, rounds = sys.argv[1:]
op = AtomicOp(name="test.count", version=1, py=lambda state, now, args: ((state or 0) + 1, 600_000, (state or 0) + 1))
store = SqlStores(SqlOptions(timeout_seconds=30)).store(url, "durable")
for _ in range(int(rounds)):
    print(*store.run([(op, (key, "a"), ()), (op, (key, "b"), ())]), flush=True)
store.close()
"""


def _look(state: Plain, now_ms: int, args: Sequence[Plain]) -> tuple[Plain, int, Plain]:
    return state, 600_000, state


LOOK = AtomicOp(name="test.look", version=1, py=_look)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that nobody has used, or one that all tests share."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/nexus.db"
    found: str = request.getfixturevalue("postgresql_url")
    return found


@pytest.fixture
def start(url: str) -> Callable[[str, int], subprocess.Popen[str]]:
    """Starts a process that counts."""

    def started(key: str, rounds: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-P", "-c", COUNTS, url, key, str(rounds)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return started


def look(url: str, key: str) -> list[Plain]:
    """What both counters say."""
    store: Store | None = SqlStores(SqlOptions(timeout_seconds=30)).store(url, "durable")
    assert store is not None
    found = store.run([(LOOK, (key, "a"), ()), (LOOK, (key, "b"), ())])
    store.close()
    return found


def test_processes_lose_no_update(start: Callable[[str, int], subprocess.Popen[str]], url: str) -> None:
    """Each count is told to one process alone; all begin on an empty database at once, which is migrated once."""
    key = uuid4().hex
    told: list[str] = []
    running = [start(key, ROUNDS) for _ in range(PROCESSES)]
    for process in running:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        told += out.splitlines()
    assert sorted(told, key=lambda line: int(line.split()[0])) == [
        f"{number} {number}" for number in range(1, PROCESSES * ROUNDS + 1)
    ]
    assert look(url, key) == [PROCESSES * ROUNDS] * 2


def test_a_killed_process_leaves_whole_batches(start: Callable[[str, int], subprocess.Popen[str]], url: str) -> None:
    """Kill -9 in the middle of writing: both counters of a batch agree, what was told stays, others go on."""
    key = uuid4().hex
    for lines in (1, 3, 20):
        with start(key, 10**9) as process:
            assert process.stdout is not None
            heard = [process.stdout.readline() for _ in range(lines)]
            process.kill()
            # Not communicate(): it would leave out what readline() has read ahead.
            said = [line for line in [*heard, *process.stdout] if line.endswith("\n")]
        first, second = look(url, key)
        assert first == second, "half a batch was kept"
        told = int(said[-1].split()[0])
        assert first in {told, told + 1}, "what was told is gone, or more was done than asked"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_child_may_go_on_with_the_store(url: str) -> None:
    """It opens connections of its own; those of its parent are left alone and still answer."""
    key = (uuid4().hex,)
    op = AtomicOp(name="test.count", version=1, py=lambda state, now, args: (_next(state), 600_000, _next(state)))
    store = SqlStores(SqlOptions(timeout_seconds=30)).store(url, "durable")
    assert isinstance(store, LaterStore | SqlStore)
    assert store.run([(op, key, ())]) == [1]
    opened = store.store._opened if isinstance(store, LaterStore) else store._opened
    held = opened()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of other tests may be about
        child = os.fork()
    if child == 0:
        code = 1
        try:
            replies = [store.run([(op, key, ())]) for _ in range(10)]
            code = 0 if replies[-1] == [11] and opened() is not held else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert opened() is held
    assert store.run([(op, key, ())]) == [12]
    store.close()


def _next(state: Plain) -> int:
    return (state if isinstance(state, int) else 0) + 1
