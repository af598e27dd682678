"""The steps one by one: slots, all or nothing, give-backs, pauses, permits, lines of single operations."""

from __future__ import annotations

import ast
from collections.abc import Callable
from copy import deepcopy
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from nexus_connector_limiter._machine import AGAIN, GRANTED, NEAR_US, REFUSED, Give, Reply, Take, give, look
from nexus_connector_limiter._quota import Quota, quotas

Makes = Callable[..., Any]


def test_slots_lie_one_after_the_other(bench: Makes) -> None:
    """Each call gets a slot of its own, which may lie ahead; what would wait too long reserves nothing."""
    desk = bench("10/s", jitter=0.0)
    waits = [desk.granted(max_wait=300_000).us for _ in range(3)]
    assert waits == pytest.approx([0, 111_223, 222_446], abs=3)
    before = desk.state[4]
    refused = desk.take(max_wait=300_000)
    assert (refused.kind, refused.reason, desk.state[4]) == (REFUSED, "10/s", before)
    assert refused.us == pytest.approx(333_669, abs=3)


def test_all_limits_or_none(bench: Makes) -> None:
    """A call that one limit refuses takes nothing from the others."""
    desk = bench("100/s", "1/min", jitter=0.0)
    desk.granted()
    before = desk.state[4]
    assert (desk.take().kind, desk.take().reason) == (REFUSED, "1/min")
    assert desk.state[4] == before


def test_the_burst_is_a_hundredth(bench: Makes) -> None:
    """Of 1,000 tokens ten may be had at once, never more."""
    desk = bench("1000/h")
    assert [desk.granted().us > 0 for _ in range(11)] == [False] * 10 + [True]


def test_the_newest_slot_is_given_back(bench: Makes) -> None:
    """Who was not sent gives its slot to the next one; an older slot is burnt, for handing it on would book twice."""
    desk = bench("10/s")
    desk.granted()
    second, third = desk.granted(), desk.granted()
    desk.give(second.number, sent=0)
    desk.give(third.number, sent=0)
    assert desk.granted().us == third.us
    desk.give(third.number, sent=0)
    assert desk.granted().us > third.us


def test_what_was_sent_is_not_given_back(bench: Makes) -> None:
    """A call that was sent keeps its slot, also as the newest."""
    desk = bench("10/s")
    first = desk.granted()
    desk.give(first.number)
    assert desk.granted().us > 0


def test_grants_of_a_lost_state_are_not_taken_for_new_ones(bench: Makes) -> None:
    """A store that lost everything begins with other numbers: what an old call gives back is nobody else's."""
    desk = bench("10/s", permits=5)
    old = desk.granted()
    desk.state = None
    desk.advance(1)
    desk.granted()
    desk.give(old.number, sent=0)
    assert desk.granted().us > 0
    assert len(desk.state[6]) == 2


def test_a_dear_call_waits_before_and_after(bench: Makes) -> None:
    """A call of many tokens keeps the window that ends with it and the one that begins with it."""
    desk = bench("100/s", jitter=0.0)
    last = [desk.granted().us for _ in range(50)][-1]
    dear, next_one = desk.granted(cost=40), desk.granted()
    assert dear.us - last >= 390_000
    assert next_one.us - dear.us >= 390_000


def test_a_dear_call_after_an_idle_time_passes_at_once(bench: Makes) -> None:
    """Nothing was sent in its window: it has it for itself. A limit is remembered for as long as it matters."""
    desk = bench("100/s")
    for _ in range(20):
        desk.granted()
    desk.advance(0.25)
    assert desk.granted(cost=80).us > 500_000
    desk.advance(5.0)
    assert desk.granted(cost=80).us == 0


def test_a_pause_moves_every_slot(bench: Makes) -> None:
    """While the vendor wants to be left alone nothing is sent; a longer pause counts, a shorter one does not."""
    desk = bench("10/s")
    desk.give(pause=2_000_000)
    desk.give(pause=1_000_000)
    assert (desk.take(max_wait=1_999_000).kind, desk.take(max_wait=1_999_000).reason) == (REFUSED, "pause")
    assert [desk.granted().us, desk.granted().us > 2_000_000] == [2_000_000, True]
    desk.advance(2.0)
    assert desk.take(pause=700_000).us >= 700_000


def test_what_the_vendor_says_is_left_counts(bench: Makes) -> None:
    """Three calls are left, so three pass; then all wait for the vendor's reset. Later answers only lower it."""
    desk = bench("100/s", jitter=0.0)
    desk.give(left=3, reset=900_000)
    desk.give(left=50, reset=800_000)
    waits = [desk.granted().us for _ in range(4)]
    assert max(waits[:3]) < 50_000
    assert waits[3] > 800_000
    desk.advance(1.0)
    desk.give(left=2, reset=60_000_000)
    seen: Any = look(desk.state, desk.now_us // 1000, ())[2]
    assert seen[1:3] == [2, 60_000_000]


def test_what_was_left_is_given_back(bench: Makes) -> None:
    """A call that was not sent is still left."""
    desk = bench("100/s")
    desk.give(left=1, reset=900_000)
    desk.give(desk.granted().number, sent=0)
    assert desk.granted().us < 100_000


def test_permits_have_leases(bench: Makes) -> None:
    """So many at once and no more; one that is given back, or whose holder died, goes to the next that asks."""
    desk = bench(permits=2)
    first = desk.granted(permit=1_000_000)
    desk.granted(permit=3_000_000)
    again = desk.take()
    assert (again.kind, again.reason) == (AGAIN, "concurrency")
    assert desk.take(max_wait=1_000).kind == REFUSED
    desk.give(first.number)
    desk.granted(permit=1_000_000)
    assert desk.take().kind == AGAIN
    desk.advance(1.001)
    desk.granted()
    assert desk.take().kind == AGAIN


def test_those_who_wait_for_a_permit_come_back_one_by_one(bench: Makes) -> None:
    """A thousand who wait do not all ask at the same moment."""
    desk = bench(permits=1)
    desk.granted()
    waits = [desk.take().us for _ in range(100)]
    assert waits[0] == 20_000
    assert all(later - sooner >= 5_000 for sooner, later in pairwise(waits))


def test_a_slow_operation_does_not_hold_up_the_others(bench: Makes) -> None:
    """Its calls come again when its own limit has room; what they will need is not reserved before."""
    desk = bench("100/s", slow=["1/s"])
    desk.granted("slow")
    waiting = [desk.take("slow") for _ in range(3)]
    assert [reply.kind for reply in waiting] == [AGAIN] * 3
    assert waiting[2].us - waiting[0].us == pytest.approx(2_102_000, abs=10)
    assert desk.take("slow", max_wait=3_000_000).kind == REFUSED
    assert desk.granted("fast").us < NEAR_US


def test_the_line_of_an_operation_keeps_its_order(bench: Makes) -> None:
    """Who was told to come again finds its slot; who comes in between stands behind."""
    desk = bench("100/s", slow=["2/s"])
    desk.granted("slow")
    first, second = desk.take("slow"), desk.take("slow")
    desk.now_us += first.us
    assert desk.take("slow").us > second.us - first.us
    assert desk.take("slow", queued=1).kind == GRANTED
    desk.now_us += second.us - first.us
    assert desk.take("slow", queued=1).kind == GRANTED


def test_a_block_is_half_of_what_is_there(bench: Makes) -> None:
    """A process takes several tokens at once while there are many, and one at a time when they become few."""
    desk = bench("600/min", leases=True)
    blocks = [desk.granted(block=100).block for _ in range(6)]
    assert blocks == [12, 6, 3, 1, 1, 1]
    assert desk.granted(block=100).block == 1


def test_the_state_forgets_what_has_passed(bench: Makes) -> None:
    """Limits that are full again, permits that ended and pauses that passed leave nothing behind."""
    desk = bench("10/s", permits=3, slow=["5/s"])
    desk.granted("slow", tenant="=a", permit=2_000_000)
    desk.take("slow", tenant="=b")
    desk.give(pause=100_000, left=3, reset=500_000)
    desk.advance(60)
    desk.give()
    assert desk.state[1:7] == [0, 0, [], [], [], []]


@pytest.mark.parametrize(
    "text", ["", "10", "0/s", "-1/s", "1.5/s", "10/S", "10/0s", "10 / s", "5/week", "1/32day", "٣/s"]
)
def test_a_limit_in_another_form_is_refused(text: str) -> None:
    """The text says which forms there are."""
    with pytest.raises(ValueError, match="must be like 10/s"):
        Quota.of(text)


def test_the_forms_of_limits() -> None:
    """N per second, minute, hour, day, and per several of them; one that stands twice counts once."""
    found = quotas(["10/s", "600/min", "1000/h", "5/day", "50/30s", "10/s"])
    assert [(quota.calls, quota.window_us // 1_000_000) for quota in found] == [
        (10, 1),
        (600, 60),
        (1000, 3600),
        (5, 86_400),
        (50, 30),
    ]


@pytest.mark.parametrize(
    "module", ["_machine", "_state", "_quota", "_rules", "_ledger", "_budgets", "_leases", "_headers"]
)
def test_decisions_are_pure(module: str) -> None:
    """Time and chance come as arguments: nothing that decides imports a clock, a socket or dice."""
    found = import_module(f"nexus_connector_limiter.{module}")
    tree = ast.parse(Path(found.__file__ or "").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    allowed = {"__future__", "collections.abc", "typing", "attrs", "re", "math", "nexus_connector.state"}
    allowed |= {"nexus_connector.adapter", "nexus_connector.headers", "nexus_connector.retry_after", "datetime"}
    assert imported <= allowed | ({"threading"} if module == "_leases" else set())


def test_the_arguments_are_the_fields_in_their_order() -> None:
    """What the gate sends is what the step reads: nobody changes one order without the other."""
    names = "max_wait pause tenant permits permit queued block cost paces"
    assert Take._fields == tuple(names.split())
    assert Give._fields == ("number", "sent", "pause", "left", "reset")
    assert Reply._fields == ("kind", "us", "number", "block", "reason")


def test_what_was_given_back_is_not_given_back_again(bench: Callable[..., Any]) -> None:
    """A call that was not sent returns its token to what the vendor says is left once, however often it is told."""
    desk = bench("100/s")
    desk.give(left=3, reset=60_000_000)
    number = desk.granted().number
    for _ in range(3):
        desk.give(number, sent=0)
    for _ in range(3):
        desk.granted()
        desk.advance(1)
    assert desk.take().reason == "remaining"


def test_a_step_leaves_the_state_before_it_alone(bench: Callable[..., Any]) -> None:
    """A store that loses the new state goes on from the old one: rows that did not change are shared, never changed."""
    dice, desk = Random(1), bench("50/s", "1000/min", permits=9, own=("5/s",))
    for _ in range(600):
        desk.advance(dice.choice([0.0, 0.01, 0.3, 11.0]))
        before, copy = desk.state, deepcopy(desk.state)
        if dice.random() < 0.7:
            tenant, operation = dice.choice(["", "=a", "=b", "=c"]), dice.choice(["own", "GET /x"])
            desk.take(operation, tenant=tenant, queued=dice.randrange(2), max_wait=dice.choice([0, 400_000]))
        elif before is not None:
            told = Give(before[0] - dice.randrange(3), dice.randrange(2), 0, dice.choice([-1, 3]), 1_000_000)
            desk.state, _, _ = give(before, desk.now_us // 1000, told)
        assert before == copy
        if dice.random() < 0.1:
            desk.state = before  # as if it had been lost


def test_the_first_to_be_idle_is_forgotten_first(bench: Callable[..., Any]) -> None:
    """A dear call keeps its tenant for longer than a cheap one that came later."""
    desk = bench("10/s")
    desk.granted(tenant="=dear", cost=9, max_wait=60_000_000)
    desk.granted(tenant="=cheap", max_wait=60_000_000)
    assert [row[0] for row in desk.state[5]] == ["=cheap", "=dear"]
    desk.advance(11)
    desk.take(tenant="=new")
    assert sorted(row[0] for row in desk.state[5]) == ["=dear", "=new"]
