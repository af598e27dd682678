"""Streams: what counts is the answer's headers, and how its body ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from nexus_connector import Connector
from nexus_connector.errors import CircuitOpenError, ConnectorError
from nexus_connector.testing.emulator import Answer, DripBody, Reset, VendorEmulator
from nexus_connector_breaker import circuits

Opens = Callable[..., Any]


@contextmanager
def served(behaviour: Any) -> Generator[Connector]:
    """A connector whose vendor behaves like this, and whose circuit opens at the first failure."""
    with VendorEmulator() as vendor:
        vendor.on("/file", behaviour)
        breaker = {"failure_threshold": 1}
        config = {"services": {"crm": {"base_url": vendor.url}}, "plugins": {"only": ["breaker"], "breaker": breaker}}
        with Connector.from_config(config) as connector:
            yield connector


def read(connector: Connector, *, awaited: bool, idle_timeout_seconds: float = 5.0) -> None:
    """Read a stream to its end, or to where it breaks."""
    options = {"idle_timeout_seconds": idle_timeout_seconds}

    async def reading() -> None:
        async with connector.as_async().service("crm").stream("/file", **options) as stream:
            async for _ in stream:
                pass

    with suppress(ConnectorError):
        if awaited:
            asyncio.run(reading())
            return
        with connector.service("crm").stream("/file", **options) as stream:
            for _ in stream:
                pass


faces = pytest.mark.parametrize("awaited", [False, True], ids=["blocking", "awaited"])


@faces
@pytest.mark.parametrize(
    ("behaviour", "state"),
    [(Answer(200, body=b"x" * 100_000), "closed"), (Answer(404), "closed"), (Answer(503), "open")],
    ids=["whole", "404", "503"],
)
def test_a_stream_counts_by_its_headers(behaviour: Any, state: str, awaited: bool) -> None:
    """The verdict is that of any other answer."""
    with served(behaviour) as connector:
        read(connector, awaited=awaited)
        assert [circuit.state for circuit in circuits(connector)] == [state]


@faces
@pytest.mark.parametrize("after", ["headers", "body"])
def test_a_body_that_breaks_off_is_a_failure(after: Any, awaited: bool) -> None:
    """A good answer whose body the vendor does not finish counts against it."""
    with served(Reset(after=after)) as connector:
        read(connector, awaited=awaited)
        assert [circuit.state for circuit in circuits(connector)] == ["open"]


@faces
def test_a_body_that_drips_is_a_failure(awaited: bool) -> None:
    """An idle timeout in the middle of a stream counts as any timeout."""
    with served(DripBody(0.5)) as connector:
        read(connector, awaited=awaited, idle_timeout_seconds=0.05)
        assert [circuit.state for circuit in circuits(connector)] == ["open"]


def test_a_stream_counts_when_it_is_closed(world: Opens) -> None:
    """A probe that streams keeps its lease while it is read, and closes the circuit at its end."""
    crm = world({"failure_threshold": 1})
    crm.calls(500)
    crm.vendors.clock.advance(60)
    crm.vendors.answer("", (200, b"x" * 200_000))
    with crm.connector.service("crm").stream("/file") as stream:
        next(iter(stream))
        assert isinstance(crm.call(), CircuitOpenError)
        assert crm.changes[-1] == ("open", "half_open")
    assert crm.changes[-1] == ("half_open", "closed")


def test_a_reader_that_gives_up_blames_nobody(world: Opens) -> None:
    """What the application raises while it reads is not the vendor's failure."""
    crm = world({"failure_threshold": 1})
    crm.vendors.answer("", (200, b"x" * 200_000))
    with suppress(LookupError), crm.connector.service("crm").stream("/file"):
        raise LookupError
    assert crm.changes == []
