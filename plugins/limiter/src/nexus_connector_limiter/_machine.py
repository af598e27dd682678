"""The limiter's machine: limits, permits, pauses and the shares of tenants of one service, as steps on plain data.

All of a service is one state under one key, so that one step decides over all limits at once. A limit is the moment up
to which its tokens are given away: a call that is admitted moves it on, a call that comes too early is told how long to
wait and has its slot from then on. Times are the store's, in whole microseconds, and every number stays below 2**53:
the steps here and their twins in Lua agree to the last digit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias, cast

import attrs

from nexus_connector.state import Plain

from ._state import State, Step, kept, limit_of, read, tenant_of, ttl_ms

GRANTED: Final = 0
REFUSED: Final = 1
AGAIN: Final = 2

NEAR_US: Final = 50_000
"""A slot that is so near may be taken by anybody; those further off belong to tenants within their share."""
POLL_US: Final = 20_000
"""Who waits for what has no known moment comes back after so long, or later if many wait."""
APART_US: Final = 5_000  # so far apart do those come back who wait for a permit
TOLERATED: Final = 4  # so many calls may a tenant be ahead of its share
KEPT_US: Final = 10_000_000
"""A tenant that asks for nothing is idle after this, or after 32 calls of the slowest limit."""
KEPT_STEPS: Final = 32
SAME_RESET_US: Final = 2_000_000
"""Two answers whose resets are not further apart speak of the same window of the vendor."""
Pace: TypeAlias = tuple[str, int, int, int, int]
"""A limit: its name; 1 if all calls of the service share it; how far a call moves it on; how far it may be ahead; its
length, for which it matters afterwards."""


@attrs.frozen
class Take:
    """What `take` is asked for. Times are in microseconds.

    Attributes:
        max_wait: Longest wait that the call can bear.
        pause: How long the vendor wants to be left alone, as far as the one that asks knows.
        tenant: Whose call it is; empty: tenants have no shares.
        permits: How many calls may be under way; 0: any number.
        permit: How long it may be under way.
        queued: 1 if it was told to come again.
        block: How many calls it would like to take at once.
        cost: Tokens of one call.
        paces: The limits that apply.
    """

    max_wait: int
    pause: int
    tenant: str
    permits: int
    permit: int
    queued: int
    block: int
    cost: int
    paces: Sequence[Pace]

    def plain(self) -> Sequence[Plain]:
        """Return the fields, in their order: the arguments of `take`."""
        rest = (self.queued, self.block, self.cost, self.paces)
        return (self.max_wait, self.pause, self.tenant, self.permits, self.permit, *rest)


@attrs.frozen
class Give:
    """What `give` is told. Times are in microseconds.

    Attributes:
        number: Number of the grant; 0: it had none.
        sent: 1 if it was sent.
        pause: How long the vendor wants to be left alone.
        left: Calls that the vendor says are left; below 0: it said nothing.
        reset: When they are more again.
    """

    number: int
    sent: int = 1
    pause: int = 0
    left: int = -1
    reset: int = 0


@attrs.frozen
class Reply:
    """What `take` answers.

    Attributes:
        kind: `GRANTED`, `REFUSED` or `AGAIN`.
        us: Wait before the send; or when it may come back. Microseconds.
        number: Number of the grant.
        block: Calls it may make.
        reason: Which limit is the reason; or ``pause``, ``remaining``, ``concurrency``, ``share``.
    """

    kind: int
    us: int
    number: int
    block: int
    reason: str


def take(plain: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    """Ask for admission: all limits or none. Reserves a slot, which may lie ahead, and a permit.

    Args:
        plain: The state.
        now_ms: The store's time.
        args: The fields of a `Take`.
    """
    now, asked = now_ms * 1000, Take(*cast("Sequence[Any]", args))
    state = read(plain, now)
    if asked.pause:
        state.pause = max(state.pause, now + asked.pause)
    kind, us, reason, block = _admit(state, asked, now)
    return kept(state, now, [kind, us, state.number if kind == GRANTED else 0, block, reason])


def give(plain: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    """Tell how a call ended. Gives back its permit, and its slot if it was not sent and no later one was given.

    Args:
        plain: The state.
        now_ms: The store's time.
        args: The fields of a `Give`.
    """
    now, told = now_ms * 1000, Give(*cast("Sequence[Any]", args))
    state = read(plain, now)
    if not told.sent and state.undo and state.undo[0] == told.number:
        _undo(state)
    state.permits = [permit for permit in state.permits if permit[0] != told.number]
    if told.pause:
        state.pause = max(state.pause, now + told.pause)
    if told.left >= 0 and told.reset > 0:
        until = now + told.reset
        if state.learned and until <= state.learned[1] + SAME_RESET_US:
            state.learned[0] = min(state.learned[0], told.left)
        else:
            state.learned = [told.left, until]
    return kept(state, now, [max(0, state.pause - now)])


def look(plain: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    """Read everything and change nothing.

    The reply: how long the vendor is left alone; calls it says are left, below 0 if it said nothing, and for how long;
    permits taken; tenants with a share; name of each limit and how far it is ahead.
    """
    now = now_ms * 1000
    state = read(plain, now)
    left, until = state.learned or (-1, now)
    ahead = [[name, max(0, tat - now)] for name, tat, _, _ in state.limits]
    reply: Plain = [max(0, state.pause - now), left, until - now, len(state.permits), len(state.tenants), ahead]
    return plain, ttl_ms(state, now), reply


def _admit(state: State, asked: Take, now: int) -> tuple[int, int, str, int]:
    if asked.permits and len(state.permits) >= asked.permits:
        at = max(state.turn + APART_US, now + POLL_US)
        if at - now <= asked.max_wait:
            state.turn = at
        return _later(at, now, asked, "concurrency")
    slot, step, reason = _shared_slot(state, asked, now)
    own, own_reason = _own_slot(state, asked, now)
    if own > slot + NEAR_US:
        return _in_own_line(state, asked, now, own=own, reason=own_reason)
    if own > slot:
        slot, reason = own, own_reason
    room = _room(state, asked, now, slot=slot, step=step)
    if slot - now > room < asked.max_wait:
        tenant = tenant_of(state, asked.tenant)
        at = max(tenant[2] + step, slot - NEAR_US, now + POLL_US)
        if at - now <= asked.max_wait:
            tenant[2] = at
        return _later(at, now, asked, "share")
    if slot - now > asked.max_wait:
        return REFUSED, slot - now, reason, 0
    block = 1 if room < asked.max_wait or slot > now else _block(state, asked, now)
    _grant(state, asked, now, slot=slot, step=step, block=block)
    return GRANTED, slot - now, reason, block


def _in_own_line(state: State, asked: Take, now: int, *, own: int, reason: str) -> tuple[int, int, str, int]:
    """Let a call come again when its operation's own limit has room: a slot reserved now would hold up all others."""
    kind, us, why, block = _later(own, now, asked, reason)
    if kind == REFUSED:
        return kind, us, why, block
    for name, shared, moves, _, _ in asked.paces:
        if not shared and not asked.queued:
            limit = limit_of(state, name)
            limit[2] = max(limit[2], own + moves)
    return kind, us - NEAR_US // 2, why, block


def _later(at: int, now: int, asked: Take, reason: str) -> tuple[int, int, str, int]:
    return (AGAIN if at - now <= asked.max_wait else REFUSED), at - now, reason, 0


def _shared_slot(state: State, asked: Take, now: int) -> tuple[int, int, str]:
    """Return the first slot that all calls of the service may have, what a call costs there, and the reason."""
    slot, reason, step, latest = now, "", 0, 0
    if state.pause > slot:
        slot, reason = state.pause, "pause"
    if state.learned and asked.cost > state.learned[0] and state.learned[1] > slot:
        slot, reason = state.learned[1], "remaining"
    for name, shared, moves, ahead, _ in asked.paces:
        if shared:
            earliest = limit_of(state, name)[1] - ahead
            if step == 0 or earliest > latest:
                latest, step = earliest, moves
            if earliest > slot:
                slot, reason = earliest, name
    return slot, step, reason


def _own_slot(state: State, asked: Take, now: int) -> tuple[int, str]:
    """Return the first slot that the operation's own limits leave, behind those who wait for one."""
    own, reason = now, ""
    for name, shared, _, ahead, _ in asked.paces:
        if not shared:
            limit = limit_of(state, name)
            earliest = limit[1] - ahead
            if not asked.queued:
                earliest = max(earliest, limit[2])
            if earliest > own:
                own, reason = earliest, name
    return own, reason


def _room(state: State, asked: Take, now: int, *, slot: int, step: int) -> int:
    """Note that a tenant is there, and return how far off its slot may be: the less, the more it has had.

    One that has had no more than its share may wait for as long as it can bear; one that is ahead, a quarter of that,
    so that others find room behind it; one that is far ahead takes only what would be left over.
    """
    if asked.tenant == "" or step == 0:
        return asked.max_wait
    tenant = tenant_of(state, asked.tenant)
    tenant[3] = max(tenant[3], now + max(KEPT_US, KEPT_STEPS * step))
    crowd = len(state.tenants)
    if crowd == 1 or tenant[1] <= slot:
        return asked.max_wait
    return min(asked.max_wait, NEAR_US) if tenant[1] > slot + TOLERATED * crowd * step else asked.max_wait // 4


def _block(state: State, asked: Take, now: int) -> int:
    """Return how many calls may be had at once: as many as asked for, but at most half of what is there."""
    if asked.block <= 1:
        return 1
    free = asked.block * 2
    for name, _, moves, ahead, _ in asked.paces:
        free = min(free, (now - max(now, limit_of(state, name)[1]) + ahead) // moves + 1)
    if state.learned and asked.cost > 0:
        free = min(free, state.learned[0] // asked.cost)
    return max(1, free // 2)


def _grant(state: State, asked: Take, now: int, *, slot: int, step: int, block: int) -> None:
    state.number += 1
    before: list[list[Any]] = []
    for name, _, moves, _, length in asked.paces:
        limit = limit_of(state, name)
        before.append([name, limit[1]])
        limit[1] = max(limit[1], slot) + block * moves
        limit[3] = max(limit[3], limit[1] + length)
    share = 0
    if asked.tenant != "" and step > 0:
        tenant = tenant_of(state, asked.tenant)
        share, crowd = tenant[1], len(state.tenants)
        # What nobody else wanted is not held against it for longer than one call of its share.
        most = slot + (TOLERATED + 1) * crowd * step
        tenant[1] = min(max(share, now) + block * crowd * step, max(share, most))
    taken = 0
    if state.learned and state.learned[1] > slot:
        taken = min(state.learned[0], block * asked.cost)
        state.learned[0] -= taken
    if asked.permits:
        state.permits.append([state.number, slot + asked.permit])
    state.undo = [state.number, asked.tenant, share, taken, before]


def _undo(state: State) -> None:
    """Take the newest grant back, as if it had never been; one before it has others behind it and cannot be."""
    _, name, share, taken, before = state.undo
    for limit, tat in before:
        limit_of(state, limit)[1] = tat
    for tenant in state.tenants:
        if tenant[0] == name:
            tenant[1] = share
    if state.learned:
        state.learned[0] += taken
    state.undo = []
