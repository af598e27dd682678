"""The limiter's machine: limits, permits, pauses and the shares of tenants of one service, as steps on plain data.

All of a service is one state under one key, so that one step decides over all limits at once. A limit is the moment up
to which its tokens are given away: a call that is admitted moves it on, a call that comes too early is told how long to
wait and has its slot from then on. Times are the store's, in whole microseconds, and every number stays below 2**53:
the steps here and their twins in Lua agree to the last digit.
"""
# ruff: noqa: FURB136, PLR1730  # every call comes through here, and max() takes four times as long as a comparison

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias, cast

from nexus_connector.state import Plain

from ._state import Limit, State, Step, kept, limit_of, read, take_back, tenant_of, ttl_ms

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
_Row: TypeAlias = tuple[Limit, Pace]


class Take(NamedTuple):
    """What `take` is asked for, in the form in which stores get it. Times are in microseconds.

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


class Give(NamedTuple):
    """What `give` is told, in the form in which stores get it. Times are in microseconds.

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


class Reply(NamedTuple):
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
    now, asked = now_ms * 1000, args if isinstance(args, Take) else Take._make(cast("Sequence[Any]", args))
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
    now, told = now_ms * 1000, args if isinstance(args, Give) else Give._make(cast("Sequence[Any]", args))
    state = read(plain, now)
    if not told.sent and state.undo and state.undo[0] == told.number:
        take_back(state)
    if state.permits:
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
    rows = [(limit_of(state, pace[0]), pace) for pace in asked.paces]
    slot, step, reason, own = _shared_slot(state, asked, rows, now)
    if own:
        moment, own_reason = _own_slot(asked, own, now)
        if moment > slot + NEAR_US:
            return _in_own_line(asked, own, now, moment=moment, reason=own_reason)
        if moment > slot:
            slot, reason = moment, own_reason
    if asked.tenant and step:
        return _in_share(state, asked, rows, now, slot=slot, step=step, reason=reason)
    if slot - now > asked.max_wait:
        return REFUSED, slot - now, reason, 0
    block = _block(state, asked, rows, now, slot=slot)
    _grant(state, asked, rows, slot=slot, block=block, used=0)
    return GRANTED, slot - now, reason, block


def _in_share(
    state: State, asked: Take, rows: Sequence[_Row], now: int, *, slot: int, step: int, reason: str
) -> tuple[int, int, str, int]:
    """Go on for one of several tenants: how far off its slot may be depends on what it has had."""
    tenant = tenant_of(state, asked.tenant, now + KEPT_STEPS * step if KEPT_STEPS * step > KEPT_US else now + KEPT_US)
    share, used, room = len(state.tenants) * step, tenant[1], asked.max_wait
    if used > slot and share > step:
        room = _room(asked, slot=slot, used=used, share=share)
        if slot - now > room < asked.max_wait:
            at = max(tenant[2] + step, slot - NEAR_US, now + POLL_US)
            if at - now <= asked.max_wait:
                tenant[2] = at
            return _later(at, now, asked, "share")
    if slot - now > asked.max_wait:
        return REFUSED, slot - now, reason, 0
    block = _block(state, asked, rows, now, slot=slot) if room >= asked.max_wait else 1
    _grant(state, asked, rows, slot=slot, block=block, used=used)
    # What nobody else wanted is not held against it for longer than one call of its share.
    most, used_up = slot + (TOLERATED + 1) * share, (used if used > now else now) + block * share
    tenant[1] = used_up if used_up < most else max(used, most)
    return GRANTED, slot - now, reason, block


def _in_own_line(asked: Take, own: Sequence[_Row], now: int, *, moment: int, reason: str) -> tuple[int, int, str, int]:
    """Let a call come again when its operation's own limit has room: a slot reserved now would hold up all others."""
    kind, us, why, block = _later(moment, now, asked, reason)
    if kind == REFUSED:
        return kind, us, why, block
    for limit, (_, _, moves, _, _) in own:
        if not asked.queued:
            limit[2] = max(limit[2], moment + moves)
    return kind, us - NEAR_US // 2, why, block


def _later(at: int, now: int, asked: Take, reason: str) -> tuple[int, int, str, int]:
    return (AGAIN if at - now <= asked.max_wait else REFUSED), at - now, reason, 0


def _shared_slot(state: State, asked: Take, rows: Sequence[_Row], now: int) -> tuple[int, int, str, list[_Row]]:
    """Return the first slot that all calls of the service may have, what a call costs there, and the reason.

    Also return the limits that are the operation's own.
    """
    slot, reason, step, latest = now, "", 0, 0
    own: list[_Row] = []
    if state.pause > slot:
        slot, reason = state.pause, "pause"
    if state.learned and asked.cost > state.learned[0] and state.learned[1] > slot:
        slot, reason = state.learned[1], "remaining"
    for row in rows:
        limit, (name, shared, moves, ahead, _) = row
        if not shared:
            own.append(row)
            continue
        earliest = limit[1] - ahead
        if step == 0 or earliest > latest:
            latest, step = earliest, moves
        if earliest > slot:
            slot, reason = earliest, name
    return slot, step, reason, own


def _own_slot(asked: Take, own: Sequence[_Row], now: int) -> tuple[int, str]:
    """Return the first slot that the operation's own limits leave, behind those who wait for one."""
    moment, reason = now, ""
    for limit, (name, _, _, ahead, _) in own:
        earliest = limit[1] - ahead
        if not asked.queued:
            earliest = max(earliest, limit[2])
        if earliest > moment:
            moment, reason = earliest, name
    return moment, reason


def _room(asked: Take, *, slot: int, used: int, share: int) -> int:
    """Return how far off the slot of a tenant may be that has had more than its share: the less, the more it has had.

    One that has had no more than its share may wait for as long as it can bear; one that is ahead, a quarter of that,
    so that others find room behind it; one that is far ahead takes only what would be left over.
    """
    return min(asked.max_wait, NEAR_US) if used > slot + TOLERATED * share else asked.max_wait // 4


def _block(state: State, asked: Take, rows: Sequence[_Row], now: int, *, slot: int) -> int:
    """Return how many calls may be had at once: as many as asked for, but at most half of what is there."""
    if asked.block <= 1 or slot > now:
        return 1
    free = asked.block * 2
    for limit, (_, _, moves, ahead, _) in rows:
        free = min(free, (now - max(now, limit[1]) + ahead) // moves + 1)
    if state.learned and asked.cost > 0:
        free = min(free, state.learned[0] // asked.cost)
    return max(1, free // 2)


def _grant(state: State, asked: Take, rows: Sequence[_Row], *, slot: int, block: int, used: int) -> None:
    state.number += 1
    before: list[list[Any]] = []
    for limit, (name, _, moves, _, length) in rows:
        given = limit[1]
        before.append([name, given])
        limit[1] = given = (given if given > slot else slot) + block * moves
        if given + length > limit[3]:
            limit[3] = given + length
    taken = 0
    if state.learned and state.learned[1] > slot:
        taken = min(state.learned[0], block * asked.cost)
        state.learned[0] -= taken
    if asked.permits:
        state.permits.append([state.number, slot + asked.permit])
    state.undo = [state.number, asked.tenant, used, taken, before]
