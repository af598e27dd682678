"""The rescue: with a second region, calls go on while the first one is down, and go back when it is well."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import groupby
from typing import Final

import attrs

from nexus_connector import AttemptFinished, CircuitChanged, Connector, FailedOver
from nexus_connector.errors import ConnectorError

from .application import read_orders
from .outage import logged
from .stage import Stage

_DURING: Final = 12
"""Calls made while the first region is down."""
_AFTER: Final = 3
"""Calls made when it has taken over again."""
_PAUSE_SECONDS: Final = 0.1
_PATIENCE_SECONDS: Final = 15.0


@attrs.frozen(kw_only=True)
class Leg:
    """Calls in a row that went the same way.

    Attributes:
        first: Number of the first of them, from 1.
        last: Number of the last.
        path: Their attempts, as ``eu 500``.
    """

    first: int
    last: int
    path: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Rescue:
    """What the second region was good for.

    Attributes:
        legs: The ways that the calls went, in order.
        lost: Calls that were not answered.
        moves: Each failover as it was told, as ``eu -> us: status 500``.
        circuit: States that the circuit of the first region went through, with the reasons.
        healed_after: Number of the last call before the first region was well again.
        return_seconds: From then until a call was answered there.
    """

    legs: tuple[Leg, ...]
    lost: int
    moves: tuple[str, ...]
    circuit: tuple[tuple[str, str], ...]
    healed_after: int
    return_seconds: float

    @property
    def calls(self) -> int:
        """Calls made."""
        return self.legs[-1].last

    @property
    def most_attempts(self) -> int:
        """Attempts of the call that took most."""
        return max(len(leg.path) for leg in self.legs)


class _Log:
    """What was heard of the calls; filled in the connector's background thread."""

    def __init__(self, stage: Stage, connector: Connector) -> None:
        self._stage = stage
        self.paths: dict[str, list[str]] = {}
        self.moves: list[str] = []
        self.circuit: list[tuple[str, str]] = []
        connector.on(AttemptFinished)(self._attempted)
        connector.on(FailedOver)(self._moved)
        connector.on(CircuitChanged)(self._changed)

    def _attempted(self, event: AttemptFinished) -> None:
        region = self._stage.region_of(event.region)
        self.paths.setdefault(event.call_id or "", []).append(f"{region} {event.status or 'lost'}")

    def _moved(self, event: FailedOver) -> None:
        old, new = self._stage.region_of(event.old), self._stage.region_of(event.new)
        self.moves.append(f"{old} -> {new}: {event.reason}")

    def _changed(self, event: CircuitChanged) -> None:
        self.circuit.append((event.new, event.reason))


def rescue(stage: Stage) -> Rescue:
    """Let an application go on calling while the first region is down, heals and takes over again."""
    first = stage.outage.regions[0]
    lost = 0
    with logged(stage.outage.service, []), stage.connector() as connector:
        log = _Log(stage, connector)
        for _ in range(_DURING):
            lost += not _answered(connector)
        stage.heal(first)
        asked, healed, returned = stage.asked(first), time.monotonic(), 0.0
        while returned == 0.0 and time.monotonic() - healed < _PATIENCE_SECONDS:
            time.sleep(_PAUSE_SECONDS)
            lost += not _answered(connector)
            returned = time.monotonic() - healed if stage.asked(first) > asked else 0.0
        for _ in range(_AFTER):
            lost += not _answered(connector)
        connector.flush()
    return Rescue(
        legs=_legs([tuple(path) for path in log.paths.values()]),
        lost=lost,
        moves=tuple(log.moves),
        circuit=tuple(log.circuit),
        healed_after=_DURING,
        return_seconds=returned,
    )


def _answered(connector: Connector) -> bool:
    try:
        read_orders(connector)
    except ConnectorError:
        return False
    return True


def _legs(paths: Sequence[tuple[str, ...]]) -> tuple[Leg, ...]:
    legs: list[Leg] = []
    number = 0
    for path, same in groupby(paths):
        count = len(list(same))
        legs.append(Leg(first=number + 1, last=number + count, path=path))
        number += count
    return tuple(legs)
