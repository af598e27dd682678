"""The modes: who is refused, what is counted, and what is told, in each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nexus_connector.errors import CircuitOpenError
from nexus_connector_breaker import circuits

Opens = Callable[..., Any]


def test_force_open_refuses_everything_and_leaves_the_circuit_as_it_is(world: Opens) -> None:
    """Nothing is sent, nothing counted, nothing told; the error says which option it is."""
    crm = world({"mode": "force_open"})
    results = crm.calls(*[200] * 10)
    assert all(isinstance(result, CircuitOpenError) for result in results)
    assert str(results[0]) == (
        'The circuit of crm is held open by mode = "force_open". '
        'Nothing was sent. Set mode = "normal" in services.crm.breaker or plugins.breaker.'
    )
    assert results[0].retry_after is None, "nobody knows"
    assert (crm.sends, crm.changes) == (0, [])
    assert crm.connector.runtime.process.stores.shared._states == {}


def test_force_open_of_one_service_leaves_the_others(world: Opens) -> None:
    """A mode belongs to its service."""
    services = {
        "crm": {"base_url": "https://crm.example", "breaker": {"mode": "force_open"}},
        "erp": {"base_url": "https://erp.example"},
    }
    crm = world({}, services=services)
    assert isinstance(crm.call(), CircuitOpenError)
    assert crm.call(service="erp").status == 200


def test_force_closed_admits_everything_and_counts(world: Opens) -> None:
    """Failures are there to see, also in the window, and the circuit stays closed, with every rule there is."""
    crm = world({"mode": "force_closed", "failure_rate": 0.1, "minimum_calls": 1, "snapshot_seconds": 0})
    crm.calls(*[500] * 30)
    assert (crm.sends, crm.changes) == (30, [])
    [circuit] = circuits(crm.connector)
    assert (circuit.state, circuit.mode) == ("closed", "force_closed")
    assert (circuit.failures, circuit.calls, circuit.failed_calls) == (30, 30, 30)


def test_disabled_takes_part_in_nothing(world: Opens) -> None:
    """No gate in the chain, no state in the store; it is still listed."""
    crm = world({"mode": "disabled"})
    crm.calls(*[500] * 30)
    assert (crm.sends, crm.changes) == (30, [])
    assert crm.connector.runtime.process.stores.shared._states == {}
    assert [entry.name for entry in crm.connector.explain("crm") if entry.kind == "gate"] == []
    [circuit] = circuits(crm.connector)
    assert (circuit.state, circuit.mode, circuit.failures) == ("disabled", "disabled", 0)


def test_shadow_runs_the_machine_and_refuses_nothing(world: Opens) -> None:
    """It opens, probes and closes as in earnest, says so with ``(shadow)``, and every call is sent."""
    crm = world({"mode": "shadow", "failure_threshold": 3})
    crm.calls(*[500] * 10)
    assert (crm.sends, crm.changes) == (10, [("closed", "open")])
    crm.vendors.clock.advance(60)
    crm.calls(500, 500, 500)
    crm.vendors.clock.advance(60)
    crm.calls(200, 500, 500)
    assert crm.sends == 16
    assert crm.changes == [
        ("closed", "open"),
        ("open", "half_open"),
        ("half_open", "open"),
        ("open", "half_open"),
        ("half_open", "closed"),
    ]
    assert [event.reason for event in crm.events][:2] == [
        "3 consecutive failures (shadow)",
        "60 s have passed (shadow)",
    ]
    assert circuits(crm.connector)[0].failures == 2, "the two after the probe"


@pytest.mark.parametrize("snapshot_seconds", [0.05, 0.0])
def test_shadow_counts_open_calls_only_for_probing(world: Opens, snapshot_seconds: float) -> None:
    """Successes of calls that a circuit in earnest would have refused do not close it; only the probe's does."""
    crm = world({"mode": "shadow", "failure_threshold": 1, "snapshot_seconds": snapshot_seconds})
    crm.calls(500, *[200] * 20)
    assert circuits(crm.connector)[0].state == "open"
    crm.vendors.clock.advance(59.999)
    crm.calls(200)
    assert circuits(crm.connector)[0].state == "open"
    crm.vendors.clock.advance(0.001)
    crm.calls(200)
    assert circuits(crm.connector)[0].state == "closed"


def test_shadow_lets_pass_beside_the_probe(desk: Any) -> None:
    """While a probe is under way others pass too, and do not count."""
    crm = desk(mode="shadow", failure_threshold=1)
    crm.go("fail")
    crm.io.advance(60)
    probe = crm.admitted()
    crm.go("fail", "ok", "fail")
    assert crm.changes[-1] == ("open", "half_open")
    crm.end(probe, "ok")
    assert crm.changes[-1] == ("half_open", "closed")


def test_shadow_asks_no_more_than_in_earnest(desk: Any) -> None:
    """What passes while the circuit is known to be open asks nobody and posts nothing."""
    crm = desk(mode="shadow", failure_threshold=1)
    crm.go("fail")
    crm.operations()
    crm.go(*["ok", "fail", "ignore"] * 20)
    assert crm.operations() == []
