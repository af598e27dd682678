"""The store is down: each process goes on with circuits of its own, and comes back to the shared ones."""

from __future__ import annotations

from typing import Any

import pytest

from nexus_connector.errors import CircuitOpenError
from nexus_connector.state import StoreError

GONE = StoreError("no answer within 0.1 s")


@pytest.mark.parametrize("snapshot_seconds", [0.0, 0.05])
def test_each_process_counts_by_itself(desk: Any, snapshot_seconds: float) -> None:
    """Without the store the fifth failure of a process opens its own circuit; it probes and closes as ever."""
    world = desk(processes=2, snapshot_seconds=snapshot_seconds)
    world.store.gone = GONE
    world.go(*["fail"] * 5)
    assert isinstance(world.refused(), CircuitOpenError)
    world.go("ok", process=1)
    world.io.advance(59.999)
    world.refused()
    world.io.advance(0.001)
    probe = world.admitted()
    world.refused()
    world.end(probe, "ok")
    world.go("ok", "ok")
    assert world.changes == [("closed", "open"), ("open", "half_open"), ("half_open", "closed")]
    assert world.operations() == []


def test_what_was_open_stays_open(desk: Any) -> None:
    """A process that has seen the shared circuit open does not forget it because the store is gone."""
    world = desk()
    world.go(*["fail"] * 5)
    world.store.gone = GONE
    world.io.advance(30.0)
    assert world.refused().retry_after == pytest.approx(30.0)


def test_the_shared_circuit_counts_again_when_the_store_is_back(desk: Any) -> None:
    """What a process found out alone ends with the outage of the store."""
    world = desk(snapshot_seconds=0.0)
    world.store.gone = GONE
    world.go(*["fail"] * 4)
    world.store.gone = None
    world.go("fail")
    assert world.changes == []
    assert world.operations() == ["admit", "report"]
    world.go(*["fail"] * 4)
    assert world.changes == [("closed", "open")]


def test_what_was_admitted_alone_is_settled_alone(desk: Any) -> None:
    """A result belongs to the circuit that admitted it, also if the store is back when it comes."""
    world = desk(snapshot_seconds=0.0)
    world.store.gone = GONE
    held = world.admitted()
    world.store.gone = None
    world.end(held, "fail")
    assert world.operations() == []


def test_a_lost_probe_is_replaced_after_its_lease(desk: Any) -> None:
    """The rules of the shared circuit hold for the own one."""
    world = desk(snapshot_seconds=0.0)
    world.store.gone = GONE
    world.go(*["fail"] * 5)
    world.io.advance(60.0)
    world.admitted()
    world.io.advance(30.9)
    world.refused()
    world.io.advance(0.1)
    world.admitted()
