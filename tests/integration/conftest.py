"""What the tests of this folder share: real servers, a wire to them that counts and delays, and processes."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Generator

import pytest

from .processes import Processes, Work
from .proxy import Proxy
from .servers import RedisServer, client


@pytest.fixture(scope="session")
def long() -> bool:
    """Whether tests that have a long form run that: NEXUS_LONG=1, nightly."""
    return os.environ.get("NEXUS_LONG") == "1"


@pytest.fixture(scope="session")
def redis_server_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A server that all tests share which leave it running; NEXUS_TEST_REDIS_URL names a database of another one."""
    given = os.environ.get("NEXUS_TEST_REDIS_URL")
    if given:
        yield given
        return
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server.url
    server.kill()


@pytest.fixture
def redis_url(redis_server_url: str) -> str:
    """URL of a store in a real Redis, as ``stores.shared``; its database is emptied for this test."""
    with client(redis_server_url) as admin:
        admin.flushdb()
    return redis_server_url


@pytest.fixture
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RedisServer]:
    """A server of the test's own, to be killed, paused and started again."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
def make_proxy() -> Generator[Callable[[int], Proxy]]:
    """Makes a `Proxy` to a port of this machine."""
    with contextlib.ExitStack() as stack:

        def make(port: int) -> Proxy:
            proxy = Proxy(port)
            stack.callback(proxy.close)
            return proxy

        yield make


@pytest.fixture
def make_processes() -> Generator[Callable[[int, Callable[[int], Work]], Processes]]:
    """Makes `Processes`: workers forked from this one. Connectors made before are theirs, too."""
    if sys.platform == "win32":
        pytest.skip("processes are forked here")
    with contextlib.ExitStack() as stack:

        def make(count: int, worker: Callable[[int], Work]) -> Processes:
            processes = Processes(count, worker)
            stack.callback(processes.close)
            return processes

        yield make
