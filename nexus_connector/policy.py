"""Policies that travel with an operation or endpoint: how often and how patiently to try."""

from __future__ import annotations

from typing import Literal

import attrs
from attrs import validators

Backoff = Literal["exponential", "linear", "fibonacci", "constant"]
Jitter = Literal["full", "equal", "decorrelated", "none"]


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """How a failed call is tried again. The retry plugin follows it; without that plugin there is one attempt.

    Attributes:
        max_retries: Attempts after the first, 0 to 100.
        base_delay_seconds: First delay before jitter, above 0.
        max_delay_seconds: Longest delay before jitter; a vendor's Retry-After may be longer.
        backoff: How the delay grows: ``exponential`` (b, 2b, 4b, 8b), ``linear`` (b, 2b, 3b, 4b),
            ``fibonacci`` (b, b, 2b, 3b) or ``constant`` (b).
        jitter: ``full`` (0 to delay), ``equal`` (half fixed, half random), ``decorrelated`` (b to three times the last
            one) or ``none``.

    >>> RetryPolicy(max_retries=5).base_delay_seconds
    0.5
    """

    max_retries: int = attrs.field(default=3, validator=[validators.ge(0), validators.le(100)])
    base_delay_seconds: float = attrs.field(default=0.5, validator=validators.gt(0))
    max_delay_seconds: float = attrs.field(default=30.0, validator=validators.gt(0))
    backoff: Backoff = attrs.field(
        default="exponential", validator=validators.in_(("exponential", "linear", "fibonacci", "constant"))
    )
    jitter: Jitter = attrs.field(default="full", validator=validators.in_(("full", "equal", "decorrelated", "none")))
