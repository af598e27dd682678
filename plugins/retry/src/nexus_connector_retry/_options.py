"""The options of the retry plugin: ``[plugins.retry]`` for all services, ``[services.NAME.retry]`` for one."""

from __future__ import annotations

import math
from typing import Final, get_args

import attrs
from attrs import validators

from nexus_connector.config.model import above, at_least, option
from nexus_connector.policy import Backoff, Jitter, RetryPolicy

_DEFAULT: Final = RetryPolicy()
_finite = validators.lt(math.inf)


def _covers_base(options: RetryOptions, attribute: attrs.Attribute[float], value: float) -> None:
    if value < options.base_delay_seconds:
        message = f"'{attribute.name}' must be >= base_delay_seconds ({options.base_delay_seconds:g}): {value:g}"
        raise ValueError(message)


@attrs.frozen(kw_only=True)
class RetryOptions:
    """How the failed calls of a service are tried again.

    Attributes:
        max_retries: Attempts after the first, 0 to 100.
        base_delay_seconds: First delay before jitter, above 0.
        max_delay_seconds: Longest delay of our own, at least `base_delay_seconds`; a Retry-After may be longer.
        backoff: How the delay grows: ``exponential``, ``linear``, ``fibonacci`` or ``constant``.
        jitter: How chance spreads it: ``full``, ``equal``, ``decorrelated`` or ``none``.
        budget_ratio: Retries allowed per call, 0 to 1, on top of the floor.
        budget_floor_per_second: Retries allowed per second whatever the traffic, at least 0.

    >>> RetryOptions(max_retries=5).policy.max_retries
    5
    """

    max_retries: int = option(
        _DEFAULT.max_retries,
        "Attempts after the first, 0 to 100.",
        validator=[at_least(0), validators.le(100)],
    )
    base_delay_seconds: float = option(
        _DEFAULT.base_delay_seconds,
        "First delay before jitter.",
        validator=[above(0), _finite],
        unit="s",
    )
    max_delay_seconds: float = option(
        _DEFAULT.max_delay_seconds,
        "Longest delay of our own, at least ``base_delay_seconds``; a vendor's Retry-After may be longer.",
        validator=[_covers_base, _finite],
        unit="s",
    )
    backoff: Backoff = option(
        _DEFAULT.backoff,
        "How the delay grows: ``exponential`` (b, 2b, 4b, 8b), ``linear`` (b, 2b, 3b, 4b), "
        "``fibonacci`` (b, b, 2b, 3b) or ``constant`` (b).",
        validator=validators.in_(get_args(Backoff)),
    )
    jitter: Jitter = option(
        _DEFAULT.jitter,
        "How chance spreads it: ``full`` (0 to delay), ``equal`` (half fixed, half random), ``decorrelated`` "
        "(b to three times the last one; ``backoff`` then has no say) or ``none``.",
        validator=validators.in_(get_args(Jitter)),
    )
    budget_ratio: float = option(
        0.1,
        "Retries allowed per call, 0 to 1, on top of the floor, in this process.",
        validator=[at_least(0), validators.le(1)],
    )
    budget_floor_per_second: float = option(
        10.0,
        "Retries allowed per second whatever the traffic, in this process.",
        validator=[at_least(0), _finite],
        unit="1/s",
    )

    @property
    def policy(self) -> RetryPolicy:
        """The part that an operation's own policy replaces."""
        return RetryPolicy(
            max_retries=self.max_retries,
            base_delay_seconds=self.base_delay_seconds,
            max_delay_seconds=self.max_delay_seconds,
            backoff=self.backoff,
            jitter=self.jitter,
        )
