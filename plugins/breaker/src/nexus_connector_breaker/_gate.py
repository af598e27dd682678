"""The breaker's gate: what this process knows of the circuits of one service, and when it asks the store."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import attrs

from nexus_connector.conditions import CircuitChanged
from nexus_connector.gates import Gate, Refusal
from nexus_connector.state import MemoryStore

from ._machine import ADMIT, REPORT, Reply, Result, circuit_key, predicted, reply_of
from ._refusals import ROUNDING, held_open, place_of, refused

if TYPE_CHECKING:
    from nexus_connector.call import Attempt, Call
    from nexus_connector.state import Item, Key, Plain, Store, StoreError
    from nexus_connector.verdict import Verdict

    from ._options import BreakerOptions

_NEVER: Final = -math.inf
_LAST_SECONDS: Final = 0.0005
"""The last half of its millisecond is the store's to judge: its clock counts in whole ones."""
_GRACE_SECONDS: Final = 1.0
"""So much longer than its attempt may take has a probe its lease."""


@attrs.frozen
class _Known:
    """What was last seen of a circuit, in the time of this process.

    Attributes:
        seen: The store's words.
        until: When the open time, or the lease of the probe, ends.
        at: When it was seen.
        alone: Whether it is this process's own, because the store failed.
    """

    seen: Reply
    until: float
    at: float
    alone: bool = False


@attrs.define
class _Sums:
    """Successes that the store has not heard of yet."""

    generation: int
    since: float
    ok: int = 0
    slow: int = 0


@attrs.define
class _Circuit:
    region: str | None
    group: str
    place: str
    key: Key
    known: _Known
    sums: _Sums | None = None


@attrs.define
class _Pass:
    """What an attempt was admitted with.

    Attributes:
        circuit: The circuit.
        asked: When the store was last asked for it.
        began: When the attempt went on from here.
        generation: Generation under which its result counts; ``None``: it does not.
        probe: Whether it is the probe.
        alone: Whether the store failed, and this process decided by itself.
    """

    circuit: _Circuit
    asked: float
    began: float
    generation: int | None = None
    probe: bool = False
    alone: bool = False


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
        self._groups = dict(groups)
        self._circuits: dict[tuple[str | None, str], _Circuit] = {}
        self._lock = threading.Lock()

    def check(self, attempt: Attempt) -> Refusal | None:
        """Refuse what is known to be refused, without asking anybody."""
        if self._options.mode == "force_open":
            return Refusal(held_open(self._service))
        now = attempt.call.io.now()
        mine: _Pass | None = attempt.state.get(self.name)
        if mine is not None:  # for the second time, after another gate's wait
            mine.began = now
        circuit = self._circuit(attempt) if mine is None else mine.circuit
        known = circuit.known
        if not self._refuses or known.seen.phase == "closed" or (mine is not None and mine.probe):
            return None
        if not self._holds(known, now) and (mine is None or mine.generation == known.seen.generation):
            return None
        return Refusal(refused(self._service, circuit.place, known.seen, max(0.0, known.until - now)))

    def ask(self, attempt: Attempt) -> Item | None:
        """Ask the store, unless what was seen a moment ago is answer enough."""
        circuit, now = self._circuit(attempt), attempt.call.io.now()
        mine = attempt.state[self.name] = _Pass(circuit, asked=now, began=now)
        known = circuit.known
        if self._holds(known, now) and (known.seen.phase == "closed" or not self._refuses):
            mine.generation = known.seen.generation if known.seen.phase == "closed" else None
            mine.alone = known.alone
            return None
        return ADMIT, circuit.key, (_lease_ms(attempt, now),)

    def judge(self, attempt: Attempt, reply: Plain) -> Refusal | None:
        """Read whether the attempt may pass, and whether it is the probe."""
        mine: _Pass = attempt.state[self.name]
        seen = reply_of(reply)
        self._learn(mine, seen, attempt.call.io.now())
        self._tell(attempt.call, mine.circuit, seen)
        mine.probe = seen.probe
        if seen.probe or seen.phase == "closed":
            mine.generation = seen.generation
            return None
        return Refusal(refused(self._service, mine.circuit.place, seen, seen.left_ms / 1000)) if self._refuses else None

    def without_store(self, attempt: Attempt, error: StoreError) -> Refusal | None:
        """Ask this process instead, which counts by itself for as long as the store does not answer."""
        mine: _Pass = attempt.state[self.name]
        mine.alone = True
        [reply] = self._own.run([(ADMIT, mine.circuit.key, (_lease_ms(attempt, mine.asked),))])
        return self.judge(attempt, reply)

    def settle(self, attempt: Attempt, verdict: Verdict, *, sent: bool) -> Sequence[Item]:
        """Post a failure, a probe's result, and successes where they change something."""
        items = self._items(attempt, verdict, sent=sent)
        mine: _Pass | None = attempt.state.get(self.name)
        if not items or mine is None or not mine.alone:
            return items
        self.settled(attempt, self._own.run(items))
        return ()

    def _items(self, attempt: Attempt, verdict: Verdict, *, sent: bool) -> Sequence[Item]:
        mine: _Pass | None = attempt.state.get(self.name)
        if mine is None or mine.generation is None or mine.generation < mine.circuit.known.seen.generation:
            return ()  # not admitted, or late: its circuit has moved on
        now = attempt.call.io.now()
        health = verdict.health if sent else "ignore"
        slow = int(self._is_slow(attempt.call, now - mine.began))
        result: Result | None = None
        if mine.probe:
            result = Result(mine.generation, int(health == "ok"), slow, 0, int(health == "fail"), slow)
        elif health != "ignore":
            result = self._count(mine, now, failed=health == "fail", slow=slow)
        if result is None:
            return ()
        mine.asked = now
        if (
            self.store is not None and self.store.blocking and not mine.alone
        ):  # it will hear of it later; this process knows now
            foreseen = predicted(mine.circuit.known.seen, result, self._rules)
            self._learn(mine, foreseen, math.nextafter(now, _NEVER))  # older than any reply to it
        return ((REPORT, mine.circuit.key, (*attrs.astuple(result, recurse=False), *self._plain_rules)),)

    def settled(self, attempt: Attempt, replies: Sequence[Plain]) -> None:
        """Take over what the store made of the result, and tell of a transition."""
        mine: _Pass = attempt.state[self.name]
        for reply in replies:
            seen = reply_of(reply)
            self._learn(mine, seen, attempt.call.io.now())
            self._tell(attempt.call, mine.circuit, seen)

    def _circuit(self, attempt: Attempt) -> _Circuit:
        region, group = attempt.region, self._groups.get(attempt.call.operation.name, "")
        found = self._circuits.get((region, group))
        if found is not None:
            return found
        known = _Known(Reply("closed", "closed", 0, 0, 0, 0, ""), until=_NEVER, at=_NEVER)
        made = _Circuit(region, group, place_of(region, group), circuit_key(self._service, region, group), known)
        return self._circuits.setdefault((region, group), made)

    def _holds(self, known: _Known, now: float) -> bool:
        """Say whether what was seen is still so: an open circuit until its end, the rest for a moment."""
        is_fresh = now - known.at < self._options.snapshot_seconds
        if known.seen.phase == "closed":
            return is_fresh
        return known.until - now >= _LAST_SECONDS and (is_fresh or known.seen.phase == "open")

    def _learn(self, mine: _Pass, seen: Reply, now: float) -> None:
        """Keep the newer of what is known and what was seen; threads bring their replies in any order."""
        circuit, asked = mine.circuit, mine.asked
        with self._lock:
            known = circuit.known
            if seen.generation > known.seen.generation or (asked, seen.generation) >= (known.at, known.seen.generation):
                circuit.known = _Known(seen, asked + seen.left_ms / 1000, now, mine.alone)
            elif seen.generation == known.seen.generation and seen.failures > known.seen.failures:
                # Which of the two is newer cannot be told. A failure too many costs one write, one too few a trip.
                circuit.known = attrs.evolve(known, seen=attrs.evolve(known.seen, failures=seen.failures))

    def _is_slow(self, call: Call, seconds: float) -> bool:
        limit = self._options.slow_call_seconds
        return limit is not None and not call.operation.stream and seconds >= limit - ROUNDING

    def _count(self, mine: _Pass, now: float, *, failed: bool, slow: int) -> Result | None:
        """Return what the store must hear: a failure at once, a success where it ends a row or its time has come."""
        circuit, generation, patience = mine.circuit, mine.generation or 0, self._options.snapshot_seconds
        ends_a_row = circuit.known.seen.failures > 0
        if not self._sums_up:
            if failed:
                return Result(generation, failed=1)
            return Result(generation, ok=1) if ends_a_row or not patience else None
        with self._lock:
            sums = circuit.sums
            if sums is None or sums.generation != generation:
                sums = circuit.sums = _Sums(generation, since=now)
            if not failed:
                sums.ok += 1
                sums.slow += slow
                if not ends_a_row and now - sums.since < patience:
                    return None
            circuit.sums = None
        age_ms = max(0, round((now - sums.since) * 1000))
        return Result(generation, sums.ok, sums.slow, age_ms, int(failed), slow if failed else 0)

    def _tell(self, call: Call, circuit: _Circuit, seen: Reply) -> None:
        if seen.old == seen.phase:
            return
        reason = f"{self._options.open_seconds:g} s have passed" if seen.phase == "half_open" else seen.reason
        call.emit(
            CircuitChanged,
            region=circuit.region,
            group=circuit.group,
            old=seen.old,
            new=seen.phase,
            reason=f"{reason} (shadow)" if self._options.mode == "shadow" else reason,
            open_seconds=seen.left_ms / 1000 if seen.phase == "open" else 0.0,
        )


def _lease_ms(attempt: Attempt, now: float) -> int:
    """Return the time that an attempt may still take, with the waits that other gates may impose, and one second."""
    call = attempt.call
    until = call.deadline
    if call.attempt_deadline is not None:  # it is moved by the waits
        until = min(until, call.attempt_deadline + attempt.max_wait_seconds)
    return math.ceil((max(0.0, until - now) + _GRACE_SECONDS - ROUNDING) * 1000)
