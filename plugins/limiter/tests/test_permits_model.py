"""Permits with leases against a plain list of who has one: never too many, none lost, none freed for somebody else.

The model knows every call that was let in, when its lease ends and what was booked on the limits. It says what the
machine must answer; what the machine keeps is never looked at. Where a tenant's share or an operation's own limit
decides, it holds only that no call comes before its slot, and that one that is not let in takes nothing.

Times are the store's: whole milliseconds of the real ones, in microseconds. The state goes through JSON and is lost
when its time to live has passed, as in a shared store.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar, Final, TypeAlias

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from nexus_connector.state import Plain
from nexus_connector_limiter._machine import AGAIN, APART_US, GRANTED, POLL_US, REFUSED, Give, Reply, Take, give, take

LONG = bool(os.environ.get("NEXUS_LONG"))
EPOCH_US: Final = 1_790_000_000_000_000
PATIENT: Final = 5_000_000
LEASES: Final = [1, 3_000, 250_500, 1_000_000, 2_000_000, 900_000_000]
LIMITS: Final = {"all": (100_000, 3), "own": (300_000, 1)}
"""Time between two calls in microseconds, and how many may be sent at once: of the service, and of one operation."""
Question: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...]]


@attrs.frozen
class Wish:
    """What one call wants, and whether it will be sent."""

    lease: int = 1_000_000
    cost: int = 0
    patience: int = PATIENT
    own: bool = False
    tenant: str = ""
    sent: bool = True

    @property
    def limits(self) -> list[str]:
        """The limits that it counts in."""
        return ([*LIMITS] if self.own else ["all"]) if self.cost else []

    def ask(self, permits: int, *, queued: bool) -> Question:
        """How a gate would ask for it."""
        paces = [
            (name, int(name == "all"), self.cost * gap, (burst - self.cost) * gap, 1_000_000 + burst * gap)
            for name, (gap, burst) in LIMITS.items()
            if name in self.limits
        ]
        asked = Take(self.patience, 0, self.tenant, permits, self.lease, int(queued), 0, self.cost, paces)
        return take, asked


@attrs.frozen(eq=False)
class Entry:
    """A call that was let in: number of its grant, moment of its send, end of its lease."""

    wish: Wish
    number: int
    slot: int
    until: int

    def give(self) -> Question:
        """How a gate would tell that it is over."""
        return give, Give(self.number, int(self.wish.sent))


wishes = st.builds(
    Wish,
    lease=st.sampled_from(LEASES),
    cost=st.sampled_from([0, 0, 1, 1, 2]),
    patience=st.sampled_from([0, 30_000, 150_000, PATIENT, PATIENT, PATIENT]),
    own=st.sampled_from([False, False, True]),
    tenant=st.sampled_from(["", "=a", "=a", "=b"]),
    sent=st.booleans(),
)


class Permits(RuleBasedStateMachine):
    """Calls that ask, wait, end, end twice, end late or die, at any time, with and without limits beside the permits.

    `racing` makes a store of it that gets, then sets, in one kind of pair: both of the pair read before either writes.
    Nobody waits then and there are no limits: what goes wrong goes wrong with the permits.
    """

    counts: ClassVar[Counter[str]]
    racing: ClassVar[str] = ""

    @initialize(permits=st.sampled_from([1, 2, 3, 4, 9]), fraction=st.integers(0, 999))
    def begin(self, permits: int, fraction: int) -> None:
        self.real_us, self.permits, self.broken = EPOCH_US + fraction, permits, False
        self.waiting: list[tuple[int, Wish]] = []
        self.open: list[Entry] = []
        self.forget()

    def forget(self) -> None:
        self.stored: tuple[Plain, int] = (None, 0)
        self.lost, self.open = self.open, []
        self.gone: list[Entry] = []
        self.booked: list[Entry] = []
        self.newest: Entry | None = None
        self.turns: list[int] = []
        self.paused = 0

    # The store.

    @property
    def now(self) -> int:
        return self.real_us // 1000 * 1000

    def read(self) -> Plain:
        state, until_ms = self.stored
        return state if self.now < until_ms * 1000 else None

    def write(self, state: Plain, question: Question) -> Any:
        step, args = question
        found, ttl_ms, reply = step(state, self.now // 1000, args)
        self.stored = json.loads(json.dumps(found)), self.now // 1000 + ttl_ms
        return reply

    def run(self, question: Question) -> Any:
        return self.write(self.read(), question)

    def run_both(self, kind: str, first: Question, second: Question) -> list[Any]:
        if self.racing != kind:
            return [self.run(first), self.run(second)]
        state = self.read()
        if kind == "give overwrites ask":
            return [self.write(state, first), self.write(state, second)]
        return [self.write(state, second), self.write(state, first)][::-1]

    # The model.

    @property
    def under_way(self) -> list[Entry]:
        return [entry for entry in self.open if entry.until > self.now]

    def hold(self, held: bool, message: str) -> None:
        if not held:
            self.broken = True
            raise AssertionError(message)

    def earliest(self, name: str, cost: int) -> int:
        """Go through all that was booked on a limit, from the first on: each call stands behind the one before."""
        (gap, burst), busy = LIMITS[name], 0
        for entry in self.booked:
            if name in entry.wish.limits:
                busy = max(busy, entry.slot) + entry.wish.cost * gap
        return busy - (burst - cost) * gap

    def judge(self, wish: Wish, reply: Reply, *, queued: bool = False) -> None:
        """Compare an answer with what it must be, and note what it gave."""
        if len(self.under_way) >= self.permits:
            self.full(wish, reply)
        else:
            self.room(wish, reply)
        self.hold(reply.us <= wish.patience or reply.kind == REFUSED, "waits for longer than it can bear")
        if reply.kind == GRANTED:
            entry = Entry(wish, reply.number, self.now + reply.us, self.now + reply.us + wish.lease)
            self.newest = entry
            self.open.append(entry)
            self.booked.append(entry)
            self.counts["let in when it came again"] += queued
        elif reply.kind == AGAIN:
            self.hold(reply.us > 0, "comes again without a pause")
            if len(self.waiting) < 6:  # the others die while they wait
                self.waiting.append((self.now + reply.us, wish))

    def full(self, wish: Wish, reply: Reply) -> None:
        """No permit is free: it comes again, in a turn of its own and soon, or is refused."""
        self.hold(reply.kind != GRANTED, f"more than {self.permits} under way")
        self.hold(reply.reason == "concurrency", "another reason than the permits")
        self.hold((reply.kind == AGAIN) == (reply.us <= wish.patience), "told to come again, or not, against its wait")
        turn, others = self.now + reply.us, [at for at in self.turns if at > self.now]
        self.hold(0 < reply.us <= POLL_US + len(others) * APART_US, "comes again too late")
        if reply.kind == AGAIN:
            self.hold(all(abs(turn - at) >= APART_US for at in others), "comes again together with another")
            self.turns = [*others, turn]
        self.counts["full"] += 1

    def room(self, wish: Wish, reply: Reply) -> None:
        """A permit is free: it has one, unless a limit is against it."""
        slot = max([self.now, self.paused, *(self.earliest(name, wish.cost) for name in wish.limits)])
        self.hold(reply.reason != "concurrency", "a permit is free, and it was not let in")
        self.hold(reply.kind != GRANTED or reply.us >= slot - self.now, "before its slot")
        if not wish.own and (not wish.tenant or slot == self.now):
            late = slot - self.now > wish.patience
            self.hold(reply.kind == (REFUSED if late else GRANTED), "a permit is free, and it was not let in")
            self.hold(reply.us == slot - self.now, "another slot: what was refused has taken something")
        other = "room, but no share" if reply.reason == "share" else "room, but a limit is full"
        self.counts["let in" if reply.kind == GRANTED else other] += 1
        self.counts["let in with a wait"] += reply.kind == GRANTED and reply.us > 0

    def over(self, entry: Entry) -> None:
        """Note that a call is over: its permit is free, and its slot if it was not sent and no later one was given."""
        self.open.remove(entry)
        self.gone.append(entry)
        if entry is self.newest and not entry.wish.sent:
            self.booked.remove(entry)
            self.newest = None

    # What happens.

    def wanted(self, wish: Wish) -> Wish:
        return attrs.evolve(wish, cost=0, patience=0) if self.racing else wish

    def asks(self, wish: Wish, *, queued: bool = False) -> Reply:
        reply = Reply(*self.run(wish.ask(self.permits, queued=queued)))
        self.judge(wish, reply, queued=queued)
        return reply

    @rule(wish=wishes, count=st.sampled_from([1, 1, 2, 5]))
    def ask(self, wish: Wish, count: int) -> None:
        for _ in range(count):
            self.asks(self.wanted(wish))

    @precondition(lambda self: self.waiting)
    @rule(late=st.sampled_from([0, 0, 700, 40_000]))
    def come_again(self, late: int) -> None:
        at, wish = min(self.waiting, key=lambda found: found[0])
        self.waiting.remove((at, wish))
        self.real_us = max(self.real_us, at + late)
        self.asks(wish, queued=True)

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 3))
    def end(self, which: int) -> None:
        self.end_one(self.under_way[which % len(self.under_way)])

    def end_one(self, entry: Entry) -> None:
        self.run(entry.give())
        self.over(entry)

    @precondition(lambda self: self.open)
    @rule(ago=st.sampled_from([0, 0, 1, 2]), lease=st.sampled_from([0, *LEASES]))
    def end_late(self, ago: int, lease: int) -> None:
        entry = self.open[-1 - ago % len(self.open)]
        self.real_us = max(self.real_us, entry.until + 999)
        self.end_one(entry)
        self.in_vain("given late", lease)

    @precondition(lambda self: self.gone)
    @rule(ago=st.integers(0, 3), lease=st.sampled_from([0, *LEASES]))
    def end_twice(self, ago: int, lease: int) -> None:
        self.run(self.gone[-1 - ago % len(self.gone)].give())
        self.in_vain("given twice", lease)

    @precondition(lambda self: self.lost)
    @rule(ago=st.integers(0, 3), lease=st.sampled_from([0, *LEASES]))
    def end_after_a_loss(self, ago: int, lease: int) -> None:
        self.run(self.lost[-1 - ago % len(self.lost)].give())
        self.in_vain("given after a loss", lease)

    def in_vain(self, why: str, lease: int) -> None:
        """Nobody's permit is free now that was not before: so many are let in as there is room for, if any ask."""
        self.counts[why] += 1
        self.counts["given in vain while others had all"] += len(self.under_way) >= self.permits
        while lease and self.asks(self.wanted(Wish(lease))).kind == GRANTED:
            pass

    @rule(wish=wishes)
    def two_ask(self, wish: Wish) -> None:
        wish = self.wanted(wish)
        question = wish.ask(self.permits, queued=False)
        for reply in self.run_both("ask overwrites ask", question, question):
            self.judge(wish, Reply(*reply))

    @precondition(lambda self: self.under_way)
    @rule(wish=wishes, kind=st.sampled_from(["ask overwrites give", "give overwrites ask"]))
    def one_asks_and_one_ends(self, wish: Wish, kind: str) -> None:
        entry, wish = self.under_way[0], self.wanted(wish)
        reply, _ = self.run_both(kind, wish.ask(self.permits, queued=False), entry.give())
        self.judge(wish, Reply(*reply))
        self.over(entry)

    @rule(tenants=st.sampled_from(["aaaaab", "baaaaa", "ababab"]), patience=st.sampled_from([400_000, PATIENT]))
    def tenants_ask_and_end(self, tenants: str, patience: int) -> None:
        for tenant in tenants:
            wish = self.wanted(Wish(cost=1, patience=patience, tenant=f"={tenant}"))
            if self.asks(wish).kind == GRANTED:
                self.end_one(self.open[-1])

    @rule(pause=st.sampled_from([1, 100_000, 2_000_000]))
    def the_vendor_wants_a_pause(self, pause: int) -> None:
        self.run((give, Give(0, pause=pause)))
        self.paused = max(self.paused, self.now + pause)

    @rule(us=st.sampled_from([1, 999, 1_000, 5_000, 20_000, 100_000, 500_000, 1_000_000, 70_000_000]))
    def wait(self, us: int) -> None:
        self.real_us += us

    @precondition(lambda self: self.under_way)
    @rule(late=st.sampled_from([-1, 0, 0, 1_000]))
    def wait_for_the_end_of_a_lease(self, late: int) -> None:
        first = min(entry.until for entry in self.under_way)
        self.real_us = max(self.real_us, first + late)
        self.counts["a lease ran out"] += first <= self.now

    @rule()
    def the_store_loses_everything(self) -> None:
        self.forget()
        self.real_us += 1_000  # within one millisecond the numbers would begin as before

    def teardown(self) -> None:
        """All die. Who waits comes again as told until it is let in; then all permits are there, and not one more."""
        if self.broken:
            return
        last = max((entry.until for entry in self.open), default=self.now)
        self.real_us = max(self.real_us, last - 100_000)
        while self.waiting:
            at, wish = min(self.waiting, key=lambda found: found[0])
            self.waiting.remove((at, wish))
            self.real_us = max(self.real_us, at)
            if self.asks(Wish(), queued=True).kind == GRANTED:
                self.end_one(self.open[-1])
        self.real_us = max(self.real_us, last + 999)
        for _ in range(self.permits):
            self.hold(self.asks(Wish()).kind == GRANTED, "a permit is lost")
        self.hold(self.asks(Wish()).kind == AGAIN, "a permit too many")


def _run(model: type[Permits]) -> None:
    model.counts = Counter()
    run_state_machine_as_test(
        model,
        settings=settings(
            max_examples=5_000 if LONG else 200,
            stateful_step_count=50,
            deadline=None,
            database=None,
            derandomize=not LONG,
            report_multiple_bugs=False,
            phases=[Phase.generate, Phase.shrink] if LONG else [Phase.generate],
        ),
    )


def test_permits_are_never_too_many_and_never_lost() -> None:
    """200 examples of 50 steps: any calls, leases, limits, ends and deaths; every answer is what the model says."""

    class Held(Permits):
        """On a store whose steps are atomic."""

    _run(Held)
    print(f"\n{', '.join(f'{what} {count}' for what, count in sorted(Held.counts.items()))}")
    assert len(Held.counts) == 11
    assert min(Held.counts.values()) > 30


@pytest.mark.parametrize(
    ("race", "found"),
    [
        ("ask overwrites ask", "more than . under way"),
        ("give overwrites ask", "more than . under way"),
        ("ask overwrites give", "a permit is free, and it was not let in"),
    ],
)
def test_the_same_checks_find_a_store_that_gets_and_then_sets(race: str, found: str) -> None:
    """Two read the same state before either writes: what one of them did is lost, and the model sees it."""

    class Racy(Permits):
        racing = race

    with pytest.raises(AssertionError, match=found):
        _run(Racy)
