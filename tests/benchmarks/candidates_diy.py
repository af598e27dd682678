"""The stacks that people build themselves: requests, tenacity, pybreaker, limits and a row of audit for each call."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import attrs
import pybreaker
import redis
import requests
import tenacity
from limits import parse
from limits.storage import MemoryStorage, RedisStorage, Storage
from limits.strategies import FixedWindowRateLimiter

from .candidates_plain import DOCUMENT
from .load import Blocking

_TABLE: Final = """
CREATE TABLE audit (
    at REAL, method TEXT, url TEXT, status INTEGER, seconds REAL, request TEXT, response TEXT, error TEXT
)
"""


class AuditLog:
    """One row for each call, in SQLite with a write-ahead log, as it is usually set up.

    Args:
        file: The database; made here.
    """

    def __init__(self, file: Path) -> None:
        self._database = sqlite3.connect(file, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(_TABLE)

    def write(self, *row: object) -> None:
        """Write a row, in a transaction of its own."""
        self._database.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def count(self) -> int:
        """Return how many rows there are."""
        return int(self._database.execute("SELECT count(*) FROM audit").fetchone()[0])

    def close(self) -> None:
        """Close the database."""
        self._database.close()


@attrs.frozen(kw_only=True)
class DiyClient:
    """A client of one API.

    Attributes:
        url: What is called.
        audit: Where rows go.
        breaker: The circuit.
        limiter: The limit, never reached here. A fixed window is the cheapest that there is.
        session: Sends.
    """

    url: str
    audit: AuditLog
    breaker: Any
    limiter: FixedWindowRateLimiter
    session: requests.Session = attrs.field(factory=requests.Session)

    def caller(self, method: str, document: object = None) -> Callable[[], bytes]:
        """Return one call: retried, limited, behind the circuit, and audited."""
        limit = parse("1000000/second")
        headers = {"Authorization": "Bearer a-token-of-the-bench"}

        @tenacity.retry(
            stop=tenacity.stop_after_attempt(4),
            wait=tenacity.wait_exponential_jitter(),
            retry=tenacity.retry_if_exception_type((requests.ConnectionError, requests.Timeout)),
            reraise=True,
        )
        def attempt() -> requests.Response:
            if not self.limiter.hit(limit, "vendor"):
                message = "the limit of the vendor is used up"
                raise RuntimeError(message)
            response: requests.Response = self.breaker.call(
                self.session.request, method, self.url, json=document, headers=headers, timeout=10
            )
            response.raise_for_status()
            return response

        def call() -> bytes:
            started, sent = time.time(), None if document is None else str(document)
            try:
                response = attempt()
            except Exception as error:
                self.audit.write(started, method, self.url, None, time.time() - started, sent, None, repr(error))
                raise
            took = time.time() - started
            self.audit.write(started, method, self.url, response.status_code, took, sent, response.text, None)
            return response.content

        return call


def diy_get(url: str, file: Path, name: str, *, redis_url: str | None = None) -> Blocking:
    """Return GET through such a stack.

    Args:
        url: What is called.
        file: Where it audits.
        name: Name of the candidate.
        redis_url: Where circuit and limit are kept; ``None``: in this process.
    """
    return _candidate(url, file, name, "GET", None, redis_url)


def diy_post(url: str, file: Path, name: str) -> Blocking:
    """Return POST of 1 KB through such a stack, its state in this process."""
    return _candidate(url, file, name, "POST", DOCUMENT, None)


def _candidate(url: str, file: Path, name: str, method: str, document: object, redis_url: str | None) -> Blocking:
    with ExitStack() as ends:
        audit = AuditLog(file)
        ends.callback(audit.close)
        circuit: Any = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
        limits: Storage = MemoryStorage()
        if redis_url is not None:
            client: Any = redis.Redis.from_url(redis_url)  # pyright: ignore[reportUnknownMemberType]
            ends.callback(client.close)
            circuit = pybreaker.CircuitRedisStorage(pybreaker.STATE_CLOSED, client, namespace="bench")
            limits = RedisStorage(redis_url)
        breaker = pybreaker.CircuitBreaker(fail_max=5, reset_timeout=60, state_storage=circuit)
        diy = DiyClient(url=url, audit=audit, breaker=breaker, limiter=FixedWindowRateLimiter(limits))
        ends.callback(diy.session.close)
        return Blocking(name=name, call=diy.caller(method, document), close=ends.pop_all().close)
    raise AssertionError
