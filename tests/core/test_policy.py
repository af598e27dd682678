"""Policies: what they allow, and that a wrong number is refused where it is written."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_connector import RetryPolicy


def test_defaults() -> None:
    """Three retries, from half a second to half a minute, exponential, with full jitter (BUS-02, FUN-04, REL-03)."""
    policy = RetryPolicy()
    assert attrs.asdict(policy) == {
        "max_retries": 3,
        "base_delay_seconds": 0.5,
        "max_delay_seconds": 30.0,
        "backoff": "exponential",
        "jitter": "full",
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"max_retries": -1},
        {"max_retries": 101},
        {"base_delay_seconds": 0},
        {"base_delay_seconds": -1.0},
        {"base_delay_seconds": float("nan")},
        {"max_delay_seconds": 0},
        {"max_delay_seconds": float("nan")},
        {"backoff": "quadratic"},
        {"backoff": "Exponential"},
        {"jitter": True},
        {"jitter": "some"},
    ],
    ids=str,
)
def test_out_of_range(fields: dict[str, Any]) -> None:
    """A value out of its range is an error that names its field, at once."""
    with pytest.raises(ValueError, match=next(iter(fields))):
        RetryPolicy(**fields)


@given(st.integers(0, 100), st.floats(0.001, 1e6), st.sampled_from(["exponential", "linear", "fibonacci", "constant"]))
def test_in_range(retries: int, delay: float, backoff: Any) -> None:
    """Every value in range is taken as it is; a policy is a value, frozen, equal by content."""
    policy = RetryPolicy(max_retries=retries, base_delay_seconds=delay, backoff=backoff)
    assert (policy.max_retries, policy.base_delay_seconds, policy.backoff) == (retries, delay, backoff)
    assert policy == attrs.evolve(policy)
    assert hash(policy) == hash(attrs.evolve(policy))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        policy.max_retries = 1  # type: ignore[misc]


def test_keyword_only() -> None:
    """Nobody has to remember the order of five numbers."""
    with pytest.raises(TypeError):
        RetryPolicy(3)  # type: ignore[call-arg]
