"""The limiter's gate: asks for a slot and a permit before an attempt, and says afterwards how it went."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from nexus_connector.errors import ConnectorError, VendorRateLimitError
from nexus_connector.events import RateLimited
from nexus_connector.gates import Again, Gate, Refusal, Wait

from ._headers import read_left
from ._leases import Leases
from ._machine import AGAIN, GRANTED, Give, Reply, Take
from ._operations import GIVE, LOOK, TAKE, limiter_key
from ._refusals import ROUNDING, no_room, too_large, unknown
from ._share import Share

if TYPE_CHECKING:
    from nexus_connector.adapter import LimitHeaders
    from nexus_connector.call import Attempt
    from nexus_connector.state import Item, Plain, Store, StoreError
    from nexus_connector.verdict import Verdict

    from ._options import LimiterOptions
    from ._rules import Rules

PAUSE_SECONDS: Final = 1.0
"""How long a vendor is left alone that answered 429 and did not say for how long."""
_GRACE_SECONDS: Final = 1.0  # so much longer than its attempt may take has a call its permit
_STREAM_SECONDS: Final = 900.0
"""So long has a stream its permit: nobody knows how long its body will take."""
_CLOCK_SECONDS: Final = 0.002
"""A store counts in whole milliseconds, and so may end a pause a little earlier than this process would."""


@attrs.define
class _Pass:
    """What is known of one attempt.

    Attributes:
        began: When it asked for the first time.
        asked: When it asked last.
        key: What its tokens are kept under.
        lease: Whether it asked for more tokens than its own.
        leased: Whether its token was one of those that were there.
        number: Number of the grant; 0: there is none.
        queued: Whether it was told to come again.
        alone: Whether the store failed, and this process decided by itself.
        own: Number of the grant out of this process's own share; 0: it was not asked for.
        answer: What that share says before the store is asked: when to come, or that there is no room.
    """

    began: float
    asked: float
    key: Hashable
    lease: bool = False
    leased: bool = False
    number: int = 0
    queued: bool = False
    alone: bool = False
    own: int = 0
    answer: Refusal | Again | None = None


class LimiterGate(Gate):
    """Lets attempts wait for their slot, or refuses them, so that the vendor's limits hold.

    One gate serves one service in one process, from all its threads. It stands behind the breaker: a circuit that is
    known to be open refuses a call before it is asked here, and one that turns out to be open gives its slot back.

    Args:
        service: Name of the service.
        options: The service's options.
        rules: The limits, read from them or from the vendor's data.
        headers: What the vendor calls its limit's headers; ``None``: it has none.
        store: Where the limits are kept.
        now: Seconds of a clock that never goes back, for the limits of this process while the store is down.
    """

    name = "limiter"
    order = 60

    def __init__(
        self,
        service: str,
        options: LimiterOptions,
        *,
        rules: Rules,
        headers: LimitHeaders | None,
        store: Store,
        now: Callable[[], float],
    ) -> None:
        self.store = store
        self._service = service
        self._options = options
        self._rules = rules
        self._headers = headers
        self._key = limiter_key(service)
        self._share = Share(rules, self._key, now)
        self._leases = Leases()
        self._leasing = store.blocking
        self._paused_until = -math.inf
        self._lock = threading.Lock()

    def check(self, attempt: Attempt) -> Refusal | None:
        """Refuse what would have to wait too long for the vendor, and what the vendor stopped while it waited."""
        mine: _Pass | None = attempt.state.get(self.name)
        left = self._paused_until - attempt.call.io.now()
        waits = 0.0 if mine is not None else self._patience(attempt, mine)
        return self._refuse(attempt, "pause", left) if left > waits + _CLOCK_SECONDS else None

    def ask(self, attempt: Attempt) -> Item | None:
        """Ask the store, unless a token is there already."""
        call = attempt.call
        now, cost, operation = call.io.now(), _cost(call.operation.cost), call.operation.name
        mine: _Pass | None = attempt.state.get(self.name)
        if mine is None:
            mine = attempt.state[self.name] = _Pass(began=now, asked=now, key=(call.tenant_id, operation, cost))
        mine.asked = now
        if self._share.counts(now) and not mine.own:
            mine.answer = self._of_share(attempt, mine, cost)
            if mine.answer is not None:
                return LOOK, self._key, ()
        lease_us = self._rules.lease_us(operation) if self._leasing and cost else 0
        if lease_us and self._paused_until <= now and self._leases.spend(mine.key, now):
            mine.leased = True
            self._send_by(attempt, now)
            return None
        self._fits(operation, cost)
        block = self._leases.wanted(mine.key, now) if lease_us else 0
        mine.lease = block > 0
        return TAKE, self._key, self._take(attempt, mine, cost, block=block).plain()

    def judge(self, attempt: Attempt, reply: Plain) -> Refusal | Wait | Again | None:
        """Read when the attempt may be sent, and whether it may at all."""
        mine: _Pass = attempt.state[self.name]
        self._share.answered()
        answer, mine.answer = mine.answer, None
        if answer is not None:
            return answer
        told = Reply(*cast("Sequence[Any]", reply))
        seconds = told.us / 1_000_000
        if told.reason == "pause":
            self._pause_until(mine.asked + seconds)
        if told.kind != GRANTED:
            self._drop(mine)
            return self._not_now(attempt, mine, told)
        mine.number = told.number
        if mine.lease:
            mine.lease = False
            lease_us = self._rules.lease_us(attempt.call.operation.name)
            self._leases.keep(mine.key, told.block, mine.asked + seconds + lease_us / 1_000_000)
        self._send_by(attempt, mine.asked + seconds)
        return Wait(seconds) if told.us else None

    def without_store(self, attempt: Attempt, error: StoreError) -> Refusal | Wait | Again | None:
        """Go on with this process's share of the limits, or refuse."""
        call = attempt.call
        mine: _Pass = attempt.state[self.name]
        self._drop(mine)
        mine.alone = True
        if self._options.when_store_down == "refuse":
            return self._refused(attempt, unknown(self._service, call.operation.name, PAUSE_SECONDS))
        asked = self._take(attempt, mine, _cost(call.operation.cost))
        self._share.missed(mine.asked, asked, call.operation.name)
        answer, mine.answer = mine.answer, None
        if answer is None and not mine.own:
            answer = self._of_share(attempt, mine, asked.cost)
        if isinstance(answer, Refusal) or not mine.own:
            return answer
        wait = 0.0 if answer is None else answer.seconds
        self._send_by(attempt, mine.asked + wait)
        return Wait(wait) if wait else None

    def _of_share(self, attempt: Attempt, mine: _Pass, cost: int) -> Refusal | Again | None:
        """Take a call out of this process's own share; ``None``: its moment is now."""
        told = self._share.take(self._take(attempt, mine, cost), attempt.call.operation.name)
        if told.kind != GRANTED:
            return self._not_now(attempt, mine, told)
        mine.own = told.number
        return Again(told.us / 1_000_000) if told.us else None

    def _not_now(self, attempt: Attempt, mine: _Pass, told: Reply) -> Refusal | Again:
        seconds = told.us / 1_000_000
        if told.kind == AGAIN:
            mine.queued = True
            return Again(seconds)
        return self._refuse(attempt, told.reason, seconds)

    def settle(self, attempt: Attempt, verdict: Verdict, *, sent: bool) -> Sequence[Item]:
        """Give back the permit, and the slot of what was not sent; hear what the answer says of the vendor's limit."""
        mine: _Pass | None = attempt.state.pop(self.name, None)
        if mine is None:
            return ()
        self._drop(mine)
        if mine.leased and not sent:
            self._leases.give_back(mine.key, attempt.call.io.now())
        told = self._told(attempt, verdict, mine, sent=sent)
        if mine.own:
            self._share.give(attrs.evolve(told or Give(0), number=mine.own, sent=int(sent)))
        return () if told is None or mine.alone else ((GIVE, self._key, attrs.astuple(told)),)

    def _told(self, attempt: Attempt, verdict: Verdict, mine: _Pass, *, sent: bool) -> Give | None:
        """Return what the store must hear; ``None``: nothing."""
        pause, left, reset = self._heard(attempt, verdict) if sent else (0.0, -1, 0.0)
        if pause > 0:
            self._pause_until(attempt.call.io.now() + pause)
        needed = mine.number and (not sent or self._rules.permits)
        if not needed and pause <= 0 and left < 0:
            return None
        return Give(mine.number, int(sent), _us(pause), left, _us(reset))

    def _heard(self, attempt: Attempt, verdict: Verdict) -> tuple[float, int, float]:
        """Return for how long the vendor wants to be left alone, how many calls are left, and for how long."""
        response = attempt.response
        said = None
        if response is not None and self._headers is not None:
            said = read_left(response.headers, self._headers, wall=attempt.call.io.wall().timestamp())
        limited = response is not None and response.status == 429
        if limited or isinstance(verdict.error, VendorRateLimitError):
            reset = said[1] if said is not None and said[0] == 0 else PAUSE_SECONDS
            return (reset if verdict.retry_after is None else verdict.retry_after), -1, 0.0
        if said is None:
            return 0.0, -1, 0.0
        left, seconds = said
        if left == 0:
            return seconds, -1, 0.0
        # More than our own limits would let through until then teaches nothing, and costs a write.
        return (0.0, left, seconds) if left < self._rules.allowed(seconds) else (0.0, -1, 0.0)

    def _take(self, attempt: Attempt, mine: _Pass, cost: int, *, block: int = 0) -> Take:
        return Take(
            max_wait=int(self._patience(attempt, mine) * 1_000_000),
            pause=_us(self._paused_until - mine.asked),
            tenant=f"={attempt.call.tenant_id or ''}" if self._options.fairness else "",
            permits=self._rules.permits,
            permit=_us(_permit_seconds(attempt, mine.asked)),
            queued=int(mine.queued),
            block=block,
            cost=cost,
            paces=self._rules.paces(attempt.call.operation.name, cost),
        )

    def _patience(self, attempt: Attempt, mine: _Pass | None) -> float:
        """Return how long an attempt may still wait here."""
        longest, wait = self._options.max_wait_seconds, attempt.max_wait_seconds
        if longest is None:
            return wait
        return max(0.0, min(wait, longest if mine is None else mine.began + longest - mine.asked))

    def _fits(self, operation: str, cost: int) -> None:
        for name, quota, _ in self._rules.quotas(operation):
            if cost > quota.calls:
                raise too_large(self._service, operation, cost, name)

    def _send_by(self, attempt: Attempt, moment: float) -> None:
        jitter = self._options.jitter_seconds
        if jitter > 0:
            by = moment + jitter
            attempt.send_by = by if attempt.send_by is None else min(by, attempt.send_by)

    def _drop(self, mine: _Pass) -> None:
        if mine.lease:
            mine.lease = False
            self._leases.drop(mine.key)

    def _pause_until(self, moment: float) -> None:
        with self._lock:
            self._paused_until = max(self._paused_until, moment)

    def _refuse(self, attempt: Attempt, reason: str, seconds: float) -> Refusal:
        return self._refused(attempt, no_room(self._service, attempt.call.operation.name, reason, seconds))

    def _refused(self, attempt: Attempt, error: ConnectorError) -> Refusal:
        attempt.call.emit(RateLimited, by="limiter", retry_after_seconds=error.retry_after)
        return Refusal(error)


def _us(seconds: float) -> int:
    return max(0, math.ceil(min(seconds, 4e8) * 1_000_000 - ROUNDING)) if seconds > 0 else 0


def _cost(cost: float) -> int:
    """Return the tokens of a call: limits count whole ones."""
    return max(0, math.ceil(cost))


def _permit_seconds(attempt: Attempt, now: float) -> float:
    """Return the time that an attempt may still take, with the waits that other gates may impose, and one second."""
    call = attempt.call
    until = call.deadline
    if call.attempt_deadline is not None:  # it is moved by the waits
        until = min(until, call.attempt_deadline + attempt.max_wait_seconds)
    return max(until - now + _GRACE_SECONDS, _STREAM_SECONDS if call.operation.stream else _GRACE_SECONDS)
