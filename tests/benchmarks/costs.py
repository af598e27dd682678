"""Costs: what one further hook, signal or stage takes, what redaction takes, and what a record."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import attrs

from nexus_connector import AttemptFinished, Call, Connector, Outcome

from . import bounds
from .candidates_ours import CORE, SERVICE, Stack, ours_get
from .load import Blocking, Candidate, Machine, measure
from .rows import Measured
from .server import BODY
from .stub import URL, PassingHook, PassingStages, answered, calls_of

STEPS: Final = 10
"""So many further ones are measured at once."""
CALLS: Final = 500
"""Calls after which the records of all of them are waited for."""
_TURNS: Final = 3
"""How often that is done in a round."""

_LINE: Final = {
    "sku": "SKU-1042-BLUE",
    "quantity": 3,
    "unit_price": "19.90",
    "description": "Cotton shirt, organic, size M",
    "discount": None,
    "gift": False,
}
_DOCUMENT: Final = {
    "id": "ord_1001",
    "status": "paid",
    "customer": {"name": "Ada Lovelace", "email": "ada@example.com", "phone": "+44 20 7946 0958"},
    "card": {"number": "4242424242424242", "expiry": "12/30", "cvc": "123"},
    "access_token": "tok_9f8e7d6c5b4a39281706f5e4d3c2b1a0",
    "lines": [_LINE] * 64,
}


def measure_costs(machine: Machine) -> Measured:
    """Measure what grows with what is installed and sent."""
    encoded = json.dumps(_DOCUMENT).encode()
    with ExitStack() as ends:
        candidates: list[Candidate] = [
            ours_get(answered(_with(hooks=0)), bounds.NO_HOOKS),
            ours_get(answered(_with(hooks=0)), bounds.NO_HOOKS_AGAIN),
            ours_get(answered(_with(hooks=STEPS)), bounds.TEN_HOOKS),
            ours_get(answered(_with(stages=STEPS)), bounds.TEN_STAGES),
            *_signals(ends),
            _redaction(encoded),
        ]
        recording: list[Candidate] = [*_records(machine.folder)]
        for candidate in (*candidates, *recording):
            ends.callback(candidate.close)
        readings = measure(candidates, machine.plan, expected=BODY)
        few = attrs.evolve(machine.plan, calls=_TURNS)
        readings |= measure(recording, few, expected=BODY, warm_up=_TURNS)
    note = f"redacted is a document of {len(encoded)} bytes, with card, contact and token among its fields"
    return Measured(readings=readings, notes=[note])


def _with(*, hooks: int = 0, stages: int = 0) -> Connector:
    plugins = [*(PassingHook() for _ in range(hooks)), *([PassingStages(stages)] if stages else [])]
    return Connector.from_config(CORE.config(URL), plugins=plugins)


def _signals(ends: ExitStack) -> list[Blocking]:
    """Return events that nobody listens to: as the core asks before it makes one, and as a plugin emits one."""
    connector = CORE.open(URL)
    ends.callback(connector.close)
    target, call = connector.runtime.target(SERVICE), calls_of(connector)()

    def asked(times: int) -> Callable[[], bytes]:
        def ask() -> bytes:
            for _ in range(times):
                if target.signals.heard[AttemptFinished]:
                    emit(call)
            return BODY

        return ask

    def emitted(times: int) -> Callable[[], bytes]:
        def tell() -> bytes:
            for _ in range(times):
                emit(call)
            return BODY

        return tell

    return [
        Blocking(name=bounds.NO_SIGNALS, call=asked(0)),
        Blocking(name=bounds.TEN_SIGNALS, call=asked(STEPS)),
        Blocking(name=bounds.TEN_EMITTED, call=emitted(STEPS)),
    ]


def emit(call: Call) -> None:
    """Tell of an attempt."""
    call.emit(
        AttemptFinished,
        operation="GET /x",
        attempt=1,
        region="vendor.example",
        status=200,
        outcome=Outcome.DONE,
        duration_seconds=0.1,
    )


def _redaction(encoded: bytes) -> Blocking:
    connector = Stack().open(URL)
    redactor = connector.runtime.target(SERVICE).redactor

    def redact() -> bytes:
        clean = redactor.body(encoded, "application/json")
        assert isinstance(clean, dict)
        return BODY if clean["access_token"] != _DOCUMENT["access_token"] else b"not redacted"

    return Blocking(name=bounds.REDACTION, call=redact, close=connector.close)


def _records(folder: Path) -> list[Blocking]:
    """Return many calls at a time, without records and with them, until all are written."""
    return [
        _many(Stack(), bounds.UNRECORDED),
        _many(Stack(records=folder / "records"), bounds.RECORDED),
    ]


def _many(stack: Stack, name: str) -> Blocking:
    connector = answered(stack.open(URL))
    service = connector.service(SERVICE)

    def call() -> bytes:
        body = b""
        for _ in range(CALLS):
            body = service.get("/x").body
        connector.flush()
        return body

    return Blocking(name=name, call=call, close=connector.close)
