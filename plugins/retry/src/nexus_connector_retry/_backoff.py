"""Backoff: how long to wait before a retry, as one pure function of the policy and one random number."""

from __future__ import annotations

from typing import Final

from nexus_connector.policy import RetryPolicy

_LAST_STEP: Final = 1000
"""Growth ends here, so that no power overflows; a policy allows 100 retries."""


def delay_seconds(policy: RetryPolicy, retry_number: int, previous: float, random01: float) -> float:
    """Return the seconds to wait before a retry: at least 0, at most the policy's `max_delay_seconds`.

    Full, equal and decorrelated jitter are those of M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).

    Args:
        policy: How the delay grows and is spread.
        retry_number: Which retry it is, from 1.
        previous: What this function returned for the retry before, the policy's base before the first; only
            decorrelated jitter looks at it.
        random01: A random number, 0 to 1.

    >>> delay_seconds(RetryPolicy(jitter="none"), 3, 0.5, 0.0)
    2.0
    """
    base, longest = policy.base_delay_seconds, policy.max_delay_seconds
    if policy.jitter == "decorrelated":
        return min(longest, base + random01 * (3.0 * previous - base))
    delay = min(longest, base * _growth(policy, min(retry_number, _LAST_STEP)))
    if policy.jitter == "full":
        return delay * random01
    if policy.jitter == "equal":
        return delay / 2.0 + delay / 2.0 * random01
    return delay


def _growth(policy: RetryPolicy, step: int) -> float:
    """Return how many times its base the delay is."""
    if policy.backoff == "exponential":
        return 2.0 ** (step - 1)
    if policy.backoff == "linear":
        return float(step)
    if policy.backoff == "fibonacci":
        return _fibonacci(step)
    return 1.0


def _fibonacci(step: int) -> float:
    current, following = 1.0, 1.0
    for _ in range(step - 1):
        current, following = following, current + following
    return current
