"""Ours, in every mode."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from nexus_connector import CallSucceeded, Connector, Request, Secret, hookimpl

from .candidates_plain import DOCUMENT
from .load import Awaited, Blocking

SERVICE = "vendor"
"""The service that is called."""


class Hook:
    """One hook, as most applications have: a header of its own on every request.

    Args:
        number: Which one of several.
    """

    def __init__(self, number: int) -> None:
        self._headers = {f"X-Trace-{number}": "bench"}

    @hookimpl
    def before_request(self, request: Request) -> Request:
        """Add the header."""
        return request.with_headers(self._headers)


@attrs.frozen(kw_only=True)
class Stack:
    """What a connector of ours is made of. By default it is the full stack of the issue, its records apart.

    Attributes:
        policies: Whether retry, breaker and limiter take part, and credentials are configured.
        records: Where records go; ``None``: nobody keeps any.
        hooks: How many before_request hooks there are.
        receivers: How many receivers hear of each call.
        shared: Where circuits and limits are kept.
        limit: The quota, never reached.
        exact: Whether every call asks the store, without leases and snapshots.
        jitter_seconds: How late the limiter lets a call be sent.
        max_concurrency: Sends that may be under way at once.
        attempt_timeout_seconds: Time of one send.
    """

    policies: bool = True
    records: Path | None = None
    hooks: int = 1
    receivers: int = 1
    shared: str = "memory://"
    limit: str = "1000000/s"
    exact: bool = False
    jitter_seconds: float = 0.05
    max_concurrency: int = 100
    attempt_timeout_seconds: float = 10.0

    def config(self, url: str) -> dict[str, Any]:
        """Return its configuration."""
        service: dict[str, Any] = {
            "base_url": url,
            "max_concurrency": self.max_concurrency,
            "attempt_timeout_seconds": self.attempt_timeout_seconds,
        }
        plugins: dict[str, Any] = {"only": []}
        if self.policies:
            service["credentials"] = {"token": Secret("a-token-of-the-bench")}
            plugins["only"] += ["retry", "breaker", "limiter"]
            lease = "off" if self.exact else "auto"
            plugins["limiter"] = {
                "limits": [self.limit],
                "jitter_seconds": self.jitter_seconds,
                "lease": lease,
            }
            plugins["breaker"] = {"snapshot_seconds": 0.0} if self.exact else {}
        if self.records is not None:
            plugins["only"].append("jsonl")
            plugins["jsonl"] = {"path": str(self.records)}
        if self.shared.startswith("redis"):
            plugins["only"].append("redis")
        return {"services": {SERVICE: service}, "plugins": plugins, "stores": {"shared": self.shared}}

    def open(self, url: str) -> Connector:
        """Build the connector."""
        connector = Connector.from_config(self.config(url), plugins=[Hook(number) for number in range(self.hooks)])
        for _ in range(self.receivers):
            connector.on(CallSucceeded)(lambda event: None)
        return connector


CORE = Stack(policies=False, hooks=0, receivers=0)
"""The core alone."""


def ours_get(connector: Connector, name: str) -> Blocking:
    """Return GET through the blocking face."""
    service = connector.service(SERVICE)
    return Blocking(name=name, call=lambda: service.get("/x").body, drain=connector.flush, close=connector.close)


def ours_post(connector: Connector, name: str) -> Blocking:
    """Return POST of 1 KB through the blocking face; it is encoded in the call."""
    service = connector.service(SERVICE)
    return Blocking(
        name=name,
        call=lambda: service.post("/x", json=DOCUMENT).body,
        drain=connector.flush,
        close=connector.close,
    )


def ours_awaited(connector: Connector, loop: asyncio.AbstractEventLoop, name: str) -> Awaited:
    """Return GET through the awaited face."""
    service = connector.as_async().service(SERVICE)

    async def call() -> bytes:
        return (await service.get("/x")).body

    return Awaited(name=name, call=call, loop=loop, drain=connector.flush, close=closing(connector, loop))


def closing(connector: Connector, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """Return what closes the awaited face of a connector."""
    return lambda: loop.run_until_complete(connector.as_async().close())


def written(folder: Path) -> int:
    """Return how many records lie in a folder."""
    return sum(file.read_bytes().count(b"\n") for file in folder.glob("*.jsonl"))
