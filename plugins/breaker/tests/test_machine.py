"""The machine alone: every step from every phase, on plain data, with the time as an argument."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from nexus_connector.state import AtomicOp
from nexus_connector_breaker._machine import (
    KEPT_MS,
    NOTHING,
    Reply,
    Result,
    Rules,
    predicted,
    reply_of,
)
from nexus_connector_breaker._operations import ADMIT, LOOK, REPORT, circuit_key

RULES = Rules(
    failure_threshold=3,
    failure_rate=0.0,
    slow_call_rate=0.0,
    minimum_calls=4,
    window_ms=10_000,
    open_ms=60_000,
    opens=True,
)
BY_RATE = attrs.evolve(RULES, failure_threshold=0, failure_rate=0.5)
BY_SLOWNESS = attrs.evolve(RULES, failure_threshold=0, slow_call_rate=0.5)


class Circuit:
    """One circuit, its state kept as JSON between the steps."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules = rules
        self.state: Any = None
        self.ttl_ms = 0
        self.now_ms = 1_000_000

    def step(self, op: AtomicOp, *args: Any) -> list[Any]:
        new, self.ttl_ms, reply = op.py(self.state, self.now_ms, json.loads(json.dumps(args, allow_nan=False)))
        self.state = json.loads(json.dumps(new, allow_nan=False))
        return json.loads(json.dumps(reply, allow_nan=False))  # type: ignore[no-any-return]

    def admit(self, lease_ms: int = 5_000, told: int = NOTHING) -> Reply:
        return reply_of(self.step(ADMIT, lease_ms, told))

    def report(self, generation: int, **fields: int) -> Reply:
        return reply_of(self.step(REPORT, *attrs.astuple(Result(generation, **fields)), *attrs.astuple(self.rules)))

    def fail(self, times: int = 1) -> Reply:
        replies = [self.report(self.admit().generation, failed=1) for _ in range(times)]
        return replies[-1]

    def open(self) -> Reply:
        return self.fail(self.rules.failure_threshold)

    def probe(self, lease_ms: int = 5_000) -> Reply:
        """Open it, wait, and take the lease."""
        self.open()
        self.now_ms += self.rules.open_ms
        return self.admit(lease_ms)


def test_an_untouched_circuit_is_closed_and_leaves_nothing_behind() -> None:
    """Whom nobody calls has no state; neither admission nor success writes any."""
    circuit = Circuit()
    seen = circuit.admit()
    assert (seen.phase, seen.generation, seen.probe) == ("closed", 0, False)
    assert circuit.state is None
    circuit.report(0, ok=3)
    assert circuit.state is None


def test_it_opens_at_the_threshold() -> None:
    """The third of three consecutive failures opens it: one reply says closed to open, with generation and time."""
    circuit = Circuit()
    assert circuit.fail(2).phase == "closed"
    seen = circuit.fail()
    assert (seen.old, seen.phase, seen.generation, seen.left_ms) == ("closed", "open", 1, 60_000)
    assert (seen.failures, seen.reason) == (3, "3 consecutive failures")


def test_a_success_ends_the_row() -> None:
    """Failures are consecutive only without a success between them."""
    circuit = Circuit()
    circuit.fail(2)
    assert circuit.report(0, ok=1).failures == 0
    assert circuit.fail(2).phase == "closed"


def test_successes_that_come_with_a_failure_do_not_end_its_row() -> None:
    """Summed successes are older than the row that was known when they were posted."""
    circuit = Circuit()
    circuit.fail(2)
    assert circuit.report(0, ok=5, age_ms=40, failed=1).phase == "open"


def test_one_failure_is_no_row() -> None:
    """With a threshold of 1 the reason speaks of one failure."""
    assert Circuit(attrs.evolve(RULES, failure_threshold=1)).fail().reason == "1 failure"


def test_threshold_0_switches_the_rule_off() -> None:
    """Without a threshold, failures in a row open nothing."""
    circuit = Circuit(attrs.evolve(RULES, failure_threshold=0))
    assert circuit.fail(50).phase == "closed"


@pytest.mark.parametrize(("told", "failures"), [(NOTHING, 2), (0, 2), (2, 2), (3, 0), (4, 2)])
def test_a_success_told_with_a_question_ends_the_row(told: int, failures: int) -> None:
    """Who asks may tell of successes of this generation, as a report would; those of another one change nothing."""
    circuit = Circuit()
    circuit.report(circuit.probe().generation, ok=1)
    assert circuit.fail(2).generation == 3
    seen = circuit.admit(told=told)
    assert (seen.old, seen.phase, seen.generation, seen.failures) == ("closed", "closed", 3, failures)
    assert circuit.admit().failures == failures


def test_a_success_told_with_a_question_forgets_an_untouched_circuit() -> None:
    """What is left after the row is nothing, and nothing is kept of it."""
    circuit = Circuit()
    circuit.fail(2)
    assert circuit.admit(told=0).failures == 0
    assert (circuit.state, circuit.ttl_ms) == (None, 0)


@pytest.mark.parametrize("told", [1, 2])
def test_a_success_told_with_a_question_changes_no_other_phase(told: int) -> None:
    """It closes neither an open circuit nor one that has its probe under way, whatever its generation."""
    circuit = Circuit()
    opened = circuit.open()
    assert circuit.admit(told=told).failures == opened.failures
    circuit.now_ms += 60_000
    assert circuit.admit(told=told).probe
    assert circuit.admit(told=told).phase == "half_open"


def test_an_open_circuit_refuses_to_the_millisecond() -> None:
    """One millisecond before its end nobody passes, at its end the first one is the probe."""
    circuit = Circuit()
    circuit.open()
    circuit.now_ms += 59_999
    seen = circuit.admit()
    assert (seen.phase, seen.probe, seen.left_ms, seen.age_ms) == ("open", False, 1, 59_999)
    circuit.now_ms += 1
    seen = circuit.admit()
    assert (seen.old, seen.phase, seen.probe, seen.generation) == ("open", "half_open", True, 2)


def test_one_lease_at_a_time() -> None:
    """Until the lease of the probe ends nobody else passes; then it is replaced, under a generation of its own."""
    circuit = Circuit()
    first = circuit.probe(lease_ms=5_000)
    circuit.now_ms += 4_999
    waiting = circuit.admit()
    assert (waiting.probe, waiting.left_ms, waiting.generation) == (False, 1, first.generation)
    circuit.now_ms += 1
    second = circuit.admit()
    assert (second.old, second.phase, second.probe) == ("half_open", "half_open", True)
    assert second.generation == first.generation + 1
    assert second.age_ms == 5_000, "half open since the first probe"


def test_a_probe_that_succeeds_closes() -> None:
    """Closed again: no failures, no window, a new generation."""
    circuit = Circuit()
    generation = circuit.probe().generation
    seen = circuit.report(generation, ok=1)
    assert (seen.old, seen.phase, seen.failures, seen.reason) == ("half_open", "closed", 0, "probe succeeded")
    assert seen.generation == generation + 1
    assert circuit.fail(2).phase == "closed"


def test_a_probe_that_fails_opens_again() -> None:
    """For the whole open time, from now on."""
    circuit = Circuit()
    generation = circuit.probe().generation
    circuit.now_ms += 700
    seen = circuit.report(generation, failed=1)
    assert (seen.old, seen.phase, seen.left_ms, seen.reason) == ("half_open", "open", 60_000, "probe failed")


def test_a_probe_that_says_nothing_gives_its_lease_back() -> None:
    """Still half open, and the next attempt is the probe at once."""
    circuit = Circuit()
    generation = circuit.probe().generation
    seen = circuit.report(generation)
    assert (seen.old, seen.phase, seen.left_ms) == ("half_open", "half_open", 0)
    assert circuit.admit().probe


def test_a_slow_probe_opens_again_where_slowness_counts() -> None:
    """It would only let everybody queue up; without the rule its success closes."""
    by_slowness = Circuit(attrs.evolve(RULES, slow_call_rate=0.5))
    seen = by_slowness.report(by_slowness.probe().generation, ok=1, slow=1)
    assert (seen.phase, seen.reason) == ("open", "probe was slow")
    without = Circuit()
    assert without.report(without.probe().generation, ok=1, slow=1).phase == "closed"


def test_a_slow_probe_that_says_nothing_says_nothing() -> None:
    """A late 429 gives the lease back, however slow it was."""
    circuit = Circuit(attrs.evolve(RULES, slow_call_rate=0.5))
    assert circuit.report(circuit.probe().generation, slow=1).phase == "half_open"


@pytest.mark.parametrize("fields", [{"ok": 1}, {"failed": 1}, {}], ids=["ok", "failed", "lease"])
def test_late_results_change_nothing(fields: dict[str, int]) -> None:
    """A result of an older generation leaves the state as it is, in every phase."""
    circuit = Circuit()
    circuit.open()
    phases: list[str] = []
    for prepare in (
        lambda: None,
        lambda: setattr(circuit, "now_ms", circuit.now_ms + 60_000) or circuit.admit(),
        lambda: circuit.report(2, ok=1),
        lambda: circuit.fail(2),
    ):
        prepare()
        before = circuit.state
        for generation in range(before[1]):
            seen = circuit.report(generation, **fields)
            assert seen.old == seen.phase
            assert circuit.state == before
        phases.append(seen.phase)
    assert phases == ["open", "half_open", "closed", "closed"]


def test_nothing_counts_while_it_is_open() -> None:
    """An open circuit admits nobody, so that no result under its own generation can be genuine."""
    circuit = Circuit()
    generation = circuit.open().generation
    before = circuit.state
    circuit.report(generation, ok=1)
    circuit.report(generation, failed=1)
    assert circuit.state == before


def test_the_share_of_failures_opens() -> None:
    """From the least number of calls on, and the reason has rate, calls and window."""
    circuit = Circuit(BY_RATE)
    circuit.report(0, ok=1)
    assert circuit.fail(2).phase == "closed", "three calls are too few"
    seen = circuit.fail()
    assert (seen.phase, seen.reason) == ("open", "failure rate 75 % of 4 calls in 10 s")


def test_a_success_may_complete_the_least_number() -> None:
    """Whichever call makes the window large enough, the share is looked at."""
    circuit = Circuit(BY_RATE)
    circuit.fail(3)
    assert circuit.report(0, ok=1).phase == "open"


def test_just_below_the_share_it_stays_closed() -> None:
    """The share is reached, not rounded to."""
    circuit = Circuit(attrs.evolve(BY_RATE, failure_rate=0.1, minimum_calls=10))
    circuit.report(0, ok=10)
    assert circuit.fail().phase == "closed", "1 of 11"
    circuit.report(0, ok=7)
    assert circuit.fail().phase == "open", "2 of 19"
    tenth = Circuit(attrs.evolve(BY_RATE, failure_rate=0.1, minimum_calls=10))
    tenth.report(0, ok=9)
    assert tenth.fail().reason == "failure rate 10 % of 10 calls in 10 s"


def test_the_share_of_slow_calls_opens() -> None:
    """Slow successes and slow failures count alike."""
    circuit = Circuit(BY_SLOWNESS)
    circuit.report(0, ok=2)
    circuit.report(0, ok=1, slow=1)
    assert circuit.report(0, failed=1).phase == "closed"
    seen = circuit.report(0, failed=1, failed_slow=1)
    assert seen.phase == "closed", "2 of 5"
    seen = circuit.report(0, ok=1, slow=1)
    assert (seen.phase, seen.reason) == ("open", "slow call rate 50 % of 6 calls in 10 s")


def test_the_window_slides() -> None:
    """What is older than the window does not count, and is not kept either."""
    circuit = Circuit(BY_RATE)
    circuit.fail(3)
    circuit.now_ms += 10_000
    assert circuit.fail().phase == "closed"
    assert len(circuit.state[6]) == 1


def test_the_window_is_small() -> None:
    """However many calls there are, a state holds ten sums."""
    circuit = Circuit(BY_RATE)
    for _ in range(1_000):
        circuit.report(0, ok=1)
        circuit.now_ms += 37
    assert len(circuit.state[6]) == 10
    assert len(json.dumps(circuit.state)) < 400


def test_summed_successes_count_when_they_were() -> None:
    """Sums say how old they are, and fall out of the window with their own time."""
    circuit = Circuit(BY_RATE)
    circuit.report(0, ok=4, age_ms=9_000)
    assert circuit.step(LOOK, 10_000)[-3:] == [4, 0, 0]
    circuit.now_ms += 1_000
    assert circuit.step(LOOK, 10_000)[-3:] == [0, 0, 0]
    circuit.report(0, ok=4, age_ms=10_000)
    assert circuit.step(LOOK, 10_000)[-3:] == [0, 0, 0]


def test_a_closed_circuit_starts_with_an_empty_window() -> None:
    """What opened it must not open it again after a good probe."""
    circuit = Circuit(BY_RATE)
    circuit.fail(4)
    circuit.now_ms += 1_000
    circuit.state[3] = 0  # the open time is over, the window not
    circuit.report(circuit.admit().generation, ok=1)
    assert circuit.fail(3).phase == "closed"


def test_a_circuit_that_never_opens_counts() -> None:
    """``opens`` off: failures and windows go on, the phase stays."""
    circuit = Circuit(attrs.evolve(RULES, failure_rate=0.5, opens=False))
    seen = circuit.fail(12)
    assert (seen.phase, seen.failures) == ("closed", 12)
    assert circuit.step(LOOK, 10_000)[-3:] == [12, 12, 0]


def test_looking_changes_nothing() -> None:
    """Neither state nor generation, and nobody gets a lease by it."""
    circuit = Circuit()
    circuit.open()
    circuit.now_ms += 60_000
    before = circuit.state
    *fields, calls, failed, slow = circuit.step(LOOK, 10_000)
    assert reply_of(fields) == Reply("open", "open", 1, 0, 60_000, 3, "3 consecutive failures")
    assert (calls, failed, slow) == (0, 0, 0)
    assert circuit.state == before


def test_a_state_outlives_its_open_time() -> None:
    """A store keeps an open circuit for its open time and a day, any other for a day."""
    circuit = Circuit()
    circuit.fail()
    assert circuit.ttl_ms == KEPT_MS
    circuit.fail(2)
    assert circuit.ttl_ms == KEPT_MS + 60_000


def test_keys_begin_with_the_service() -> None:
    """One service's circuits live together, apart by region and group; what has none is empty."""
    assert circuit_key("crm", "eu.crm.example", "orders") == ("crm", "breaker", "eu.crm.example", "orders")
    assert circuit_key("crm", None, "") == ("crm", "breaker", "", "")


@pytest.mark.parametrize(
    ("phase", "fields", "expected"),
    [
        ("closed", {"failed": 1}, "closed"),
        ("closed", {"ok": 9, "failed": 1}, "closed"),
        ("closed", {"ok": 1}, "closed"),
        ("closed", {"failed": 1, "failed_slow": 1}, "closed"),
        ("half_open", {"failed": 1}, "open"),
        ("half_open", {"ok": 1}, "closed"),
        ("half_open", {"ok": 1, "slow": 1}, "open"),
        ("half_open", {}, "half_open"),
    ],
)
def test_a_prediction_is_what_the_store_will_say(phase: Any, fields: dict[str, int], expected: str) -> None:
    """Where the window has no say, a process knows beforehand what becomes of a circuit that it has seen."""
    rules = attrs.evolve(RULES, slow_call_rate=0.5, minimum_calls=1)
    circuit = Circuit(attrs.evolve(rules, minimum_calls=100))
    seen = circuit.fail() if phase == "closed" else circuit.probe()
    told = predicted(seen, Result(seen.generation, **fields), rules)
    assert told.phase == expected
    stored = circuit.report(seen.generation, **fields)
    assert attrs.evolve(told, age_ms=stored.age_ms, left_ms=stored.left_ms) == stored


def test_a_prediction_sees_the_row_become_too_long() -> None:
    """The failure that completes the row opens the circuit in this process before the store has heard of it."""
    circuit = Circuit()
    seen = circuit.fail(2)
    assert predicted(seen, Result(0, failed=1), RULES).phase == "open"
