"""The pipeline: what ours takes when the send itself takes nothing, beside a bare call over the wire."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Any, Final, cast

import attrs

from nexus_connector import Call, Connector
from nexus_connector.io.drive import drive
from nexus_connector.pipeline import Next, Result

from . import bounds
from .candidates_ours import CORE, SERVICE, Stack, ours_awaited, ours_get
from .candidates_plain import bare_get
from .load import Candidate, Machine, Prepared, measure
from .rows import Measured
from .server import BODY, serving
from .stub import REQUEST, URL, PassingStages, answered, calls_of

STAGES: Final = 8
"""Stages of the chain that is measured, retry, breaker and the send itself included."""


def measure_pipeline(machine: Machine) -> Measured:
    """Measure the chain alone and whole calls, on both faces."""
    with ExitStack() as ends:
        url = ends.enter_context(serving(machine.core))
        loop = asyncio.new_event_loop()
        ends.callback(loop.close)
        chained = answered(_chained())
        candidates: list[Candidate] = [
            bare_get(f"{url}/x", bounds.BARE),
            bare_get(f"{url}/x", bounds.AGAIN),
            driven_chain(chained, bounds.CHAIN),
            AwaitedChain(name=bounds.CHAIN_AWAITED, connector=chained, loop=loop),
            ours_get(chained, bounds.STUBBED),
            ours_awaited(answered(_chained()), loop, bounds.STUBBED_AWAITED),
            ours_get(answered(CORE.open(URL)), "core alone, stub"),
            ours_get(answered(Stack(records=machine.folder / "records").open(URL)), "full stack, stub"),
        ]
        for candidate in candidates:
            ends.callback(candidate.close)
        readings = measure(candidates, machine.plan, expected=BODY)
        note = f"the chain: {', '.join(stages_of(chained))}"
    return Measured(readings=readings, notes=[note])


def _chained() -> Connector:
    """Return a connector with retry, breaker, and as many passing stages as make eight."""
    config = {
        "services": {SERVICE: {"base_url": URL}},
        "plugins": {"only": ["retry", "breaker"]},
    }
    with Connector.from_config(config) as bare:
        missing = STAGES - len(stages_of(bare))
    return Connector.from_config(config, plugins=[PassingStages(missing)])


def stages_of(connector: Connector) -> list[str]:
    """Return the names of the stages around and behind which a call goes, the send included."""
    entries = connector.explain(SERVICE)
    return [
        entry.name
        for entry in entries
        if entry.kind in {"core", "stage"} and entry.slot >= 200 and entry.name != "attempt_record"
    ]


def driven_chain(connector: Connector, name: str) -> Prepared[Call]:
    """Return the chain alone, driven as the blocking face does it; each call is fresh."""
    chain = connector.runtime.target(SERVICE).chain

    def call(call: Call) -> bytes:
        return _body(drive(cast("Coroutine[Any, Any, Result]", chain(call, REQUEST))))

    return Prepared(name=name, prepare=calls_of(connector), call=call)


@attrs.frozen(kw_only=True)
class AwaitedChain:
    """The chain alone, awaited; each call is fresh.

    Attributes:
        name: Name of the candidate.
        connector: Whose chain it is.
        loop: Where it is awaited.
    """

    name: str
    connector: Connector
    loop: asyncio.AbstractEventLoop

    def drain(self) -> None:
        """Leave nothing behind."""

    def close(self) -> None:
        """Leave the connector to whoever made it."""

    def once(self) -> bytes:
        """Make one call."""
        return self.loop.run_until_complete(self._once())

    async def _once(self) -> bytes:
        return _body(await self._chain()(calls_of(self.connector, looping=True)(), REQUEST))

    def times(self, count: int) -> list[float]:
        """Make calls; return the seconds of each."""
        prepare = calls_of(self.connector, looping=True)
        return self.loop.run_until_complete(self._times([prepare() for _ in range(count)]))

    async def _times(self, calls: list[Call]) -> list[float]:
        chain, clock, times = self._chain(), time.perf_counter, [0.0] * len(calls)
        for index, call in enumerate(calls):
            started = clock()
            _body(await chain(call, REQUEST))
            times[index] = clock() - started
        return times

    def _chain(self) -> Next:
        return self.connector.runtime.target(SERVICE).chain


def _body(result: Result) -> bytes:
    return b"" if result.response is None else result.response.body
