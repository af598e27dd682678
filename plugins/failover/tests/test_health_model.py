"""The decision against a model: any sequence of attempts, results, in any order, and time."""

from __future__ import annotations

from itertools import chain

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nexus_connector_failover._health import Choice, Health

REGIONS = st.integers(0, 2)
BEGUN = st.tuples(
    st.lists(REGIONS, unique=True, max_size=2),
    st.sets(REGIONS, max_size=1),
    st.booleans(),
    st.sampled_from([0.5, 30.0, 500.0]),
)
RESULT = st.sampled_from(["ok", "fail", "fail", "nothing", "shut"])
SECONDS = st.one_of(st.sampled_from([0.0, 0.5, 1.0, 10.0, 59.0, 60.0, 120.0]), st.floats(0.0, 200.0))


@attrs.define(eq=False)
class Known:
    """What the model says of a region: a row of failures, or since when it is out, and who tries it until when."""

    row: int = 0
    back_at: float | None = None
    trial: Attempt | None = None
    lease: float = 0.0
    era: object = attrs.field(factory=object)
    """Another one whenever the region is left, tried or back: what began in another era is late."""


@attrs.define(eq=False)
class Attempt:
    """One that has begun and not ended."""

    choice: Choice
    era: object
    trial: bool


class HealthMachine(RuleBasedStateMachine):
    """Attempts begin and end in any order, with any result."""

    @initialize(count=st.integers(2, 3), threshold=st.integers(1, 3), rest=st.sampled_from([1.0, 60.0]))
    def begin(self, count: int, threshold: int, rest: float) -> None:
        """Start a process."""
        self.now, self.threshold, self.rest = 1000.0, threshold, rest
        self.health = Health.begin(count, threshold, rest)
        self.known = [Known() for _ in range(count)]
        self.open: list[Attempt] = []

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    @rule(begun=st.lists(BEGUN, min_size=1, max_size=6))
    def attempts(self, begun: list[tuple[list[int], set[int], bool, float]]) -> None:
        """Begin attempts of calls that failed in some regions and were refused in others."""
        for failed, refused, may_try, lease in begun:
            self.attempt(failed, refused, lease, may_try=may_try)

    def attempt(self, failed: list[int], refused: set[int], lease: float, *, may_try: bool) -> None:
        """Begin one, where the model says."""
        choice = self.health.choose(self.now, failed=failed, refused=refused, may_try=may_try)
        expected = self.expected(failed, refused, 0.0 if may_try else self.rest)
        assert (choice and (choice.index, choice.is_trial)) == expected
        if choice is None:
            assert refused >= set(range(len(self.known)))
            return
        assert choice.index not in refused
        known = self.known[choice.index]
        if choice.is_trial:
            assert known.trial is None or known.lease <= self.now, "two tried it at a time"
            self.health = self.health.trying(choice, self.now + lease)
            known.era, known.lease = object(), self.now + lease
        attempt = Attempt(choice, known.era, choice.is_trial)
        known.trial = attempt if choice.is_trial else known.trial
        self.open.append(attempt)

    def expected(self, failed: list[int], refused: set[int], later: float) -> tuple[int, bool] | None:
        """Where the model would go: round by round, first where the call has not failed, then where it did so first."""
        able = [index for index in range(len(self.known)) if index not in refused]
        rounds = [[index for index in able if index not in failed], *([index] for index in failed if index in able)]
        for index in chain.from_iterable(rounds):
            known = self.known[index]
            if known.back_at is None:
                return index, False
            if known.back_at + later <= self.now and (known.trial is None or known.lease <= self.now):
                return index, True
        for each in filter(None, rounds):
            return min(each, key=lambda index: self.known[index].back_at or 0.0), False
        return None

    @rule(index=REGIONS)
    def stay(self, index: int) -> None:
        """Begin an attempt of a call that cannot leave its region."""
        index %= len(self.known)
        era = self.known[index].era if self.known[index].back_at is None else object()
        self.open.append(Attempt(self.health.stay(index), era, trial=False))

    @precondition(lambda self: self.open)
    @rule(ended=st.lists(st.tuples(st.integers(0, 99), RESULT, SECONDS), min_size=1, max_size=6))
    def ends(self, ended: list[tuple[int, str, float]]) -> None:
        """End some of those under way."""
        for which, result, seconds in ended[: len(self.open)]:
            self.end(which, result, seconds)

    def end(self, which: int, result: str, seconds: float) -> None:
        """End one of those under way."""
        attempt = self.open.pop(which % len(self.open))
        before, choice, known = self.health, attempt.choice, self.known[attempt.choice.index]
        if result == "ok":
            self.health = before.answered(choice)
        elif result == "fail":
            self.health = before.failed(choice, self.now)
        elif result == "shut":
            self.health = before.shut(choice, self.now, seconds)
        else:
            self.health = before.learned_nothing(choice)
        if attempt.era is not known.era:
            assert self.health is before, "what came late changed something"
        elif result == "ok":
            known.row = 0
            if known.back_at is not None:
                self.known[choice.index] = Known()
        elif result == "nothing":
            known.trial = None if attempt.trial else known.trial
        else:
            self.fail(attempt, known, self.rest if result == "fail" else seconds, at_once=result == "shut")

    def fail(self, attempt: Attempt, known: Known, seconds: float, *, at_once: bool) -> None:
        """What a failure, or an open circuit, does to the model."""
        known.row += 1
        if attempt.trial:
            known.trial = None
        if known.back_at is None and known.row < self.threshold and not at_once:
            return
        if known.back_at is None or attempt.trial:
            known.era = object()
        known.back_at = self.now + seconds

    @invariant()
    def is_in_use_as_the_model_says(self) -> None:
        """A region is in use exactly if the model says so, and due when it says so."""
        if hasattr(self, "known"):
            assert [place.left_until for place in self.health.places] == [known.back_at for known in self.known]

    @invariant()
    def the_first_in_use_is_first(self) -> None:
        """A fresh call that may not try anything goes to the first region in use, if there is one: sticky return."""
        if hasattr(self, "known"):
            in_use = [index for index, known in enumerate(self.known) if known.back_at is None]
            choice = self.health.choose(float("-inf"), failed=(), refused=(), may_try=False)
            assert choice is not None
            assert not in_use or choice.index == in_use[0]


TestHealth = HealthMachine.TestCase
TestHealth.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
