"""A connector with the cache in virtual time, whose vendor counts what reaches it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import pytest

from nexus_connector import CacheHit, Connector, Request, Response, Stage, hookimpl
from nexus_connector.errors import ConnectorError
from nexus_connector.setup import ServiceSetup
from nexus_connector.state import Store
from nexus_connector.testing import fake
from nexus_connector.testing.fake import Fake
from nexus_connector_cache import CacheOptions
from nexus_connector_cache._stage import CacheStage


@attrs.frozen
class World:
    """A connector with the cache; its service is ``crm`` unless the test says otherwise."""

    connector: Connector
    vendors: Fake
    hits: list[CacheHit]
    requests: list[Request]

    def answer(self, *answers: object) -> None:
        """Say what the vendor answers, to every request; the last answer repeats."""
        left = list(answers)

        def next_answer(request: Request) -> object:
            self.requests.append(request)
            answer = left.pop(0) if len(left) > 1 else left[0]
            return answer(request) if callable(answer) else answer

        self.vendors.answer("", next_answer)

    def call(self, path: str = "/x", *, service: str = "crm", method: str = "get", **options: Any) -> Any:
        """Make a call; what it raises comes back."""
        try:
            return getattr(self.connector.service(service), method)(path, **options)
        except ConnectorError as error:
            return error

    def await_call(self, path: str = "/x", *, service: str = "crm", method: str = "get", **options: Any) -> Any:
        """The same on the awaited face."""

        async def call() -> Response:
            response: Response = await getattr(self.connector.as_async().service(service), method)(path, **options)
            return response

        try:
            return asyncio.run(call())
        except ConnectorError as error:
            return error

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.vendors.clock.advance(seconds)

    @property
    def sends(self) -> int:
        """Requests that reached the vendor."""
        return len(self.requests)


class BringsStage:
    """The cache on a store of the test's own."""

    def __init__(self, store: Store, options: CacheOptions) -> None:
        self.store = store
        self.options = options

    @hookimpl
    def stages(self, config: ServiceSetup) -> list[Stage]:
        return [CacheStage(self.options, store=self.store)]


@pytest.fixture
def world() -> Generator[Callable[..., World]]:
    """Opens connectors: options of the cache, of the service, and plugins beside it; `store` instead of the core's."""
    with ExitStack() as stack:

        def opens(
            *,
            services: dict[str, Any] | None = None,
            service: dict[str, Any] | None = None,
            plugins: Sequence[object] = (),
            store: Store | None = None,
            **options: Any,
        ) -> World:
            config: dict[str, object] = {
                "services": services or {"crm": {"base_url": "https://crm.example", **(service or {})}},
                "plugins": {"only": ["cache"], "cache": {"enabled": True, **options}},
            }
            if store is not None:
                config["plugins"] = {"only": []}
                plugins = [*plugins, BringsStage(store, CacheOptions(enabled=True, **options))]
            connector = stack.enter_context(Connector.from_config(config, plugins=plugins))
            vendors = stack.enter_context(fake(connector))
            hits: list[CacheHit] = []
            connector.on(CacheHit)(hits.append)
            made = World(connector, vendors, hits, [])
            made.answer(200)
            return made

        yield opens


@pytest.fixture
def readme() -> Callable[[], str]:
    """Reads the README of the plugin."""
    return Path(__file__).parents[1].joinpath("README.md").read_text
