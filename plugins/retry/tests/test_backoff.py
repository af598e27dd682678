"""The backoff formulas, against tables written by hand and for every policy that can be made."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_connector.policy import RetryPolicy
from nexus_connector_retry._backoff import delay_seconds

UNIT = st.floats(0.0, 1.0)
POLICIES = st.builds(
    RetryPolicy,
    base_delay_seconds=st.floats(1e-3, 1e6),
    max_delay_seconds=st.floats(1e-3, 1e6),
    backoff=st.sampled_from(["exponential", "linear", "fibonacci", "constant"]),
    jitter=st.sampled_from(["full", "equal", "decorrelated", "none"]),
)


def delays(policy: RetryPolicy, count: int, random01: float = 0.0) -> list[float]:
    """The first delays of a call, one from the other."""
    previous, found = policy.base_delay_seconds, []
    for number in range(1, count + 1):
        previous = delay_seconds(policy, number, previous, random01)
        found.append(previous)
    return found


def policy(**fields: Any) -> RetryPolicy:
    """A policy of 2 to 30 seconds without jitter."""
    return RetryPolicy(**{"base_delay_seconds": 2.0, "max_delay_seconds": 30.0, "jitter": "none", **fields})


@pytest.mark.parametrize(
    ("backoff", "table"),
    [
        ("exponential", [2, 4, 8, 16, 30, 30, 30]),
        ("linear", [2, 4, 6, 8, 10, 12, 14]),
        ("fibonacci", [2, 2, 4, 6, 10, 16, 26, 30]),
        ("constant", [2, 2, 2, 2]),
    ],
)
def test_growth_follows_the_table(backoff: str, table: list[float]) -> None:
    """Without jitter the delays are exactly those of the formula, cut at the longest delay."""
    assert delays(policy(backoff=backoff), len(table)) == table


@pytest.mark.parametrize(
    ("jitter", "at_zero", "at_half", "at_one"),
    [("full", 0.0, 4.0, 8.0), ("equal", 4.0, 6.0, 8.0), ("none", 8.0, 8.0, 8.0)],
)
def test_jitter_spreads_the_third_delay(jitter: str, at_zero: float, at_half: float, at_one: float) -> None:
    """Full jitter spreads from 0 to the delay (here 8), equal jitter from half of it, none not at all."""
    chosen = policy(jitter=jitter)
    assert [delay_seconds(chosen, 3, 4.0, chance) for chance in (0.0, 0.5, 1.0)] == [at_zero, at_half, at_one]


def test_jitter_is_taken_from_the_delay_already_cut() -> None:
    """A delay past the longest is cut before jitter: chance spreads it below the limit, never piles it up there."""
    assert delay_seconds(policy(jitter="full"), 50, 2.0, 0.5) == 15.0
    assert delay_seconds(policy(jitter="equal"), 50, 2.0, 0.5) == 22.5


def test_decorrelated_jitter_grows_from_the_previous_delay() -> None:
    """Decorrelated jitter lies between the base and three times the previous delay, cut at the longest."""
    chosen = policy(jitter="decorrelated")
    assert delays(chosen, 4, random01=1.0) == [6, 18, 30, 30]
    assert delays(chosen, 4, random01=0.0) == [2, 2, 2, 2]
    assert delay_seconds(chosen, 2, 6.0, 0.5) == 10.0
    # An operation's own policy may be like this, which no option allows: the longest delay decides.
    assert delays(policy(jitter="decorrelated", max_delay_seconds=0.5), 3, random01=1.0) == [0.5, 0.5, 0.5]


@given(policy=POLICIES, number=st.integers(1, 2000), chance=UNIT, share=UNIT)
def test_every_delay_lies_between_zero_and_the_longest(
    policy: RetryPolicy, number: int, chance: float, share: float
) -> None:
    """Whatever the policy, the number of the retry and chance: no delay is negative, too long or overflows."""
    previous = share * policy.max_delay_seconds
    assert 0.0 <= delay_seconds(policy, number, previous, chance) <= policy.max_delay_seconds


@given(policy=POLICIES, number=st.integers(1, 100), chance=UNIT)
def test_jitter_stays_in_its_range(policy: RetryPolicy, number: int, chance: float) -> None:
    """Full jitter never exceeds the delay without jitter, equal jitter never falls below half of it."""
    if policy.jitter == "decorrelated":
        previous = policy.base_delay_seconds
        low, high = policy.base_delay_seconds, 3 * previous
        low, high = min(low, policy.max_delay_seconds), min(high, policy.max_delay_seconds)
        assert low <= delay_seconds(policy, number, previous, chance) <= high * (1 + 1e-12)
        return
    plain = delay_seconds(
        RetryPolicy(
            base_delay_seconds=policy.base_delay_seconds,
            max_delay_seconds=policy.max_delay_seconds,
            backoff=policy.backoff,
            jitter="none",
        ),
        number,
        0.0,
        chance,
    )
    low = {"full": 0.0, "equal": plain / 2, "none": plain}[policy.jitter]
    assert low <= delay_seconds(policy, number, 0.0, chance) <= plain


@pytest.mark.parametrize("backoff", ["exponential", "linear", "fibonacci", "constant"])
@pytest.mark.parametrize("longest", [30.0, 1e308])
def test_a_thousand_retries_do_not_overflow(backoff: str, longest: float) -> None:
    """Growth ends before any power is too large for a float, also where no longest delay cuts it."""
    delay = delay_seconds(policy(backoff=backoff, max_delay_seconds=longest), 5000, 2.0, 0.0)
    assert 0.0 < delay <= longest
