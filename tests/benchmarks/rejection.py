"""Rejection: what an open circuit takes to say no, against pybreaker."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final

import pybreaker

from nexus_connector import (
    Connector,
    Refusal,
    ServiceSetup,
    hookimpl,
)
from nexus_connector.call import Attempt
from nexus_connector.errors import CircuitOpenError, ConnectorError

from . import bounds
from .candidates_ours import SERVICE
from .load import Blocking, Candidate, Machine, Prepared, measure
from .rows import Measured
from .stub import REQUEST, URL, calls_of, failing

REFUSED: Final = b"refused"
"""What a candidate returns that was refused."""
_FAILURES: Final = 5


class Watcher:
    """Keeps what the plugins of a service are built with."""

    def __init__(self) -> None:
        self.setup: ServiceSetup | None = None

    @hookimpl
    def gates(self, config: ServiceSetup) -> None:
        """Look, and bring no gate."""
        self.setup = config


def measure_rejection(machine: Machine) -> Measured:
    """Measure refusals."""
    logging.getLogger(f"nexus_connector.{SERVICE}").setLevel(logging.ERROR)  # it tells of the circuit, as it should
    with ExitStack() as ends:
        connector, gate = _opened()
        ends.callback(connector.close)
        candidates: list[Candidate] = [
            _theirs(bounds.PYBREAKER),
            _theirs(bounds.PYBREAKER_AGAIN),
            Prepared(name=bounds.REFUSAL, prepare=_attempts(connector), call=gate),
            Blocking(name=bounds.REFUSED_CALL, call=lambda: _refused_call(connector)),
        ]
        readings = measure(candidates, machine.plan, expected=REFUSED)
    return Measured(readings=readings)


def _theirs(name: str) -> Blocking:
    breaker = pybreaker.CircuitBreaker(fail_max=_FAILURES, reset_timeout=3600)

    def fail() -> None:
        raise OSError

    def call() -> bytes:
        try:
            breaker.call(fail)
        except pybreaker.CircuitBreakerError:
            return REFUSED
        except OSError:
            return b"failed"
        return b"passed"

    for _ in range(_FAILURES):
        call()
    return Blocking(name=name, call=call)


def _opened() -> tuple[Connector, Callable[[Attempt], bytes]]:
    """Return a connector whose circuit is open, and what a gate of its breaker decides about an attempt."""
    watcher = Watcher()
    breaker = {"failure_threshold": _FAILURES, "open_seconds": 3600}
    config = {"services": {SERVICE: {"base_url": URL}}, "plugins": {"only": ["breaker"], "breaker": breaker}}
    connector = failing(Connector.from_config(config, plugins=[watcher]))
    for _ in range(_FAILURES):
        assert _refused_call(connector) != REFUSED
    assert watcher.setup is not None
    registry: Any = connector.runtime.registry
    gate: Any
    [gate] = registry.get_plugin("breaker").gates(watcher.setup)

    def decide(attempt: Attempt) -> bytes:
        refusal = gate.check(attempt)
        if refusal is None:  # it has not looked for a second: as in a call, the store is asked
            item = gate.ask(attempt)
            assert item is not None
            refusal = gate.judge(attempt, *gate.store.run([item]))
        return REFUSED if isinstance(refusal, Refusal) else b"passed"

    return connector, decide


def _refused_call(connector: Connector) -> bytes:
    try:
        connector.service(SERVICE).get("/x")
    except CircuitOpenError:
        return REFUSED
    except ConnectorError:
        return b"failed"
    return b"passed"


def _attempts(connector: Connector) -> Callable[[], Attempt]:
    """Return what makes attempts as they come to the gates."""
    request, make = REQUEST.at(URL), calls_of(connector)
    [region] = connector.runtime.target(SERVICE).config.regions

    def attempt() -> Attempt:
        call = make()
        call.region = region.name
        return Attempt(call=call, number=1, region=region.name, request=request, max_wait_seconds=5.0)

    return attempt
