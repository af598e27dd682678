"""Streams: what breaks on the way is an error, a record and a settled permit, on both faces."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from nexus_connector import Connector, IntegrationLog, hookimpl
from nexus_connector.errors import ConnectorError, TransportError
from nexus_connector.testing.emulator import Answer, DripBody, Reset, Stream, VendorEmulator


class Sink:
    def __init__(self) -> None:
        self.records: list[IntegrationLog] = []

    @hookimpl
    def store_log(self, records: Sequence[IntegrationLog]) -> None:
        self.records.extend(records)


def read(connector: Connector, path: str, *, awaited: bool, **options: Any) -> int:
    """Read a stream to its end and return its length."""
    if not awaited:
        with connector.service("crm").stream(path, **options) as stream:
            return sum(len(piece) for piece in stream)

    async def reading() -> int:
        async with connector.as_async().service("crm").stream(path, **options) as stream:
            return sum([len(piece) async for piece in stream])

    return asyncio.run(reading())


@pytest.mark.parametrize("awaited", [False, True], ids=["blocking", "awaited"])
def test_a_body_that_breaks_off_is_an_error(awaited: bool) -> None:
    """A reset in the middle of a stream is raised where it is read; its record is unknown, its permit comes back."""
    sink = Sink()
    with VendorEmulator() as vendor:
        vendor.on("/broken", Reset(after="body"))
        vendor.on("/x", Answer(200))
        service = {"base_url": vendor.url, "max_concurrency": 1}
        with Connector.from_config(
            {"services": {"crm": service}, "plugins": {"only": []}}, plugins=[sink]
        ) as connector:
            with pytest.raises(TransportError) as caught:
                read(connector, "/broken", awaited=awaited)
            assert (caught.value.phase, caught.value.service) == ("read", "crm")
            assert connector.service("crm").get("/x").status == 200
            connector.flush()
    attempt, call = sink.records[:2]
    assert (attempt.kind, attempt.outcome.value) == ("attempt", "unknown")
    assert (call.kind, call.status.value) == ("call", "failed")


@pytest.mark.parametrize("awaited", [False, True], ids=["blocking", "awaited"])
def test_a_stream_that_was_left_early_is_closed(awaited: bool) -> None:
    """An exception inside the block, or a break, ends the stream; nothing stays checked out."""
    with VendorEmulator() as vendor:
        vendor.on("/big", Stream(megabytes=8))
        vendor.on("/x", Answer(200))
        service = {"base_url": vendor.url, "max_concurrency": 1}
        with Connector.from_config({"services": {"crm": service}, "plugins": {"only": []}}) as connector:

            async def leaving() -> None:
                async with connector.as_async().service("crm").stream("/big") as stream:
                    async for _ in stream:
                        raise LookupError

            def leave() -> None:
                with connector.service("crm").stream("/big") as stream:
                    for _ in stream:
                        raise LookupError

            with pytest.raises(LookupError):
                asyncio.run(leaving()) if awaited else leave()
            assert connector.service("crm").get("/x").status == 200
            assert connector.runtime.process.wire("crm").permits.free == 1


def test_a_cancelled_read_ends_the_stream() -> None:
    """Cancelling an awaited read ends the stream's socket, and gives its permit back."""

    async def main(connector: Connector) -> None:
        async with connector.as_async().service("crm").stream("/slow") as stream:
            pieces = stream.__aiter__()
            waiting = asyncio.ensure_future(anext(pieces))
            for _ in range(10):
                await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    with VendorEmulator() as vendor:
        vendor.on("/slow", DripBody(0.01, body=b"x" * 100))
        with Connector.from_config(
            {"services": {"crm": {"base_url": vendor.url}}, "plugins": {"only": []}}
        ) as connector:
            asyncio.run(main(connector))
            assert connector.runtime.process.wire("crm").permits.free == 100


def test_an_error_answer_is_read_for_its_text() -> None:
    """An answer of 400 and above to a stream is raised as an error that has its body."""
    with VendorEmulator() as vendor:
        vendor.on("/x", Answer(400, json={"why": "no"}))
        with (
            Connector.from_config(
                {"services": {"crm": {"base_url": vendor.url}}, "plugins": {"only": []}}
            ) as connector,
            pytest.raises(ConnectorError) as caught,
            connector.service("crm").stream("/x"),
        ):
            pass
    assert caught.value.response is not None
    assert caught.value.response.json() == {"why": "no"}
