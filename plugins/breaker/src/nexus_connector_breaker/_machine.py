"""The circuit's machine: closed, open, half open, and the steps between them, as pure functions on plain data.

A state is a list: phase, generation, since when, until when, consecutive failures, reason, window. Times are the
store's, in milliseconds. Every transition and every probe gets a generation of its own, and a result counts only under
the generation under which its attempt was admitted: what comes late finds another one and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias, cast

import attrs

from nexus_connector.conditions import CircuitState
from nexus_connector.state import Plain

BUCKETS: Final = 10
"""The window slides in steps of a tenth of its length, and counts nothing that is older than its length."""
KEPT_MS: Final = 24 * 60 * 60 * 1000
"""A circuit that nobody touches for this long is forgotten: closed, without failures."""
HELD: Final = -1
"""In the place of a time: until somebody closes it by hand."""
HELD_KEPT_MS: Final = 365 * KEPT_MS
"""The same for a circuit that is held open: whoever opened it by hand relies on it."""
BY_HAND: Final = "by hand"
NOTHING: Final = -1
"""In the place of a generation: who asks has no success to tell of."""

Step: TypeAlias = tuple[Plain, int, Plain]
_Bucket: TypeAlias = Sequence[int]
"""When it begins, calls, failed ones, slow ones."""


@attrs.frozen
class Rules:
    """When a circuit opens, and for how long; 0 switches a rule off.

    Attributes:
        failure_threshold: Consecutive failures.
        failure_rate: Share of failed calls in the window.
        slow_call_rate: Share of slow calls in the window.
        minimum_calls: Calls in the window from which on the shares count.
        window_ms: Length of the window.
        open_ms: How long it stays open.
        opens: Whether it opens at all; else it only counts.
    """

    failure_threshold: int
    failure_rate: float
    slow_call_rate: float
    minimum_calls: int
    window_ms: int
    open_ms: int
    opens: bool


@attrs.frozen
class Result:
    """What became of attempts that were admitted; neither ``ok`` nor ``failed``: a probe that gives its lease back.

    Attributes:
        generation: Under which they were admitted.
        ok: How many went well.
        slow: How many of these were slow.
        age_ms: How long ago the first of these was.
        failed: 1 if one failed just now, after these; else 0.
        failed_slow: 1 if that one was slow, too.
    """

    generation: int
    ok: int = 0
    slow: int = 0
    age_ms: int = 0
    failed: int = 0
    failed_slow: int = 0


@attrs.frozen
class Reply:
    """A circuit as a step leaves it.

    Attributes:
        old: Phase before the step.
        phase: Phase after it.
        generation: Generation after it.
        left_ms: Open: until a probe may pass; `HELD`: none may. Half open: until the lease of the probe ends; 0:
            nobody has it.
        age_ms: How long it has been in this phase.
        failures: Consecutive failures.
        reason: Why it is in this phase.
        probe: Whether the one that asked is the probe now.
    """

    old: CircuitState
    phase: CircuitState
    generation: int
    left_ms: int
    age_ms: int
    failures: int
    reason: str
    probe: bool = False


@attrs.frozen
class _State:
    phase: CircuitState = "closed"
    generation: int = 0
    since_ms: int = 0
    until_ms: int = 0
    failures: int = 0
    reason: str = ""
    window: Sequence[_Bucket] = ()


def admit(plain: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    """Ask whether an attempt may pass; the first one after the end of the open time gets the lease of the probe.

    Args:
        plain: The state.
        now_ms: The store's time.
        args: Length of the lease in milliseconds; and the generation of successes that the store has not heard of, or
            `NOTHING`: told here, they end a row of failures as they would in a `report`.
    """
    state = _state(plain)
    lease_ms, generation = cast("Sequence[int]", args)
    if state.phase == "closed" and state.failures and generation == state.generation:
        return _changed(state, attrs.evolve(state, failures=0), now_ms)
    if state.phase == "closed" or state.until_ms == HELD or now_ms < state.until_ms:
        return _unchanged(plain, state, now_ms)
    probing = attrs.evolve(
        state,
        phase="half_open",
        generation=state.generation + 1,
        since_ms=now_ms if state.phase == "open" else state.since_ms,
        until_ms=now_ms + lease_ms,
    )
    return _changed(state, probing, now_ms, probe=True)


def report(plain: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    """Tell what became of attempts.

    Args:
        plain: The state.
        now_ms: The store's time.
        args: The fields of a `Result`, then those of the `Rules`.
    """
    state = _state(plain)
    fields = cast("Sequence[Any]", args)
    result, rules = Result(*fields[:6]), Rules(*fields[6:])
    if result.generation != state.generation or state.phase == "open":
        return _unchanged(plain, state, now_ms)
    if state.phase == "half_open":
        return _changed(state, _after_probe(state, now_ms, result, rules), now_ms)
    return _changed(state, _after_calls(state, now_ms, result, rules), now_ms)


def look(plain: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    """Read a circuit and change nothing; the reply has the calls of its window at the end, failed and slow ones.

    Args:
        plain: The state.
        now_ms: The store's time.
        args: Length of the window in milliseconds.
    """
    state = _state(plain)
    (window_ms,) = cast("Sequence[int]", args)
    kept, ttl_ms, reply = _unchanged(plain, state, now_ms)
    sums = _sums([bucket for bucket in state.window if bucket[0] > now_ms - window_ms])
    return kept, ttl_ms, [*cast("Sequence[Plain]", reply), *sums]


def by_hand(plain: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    """Do what a person wants; results of attempts that were admitted before count no more if that changes the phase.

    Args:
        plain: The state.
        now_ms: The store's time.
        args: ``open``, ``close`` or ``reset``, which forgets what was counted; for how many milliseconds it opens, or
            `HELD`.
    """
    state = _state(plain)
    order, open_ms = cast("tuple[str, int]", args)
    if order == "open":
        until_ms = HELD if open_ms == HELD else now_ms + open_ms
        since_ms = state.since_ms if state.phase == "open" else now_ms
        opened = _State("open", state.generation + 1, since_ms, until_ms, state.failures, BY_HAND)
        return _changed(state, opened, now_ms)
    if order == "reset":
        return _changed(state, attrs.evolve(state, failures=0, window=()), now_ms)
    if state.phase == "closed":
        return _unchanged(plain, state, now_ms)
    return _changed(state, _State(generation=state.generation + 1, since_ms=now_ms, reason=BY_HAND), now_ms)


def predicted(reply: Reply, result: Result, rules: Rules) -> Reply:
    """Return what `report` will make of a circuit that was last seen as `reply`, as far as its window has no say."""
    state: Plain = [reply.phase, reply.generation, 0, 0, reply.failures, reply.reason, ()]
    windowless = attrs.evolve(rules, minimum_calls=1 << 62)
    return reply_of(report(state, 0, [*attrs.astuple(result), *attrs.astuple(windowless)])[2])


def reply_of(plain: Plain) -> Reply:
    """Read a reply of `admit` or `report`."""
    return Reply(*cast("Sequence[Any]", plain))


def _state(plain: Plain) -> _State:
    return _State() if plain is None else _State(*cast("Sequence[Any]", plain))


def _unchanged(plain: Plain, state: _State, now_ms: int) -> Step:
    return plain, _ttl_ms(state, now_ms), _reply(state.phase, state, now_ms, probe=False)


def _changed(old: _State, new: _State, now_ms: int, *, probe: bool = False) -> Step:
    reply = _reply(old.phase, new, now_ms, probe=probe)
    if new.generation == 0 and new.failures == 0 and not new.window:
        return None, 0, reply  # as if it had never been
    plain = [new.phase, new.generation, new.since_ms, new.until_ms, new.failures, new.reason, new.window]
    return plain, _ttl_ms(new, now_ms), reply


def _ttl_ms(state: _State, now_ms: int) -> int:
    return HELD_KEPT_MS if state.until_ms == HELD else KEPT_MS + max(0, state.until_ms - now_ms)


def _reply(old: CircuitState, state: _State, now_ms: int, *, probe: bool) -> Plain:
    left_ms = HELD if state.until_ms == HELD else max(0, state.until_ms - now_ms)
    age_ms = max(0, now_ms - state.since_ms)
    return [old, state.phase, state.generation, left_ms, age_ms, state.failures, state.reason, probe]


def _after_probe(state: _State, now_ms: int, result: Result, rules: Rules) -> _State:
    if result.failed:
        return _opened(state, now_ms, "probe failed", rules)
    if not result.ok:
        return attrs.evolve(state, until_ms=0)  # the lease is given back: the next attempt may probe at once
    if result.slow and rules.slow_call_rate:
        return _opened(state, now_ms, "probe was slow", rules)
    return _State(generation=state.generation + 1, since_ms=now_ms, reason="probe succeeded")


def _after_calls(state: _State, now_ms: int, result: Result, rules: Rules) -> _State:
    # Successes that come with a failure are older than it, and than the row that it belongs to: they end none.
    failures = 0 if result.ok and not result.failed else state.failures + result.failed
    window = _window(state, now_ms, result, rules) if rules.failure_rate or rules.slow_call_rate else ()
    counted = attrs.evolve(state, failures=failures, window=window)
    reason = _reason(failures, window, rules)
    return _opened(counted, now_ms, reason, rules) if reason and rules.opens else counted


def _opened(state: _State, now_ms: int, reason: str, rules: Rules) -> _State:
    return attrs.evolve(
        state,
        phase="open",
        generation=state.generation + 1,
        since_ms=now_ms,
        until_ms=now_ms + rules.open_ms,
        reason=reason,
        window=(),
    )


def _window(state: _State, now_ms: int, result: Result, rules: Rules) -> list[list[int]]:
    width = max(1, rules.window_ms // BUCKETS)
    oldest = now_ms - rules.window_ms
    buckets = {start: [calls, failed, slow] for start, calls, failed, slow in state.window if start > oldest}
    added = (
        (now_ms - result.age_ms, result.ok, 0, result.slow),
        (now_ms, result.failed, result.failed, result.failed_slow),
    )
    for at_ms, *counts in added:
        start = at_ms - at_ms % width
        if counts[0] and start > oldest:
            buckets[start] = [sum(pair) for pair in zip(buckets.get(start, (0, 0, 0)), counts, strict=True)]
    return [[start, *counts] for start, counts in sorted(buckets.items())]


def _sums(window: Sequence[_Bucket]) -> tuple[int, int, int]:
    calls, failed, slow = (sum(bucket[place] for bucket in window) for place in (1, 2, 3))
    return calls, failed, slow


def _reason(failures: int, window: Sequence[_Bucket], rules: Rules) -> str:
    """Return why a circuit with these counts opens; empty: it does not."""
    if rules.failure_threshold and failures >= rules.failure_threshold:
        return f"{failures} consecutive failures" if failures > 1 else "1 failure"
    calls, failed, slow = _sums(window)
    if calls < rules.minimum_calls:
        return ""
    for name, count, limit in (("failure", failed, rules.failure_rate), ("slow call", slow, rules.slow_call_rate)):
        if limit and count / calls >= limit:
            percent = (200 * count + calls) // (2 * calls)  # rounded half up: the Lua twin does the same
            return f"{name} rate {percent} % of {calls} calls in {rules.window_ms / 1000:g} s"
    return ""
