"""The breaker's gate: what this process knows of the circuits of one service, and when it asks the store."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, cast, overload

import attrs

from nexus_connector.conditions import CircuitChanged
from nexus_connector.gates import Gate, Refusal
from nexus_connector.state import MemoryStore

from ._machine import NOTHING, Reply, Result, reply_of
from ._operations import ADMIT, LOOK, REPORT, circuit_key
from ._refusals import ROUNDING, held_open, place_of, refused
from ._view import Untold, View, left_seconds

if TYPE_CHECKING:
    from nexus_connector.call import Attempt, Call
    from nexus_connector.state import Item, Plain, Store, StoreError
    from nexus_connector.verdict import Verdict

    from ._options import BreakerOptions

_GRACE_SECONDS: Final = 1.0
"""So much longer than its attempt may take has a probe its lease."""


@attrs.define
class _Pass:
    """What an attempt was admitted with.

    Attributes:
        view: What is known of the circuit.
        asked: When the store was last asked for it.
        began: When the attempt went on from here.
        generation: Generation under which its result counts; ``None``: it does not.
        probe: Whether it is the probe.
        alone: Whether the store failed, and this process decided by itself.
        goes_ahead: Whether its result was posted, and may not be overtaken by a success.
    """

    view: View
    asked: float
    began: float
    generation: int | None = None
    probe: bool = False
    alone: bool = False
    goes_ahead: bool = False


class _Waiting(Sequence["Item"]):
    """A success that is posted, and speaks for all that come before it is sent.

    Once it has been looked at it may have reached the store, and the next one must be posted, too. Then it is empty if
    a question has taken along what it was to tell.
    """

    def __init__(self, view: View, untold: Untold, item: Item) -> None:
        self._view = view
        self._untold = untold
        self._item = item

    def __len__(self) -> int:
        return int(self._untold.is_posted is not False)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        items = (self._item,) if self._view.send(self._untold) else ()
        return items[index]


class BreakerGate(Gate):
    """Refuses attempts while the circuit of their region and group of operations is open.

    One gate serves one service in one process, from all its threads.

    Args:
        service: Name of the service.
        options: The service's options; their mode is not ``disabled``.
        groups: Group of each operation that has one.
        store: Where the circuits are kept.
        now: Seconds of a clock that never goes back, for the circuits of this process while the store is down.
    """

    name = "breaker"
    order = 50

    def __init__(
        self,
        service: str,
        options: BreakerOptions,
        *,
        groups: Mapping[str, str],
        store: Store,
        now: Callable[[], float],
    ) -> None:
        self.store = store
        self._own = MemoryStore(now)
        self._service = service
        self._options = options
        self._rules = options.rules
        self._plain_rules = attrs.astuple(self._rules)
        self._sums_up = options.failure_rate is not None or options.slow_call_rate is not None
        self._refuses = options.mode == "normal"
        self._held_open = options.mode == "force_open"
        self._patience = options.snapshot_seconds
        self._groups = dict(groups)
        self._views: dict[tuple[str | None, str], View] = {}

    def check(self, attempt: Attempt) -> Refusal | None:
        """Refuse what is known to be refused, without asking anybody."""
        if self._held_open:
            return Refusal(partial(held_open, self._service))
        mine: _Pass | None = attempt.state.get(self.name)
        if mine is not None:  # for the second time, after another gate's wait
            mine.began = attempt.call.io.now()
        view = self._view(attempt) if mine is None else mine.view
        known = view.known
        if known.closed or not self._refuses or (mine is not None and mine.probe):
            return None
        now = attempt.call.io.now()
        if not view.holds(now, self._patience) and (mine is None or mine.generation == known.seen.generation):
            return None
        return Refusal(partial(refused, self._service, view.place, known.seen, known.left(now)))

    def ask(self, attempt: Attempt) -> Item | None:
        """Ask the store, unless what was seen a moment ago is answer enough."""
        view, now = self._view(attempt), attempt.call.io.now()
        known = view.known
        if (known.closed or not self._refuses) and view.holds(now, self._patience):
            generation = known.seen.generation if known.closed else None
            attempt.state[self.name] = _Pass(view, now, now, generation, False, known.alone)
            return None
        attempt.state[self.name] = _Pass(view, now, now)
        return ADMIT, view.key, (_lease_ms(attempt, now), view.take_along())

    def judge(self, attempt: Attempt, reply: Plain) -> Refusal | None:
        """Read whether the attempt may pass, and whether it is the probe."""
        mine: _Pass = attempt.state[self.name]
        seen = reply_of(reply)
        self._learn(mine, seen, attempt.call.io.now())
        self._tell(attempt.call, mine.view, seen)
        mine.probe = seen.probe
        if seen.probe or seen.phase == "closed":
            mine.generation = seen.generation
            return None
        return self._refusal(mine.view, seen, left_seconds(seen))

    def without_store(self, attempt: Attempt, error: StoreError) -> Refusal | None:
        """Ask this process instead, which counts by itself for as long as the store does not answer.

        What the store said of an open circuit holds until its end all the same.
        """
        mine: _Pass = attempt.state[self.name]
        mine.alone = True
        known, now = mine.view.known, attempt.call.io.now()
        if known.seen.phase == "open" and not known.alone and known.left(now):
            return self._refusal(mine.view, known.seen, known.left(now))
        [reply] = self._own.run([(ADMIT, mine.view.key, (_lease_ms(attempt, mine.asked), NOTHING))])
        return self.judge(attempt, reply)

    def settle(self, attempt: Attempt, verdict: Verdict, *, sent: bool) -> Sequence[Item]:
        """Post a failure, a probe's result, and successes where they change something."""
        mine: _Pass | None = attempt.state.get(self.name)
        if mine is None or mine.generation is None:
            return ()
        if verdict.health == "ok" and self._is_known(mine):
            return ()  # most calls end here
        items = self._items(attempt, mine, mine.generation, verdict, sent=sent)
        if not items or not mine.alone:
            return items
        self.settled(attempt, self._own.run(items))
        return ()

    def settled(self, attempt: Attempt, replies: Sequence[Plain]) -> None:
        """Take over what the store made of the result, and tell of a transition."""
        mine: _Pass = attempt.state[self.name]
        if mine.goes_ahead:
            mine.view.arrive()
        for reply in replies:
            seen = reply_of(reply)
            self._learn(mine, seen, attempt.call.io.now())
            self._tell(attempt.call, mine.view, seen)

    def lost(self, attempt: Attempt, items: Sequence[Item], error: StoreError) -> None:
        """Count in this process what the store could not be told: it goes on alone from here."""
        mine: _Pass = attempt.state[self.name]
        view = mine.view
        if mine.goes_ahead:
            view.arrive()
        for op, key, (_, *rest) in items:
            [looked] = self._own.run([(LOOK, key, (self._rules.window_ms,))])
            own = reply_of(cast("Sequence[Plain]", looked)[: len(attrs.fields(Reply))])
            if own.phase == "closed":  # else it has its own probe to wait for
                [reply] = self._own.run([(op, key, (own.generation, *rest))])
                self._tell(attempt.call, view, reply_of(reply))

    def _is_known(self, mine: _Pass) -> bool:
        """Say whether a success needs no post: it ends no row, or is told with one that has not been sent yet."""
        if mine.probe or self._sums_up:
            return False
        view = mine.view
        if self._patience and not view.known.seen.failures:
            return True
        return not mine.alone and mine.generation is not None and view.leave(mine.generation)

    @property
    def _posts(self) -> bool:
        """Whether the store hears of results later."""
        return self.store is not None and self.store.blocking

    def _items(self, attempt: Attempt, mine: _Pass, generation: int, verdict: Verdict, *, sent: bool) -> Sequence[Item]:
        view, now = mine.view, attempt.call.io.now()
        known = view.known
        if mine.alone == known.alone and generation < known.seen.generation:
            return ()  # late: its circuit has moved on
        health = verdict.health if sent else "ignore"
        slow = int(self._is_slow(attempt.call, now - mine.began))
        result: Result | None = None
        if mine.probe:
            result = Result(generation, int(health == "ok"), slow, 0, int(health == "fail"), slow)
        elif health != "ignore":
            result = self._count(view, generation, now, failed=health == "fail", slow=slow)
        if result is None:
            return ()
        mine.asked = now
        item = REPORT, view.key, (*attrs.astuple(result, recurse=False), *self._plain_rules)
        if not self._posts or mine.alone or known.alone:
            return (item,)
        view.foresee(result, self._rules, now)  # the store hears of it later; this process knows now
        if result.failed or mine.probe or self._sums_up:
            view.go_ahead()
            mine.goes_ahead = True
            return (item,)
        return _Waiting(view, view.wait_for_post(generation), item)

    def _view(self, attempt: Attempt) -> View:
        region = attempt.region
        group = self._groups.get(attempt.call.operation.name, "") if self._groups else ""
        found = self._views.get((region, group))
        if found is not None:
            return found
        key = circuit_key(self._service, region, group)
        made = View(region, group, place=place_of(region, group), key=key)
        return self._views.setdefault((region, group), made)

    def _learn(self, mine: _Pass, seen: Reply, now: float) -> None:
        if mine.view.learn(seen, asked=mine.asked, now=now, alone=mine.alone):
            self._own.delete(mine.view.key)  # what this process found out alone ends with the outage of the store

    def _refusal(self, view: View, seen: Reply, left: float) -> Refusal | None:
        return Refusal(partial(refused, self._service, view.place, seen, left)) if self._refuses else None

    def _is_slow(self, call: Call, seconds: float) -> bool:
        limit = self._options.slow_call_seconds
        return limit is not None and not call.operation.stream and seconds >= limit - ROUNDING

    def _count(self, view: View, generation: int, now: float, *, failed: bool, slow: int) -> Result | None:
        """Return what the store must hear: a failure at once, a success where it ends a row or its time has come."""
        if self._sums_up:
            return view.sum_up(generation, now, failed=failed, slow=slow, patience_seconds=self._patience)
        if failed:
            return Result(generation, failed=1)
        return Result(generation, ok=1) if view.known.seen.failures or not self._patience else None

    def _tell(self, call: Call, view: View, seen: Reply) -> None:
        if seen.old == seen.phase:
            return
        reason = f"{self._options.open_seconds:g} s have passed" if seen.phase == "half_open" else seen.reason
        call.emit(
            CircuitChanged,
            region=view.region,
            group=view.group,
            old=seen.old,
            new=seen.phase,
            reason=f"{reason} (shadow)" if self._options.mode == "shadow" else reason,
            open_seconds=left_seconds(seen) if seen.phase == "open" else 0.0,
        )


def _lease_ms(attempt: Attempt, now: float) -> int:
    """Return the time that an attempt may still take, with the waits that other gates may impose, and one second."""
    call = attempt.call
    until = call.deadline
    if call.attempt_deadline is not None:  # it is moved by the waits
        until = min(until, call.attempt_deadline + attempt.max_wait_seconds)
    return math.ceil((max(0.0, until - now) + _GRACE_SECONDS - ROUNDING) * 1000)
