"""A Postmark on this machine, and both faces of a connector that sends to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nexus_connector import AsyncConnector, Connector
from nexus_connector.testing.emulator import VendorEmulator

TOKEN = "4aaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"


@pytest.fixture
def vendor() -> Iterator[VendorEmulator]:
    """Stands in for api.postmarkapp.com."""
    with VendorEmulator(name="postmark") as vendor:
        yield vendor


@pytest.fixture
def config(vendor: VendorEmulator, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A configuration that names Postmark and where it is, and nothing else; the token is in the usual variable."""
    monkeypatch.setenv("POSTMARK_SERVER_TOKEN", TOKEN)
    return {
        "services": {"postmark": {"base_url": vendor.url}},
        "domains": {"email": {"service": "postmark", "sender": "billing@example.com"}},
        "plugins": {"only": []},
    }


@pytest.fixture(params=["blocking", "awaited"])
def email(request: pytest.FixtureRequest, config: dict[str, Any]) -> Iterator[Callable[..., Any]]:
    """Calls a method of ``connector.email`` by its name, on each of the two faces."""
    if request.param == "blocking":
        with Connector.from_config(config) as connector:
            yield lambda method, *args, **options: getattr(connector.email, method)(*args, **options)
        return
    with asyncio.Runner() as runner:
        aconnector = AsyncConnector.from_config(config)

        async def call(method: str, *args: Any, **options: Any) -> Any:
            return await getattr(aconnector.email, method)(*args, **options)

        yield lambda method, *args, **options: runner.run(call(method, *args, **options))
        runner.run(aconnector.close())
