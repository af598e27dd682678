"""The limiter's gate: asks for a slot and a permit before an attempt, and says afterwards how it went."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from nexus_connector.errors import ConnectorError, VendorRateLimitError
from nexus_connector.events import RateLimited
from nexus_connector.gates import Again, Gate, Refusal, Wait

from ._headers import read_left
from ._leases import Leases
from ._machine import AGAIN, GRANTED, Give, Reply, Take
from ._operations import GIVE, LOOK, TAKE, limiter_key
from ._pass import Pass, permit_seconds, us
from ._refusals import no_room, too_large, unknown
from ._share import Share

if TYPE_CHECKING:
    from nexus_connector.adapter import LimitHeaders
    from nexus_connector.call import Attempt, Call
    from nexus_connector.state import Item, Plain, Store, StoreError
    from nexus_connector.verdict import Verdict

    from ._options import LimiterOptions
    from ._rules import Kind, Rules

PAUSE_SECONDS: Final = 1.0
"""How long a vendor is left alone that answered 429 and did not say for how long."""
_CLOCK_SECONDS: Final = 0.002
"""A store counts in whole milliseconds, and so may end a pause a little earlier than this process would."""
_KINDS: Final = 256
"""So many kinds of calls are remembered; calls of more different costs have theirs worked out anew."""
_NOTHING: Final = (0.0, -1, 0.0)
"""What an answer says that says nothing of the vendor's limit."""


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
        self._kinds: dict[tuple[str, float], Kind] = {}
        self._share = Share(rules, self._key, now)
        self._leases = Leases()
        self._asking_takes_time = store.blocking
        self._paused_until = -math.inf
        self._lock = threading.Lock()

    def check(self, attempt: Attempt) -> Refusal | None:
        """Refuse what would have to wait too long for the vendor, and what the vendor stopped while it waited."""
        if self._paused_until == -math.inf:  # nobody ever asked for one
            return None
        mine: Pass | None = attempt.state.get(self.name)
        left = self._paused_until - attempt.call.io.now()
        waits = 0.0 if mine is not None else self._patience(attempt, mine)
        return self._refuse(attempt, "pause", left) if left > waits + _CLOCK_SECONDS else None

    def ask(self, attempt: Attempt) -> Item | None:
        """Ask the store, unless a token is there already."""
        call = attempt.call
        now = call.io.now()
        mine: Pass | None = attempt.state.get(self.name)
        if mine is None:
            mine = attempt.state[self.name] = Pass(now, now, self._kind(call), call.tenant_id)
        mine.asked, kind = now, mine.kind
        if self._share.counts(now) and not mine.own:
            mine.answer = self._of_share(attempt, mine)
            if mine.answer is not None:
                return LOOK, self._key, ()
        # Tenants have tokens of their own. In memory asking costs no more than keeping those of thousands.
        lease_us = kind.lease_us if mine.tenant is None or self._asking_takes_time else 0
        if lease_us and self._paused_until <= now and self._leases.spend(mine.key, now):
            mine.leased = True
            self._send_by(attempt, now)
            return None
        if kind.too_small:
            raise too_large(self._service, call.operation.name, kind.cost, kind.too_small)
        block = self._leases.wanted(mine.key, now) if lease_us else 0
        mine.lease = block > 0
        return TAKE, self._key, self._take(attempt, mine, block=block)

    def judge(self, attempt: Attempt, reply: Plain) -> Refusal | Wait | Again | None:
        """Read when the attempt may be sent, and whether it may at all."""
        mine: Pass = attempt.state[self.name]
        self._share.answered()
        answer, mine.answer = mine.answer, None
        if answer is not None:
            return answer
        kind, wait, mine.number, block, reason = cast("Sequence[Any]", reply)
        seconds = wait / 1_000_000
        if reason == "pause":
            self._pause_until(mine.asked + seconds)
        if kind != GRANTED:
            self._drop(mine)
            return self._not_now(attempt, mine, Reply._make(cast("Sequence[Any]", reply)))
        if mine.lease:
            mine.lease = False
            self._leases.keep(mine.key, block, mine.asked + seconds + mine.kind.lease_us / 1_000_000)
        self._send_by(attempt, mine.asked + seconds)
        return Wait(seconds) if wait else None

    def without_store(self, attempt: Attempt, error: StoreError) -> Refusal | Wait | Again | None:
        """Go on with this process's share of the limits, or refuse."""
        call = attempt.call
        mine: Pass = attempt.state[self.name]
        self._drop(mine)
        mine.alone = True
        if self._options.when_store_down == "refuse":
            return self._refused(attempt, unknown(self._service, call.operation.name, PAUSE_SECONDS))
        self._share.missed(mine.asked, self._take(attempt, mine), mine.kind)
        answer, mine.answer = mine.answer, None
        if answer is None and not mine.own:
            answer = self._of_share(attempt, mine)
        if isinstance(answer, Refusal) or not mine.own:
            return answer
        wait = 0.0 if answer is None else answer.seconds
        self._send_by(attempt, mine.asked + wait)
        return Wait(wait) if wait else None

    def _of_share(self, attempt: Attempt, mine: Pass) -> Refusal | Again | None:
        """Take a call out of this process's own share; ``None``: its moment is now."""
        told = self._share.take(self._take(attempt, mine), mine.kind)
        if told.kind != GRANTED:
            return self._not_now(attempt, mine, told)
        mine.own = told.number
        return Again(told.us / 1_000_000) if told.us else None

    def _not_now(self, attempt: Attempt, mine: Pass, told: Reply) -> Refusal | Again:
        seconds = told.us / 1_000_000
        if told.kind == AGAIN:
            mine.queued = True
            return Again(seconds)
        return self._refuse(attempt, told.reason, seconds)

    def settle(self, attempt: Attempt, verdict: Verdict, *, sent: bool) -> Sequence[Item]:
        """Give back the permit, and the slot of what was not sent; hear what the answer says of the vendor's limit."""
        mine: Pass | None = attempt.state.pop(self.name, None)
        if mine is None:
            return ()
        if mine.lease:
            self._drop(mine)
        if mine.leased and not sent:
            self._leases.give_back(mine.key, attempt.call.io.now())
        told = self._told(attempt, verdict, mine, sent=sent)
        if mine.own:
            self._share.give((told or Give(0))._replace(number=mine.own, sent=int(sent)))
        return () if told is None or mine.alone else ((GIVE, self._key, told),)

    def _told(self, attempt: Attempt, verdict: Verdict, mine: Pass, *, sent: bool) -> Give | None:
        """Return what the store must hear; ``None``: nothing."""
        pause, left, reset = self._heard(attempt, verdict) if sent else _NOTHING
        if pause > 0:
            self._pause_until(attempt.call.io.now() + pause)
        needed = mine.number and (not sent or self._rules.permits)
        if not needed and pause <= 0 and left < 0:
            return None
        return Give(mine.number, int(sent), us(pause), left, us(reset))

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
            return _NOTHING
        left, seconds = said
        if left == 0:
            return seconds, -1, 0.0
        # More than our own limits would let through until then teaches nothing, and costs a write.
        return (0.0, left, seconds) if left < self._rules.allowed(seconds) else _NOTHING

    def _kind(self, call: Call) -> Kind:
        operation, cost = call.operation.name, call.operation.cost
        known = (operation if operation in self._rules.own else "", cost)
        kind = self._kinds.get(known)
        if kind is None:
            if len(self._kinds) >= _KINDS:
                self._kinds.clear()
            kind = self._kinds[known] = self._rules.kind(operation, cost)
        return kind

    def _take(self, attempt: Attempt, mine: Pass, *, block: int = 0) -> Take:
        kind, asked, permits = mine.kind, mine.asked, self._rules.permits
        return Take(
            int(self._patience(attempt, mine) * 1_000_000),
            us(self._paused_until - asked) if self._paused_until > asked else 0,
            f"={mine.tenant or ''}" if self._options.fairness else "",
            permits,
            us(permit_seconds(attempt, asked)) if permits else 0,
            int(mine.queued),
            block,
            kind.cost,
            kind.paces,
        )

    def _patience(self, attempt: Attempt, mine: Pass | None) -> float:
        """Return how long an attempt may still wait here."""
        longest, wait = self._options.max_wait_seconds, attempt.max_wait_seconds
        if longest is None:
            return wait
        return max(0.0, min(wait, longest if mine is None else mine.began + longest - mine.asked))

    def _send_by(self, attempt: Attempt, moment: float) -> None:
        jitter = self._options.jitter_seconds
        if jitter > 0:
            by = moment + jitter
            attempt.send_by = by if attempt.send_by is None else min(by, attempt.send_by)

    def _drop(self, mine: Pass) -> None:
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
