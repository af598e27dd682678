"""By hand: what a person orders holds for everybody, and a circuit goes on by its rules from there."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from nexus_connector.errors import CircuitOpenError, ConfigurationError
from nexus_connector_breaker import circuits, set_circuit
from nexus_connector_breaker._machine import HELD, HELD_KEPT_MS, KEPT_MS
from nexus_connector_breaker._operations import SET, circuit_key

Opens = Callable[..., Any]
KEY = circuit_key("crm", "eu.crm.example", "")


def order(desk: Any, word: str, open_ms: int = HELD) -> Any:
    """Give an order to the circuit of a desk."""
    [reply] = desk.store.run([(SET, KEY, (word, open_ms))])
    desk.store.ran.clear()
    return reply


def test_open_until_it_is_closed(world: Opens) -> None:
    """Every call is refused, however long it lasts, and nobody probes; closed, all go through at once."""
    crm = world({})
    [circuit] = set_circuit(crm.connector, "crm", "open", region="crm.example")
    assert (circuit.state, circuit.reason, circuit.probe_in_seconds) == ("open", "by hand", None)
    for _ in range(3):
        crm.vendors.clock.advance(86_000)
        error = crm.call()
        assert isinstance(error, CircuitOpenError)
        assert error.retry_after is None
    assert str(error) == (
        "The circuit of crm (region crm.example) is held open: by hand. Nothing was sent. "
        "Close it with `nexus circuits crm --close`, or do without crm."
    )
    [circuit] = circuits(crm.connector)
    assert circuit.since_seconds == 258_000
    set_circuit(crm.connector, "crm", "close")
    crm.vendors.clock.advance(1)
    assert crm.call().status == 200
    assert [(event.old, event.new, event.reason, event.open_seconds) for event in crm.events] == [
        ("closed", "open", "by hand", math.inf),
        ("open", "closed", "by hand", 0.0),
    ]
    assert {(event.service, event.region, event.group, event.call_id) for event in crm.events} == {
        ("crm", "crm.example", "", None)
    }


def test_open_for_a_time(world: Opens) -> None:
    """When it is over one probe passes, as always."""
    crm = world({})
    crm.call()
    set_circuit(crm.connector, "crm", "open", open_seconds=7)
    crm.vendors.clock.advance(0.05)
    assert crm.call().retry_after == pytest.approx(6.95)
    crm.vendors.clock.advance(6.95)
    assert crm.call().status == 200
    assert crm.changes[-2:] == [("open", "half_open"), ("half_open", "closed")]


def test_closed_before_its_time(world: Opens) -> None:
    """A circuit that its failures opened is closed by hand: calls are sent a second later at the latest."""
    crm = world({})
    crm.calls(*[500] * 6)
    set_circuit(crm.connector, "crm", "close")
    crm.vendors.answer("", 200)
    crm.vendors.clock.advance(0.999)
    assert isinstance(crm.call(), CircuitOpenError)
    crm.vendors.clock.advance(0.001)
    assert crm.call().status == 200
    crm.calls(500, 500, 500, 500)
    assert crm.changes[-1] == ("open", "closed"), "it begins without failures"


def test_reset_forgets_failures_and_calls(world: Opens) -> None:
    """The state stays as it is; what was counted is gone."""
    crm = world({"failure_rate": 0.5, "failure_threshold": 5, "snapshot_seconds": 0})
    crm.calls(200, 500, 500, 500, 500)
    [circuit] = circuits(crm.connector)
    assert (circuit.failures, circuit.calls, circuit.failed_calls) == (4, 5, 4)
    [circuit] = set_circuit(crm.connector, "crm", "reset")
    assert (circuit.state, circuit.failures, circuit.calls) == ("closed", 0, 0)
    assert crm.connector.runtime.process.stores.shared._states == {}
    crm.calls(500, 500, 500, 500)
    assert crm.changes == []


def test_other_processes_hear_of_it(desk: Any) -> None:
    """Whoever knows it closed is refused within its snapshot; whoever knows it open asks again within a second."""
    crm = desk(processes=2)
    crm.go("ok", process=1)
    order(crm, "open")
    crm.io.advance(0.049)
    crm.go("ok", process=1)
    crm.io.advance(0.001)
    crm.refused(1)
    crm.refused(1)
    assert crm.operations() == ["admit"]
    order(crm, "close")
    crm.io.advance(0.998)
    crm.refused(1)
    crm.io.advance(0.002)
    crm.go("ok", process=1)


def test_results_from_before_change_nothing(desk: Any) -> None:
    """Attempts that were admitted before an order do not undo it: neither failures nor a probe."""
    crm = desk()
    held = [crm.admitted() for _ in range(6)]
    order(crm, "open")
    order(crm, "close")
    for each in held:
        crm.end(each, "fail")
    assert crm.changes == []
    crm.io.advance(0.05)
    crm.go(*["fail"] * 5)
    crm.io.advance(60)
    probe = crm.admitted()
    order(crm, "open")
    crm.end(probe, "ok")
    crm.io.advance(0.05)
    crm.refused()
    order(crm, "open", 1000)
    crm.io.advance(1)
    probe = crm.admitted()
    order(crm, "close")
    crm.end(probe, "fail")
    crm.io.advance(0.05)
    crm.go(*["fail"] * 4)
    assert crm.changes[-1] == ("open", "half_open")


def test_what_is_held_open_stays_open_without_its_store(desk: Any) -> None:
    """The order was seen; the store's end does not undo it."""
    from nexus_connector.state import StoreError

    crm = desk()
    order(crm, "open")
    crm.refused()
    crm.store.gone = StoreError("no answer")
    crm.io.advance(3600)
    crm.refused()


def test_a_circuit_held_open_is_kept_for_a_year() -> None:
    """Others are forgotten after a day on which nobody touched them."""
    held, ttl_ms, _ = SET.py(None, 0, ("open", HELD))
    assert ttl_ms == HELD_KEPT_MS
    assert SET.py(held, 0, ("open", 1000))[1] == KEPT_MS + 1000


def test_shadow_tells_and_refuses_nothing(world: Opens) -> None:
    """By hand, too, a circuit in shadow only tells."""
    crm = world({"mode": "shadow"})
    set_circuit(crm.connector, "crm", "open")
    crm.vendors.clock.advance(1)
    assert crm.call().status == 200
    assert crm.changes[:1] == [("closed", "open")]


def test_calls_of_run_have_a_circuit_to_open(world: Opens) -> None:
    """Without region all circuits of the service are meant, also that of ``run()``, which nobody has used yet."""
    crm = world({})
    found = set_circuit(crm.connector, "crm", "open")
    assert [(circuit.region, circuit.state) for circuit in found] == [("crm.example", "open"), (None, "open")]
    with pytest.raises(CircuitOpenError):
        crm.connector.run("crm", lambda: 1, operation="sdk.do")
    found = set_circuit(crm.connector, "crm", "close", region="")
    assert [(circuit.region, circuit.state) for circuit in found] == [("crm.example", "open"), (None, "closed")]


@pytest.mark.parametrize("word", ["close", "reset"])
def test_an_order_that_changes_nothing_is_not_told(world: Opens, word: Any) -> None:
    """Closing what is closed, resetting what has not counted: no event, no state."""
    crm = world({})
    set_circuit(crm.connector, "crm", word)
    assert crm.changes == []
    assert crm.connector.runtime.process.stores.shared._states == {}


def test_seconds_go_with_open_only(world: Opens) -> None:
    """A time for closing means nothing and is refused."""
    with pytest.raises(ConfigurationError, match="open_seconds goes with open"):
        set_circuit(world({}).connector, "crm", "close", open_seconds=5)


def test_without_the_plugin_there_is_nothing_to_set(world: Opens) -> None:
    """A connector in which the breaker takes no part says so."""
    from nexus_connector import Connector

    config = {"services": {"crm": {"base_url": "https://crm.example"}}, "plugins": {"only": []}}
    with Connector.from_config(config) as connector, pytest.raises(ConfigurationError, match="switched off"):
        set_circuit(connector, "crm", "open")


def test_a_log_line_says_until_when(world: Opens, caplog: pytest.LogCaptureFixture) -> None:
    """Held open is said in words."""
    crm = world({})
    set_circuit(crm.connector, "crm", "open", region="crm.example")
    assert caplog.messages == ["the circuit of crm (region crm.example) opened until it is closed by hand: by hand"]
