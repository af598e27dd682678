"""The state of one service as rows of numbers: how it is read, what of it has passed, how long it is kept. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias, cast

import attrs

from nexus_connector.state import Plain

TENANTS: Final = 256
"""More are not told apart: the one that has been silent for longest is forgotten."""
LONG_AGO: Final = -(2**50)
"""When a limit was last used that nobody remembers, in microseconds: further back than any clock tells."""
SPARE_MS: Final = 60_000
"""Kept for so long after everything in it has passed."""

Step: TypeAlias = tuple[Plain, int, Plain]


@attrs.define
class State:
    """Everything of one service.

    Attributes:
        number: Of the newest grant.
        pause: Until when the vendor wants to be left alone.
        turn: When the last of those who wait for a permit comes back.
        learned: Calls the vendor says are left, and until when; empty: it said nothing.
        limits: Name, the moment up to which tokens are given away, when the last of its own queue comes back, until
            when it matters.
        tenants: Name, the moment up to which its share is used up, when its last one comes back, when it is idle.
        permits: Number of the grant, until when.
        undo: Number of the newest grant, tenant, its share before, tokens of `learned`, the limits before.
    """

    number: int
    pause: int
    turn: int
    learned: list[int]
    limits: list[list[Any]]
    tenants: list[list[Any]]
    permits: list[list[int]]
    undo: list[Any]


def limit_of(state: State, name: str) -> list[Any]:
    for limit in state.limits:
        if limit[0] == name:
            return limit
    state.limits.append([name, LONG_AGO, 0, 0])
    return state.limits[-1]


def tenant_of(state: State, name: str) -> list[Any]:
    for tenant in state.tenants:
        if tenant[0] == name:
            return tenant
    if len(state.tenants) >= TENANTS:
        oldest = 0
        for place, tenant in enumerate(state.tenants):
            if tenant[3] < state.tenants[oldest][3]:
                oldest = place
        del state.tenants[oldest]
    state.tenants.append([name, 0, 0, 0])
    return state.tenants[-1]


def read(plain: Plain, now: int) -> State:
    """Read a state without what has passed. The first number is the time: no grant of an earlier state has it."""
    if plain is None:
        return State(now, 0, 0, [], [], [], [], [])
    number, pause, turn, learned, limits, tenants, permits, undo = cast("Sequence[Any]", plain)
    return State(
        number,
        pause if pause > now else 0,
        turn if turn > now else 0,
        list(learned) if learned and learned[1] > now else [],
        [list(limit) for limit in limits if limit[2] > now or limit[3] > now],
        [list(tenant) for tenant in tenants if tenant[3] > now],
        [list(permit) for permit in permits if permit[1] > now],
        list(undo),
    )


def kept(state: State, now: int, reply: Plain) -> Step:
    plain: Plain = [
        *(state.number, state.pause, state.turn, state.learned),
        *(state.limits, state.tenants, state.permits, state.undo),
    ]
    return plain, ttl_ms(state, now), reply


def ttl_ms(state: State, now: int) -> int:
    until = max(now, state.pause, state.turn, *state.learned[1:])
    for limit in state.limits:
        until = max(until, limit[2], limit[3])
    for tenant in state.tenants:
        until = max(until, tenant[3])
    for permit in state.permits:
        until = max(until, permit[1])
    return (until - now) // 1000 + SPARE_MS
