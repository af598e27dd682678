"""The state of one service as rows of numbers: how it is read, what of it has passed, how long it is kept. Pure."""
# ruff: noqa: PLR1730  # every call comes through here, and max() takes four times as long as a comparison

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias, cast

import attrs

from nexus_connector.state import Plain

TENANTS: Final = 64
"""More are not told apart: the one that has been silent for longest is forgotten. Every call reads all of them."""
LONG_AGO: Final = -(2**50)
"""When a limit was last used that nobody remembers, in microseconds: further back than any clock tells."""
SPARE_MS: Final = 60_000
"""Kept for so long after everything in it has passed."""

Step: TypeAlias = tuple[Plain, int, Plain]
Limit: TypeAlias = list[Any]
"""Name, the moment up to which tokens are given away, when the last of its own queue comes back, until when it
matters."""
Tenant: TypeAlias = list[Any]
"""Name, the moment up to which its share is used up, when its last one comes back, when it is idle."""


@attrs.define
class State:
    """Everything of one service.

    Attributes:
        number: Of the newest grant.
        pause: Until when the vendor wants to be left alone.
        turn: When the last of those who wait for a permit comes back.
        learned: Calls the vendor says are left, and until when; empty: it said nothing.
        limits: Those that matter.
        tenants: Those that are not idle, the first to be so first. Rows of others are shared with the state before.
        permits: Number of the grant, until when.
        undo: Number of the newest grant, tenant, its share before, tokens of `learned`, the limits before.
    """

    number: int
    pause: int
    turn: int
    learned: list[int]
    limits: list[Limit]
    tenants: list[Tenant]
    permits: list[list[int]]
    undo: list[Any]


def limit_of(state: State, name: str) -> Limit:
    for limit in state.limits:
        if limit[0] == name:
            return limit
    state.limits.append([name, LONG_AGO, 0, 0])
    return state.limits[-1]


def tenant_of(state: State, name: str, idle: int) -> Tenant:
    """Return the row of a tenant, to be changed; it is not idle before the given moment."""
    tenants, row = state.tenants, [name, 0, 0, idle]
    place = len(tenants)
    for tenant in reversed(tenants):
        place -= 1
        if tenant[0] == name:
            _, row[1], row[2], until = tenants.pop(place)
            if until > idle:
                row[3] = until
            break
    else:
        if len(tenants) >= TENANTS:
            del tenants[0]
    place = len(tenants)
    while place and tenants[place - 1][3] > row[3]:
        place -= 1
    tenants.insert(place, row)
    return row


def take_back(state: State) -> None:
    """Take the newest grant back, as if it had never been; one before it has others behind it and cannot be."""
    _, name, share, taken, before = state.undo
    for limit, given in before:
        limit_of(state, limit)[1] = given
    state.tenants = [[name, share, *row[2:]] if row[0] == name else row for row in state.tenants]
    if state.learned:
        state.learned[0] += taken
    state.undo = []


def read(plain: Plain, now: int) -> State:
    """Read a state without what has passed. The first number is the time: no grant of an earlier state has it."""
    if plain is None:
        return State(now, 0, 0, [], [], [], [], [])
    number, pause, turn, learned, limits, tenants, permits, undo = cast("Sequence[Any]", plain)
    passed = 0
    for tenant in tenants:
        if tenant[3] > now:
            break
        passed += 1
    return State(
        number,
        pause if pause > now else 0,
        turn if turn > now else 0,
        list(learned) if learned and learned[1] > now else [],
        [list(limit) for limit in limits if limit[2] > now or limit[3] > now],
        tenants[passed:],
        [permit for permit in permits if permit[1] > now] if permits else [],
        undo,
    )


def kept(state: State, now: int, reply: Plain) -> Step:
    plain: Plain = [
        *(state.number, state.pause, state.turn, state.learned),
        *(state.limits, state.tenants, state.permits, state.undo),
    ]
    return plain, ttl_ms(state, now), reply


def ttl_ms(state: State, now: int) -> int:
    until = max(now, state.pause)
    if state.turn > until:
        until = state.turn
    if state.learned and state.learned[1] > until:
        until = state.learned[1]
    for _, _, turn, end in state.limits:
        if turn > until:
            until = turn
        if end > until:
            until = end
    if state.tenants and state.tenants[-1][3] > until:
        until = state.tenants[-1][3]
    for _, end in state.permits:
        if end > until:
            until = end
    return (until - now) // 1000 + SPARE_MS
