"""The breaker against an independent model: random sequences of attempts, results and time, without any divergence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from nexus_connector.errors import ConnectorError

HEALTHS = st.sampled_from(["ok", "fail", "fail", "fail", "ignore", "unsent"])


@attrs.define
class Model:
    """The rules in the plainest words: everything that ever happened is kept, and looked at anew each time."""

    options: Any
    now_ms: int = 0
    phase: str = "closed"
    era: int = 0
    failures: int = 0
    since_ms: int = 0
    holder: int | None = None
    lease_end_ms: int = 0
    seen: list[tuple[int, bool, bool]] = attrs.field(factory=list)
    told: list[tuple[str, str]] = attrs.field(factory=list)

    def turn(self, phase: str) -> None:
        if phase != self.phase:
            self.told.append((self.phase, phase))
        self.phase = phase
        self.era += 1
        self.holder = None
        self.seen = []

    def begin(self, attempt: int, lease_ms: int) -> bool:
        """Say whether it passes."""
        if self.phase == "closed":
            return True
        if self.phase == "open" and self.now_ms < self.since_ms + round(self.options.open_seconds * 1000):
            return False
        if self.phase == "half_open" and self.holder is not None and self.now_ms < self.lease_end_ms:
            return False
        self.turn("half_open")
        self.holder, self.lease_end_ms = attempt, self.now_ms + lease_ms
        return True

    def end(self, attempt: int, era: int, health: str, *, slow: bool) -> None:
        if era != self.era:
            return
        if self.phase == "half_open":
            assert self.holder == attempt
            if health == "ignore":
                self.holder = None
            elif health == "fail" or (slow and self.options.slow_call_rate):
                self.turn("open")
                self.since_ms = self.now_ms
            else:
                self.turn("closed")
                self.failures = 0
        elif health != "ignore":
            self.failures = 0 if health == "ok" else self.failures + 1
            self.seen.append((self.now_ms, health == "fail", slow))
            if self.is_too_much():
                self.turn("open")
                self.since_ms = self.now_ms

    def is_too_much(self) -> bool:
        options = self.options
        if options.failure_threshold and self.failures >= options.failure_threshold:
            return True
        tenth, oldest = options.window_seconds * 100, self.now_ms - options.window_seconds * 1000
        inside = [call for call in self.seen if call[0] // tenth * tenth > oldest]
        if len(inside) < options.minimum_calls:
            return False
        return any(
            limit is not None and sum(call[place] for call in inside) >= limit * len(inside) - 1e-9
            for place, limit in ((1, options.failure_rate), (2, options.slow_call_rate))
        )


class Breaker(RuleBasedStateMachine):
    """Attempts of two processes on one store, or of one with a snapshot, beside the model."""

    make: ClassVar[Callable[..., Any]]
    steps: ClassVar[int] = 0
    transitions: ClassVar[int] = 0

    @initialize(
        threshold=st.integers(0, 3),
        failure_rate=st.sampled_from([None, 0.5, 1.0]),
        slow_rate=st.sampled_from([None, 0.5]),
        minimum=st.integers(1, 4),
        window=st.sampled_from([1, 3]),
        opened=st.sampled_from([0.1, 0.75, 2.0]),
        exact=st.booleans(),
    )
    def begin_all(self, threshold: int, failure_rate: Any, slow_rate: Any, exact: bool, **rest: Any) -> None:
        shares = failure_rate is not None or slow_rate is not None
        self.exact = exact or shares  # with shares a process sums its successes up: exact only without
        self.desk = type(self).make(
            processes=2 if self.exact else 1,
            failure_threshold=threshold if shares else max(1, threshold),
            failure_rate=failure_rate,
            slow_call_rate=slow_rate,
            slow_call_seconds=None if slow_rate is None else 0.5,
            minimum_calls=rest["minimum"],
            window_seconds=rest["window"],
            open_seconds=rest["opened"],
            snapshot_seconds=0.0 if self.exact else 0.05,
        )
        self.model = Model(self.desk.options)
        self.flying: dict[int, tuple[Any, int, int]] = {}
        self.count = 0

    @rule(process=st.integers(0, 1), seconds=st.sampled_from([0.2, 1.0, 5.0]))
    def begin(self, process: int, seconds: float) -> None:
        self._begin(process, seconds)

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), health=HEALTHS)
    def end(self, data: st.DataObject, health: str) -> None:
        self._end(data.draw(st.sampled_from(sorted(self.flying))), health)

    @rule(process=st.integers(0, 1), health=HEALTHS, milliseconds=st.sampled_from([0, 3, 500]))
    def begin_and_end(self, process: int, health: str, milliseconds: int) -> None:
        name = self._begin(process, 1.0)
        if name is not None:
            self._advance(milliseconds)
            self._end(name, health)

    def _begin(self, process: int, seconds: float) -> int | None:
        self.count += 1
        held = self.desk.begin(process if self.exact else 0, self.desk.attempt(seconds=seconds))
        passes = self.model.begin(self.count, round((seconds + 1) * 1000))
        assert isinstance(held, ConnectorError) is not passes
        if not passes:
            return None
        self.flying[self.count] = (held, self.model.era, self.model.now_ms)
        return self.count

    def _end(self, name: int, health: str) -> None:
        held, era, began_ms = self.flying.pop(name)
        self.desk.end(held, "ignore" if health == "unsent" else health, sent=health != "unsent")
        limit = self.desk.options.slow_call_seconds
        slow = limit is not None and self.model.now_ms - began_ms >= limit * 1000
        self.model.end(name, era, "ignore" if health == "unsent" else health, slow=slow)

    def _advance(self, milliseconds: int) -> None:
        self.model.now_ms += milliseconds
        self.desk.io.advance(self.model.now_ms / 1000 - self.desk.io.now())

    @precondition(lambda self: self.model.phase == "open")
    @rule(early_ms=st.sampled_from([1, 0, -1]))
    def wait_for_the_probe(self, early_ms: int) -> None:
        end_ms = self.model.since_ms + round(self.desk.options.open_seconds * 1000)
        self._advance(max(0, end_ms - early_ms - self.model.now_ms))

    @rule(milliseconds=st.sampled_from([1, 7, 49, 50, 99, 100, 333, 749, 750, 751, 1000, 2000, 6000]))
    def wait(self, milliseconds: int) -> None:
        self._advance(milliseconds)

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "model"):
            return
        assert self.desk.changes == self.model.told, "one event for each transition, and no other"
        kept = self.desk.store._states.get(("crm", "breaker", "eu.crm.example", ""))
        phase, failures = ("closed", 0) if kept is None else (kept[0][0], kept[0][4])
        assert phase == self.model.phase
        assert phase != "closed" or failures == self.model.failures
        type(self).steps += 1

    def teardown(self) -> None:
        type(self).transitions += len(self.desk.events) if hasattr(self, "desk") else 0


def test_no_divergence_from_the_model(desk: Callable[..., Any], request: pytest.FixtureRequest) -> None:
    """200 examples of 50 steps: same admissions, same phase, same row, one event for each transition."""

    class Bound(Breaker):
        make = staticmethod(desk)

    run_state_machine_as_test(
        Bound,
        settings=settings(
            max_examples=200,
            stateful_step_count=50,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate, Phase.shrink],
        ),
    )
    print(f"\n{Bound.steps} states compared, {Bound.transitions} transitions, no divergence")
    assert Bound.steps > 5_000
    assert Bound.transitions > 500
