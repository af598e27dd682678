"""The breaker inside a connector: faces, groups, regions, services, forks, receivers, logs."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nexus_connector import AsyncConnector, CircuitChanged, Response, Stage, hookimpl
from nexus_connector.errors import CircuitOpenError, ConnectorError, VendorError
from nexus_connector.pipeline import Next, Result
from nexus_connector.setup import ServiceSetup
from nexus_connector.testing import fake
from nexus_connector.testing.emulator import Answer, VendorEmulator
from nexus_connector_breaker import circuits

Opens = Callable[..., Any]

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="fork")


def test_it_opens_at_the_fifth_failure_and_refuses_the_sixth(world: Opens) -> None:
    """With the defaults: five failures are sent, the sixth call is refused, nothing is sent for it."""
    crm = world()
    results = crm.calls(*[500] * 6)
    assert [type(result) for result in results] == [*[VendorError] * 5, CircuitOpenError]
    assert crm.sends == 5
    refusal = results[-1]
    assert (refusal.service, refusal.operation, refusal.attempts) == ("crm", "GET /x", 0)
    assert (refusal.outcome.value, refusal.retry_safe, refusal.retry_after) == ("not_sent", True, 60.0)


def test_both_faces_share_one_circuit(world: Opens) -> None:
    """Failures of one face refuse the calls of the other, and a probe of either closes it."""
    crm = world()
    awaited = crm.connector.as_async().service("crm")

    def await_call() -> Any:
        async def call() -> Response:
            return await awaited.get("/x")

        try:
            return asyncio.run(call())
        except ConnectorError as error:
            return error

    crm.calls(500, 500, 500)
    assert type(await_call()) is VendorError
    assert type(await_call()) is VendorError
    assert isinstance(await_call(), CircuitOpenError)
    assert isinstance(crm.call(), CircuitOpenError)
    crm.vendors.answer("", 200)
    crm.vendors.clock.advance(60)
    assert await_call().status == 200
    assert crm.call().status == 200
    assert crm.changes == [("closed", "open"), ("open", "half_open"), ("half_open", "closed")]


def test_the_async_face_alone() -> None:
    """An application that only awaits is protected in the same way."""

    async def program() -> list[str]:
        config = {"services": {"crm": {"base_url": "https://crm.example"}}, "plugins": {"only": ["breaker"]}}
        names: list[str] = []
        async with AsyncConnector.from_config(config) as connector:
            with fake(connector) as vendors:
                vendors.answer("", TimeoutError())
                for _ in range(6):
                    try:
                        await connector.service("crm").get("/x")
                    except ConnectorError as error:
                        names.append(type(error).__name__)
        return names

    assert asyncio.run(program()) == [*["DeadlineExceededError"] * 5, "CircuitOpenError"]


def test_a_group_has_a_circuit_of_its_own(world: Opens) -> None:
    """What breaks in one group of operations leaves the others alone, by name of the operation."""
    endpoints = {
        "GET /orders/{id}": {"group": "orders"},
        "POST /orders": {"group": "orders"},
        "GET /search": {"group": "search"},
        "GET /x": {"timeout_seconds": 5},
    }
    crm = world({"failure_threshold": 2}, endpoints=endpoints)
    crm.vendors.answer("", 500)
    crm.call("/orders/{id}", path_values={"id": 1})
    crm.call("/orders", method="post")
    crm.vendors.answer("", 200)
    assert "group orders" in str(crm.call("/orders/{id}", path_values={"id": 2}))
    assert isinstance(crm.call("/orders", method="post"), CircuitOpenError)
    assert crm.call("/search").status == 200
    assert crm.call("/x").status == 200
    assert [(event.group, event.new) for event in crm.events] == [("orders", "open")]


class PicksRegion(Stage):
    """Sends each call where its header says; takes the place of the core's own picker."""

    name = "region"
    slot = 500

    def __init__(self, setup: ServiceSetup) -> None:
        self._regions = {region.name: region for region in setup.config.regions}

    async def __call__(self, call: Any, request: Any, next: Next) -> Result:
        region = self._regions[request.headers["X-Region"]]
        call.region = region.name
        return await next(call, request.at(region.base_url))


class Regions:
    @hookimpl
    def stages(self, config: ServiceSetup) -> list[Stage]:
        return [PicksRegion(config)]


def test_a_region_has_a_circuit_of_its_own(world: Opens) -> None:
    """A region that is down is refused, the other one is called; two paths of one host are two regions."""
    urls = ["https://eu.crm.example", "https://us.crm.example/a", "https://us.crm.example/b"]
    names = ["eu.crm.example", "us.crm.example/a", "us.crm.example/b"]
    crm = world({"failure_threshold": 2}, plugins=[Regions()], base_url=urls)
    for _ in range(2):
        crm.vendors.answer("", 500)
        crm.call(headers={"X-Region": names[1]})
    crm.vendors.answer("", 200)
    refused = [isinstance(crm.call(headers={"X-Region": name}), CircuitOpenError) for name in names]
    assert refused == [False, True, False]
    assert "region us.crm.example/a" in str(crm.call(headers={"X-Region": names[1]}))
    assert [event.region for event in crm.events] == ["us.crm.example/a"]


def test_services_are_apart_and_one_may_do_without(world: Opens) -> None:
    """Each service has its options; ``breaker = false`` takes the gate out of its chain."""
    crm = world(
        {"failure_threshold": 2},
        services={
            "crm": {"base_url": "https://crm.example"},
            "erp": {"base_url": "https://erp.example", "breaker": {"failure_threshold": 4}},
            "old": {"base_url": "https://old.example", "breaker": False},
        },
    )
    refused = {
        name: [type(result).__name__ for result in crm.calls(*[500] * 9, service=name)].count("CircuitOpenError")
        for name in ("crm", "erp", "old")
    }
    assert refused == {"crm": 7, "erp": 5, "old": 0}
    gates = {name: [entry.name for entry in crm.connector.explain(name) if entry.kind == "gate"] for name in refused}
    assert gates == {"crm": ["breaker"], "erp": ["breaker"], "old": []}


def test_switched_on_for_one_service_only(world: Opens) -> None:
    """``breaker = false`` for all and a table for one: only that one has a circuit."""
    services = {
        "crm": {"base_url": "https://crm.example", "breaker": {"failure_threshold": 1}},
        "erp": {"base_url": "https://erp.example"},
    }
    crm = world(False, services=services)
    assert isinstance(crm.calls(500, 500)[1], CircuitOpenError)
    assert isinstance(crm.calls(500, 500, service="erp")[1], VendorError)


def test_connectors_of_one_process_are_independent(world: Opens) -> None:
    """Neither circuits nor events cross from one connector to another."""
    first, second = world({"failure_threshold": 1}), world({"failure_threshold": 1})
    assert isinstance(first.calls(500, 500)[1], CircuitOpenError)
    assert second.call().status == 200
    assert (len(first.events), len(second.events)) == (1, 0)


def test_every_attempt_counts_and_a_trip_ends_the_retries(world: Opens) -> None:
    """Attempts of one call are a row like those of several; the attempt after the trip is refused and not sent."""

    class Again(Stage):
        name = "again"
        slot = 400

        async def __call__(self, call: Any, request: Any, next: Next) -> Result:
            for _ in range(9):
                result = await next(call, request)
            return result

    class Retries:
        @hookimpl
        def stages(self, config: ServiceSetup) -> list[Stage]:
            return [Again()]

    crm = world({"failure_threshold": 3}, plugins=[Retries()])
    [error] = crm.calls(500)
    assert isinstance(error, CircuitOpenError)
    assert crm.vendors.sent()[0].attempts == 3


def test_a_renewed_runtime_starts_closed(world: Opens) -> None:
    """What a forked child does first: its chains, its gates and its store are its own, and know nothing."""
    crm = world({"failure_threshold": 1})
    crm.calls(500)
    parent = crm.connector.runtime.process
    crm.connector.runtime.renew()
    try:
        assert [circuit.state for circuit in circuits(crm.connector)] == ["closed"]
    finally:
        crm.connector.runtime.process.close(0)
        crm.connector.runtime.process = parent


FORKS = """
import json, os, sys
from nexus_connector import Connector
from nexus_connector.errors import ConnectorError
from nexus_connector_breaker import circuits

plugins = {"only": ["breaker"], "breaker": {"failure_threshold": 2}}
connector = Connector.from_config({"services": {"crm": {"base_url": sys.argv[1]}}, "plugins": plugins})
kinds = []

def call():
    try:
        connector.service("crm").get("/down")
    except ConnectorError as error:
        kinds.append(type(error).__name__)

for _ in range(3):
    call()
read, write = os.pipe()
child = os.fork()
if child == 0:
    kinds = [circuits(connector)[0].state]
    for _ in range(3):
        call()
    os.write(write, json.dumps(kinds).encode())
    os._exit(0)
os.close(write)
with os.fdopen(read, "rb") as answer:
    theirs = json.loads(answer.read())
os.waitpid(child, 0)
call()
print(json.dumps([kinds, theirs]))
connector.close()
"""


@posix_only
def test_a_forked_child_starts_with_its_own_state(tmp_path: Path) -> None:
    """The parent's circuit is open; the child's is closed, opens by its own failures, and the parent's stays open."""
    with VendorEmulator() as vendor:
        vendor.on("/down", Answer(500))
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKS, vendor.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    row = ["VendorError", "VendorError", "CircuitOpenError"]
    assert json.loads(done.stdout) == [[*row, "CircuitOpenError"], ["closed", *row]]


def test_receivers_and_hooks_hear_each_transition(world: Opens) -> None:
    """Receivers by service, and ``on_circuit_change`` of other plugins, get the same events."""

    class Pager:
        def __init__(self) -> None:
            self.heard: list[CircuitChanged] = []

        @hookimpl
        def on_circuit_change(self, event: CircuitChanged) -> None:
            self.heard.append(event)

    pager = Pager()
    crm = world({"failure_threshold": 1}, plugins=[pager])
    others: list[CircuitChanged] = []
    crm.connector.on(CircuitChanged, service="erp")(others.append)
    crm.calls(500)
    crm.vendors.clock.advance(60)
    crm.calls(200)
    assert pager.heard == crm.events
    assert len(crm.events) == 3
    assert others == []
    assert all(event.call_id and event.at.tzinfo for event in crm.events)


def test_transitions_are_logged(world: Opens, caplog: pytest.LogCaptureFixture) -> None:
    """Opened is a warning, half open and closed are information, by the service's logger, with the documented keys."""
    caplog.set_level(logging.INFO, logger="nexus_connector.crm")
    crm = world({"failure_threshold": 1}, endpoints={"GET /x": {"group": "orders/write"}})
    crm.calls(500)
    crm.vendors.clock.advance(60)
    crm.calls(200)
    place = "the circuit of crm (region crm.example, group orders/write)"
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        ("nexus_connector.crm", "WARNING", f"{place} opened for 60 s: 1 failure"),
        ("nexus_connector.crm", "INFO", f"{place} is half open: 60 s have passed"),
        ("nexus_connector.crm", "INFO", f"{place} closed: probe succeeded"),
    ]
    opened: Any = caplog.records[0]
    keys = ("service", "region", "group", "old", "new", "reason", "open_seconds", "call_id")
    assert [getattr(opened, key) for key in keys[:-1]] == [
        "crm", "crm.example", "orders/write", "closed", "open", "1 failure", 60.0,
    ]  # fmt: skip
    assert opened.call_id == crm.events[0].call_id
    readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    assert all(f"`{key}`" in readme for key in keys)


@pytest.mark.parametrize("reason", ["failure rate 63 % of 40 calls in 60 s", "slow call rate 80 % of 25 calls in 60 s"])
def test_no_text_of_a_transition_is_masked(world: Opens, reason: str) -> None:
    """Events pass the redactor; reasons, regions with a port and groups come out whole."""
    rule = {"failure_rate": 0.5, "minimum_calls": 40} if reason.startswith("failure") else None
    rule = rule or {"slow_call_rate": 0.5, "slow_call_seconds": 0.5, "minimum_calls": 25}
    crm = world(
        {**rule, "failure_threshold": 0, "snapshot_seconds": 0},
        base_url="https://crm.example:8443/api/v2",
        endpoints={"GET /x": {"group": "orders"}},
    )
    if reason.startswith("failure"):
        crm.calls(*[200] * 15, *[500] * 25)
    else:
        slow = {"timeout_seconds": 0.5}
        crm.calls(*[200] * 5)
        crm.calls(*[TimeoutError()] * 20, **slow)
    [event] = crm.events
    assert (event.reason, event.region, event.group) == (reason, "crm.example:8443", "orders")
    assert "(region crm.example:8443, group orders) is open: " + reason in str(crm.call())


def test_the_command_line_is_not_imported() -> None:
    """An application that uses the breaker loads neither click nor rich."""
    source = "import sys, nexus_connector_breaker; sys.exit(bool({'click', 'rich'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", source], env=dict(os.environ), check=False).returncode == 0
