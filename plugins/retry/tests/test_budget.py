"""The budget: retries never exceed what calls and seconds have paid for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from nexus_connector_retry._budget import KEPT_CALLS, KEPT_SECONDS, Budget


def withdraw_all(budget: Budget, now: float) -> tuple[Budget, int]:
    """Take retries until there are none left, and count them."""
    count = 0
    while True:
        budget, granted = budget.withdraw(now)
        if not granted:
            return budget, count
        count += 1


def test_a_fresh_process_may_retry_its_first_call() -> None:
    """The floor's first second is given in advance: ten retries at once by default, then none."""
    _, count = withdraw_all(Budget.begin(0.1, 10.0, now=100.0).deposit(100.0), 100.0)
    assert count == 10


def test_a_floor_below_one_still_allows_the_first_retry() -> None:
    """However low the floor, the first failing call of a process has its retry."""
    assert Budget.begin(0.0, 0.01, now=0.0).can_withdraw(0.0)


def test_the_advance_is_made_up_for() -> None:
    """What was given in advance is not given again: after t seconds there were floor x t retries, not more."""
    budget, first = withdraw_all(Budget.begin(0.0, 10.0, now=0.0), 0.0)
    budget, early = withdraw_all(budget, 1.0)
    _, later = withdraw_all(budget, 3.0)
    assert (first, early, later) == (10, 0, 20)


def test_ten_calls_pay_for_one_retry() -> None:
    """With a ratio of 0.1 and no floor every tenth call pays for a retry, in spite of binary fractions."""
    budget = Budget.begin(0.1, 0.0, now=0.0)
    granted = []
    for _ in range(20):
        budget = budget.deposit(0.0)
        could = budget.can_withdraw(0.0)
        budget, each = budget.withdraw(0.0)
        assert each == could
        granted.append(each)
    assert [index + 1 for index, each in enumerate(granted) if each] == [10, 20]


def test_without_ratio_and_floor_there_is_no_retry() -> None:
    """A ratio of 0 leaves only the floor; a floor of 0 leaves nothing."""
    budget = Budget.begin(0.0, 0.0, now=0.0).deposit(5.0)
    assert not budget.can_withdraw(1e9)
    assert budget.withdraw(1e9)[1] is False


@pytest.mark.parametrize(
    ("ratio", "floor", "most"), [(0.1, 10.0, 110), (0.0, 2.0, 20), (1.0, 0.0, 100), (0.001, 0.0, 1)]
)
def test_what_nobody_needs_is_kept_only_so_far(ratio: float, floor: float, most: int) -> None:
    """A quiet or healthy time saves up ten seconds of the floor and the deposits of 100 calls, at least one retry."""
    budget = Budget.begin(ratio, floor, now=0.0)
    for _ in range(5000):
        budget = budget.deposit(1e6)
    assert withdraw_all(budget, 1e6)[1] == most


def test_asking_changes_nothing() -> None:
    """Asking whether a retry could be made takes no token."""
    budget = Budget.begin(0.0, 1.0, now=0.0)
    assert [budget.can_withdraw(0.0) for _ in range(3)] == [True] * 3
    assert budget.withdraw(0.0)[1]


def test_an_older_time_does_not_count_seconds_twice() -> None:
    """Threads come with times out of order: a second that was added is not added again."""
    budget, _ = withdraw_all(Budget.begin(0.0, 10.0, now=0.0), 0.0)
    budget, _ = withdraw_all(budget, 5.0)
    for now in (4.0, 5.0, 4.5, 5.0):
        budget, granted = budget.withdraw(now)
        assert not granted
        assert budget.tokens >= 0.0


class BudgetMachine(RuleBasedStateMachine):
    """Any sequence of calls, retries and time."""

    @initialize(
        ratio=st.sampled_from([0.0, 0.001, 0.1, 1 / 3, 1.0]), floor=st.sampled_from([0.0, 0.05, 1.0, 10.0, 1e4])
    )
    def begin(self, ratio: float, floor: float) -> None:
        """Start a process."""
        self.now = 1000.0
        self.deposits = self.withdrawals = 0
        self.budget = Budget.begin(ratio, floor, self.now)

    @rule(seconds=st.floats(0.0, 100.0))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    @rule(count=st.integers(1, 50))
    def calls(self, count: int) -> None:
        """Begin calls."""
        for _ in range(count):
            self.budget = self.budget.deposit(self.now)
        self.deposits += count

    @rule(count=st.integers(1, 50))
    def retries(self, count: int) -> None:
        """Ask for retries."""
        for _ in range(count):
            expected = self.budget.can_withdraw(self.now)
            self.budget, granted = self.budget.withdraw(self.now)
            assert granted == expected
            self.withdrawals += granted

    @invariant()
    def is_paid_for(self) -> None:
        """Retries are at most ratio x calls + floor x seconds, but for the advance of a fresh process; never a debt."""
        budget = self.budget
        earned = budget.floor_per_second * (self.now - 1000.0)
        advance = max(1.0, budget.floor_per_second) if budget.floor_per_second else 0.0
        assert self.withdrawals <= budget.ratio * self.deposits + max(earned, advance) + 1e-6
        assert 0.0 <= budget.tokens <= max(1.0, KEPT_SECONDS * budget.floor_per_second + KEPT_CALLS * budget.ratio)
        assert budget.advance >= 0.0


TestBudget = BudgetMachine.TestCase


@given(times=st.lists(st.floats(0.0, 1e4), min_size=1, max_size=30))
def test_times_in_any_order_never_make_more_than_the_latest_allows(times: list[float]) -> None:
    """Whatever order threads come in, the floor adds no more than the latest of their times."""
    budget, count = Budget.begin(0.0, 10.0, now=0.0), 0
    for now in times:
        budget, each = withdraw_all(budget, now)
        count += each
    assert count <= 10.0 * max(1.0, *times) + 1e-6
