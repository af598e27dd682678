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


def test_what_could_not_be_told_counts_here(desk: Any) -> None:
    """Failures of shared attempts that the store never hears of are the first of the process's own row."""
    world = desk(snapshot_seconds=0.0)
    world.store.blocking = True
    held = [world.admitted() for _ in range(4)]
    world.store.gone = GONE
    for each in held:
        world.end(each, "fail")
    world.post()
    world.io.advance(0.1)
    world.go("fail")
    assert world.changes == [("closed", "open")]
    assert isinstance(world.refused(), CircuitOpenError)


def test_a_row_that_ends_the_circuit_unheard_is_told(desk: Any) -> None:
    """The transition of the own circuit is told once, also if it comes of what could not be posted."""
    world = desk(failure_threshold=2)
    world.store.blocking = True
    held = [world.admitted() for _ in range(3)]
    world.store.gone = GONE
    for each in held:
        world.end(each, "fail")
    world.post()
    assert world.changes == [("closed", "open")]


def test_a_lost_result_does_not_answer_for_the_own_probe(desk: Any) -> None:
    """While the own circuit is half open, only its probe says how it goes on."""
    world = desk(snapshot_seconds=0.0)
    world.store.blocking = True
    held = world.admitted()
    world.store.gone = GONE
    world.go(*["fail"] * 5)
    world.io.advance(60.0)
    probe = world.admitted()
    world.end(held, "ok")
    world.post()
    world.refused()
    world.end(probe, "ok")
    assert world.changes == [("closed", "open"), ("open", "half_open"), ("half_open", "closed")]


def test_the_own_circuit_ends_with_the_outage(desk: Any) -> None:
    """An own circuit that is open refuses for no longer than the store is gone, and is forgotten: the next outage
    begins with a closed one.
    """
    world = desk()
    world.store.gone = GONE
    world.go(*["fail"] * 5)
    world.io.advance(0.05)
    world.refused()
    world.store.gone = None
    world.io.advance(0.05)
    world.go("ok")
    world.store.gone = GONE
    world.io.advance(0.05)
    world.go(*["fail"] * 4)
    assert len(world.changes) == 1


def test_a_foreseen_failure_makes_nothing_younger(desk: Any) -> None:
    """A process that posts failures of its own still asks 50 ms after it last asked: others may have opened it."""
    world = desk(processes=2)
    world.store.blocking = True
    world.go("ok")
    world.io.advance(0.04)
    world.go("fail")
    world.go(*["fail"] * 5, process=1)
    world.late.pop(0)
    world.post()
    world.io.advance(0.01)
    assert isinstance(world.refused(), CircuitOpenError)


def test_a_late_answer_is_as_old_as_its_question(desk: Any) -> None:
    """The snapshot counts from when the store was asked, however long its answer took."""
    world = desk()
    attempt = world.attempt()
    gate = world.gates[0]
    reply = world.store.run([gate.ask(attempt)])[0]
    world.io.advance(0.04)
    assert gate.judge(attempt, reply) is None
    world.operations()
    world.io.advance(0.01)
    world.go("ok")
    assert world.operations() == ["admit"]
