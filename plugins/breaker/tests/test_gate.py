"""The gate between calls and store: what it asks, what it knows without asking, and what it posts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from nexus_connector.errors import CircuitOpenError
from nexus_connector.gates import Refusal
from nexus_connector.state import StoreError, encode_key
from nexus_connector.verdict import Outcome, Verdict
from nexus_connector_breaker._gate import BreakerGate
from nexus_connector_breaker._operations import LOOK, circuit_key

Desks = Callable[..., Any]


def test_a_closed_circuit_seen_a_moment_ago_costs_nothing(desk: Desks) -> None:
    """One look at the store for all attempts of 50 ms, and none for their successes."""
    crm = desk()
    for _ in range(100):
        crm.go("ok")
        crm.io.advance(0.0004)
    assert crm.operations() == ["admit"]
    crm.io.advance(0.0101)
    crm.go("ok")
    assert crm.operations() == ["admit"]


def test_without_snapshot_every_attempt_asks_and_tells(desk: Desks) -> None:
    """``snapshot_seconds = 0`` is exact: a success ends the row that another process began meanwhile."""
    crm = desk(processes=2, snapshot_seconds=0, failure_threshold=2)
    crm.go("ok", "ok")
    assert crm.operations() == ["admit", "report"] * 2
    held = crm.admitted(1)
    crm.go("fail")
    crm.end(held, "ok")
    crm.go("fail")
    assert crm.changes == []


def test_a_failure_is_one_write(desk: Desks) -> None:
    """Each failure posts one item; a success posts one only where there is a row to end."""
    crm = desk()
    crm.go("fail", "fail")
    assert crm.operations() == ["admit", "report", "report"]
    crm.go("ok", "ok", "ok")
    assert crm.operations() == ["report"]


def test_what_does_not_count_posts_nothing(desk: Desks) -> None:
    """An ignored attempt, and one that was not sent, leave the row as it is."""
    crm = desk(failure_threshold=3)
    crm.go("fail", "fail", "ignore")
    crm.end(crm.admitted(), "fail", sent=False)
    assert crm.operations() == ["admit", "report", "report"]
    crm.go("fail")
    assert crm.changes == [("closed", "open")]


def test_refusals_of_an_open_circuit_cost_nothing(desk: Desks) -> None:
    """Once a second somebody looks whether it has been closed by hand; all other refusals ask nobody."""
    crm = desk()
    crm.go(*["fail"] * 5)
    crm.operations()
    for _ in range(5_000):
        assert isinstance(crm.refused(), CircuitOpenError)
        crm.io.advance(0.001)
    assert crm.operations() == ["admit"] * 4


def test_refused_at_59_999_and_one_probe_at_60_000(desk: Desks) -> None:
    """To the millisecond of the store's clock; ``retry_after`` is what is left."""
    crm = desk()
    crm.go(*["fail"] * 5)
    crm.operations()
    crm.io.advance(59.999)
    assert crm.refused().retry_after == pytest.approx(0.001)
    assert crm.operations() == ["admit"]
    crm.io.advance(0.001)
    crm.admitted()
    error = crm.refused()
    assert error.retry_after == pytest.approx(31.0)
    assert crm.changes == [("closed", "open"), ("open", "half_open")]


def test_another_process_learns_of_it_from_the_store(desk: Desks) -> None:
    """A process that has seen nothing asks once, and then knows until when."""
    crm = desk(processes=2)
    crm.go(*["fail"] * 5)
    crm.operations()
    crm.io.advance(20)
    for _ in range(10):
        assert crm.refused(1).retry_after == pytest.approx(40.0)
    assert crm.operations() == ["admit"]


def test_a_process_that_saw_it_closed_sends_for_50_ms_at_most(desk: Desks) -> None:
    """That is what ``snapshot_seconds`` costs; what it sends meanwhile changes nothing."""
    crm = desk(processes=2)
    crm.go("ok", process=1)
    crm.go(*["fail"] * 5)
    crm.io.advance(0.049)
    crm.go("ok", process=1)
    crm.io.advance(0.001)
    crm.refused(1)
    assert crm.changes == [("closed", "open")]


def test_one_row_for_all_processes(desk: Desks) -> None:
    """Failures of several processes are one row, and exactly one of them tells that it opened."""
    crm = desk(processes=5)
    for process in range(5):
        crm.go("fail", process=process)
    assert crm.changes == [("closed", "open")]
    crm.io.advance(0.05)
    for process in range(5):
        crm.refused(process)


def test_a_success_of_another_process_ends_the_row(desk: Desks) -> None:
    """It has seen the row when it asked, so that it posts its success."""
    crm = desk(processes=2)
    crm.go(*["fail"] * 4)
    crm.go("ok", process=1)
    crm.go(*["fail"] * 4)
    assert crm.changes == []


def test_late_results_of_an_older_generation_change_nothing(desk: Desks) -> None:
    """Attempts that began before the trip, or under a lease that was lost, end without effect in every later phase."""
    crm = desk()
    early = [crm.admitted() for _ in range(20)]
    crm.go(*["fail"] * 5)
    crm.end(early.pop(), "ok")
    crm.end(early.pop(), "fail")
    crm.io.advance(60)
    lost = crm.admitted(attempt=crm.attempt(seconds=3))
    for health in ("ok", "fail", "ignore"):
        crm.end(early.pop(), health)
    crm.refused()
    crm.io.advance(4)
    probe = crm.admitted()
    crm.end(lost, "fail")
    crm.refused()
    crm.end(probe, "ok")
    crm.operations()
    crm.end(early.pop(), "ok")
    for held in early:
        crm.end(held, "fail")
    crm.end(lost, "fail")
    assert crm.operations() == []
    assert crm.changes == [("closed", "open"), ("open", "half_open"), ("half_open", "closed")]
    crm.go(*["fail"] * 4)
    assert len(crm.events) == 3, "four failures of their own, and none of the late ones"


def test_late_results_are_refused_by_the_store_too(desk: Desks) -> None:
    """A process that has not heard of the trip posts its late results; they change nothing there either."""
    crm = desk(processes=2)
    late = [crm.admitted(1) for _ in range(10)]
    crm.go(*["fail"] * 5)
    for held in late[:5]:
        crm.end(held, "fail")
    crm.io.advance(60)
    probe = crm.admitted()
    for held in late[5:]:
        crm.end(held, "ok")
    crm.end(probe, "ok")
    assert crm.changes == [("closed", "open"), ("open", "half_open"), ("half_open", "closed")]


@pytest.mark.parametrize(
    ("deadline", "attempt_deadline", "max_wait", "lease"),
    [(30.0, None, 0.0, 31.0), (30.0, 10.0, 0.0, 11.0), (30.0, 10.0, 5.0, 16.0), (12.0, 10.0, 5.0, 13.0)],
)
def test_the_lease_is_what_the_attempt_may_still_take(
    desk: Desks, deadline: float, attempt_deadline: float | None, max_wait: float, lease: float
) -> None:
    """Its own deadline, moved by the waits that may come, or the call's, and one second; not a millisecond less."""
    crm = desk()
    crm.go(*["fail"] * 5)
    crm.io.advance(60)
    attempt = crm.attempt(seconds=deadline)
    attempt.max_wait_seconds = max_wait
    if attempt_deadline is not None:
        attempt.call.attempt_deadline = crm.io.now() + attempt_deadline
    crm.admitted(attempt=attempt)
    crm.io.advance(lease - 0.001)
    crm.refused()
    crm.io.advance(0.001)
    crm.admitted()


def test_a_probe_whose_time_is_over_has_one_second(desk: Desks) -> None:
    """A deadline that has passed makes no lease in the past."""
    crm = desk()
    crm.go(*["fail"] * 5)
    crm.io.advance(60)
    crm.admitted(attempt=crm.attempt(seconds=-5.0))
    crm.io.advance(0.999)
    crm.refused()
    crm.io.advance(0.001)
    crm.admitted()


@pytest.mark.parametrize(("health", "sent"), [("ignore", True), ("ignore", False), ("ok", False), ("fail", False)])
def test_a_probe_that_says_nothing_gives_its_lease_back(desk: Desks, health: Any, sent: bool) -> None:
    """Ignored or never sent: half open without any transition, and the next attempt probes at once."""
    crm = desk()
    crm.go(*["fail"] * 5)
    crm.io.advance(60)
    crm.end(crm.admitted(), health, sent=sent)
    crm.go("ok")
    assert crm.changes == [("closed", "open"), ("open", "half_open"), ("half_open", "closed")]


def test_a_lease_is_seen_without_asking_for_a_moment(desk: Desks) -> None:
    """While a probe is under way, refusals ask the store once in 50 ms."""
    crm = desk(processes=2)
    crm.go(*["fail"] * 5)
    crm.io.advance(60)
    crm.admitted()
    crm.operations()
    for _ in range(100):
        crm.refused(1)
        crm.io.advance(0.001)
    assert crm.operations() == ["admit"] * 2


@pytest.mark.parametrize("wait", [0.03, 3.0])
def test_a_second_check_lets_the_probe_pass(desk: Desks, wait: float) -> None:
    """After another gate's wait all gates are asked again: the circuit is half open because of this very attempt."""
    crm = desk()
    crm.go(*["fail"] * 5)
    crm.io.advance(60)
    probe = crm.admitted()
    crm.io.advance(wait)
    assert probe.gate.check(probe.attempt) is None


@pytest.mark.parametrize("later", [3.0, 61.0])
def test_a_second_check_refuses_what_was_admitted_before_the_trip(desk: Desks, later: float) -> None:
    """An attempt that waited while the circuit opened is not sent, also when the open time is over meanwhile."""
    crm = desk()
    waiting = crm.admitted()
    crm.go(*["fail"] * 5)
    crm.io.advance(later)
    refusal = waiting.gate.check(waiting.attempt)
    assert refusal.error.retry_after == pytest.approx(max(0.0, 60.0 - later))


def test_a_second_check_passes_while_it_is_closed(desk: Desks) -> None:
    """A row that is not long enough refuses nobody."""
    crm = desk()
    waiting = crm.admitted()
    crm.go(*["fail"] * 4)
    crm.io.advance(3)
    assert waiting.gate.check(waiting.attempt) is None


def test_successes_are_summed_where_shares_count(desk: Desks) -> None:
    """With a failure rate, 50 ms of successes are one item; a failure takes along what is there."""
    crm = desk(failure_rate=0.5, failure_threshold=0)
    for _ in range(1_000):
        crm.go("ok")
        crm.io.advance(0.001)
    ran = crm.operations()
    assert 18 <= ran.count("report") <= 20
    assert ran.count("admit") <= 20
    crm.go("fail")
    assert crm.operations()[-1] == "report"
    assert window_of(crm) == [1001, 1, 0]


def test_a_success_that_ends_a_row_does_not_wait_to_be_summed_up(desk: Desks) -> None:
    """Also where successes are summed, five failures are consecutive only without one between them."""
    crm = desk(failure_rate=0.9)
    crm.go(*["fail"] * 4, "ok", *["fail"] * 4)
    assert crm.changes == []
    crm.go("fail")
    assert crm.changes == [("closed", "open")]


def window_of(crm: Any) -> list[int]:
    """Calls, failed and slow ones in the store's state."""
    state, _ = crm.store._states["crm", "breaker", "eu.crm.example", ""]
    return [sum(bucket[place] for bucket in state[6]) for place in (1, 2, 3)]


def test_summed_successes_of_long_ago_do_not_thin_out_a_failure(desk: Desks) -> None:
    """What was summed before a quiet hour is counted where it belongs, not beside the failure that posts it."""
    crm = desk(failure_rate=0.5, failure_threshold=0, minimum_calls=1)
    crm.go(*["ok"] * 40)
    crm.io.advance(3600)
    crm.go("fail")
    assert crm.events[-1].reason == "failure rate 100 % of 1 calls in 60 s"


def test_sums_of_an_older_generation_are_dropped(desk: Desks) -> None:
    """Successes from before the trip are nothing to the circuit that has closed again."""
    crm = desk(processes=2, failure_rate=1.0, failure_threshold=1)
    crm.go("ok", "ok", "ok")
    crm.go("fail", process=1)
    crm.io.advance(60)
    crm.go("ok", process=1)
    crm.go("ok")
    crm.io.advance(0.051)
    crm.go("ok")
    assert window_of(crm) == [2, 0, 0]


def test_without_snapshot_successes_are_posted_one_by_one(desk: Desks) -> None:
    """``snapshot_seconds = 0`` sums nothing up."""
    crm = desk(failure_rate=0.5, snapshot_seconds=0)
    crm.go("ok", "ok")
    assert crm.operations() == ["admit", "report"] * 2


def test_a_call_is_slow_from_its_limit_on(desk: Desks) -> None:
    """Slow successes and failures open the circuit by their share; what is faster does not count as slow."""
    crm = desk(slow_call_rate=0.5, slow_call_seconds=2, minimum_calls=4, failure_threshold=0, snapshot_seconds=0)
    for seconds, health in [(1.999, "ok"), (1.0, "ok"), (2.0, "ok")]:
        held = crm.admitted()
        crm.io.advance(seconds)
        crm.end(held, health)
    held = crm.admitted()
    crm.io.advance(9)
    crm.end(held, "fail")
    assert crm.events[-1].reason == "slow call rate 50 % of 4 calls in 60 s"


def test_a_slow_probe_opens_again(desk: Desks) -> None:
    """A vendor that answers, but as slowly as before, is not back."""
    crm = desk(slow_call_rate=0.5, slow_call_seconds=2, failure_threshold=1)
    crm.go("fail")
    crm.io.advance(60)
    probe = crm.admitted()
    crm.io.advance(3)
    crm.end(probe, "ok")
    assert (crm.changes[-1], crm.events[-1].reason) == (("half_open", "open"), "probe was slow")


def test_streams_are_never_slow(desk: Desks) -> None:
    """How long a stream takes is its reader's affair."""
    crm = desk(slow_call_rate=0.5, slow_call_seconds=2, minimum_calls=1, failure_threshold=0, snapshot_seconds=0)
    held = crm.admitted(attempt=crm.attempt(stream=True))
    crm.io.advance(900)
    crm.end(held, "ok")
    assert crm.changes == []


def test_the_wait_of_another_gate_is_not_slowness(desk: Desks) -> None:
    """The time counts from the last look at the gates before the send."""
    crm = desk(slow_call_rate=0.5, slow_call_seconds=2, minimum_calls=1, failure_threshold=0, snapshot_seconds=0)
    held = crm.admitted()
    crm.io.advance(5)
    held.gate.check(held.attempt)
    crm.io.advance(1.9)
    crm.end(held, "ok")
    assert crm.changes == []


def test_a_blocking_store_hears_later_and_this_process_knows_now(desk: Desks) -> None:
    """Between a result and its post the process acts on it: the trip, and the end of a row."""
    crm = desk()
    crm.store.blocking = True
    crm.go(*["fail"] * 5)
    assert crm.operations() == ["admit"]
    crm.refused()
    assert crm.operations() == []
    assert crm.changes == [], "whoever makes the transition tells of it: that is the store's reply"
    crm.post()
    assert crm.changes == [("closed", "open")]
    assert crm.operations() == ["report"] * 5


def test_a_probe_on_a_blocking_store_opens_and_closes_at_once(desk: Desks) -> None:
    """The next attempts of this process follow the probe's result before the store has heard of it."""
    crm = desk()
    crm.store.blocking = True
    crm.go(*["fail"] * 5)
    crm.post()
    crm.io.advance(60)
    crm.go("fail")
    assert crm.refused().retry_after == pytest.approx(60.0)
    crm.post()
    crm.io.advance(60)
    crm.go("ok", "ok", "ok")
    crm.post()
    assert crm.changes[-2:] == [("open", "half_open"), ("half_open", "closed")]
    assert len(crm.changes) == 5


def test_the_store_corrects_a_prediction(desk: Desks) -> None:
    """Another process ended the row: what was taken for a trip is none when the reply is there."""
    crm = desk(processes=2)
    crm.go(*["fail"] * 4)
    crm.go("ok", process=1)
    crm.store.blocking = True
    crm.go("fail")
    crm.refused()
    crm.post()
    crm.admitted()
    assert crm.changes == []


def test_replies_in_any_order_leave_what_is_newer(desk: Desks) -> None:
    """A thread that brings an older reply does not close what has opened since, nor hide a failure."""
    crm = desk()
    gate, slow = crm.gates[0], crm.attempt()
    item = gate.ask(slow)
    old = crm.store.run([item])[0]
    crm.go(*["fail"] * 5)
    gate.judge(slow, old)
    crm.refused()

    other = desk()
    gate, slow = other.gates[0], other.attempt()
    item = gate.ask(slow)
    other.io.advance(0.001)
    other.go("ok")
    late = other.store.run([item])[0]
    late[5] = 1  # a failure that this process has not seen
    gate.judge(slow, late)
    other.operations()
    other.go("ok")
    assert other.operations() == ["report"], "taken for a row: its end is posted"
    gate.judge(slow, old)
    assert gate._views["eu.crm.example", ""].known.seen.failures == 0


def test_a_transition_is_taken_over_whenever_its_reply_comes(desk: Desks) -> None:
    """Another thread has looked at the store since the failure was posted, and before it was counted there."""
    crm = desk(failure_threshold=1, snapshot_seconds=0)
    gate, held = crm.gates[0], crm.admitted()
    items = gate.settle(held.attempt, Verdict(outcome=Outcome.UNKNOWN, health="fail"), sent=True)
    crm.io.advance(0.001)
    crm.go("ok")
    gate.settled(held.attempt, crm.store.run(items))
    crm.operations()
    crm.refused()
    assert crm.operations() == []


def test_a_success_that_took_long_ends_a_row_once(desk: Desks) -> None:
    """Its reply is as young as its post, however long ago its attempt was admitted."""
    crm = desk()
    held = crm.admitted()
    crm.io.advance(1)
    crm.go("fail")
    crm.end(held, "ok")
    crm.operations()
    crm.go("ok")
    assert crm.operations() == []


def test_a_store_that_lost_everything_is_followed(desk: Desks) -> None:
    """After a flush the circuit is closed and young: a process does not insist on what it knew of it."""
    crm = desk(open_seconds=1)
    crm.go(*["fail"] * 5)
    crm.store.close()
    crm.io.advance(1)
    crm.go("ok", "ok")
    crm.go(*["fail"] * 5)
    assert crm.changes == [("closed", "open")] * 2


def test_keys_are_apart_by_region_and_group(desk: Desks) -> None:
    """A circuit for each region and group; operations without group share the service's."""
    crm = desk(groups={"GET /orders": "orders", "POST /orders": "orders"}, failure_threshold=1)
    crm.end(crm.admitted(attempt=crm.attempt(operation="GET /orders")), "fail")
    crm.refused(attempt=crm.attempt(operation="POST /orders"))
    crm.admitted(attempt=crm.attempt(operation="GET /x"))
    crm.admitted(attempt=crm.attempt(operation="GET /orders", region="us.crm.example"))
    crm.admitted(attempt=crm.attempt(operation="GET /orders", region=None))
    keys = sorted(crm.store._states)
    assert keys == [("crm", "breaker", "eu.crm.example", "orders")]
    assert encode_key(keys[0])


def test_the_text_says_service_region_group_reason_and_what_to_do(desk: Desks) -> None:
    """A refusal is an error that a person can act on."""
    crm = desk(groups={"GET /orders": "orders/eu"})
    for _ in range(5):
        crm.end(crm.admitted(attempt=crm.attempt(operation="GET /orders")), "fail")
    crm.io.advance(18.2)
    assert str(crm.refused(attempt=crm.attempt(operation="GET /orders"))) == (
        "The circuit of crm (region eu.crm.example, group orders/eu) is open: 5 consecutive failures. "
        "Nothing was sent. Make the call again in 42 s, or do without crm until then."
    )
    crm.io.advance(41.8)
    crm.admitted(attempt=crm.attempt(operation="GET /orders"))
    assert str(crm.refused(attempt=crm.attempt(operation="GET /orders"))) == (
        "The circuit of crm (region eu.crm.example, group orders/eu) is half open, a probe is under way: "
        "5 consecutive failures. Nothing was sent. Make the call again when the probe has ended, in 31 s at the latest."
    )


def test_rounding_never_says_a_second_too_many(desk: Desks) -> None:
    """Sixty seconds are said as 60, whatever a clock's fractions make of them."""
    crm = desk()
    crm.io.advance(0.1 + 0.2)
    crm.go(*["fail"] * 5)
    error = crm.refused()
    assert "in 60 s" in str(error)
    assert math.isclose(error.retry_after or 0, 60.0)


def test_an_event_says_what_happened(desk: Desks) -> None:
    """Each transition has its place, reason and open time, and the call that made it."""
    crm = desk()
    crm.go(*["fail"] * 5)
    crm.io.advance(60)
    crm.go("fail")
    crm.io.advance(60)
    crm.go("ok")
    assert [(event.reason, event.open_seconds) for event in crm.events] == [
        ("5 consecutive failures", 60.0),
        ("60 s have passed", 0.0),
        ("probe failed", 60.0),
        ("60 s have passed", 0.0),
        ("probe succeeded", 0.0),
    ]
    assert {(event.service, event.region, event.group, event.call_id) for event in crm.events} == {
        ("crm", "eu.crm.example", "", "01J")
    }


def test_a_refusal_costs_no_error(desk: Desks, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open circuit says no without a text; the error is made when somebody looks at it, of what was so then."""
    crm = desk()
    crm.go(*["fail"] * 5)
    attempt = crm.attempt()
    refusal = crm.gates[0].check(attempt)
    crm.io.advance(0.5)
    assert refusal.error.retry_after == 60.0
    made: list[object] = []
    monkeypatch.setattr(f"{BreakerGate.__module__}.refused", lambda *seen: made.append(seen))
    assert isinstance(crm.gates[0].check(attempt), Refusal)
    assert made == []


def test_a_success_that_waits_speaks_for_those_that_come(desk: Desks) -> None:
    """Without a snapshot each success must be told; one that is posted tells of all that come before it is sent."""
    crm = desk(snapshot_seconds=0)
    crm.store.blocking = True
    crm.go("ok", "ok", "ok")
    assert len(crm.late) == 1
    crm.post()
    assert crm.operations() == ["admit"] * 3 + ["report"]
    crm.go("ok")
    crm.post()
    assert crm.operations() == ["admit", "report"]


def test_a_success_after_a_failure_speaks_for_itself(desk: Desks) -> None:
    """One that waits before a failure would end the row before it begins: the one behind it is told, too."""
    crm = desk(snapshot_seconds=0, failure_threshold=2)
    crm.store.blocking = True
    held = crm.admitted(), crm.admitted(), crm.admitted()
    for each, health in zip(held, ("ok", "fail", "ok"), strict=True):
        crm.end(each, health)
    crm.post()
    crm.go("fail")
    crm.post()
    assert crm.changes == []
    assert crm.operations().count("report") == 4


def test_the_next_question_takes_a_success_along(desk: Desks) -> None:
    """It reaches the store before its post does, which then has nothing to tell: the row of others ends at once."""
    crm = desk(processes=2, snapshot_seconds=0, failure_threshold=2)
    crm.store.blocking = True
    held = crm.admitted()
    crm.go("fail", process=1)
    crm.post()
    crm.end(held, "ok")
    crm.operations()
    crm.admitted()
    assert crm.operations() == ["admit"]
    assert failures_of(crm) == 0
    crm.post()
    assert crm.operations() == []


def failures_of(crm: Any) -> object:
    """What the store has in a row, looked at behind everybody's back."""
    [looked] = crm.store.run([(LOOK, circuit_key("crm", "eu.crm.example", ""), (1,))])
    crm.store.ran.pop()
    return looked[5]


def test_a_success_is_taken_along_once(desk: Desks) -> None:
    """A later question has nothing to tell: a failure that came in between stays in its row."""
    crm = desk(processes=2, snapshot_seconds=0)
    crm.store.blocking = True
    crm.go("ok")
    crm.admitted()
    crm.go("fail", process=1)
    crm.late.pop()()
    crm.admitted()
    assert failures_of(crm) == 1


def test_what_a_post_tells_is_known_when_it_is_made(desk: Desks) -> None:
    """Until then it counts as something to post, also if a question was quicker: others may leave more for it."""
    crm = desk(snapshot_seconds=0)
    crm.store.blocking = True
    held = crm.admitted()
    items = held.gate.settle(held.attempt, Verdict(outcome=Outcome.DONE, health="ok"), sent=True)
    crm.admitted()
    assert len(items) == 1
    assert (list(items), len(items)) == ([], 0)


def test_a_post_that_was_made_leaves_the_next_one_alone(desk: Desks) -> None:
    """Before the failure and behind it a success waits; when the first is told, the second still takes more."""
    crm = desk(snapshot_seconds=0, failure_threshold=2)
    crm.store.blocking = True
    crm.go("ok", "fail", "ok")
    crm.late.pop(0)()
    crm.go("ok")
    assert len(crm.late) == 2


def test_no_success_overtakes_a_failure(desk: Desks) -> None:
    """While a failure is on its way no question takes a success along that came after it; then one may."""
    crm = desk(snapshot_seconds=0, failure_threshold=3)
    crm.store.blocking = True
    crm.go("fail", "ok", "fail", "ok", "fail", "ok")
    crm.post()
    assert crm.changes == []
    assert crm.operations() == ["admit"] * 6 + ["report"] * 6
    crm.go("ok")
    crm.admitted()
    crm.post()
    assert crm.operations() == ["admit"] * 2


def test_a_failure_that_is_lost_holds_up_no_success(desk: Desks) -> None:
    """Once it is known that the store does not hear of it, later successes are told with questions again."""
    crm = desk(snapshot_seconds=0)
    crm.store.blocking = True
    crm.go("fail")
    crm.store.gone = StoreError("no answer")
    crm.post()
    crm.store.gone = None
    crm.go("ok")
    crm.post()
    crm.operations()
    crm.go("ok")
    crm.admitted()
    crm.post()
    assert crm.operations() == ["admit"] * 2


def test_a_success_left_late_is_told_by_the_post(desk: Desks) -> None:
    """What a question took along is told; what is left for the same post afterwards is not, and so is posted."""
    crm = desk(snapshot_seconds=0)
    crm.store.blocking = True
    crm.go("ok")
    held = crm.admitted()
    crm.end(held, "ok")
    assert len(crm.late) == 1
    crm.operations()
    crm.post()
    assert crm.operations() == ["report"]


def test_a_success_that_may_have_been_sent_speaks_for_no_other(desk: Desks) -> None:
    """From when the store has begun to read it the next success is told by itself, also if nothing was heard yet."""
    crm = desk(snapshot_seconds=0)
    crm.store.blocking = True
    held = crm.admitted(), crm.admitted(), crm.admitted()
    verdict = Verdict(outcome=Outcome.DONE, health="ok")
    first, second, third = (each.gate.settle(each.attempt, verdict, sent=True) for each in held)
    assert (len(first), len(second), len(third)) == (1, 0, 0)
    assert len(list(first)) == len(first[:]) == 1
    again = crm.admitted()
    assert len(crm.gates[0].settle(again.attempt, verdict, sent=True)) == 1


def test_a_success_of_another_generation_speaks_for_itself(desk: Desks) -> None:
    """What waits was admitted to a circuit that has moved on since."""
    crm = desk(processes=2, snapshot_seconds=0, failure_threshold=1)
    crm.store.blocking = True
    crm.go("ok")
    waiting = crm.late.copy()
    crm.late.clear()
    crm.go("fail", process=1)
    crm.post()
    crm.io.advance(60)
    crm.go("ok", process=1)
    crm.post()
    crm.go("ok")
    assert len(crm.late) == 1
    crm.late[:0] = waiting
    crm.post()
    assert crm.changes[-1] == ("half_open", "closed")


def test_a_waiting_success_does_not_speak_for_the_own_circuit(desk: Desks) -> None:
    """The store is gone: a success of this process's own circuit ends its row, whatever waits for the shared one."""
    crm = desk(snapshot_seconds=0, failure_threshold=2)
    crm.store.blocking = True
    crm.go("ok")
    crm.store.gone = StoreError("no answer")
    crm.go("fail", "ok", "fail")
    assert crm.changes == []


@pytest.mark.parametrize("snapshot_seconds", [0.0, 0.05])
def test_a_success_that_waits_ends_the_row_here(desk: Desks, snapshot_seconds: float) -> None:
    """Four failures, a success, a failure, none of them posted yet: this process knows that it is one in a row."""
    crm = desk(snapshot_seconds=snapshot_seconds)
    crm.store.blocking = True
    crm.go("fail", "fail", "fail", "fail", "ok", "fail")
    crm.io.advance(0.001)
    crm.admitted()
    crm.post()
    assert crm.changes == []
