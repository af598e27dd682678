"""Over real sockets: what is kept and confirmed is counted at the vendor, on both faces."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from nexus_connector import AsyncConnector, Connector, Gate, Refusal, Response, hookimpl
from nexus_connector.errors import CircuitOpenError, TransportError
from nexus_connector.testing.emulator import Answer, Arrival, Compute, Raw, Reset, VendorEmulator

Step = tuple[str, str, dict[str, Any]]


def config(url: str, **cache: Any) -> dict[str, object]:
    """One service with the cache."""
    return {
        "services": {"crm": {"base_url": url}},
        "plugins": {"only": ["cache"], "cache": {"enabled": True, **cache}},
    }


def by_blocking(configuration: dict[str, object], steps: Sequence[Step], *plugins: object) -> list[Response]:
    """Make calls one after the other on the blocking face."""
    with Connector.from_config(configuration, plugins=plugins) as connector:
        crm = connector.service("crm")
        return [getattr(crm, method)(path, **options) for method, path, options in steps]


def by_awaiting(configuration: dict[str, object], steps: Sequence[Step], *plugins: object) -> list[Response]:
    """The same on the awaited face."""

    async def program() -> list[Response]:
        async with AsyncConnector.from_config(configuration, plugins=plugins) as connector:
            crm = connector.service("crm")
            return [await getattr(crm, method)(path, **options) for method, path, options in steps]

    return asyncio.run(program())


faces = pytest.mark.parametrize("make", [by_blocking, by_awaiting])
Make = Callable[..., list[Response]]


class Resource:
    """A vendor's thing with a version that is its ETag; a PUT makes the next one."""

    def __init__(self, **headers: str) -> None:
        self.version = 1
        self.headers = headers

    def __call__(self, arrival: Arrival) -> Answer:
        if arrival.method == "PUT":
            self.version += 1
            return Answer(204)
        fields = {**self.headers, "ETag": f'"{self.version}"'}
        if arrival.headers.get("If-None-Match") == fields["ETag"]:
            return Answer(304, headers=fields)
        return Answer(json=self.version, headers=fields, gzip="gzip" in arrival.headers.get("Accept-Encoding", ""))


@faces
def test_a_304_costs_a_request_and_no_body(make: Make) -> None:
    """Three reads without freshness: one body, two confirmations, and the decompressed body each time."""
    with VendorEmulator() as vendor:
        vendor.on("/x", Compute(Resource()))
        answers = make(config(vendor.url), [("get", "/x", {})] * 3)
        conditions = [arrival.headers.get("If-None-Match") for arrival in vendor.arrivals]
    assert conditions == [None, '"1"', '"1"']
    assert [answer.json() for answer in answers] == [1, 1, 1]
    assert [answer.status for answer in answers] == [200, 200, 200]


@faces
def test_a_fresh_answer_costs_nothing(make: Make) -> None:
    """Three reads, one request."""
    with VendorEmulator() as vendor:
        vendor.on("/x", Compute(Resource(**{"Cache-Control": "max-age=600"})))
        answers = make(config(vendor.url), [("get", "/x", {})] * 3)
        assert len(vendor.arrivals) == 1
    assert [answer.json() for answer in answers] == [1, 1, 1]
    assert [answer.attempts for answer in answers] == [1, 0, 0]


@faces
def test_you_read_what_you_wrote(make: Make) -> None:
    """A change in between: what is fresh by its own account is asked for again."""
    with VendorEmulator() as vendor:
        vendor.on("/x", Compute(Resource(**{"Cache-Control": "max-age=600"})))
        steps: list[Step] = [("get", "/x", {}), ("put", "/x", {"json": 1}), ("get", "/x", {}), ("get", "/x", {})]
        answers = make(config(vendor.url), steps)
        assert [arrival.method for arrival in vendor.arrivals] == ["GET", "PUT", "GET"]
    assert [answer.json() for answer in answers if answer.status == 200] == [1, 2, 2]


@faces
def test_a_head_has_its_own_answer(make: Make) -> None:
    """Without body, kept apart from that of GET."""
    with VendorEmulator() as vendor:
        vendor.on("/x", Compute(Resource(**{"Cache-Control": "max-age=600"})))
        answers = make(config(vendor.url), [("head", "/x", {}), ("get", "/x", {}), ("head", "/x", {})])
        assert [arrival.method for arrival in vendor.arrivals] == ["HEAD", "GET"]
    assert [answer.body for answer in answers] == [b"", b"1", b""]


class Shuts(Gate):
    """Refuses every attempt after the first."""

    name = "shuts"
    attempts = 0

    @hookimpl
    def gates(self, config):
        return [self]

    def check(self, attempt):
        self.attempts += 1
        return Refusal(CircuitOpenError("The circuit is open.", retry_after=60.0)) if self.attempts > 1 else None


@faces
def test_a_stale_answer_stands_in_for_an_open_circuit(make: Make) -> None:
    """The vendor is left alone, and the caller still has an answer."""
    with VendorEmulator() as vendor:
        vendor.on("/x", Compute(Resource()))
        answers = make(config(vendor.url), [("get", "/x", {})] * 3, Shuts())
        assert len(vendor.arrivals) == 1
    assert [answer.json() for answer in answers] == [1, 1, 1]


@faces
def test_a_vendor_that_goes_away_is_replaced_by_what_is_kept(make: Make) -> None:
    """A 500, then a body that breaks off: the last good answer, whole."""
    with VendorEmulator() as vendor:
        vendor.on("/x", Answer(json={"n": 1}, headers={"ETag": '"1"'}), Answer(500), Reset("body"))
        answers = make(config(vendor.url), [("get", "/x", {})] * 3)
        assert len(vendor.arrivals) == 3
    assert [answer.json() for answer in answers] == [{"n": 1}] * 3


@faces
def test_an_answer_that_broke_off_is_not_kept(make: Make) -> None:
    """Half a body is no answer."""
    half = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nhalf"
    with VendorEmulator() as vendor:
        vendor.on("/x", Raw(half))
        with pytest.raises(TransportError):
            make(config(vendor.url), [("get", "/x", {})])
        vendor.on("/x", Answer(json="whole"))
        answers = make(config(vendor.url), [("get", "/x", {})])
    assert answers[0].json() == "whole"
