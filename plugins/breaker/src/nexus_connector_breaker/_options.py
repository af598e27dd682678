"""The options of the breaker plugin: ``[plugins.breaker]`` for all services, ``[services.NAME.breaker]`` for one."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import attrs
from attrs import validators

from nexus_connector.config.model import above, at_least, option

from ._machine import Rules

Mode: TypeAlias = Literal["normal", "force_open", "force_closed", "disabled", "shadow"]
"""What the breaker of a service does; see `BreakerOptions`."""

_share = validators.optional([above(0), validators.le(1)])


def _has_a_rule(options: BreakerOptions, attribute: attrs.Attribute[int], value: int) -> None:
    if value == 0 and options.failure_rate is None and options.slow_call_rate is None:
        message = f"'{attribute.name}' must be >= 1 without failure_rate and slow_call_rate, or nothing opens: {value}"
        raise ValueError(message)


def _goes_with(other: str) -> Any:
    """Refuse one of two options that mean nothing without each other."""

    def check(options: BreakerOptions, attribute: attrs.Attribute[float | None], value: float | None) -> None:
        if value is None and getattr(options, other) is not None:
            message = f"'{attribute.name}' must be given with {other}: {value}"
            raise ValueError(message)

    return check


@attrs.frozen(kw_only=True)
class BreakerOptions:
    """When the circuit of a service opens, and when it is tried again.

    What counts is the verdict's health: a failure is a 5xx, a timeout, or a connection that failed or broke; every
    other answer is a success but 408, 425 and 429, which do not count, as what this side stopped does not.

    Attributes:
        failure_threshold: Consecutive failures that open the circuit; 0 switches this rule off.
        failure_rate: Share of failed calls in the window that opens it, above 0 to 1; ``None``: no such rule.
        slow_call_rate: Share of slow calls in the window that opens it, above 0 to 1; ``None``: no such rule.
        slow_call_seconds: From when on a call is slow; given with `slow_call_rate`.
        window_seconds: Length of the sliding window of both shares, 1 to 3600.
        minimum_calls: Calls in the window from which on the shares count, at least 1.
        open_seconds: How long an open circuit refuses before one probe may pass, 0.1 to 86400.
        snapshot_seconds: How long a process relies on what it last saw of a circuit, 0 to 1; 0 asks before every
            attempt and tells every result.
        mode: ``normal``; ``force_open`` refuses every call and leaves the circuit as it is; ``force_closed`` admits
            every call and counts, and never opens; ``disabled`` takes part in nothing, not even counting;
            ``shadow`` opens, probes, closes and tells of it, and refuses nothing.

    >>> BreakerOptions(failure_threshold=3).open_seconds
    60.0
    """

    failure_threshold: int = option(
        5,
        "Consecutive failures that open the circuit; 0 switches this rule off.",
        validator=[at_least(0), _has_a_rule],
    )
    failure_rate: float | None = option(
        None, "Share of failed calls in the window that opens the circuit, above 0 to 1.", validator=_share
    )
    slow_call_rate: float | None = option(
        None,
        "Share of slow calls in the window that opens the circuit, above 0 to 1; needs ``slow_call_seconds``.",
        validator=[_share, _goes_with("slow_call_seconds")],
    )
    slow_call_seconds: float | None = option(
        None,
        "From when on a call is slow; streams never are.",
        validator=[validators.optional([above(0), validators.le(86_400)]), _goes_with("slow_call_rate")],
        unit="s",
    )
    window_seconds: float = option(
        60.0,
        "Length of the sliding window of both shares.",
        validator=[at_least(1), validators.le(3600)],
        unit="s",
    )
    minimum_calls: int = option(
        20, "Calls in the window from which on the shares count.", validator=[at_least(1), validators.le(1_000_000)]
    )
    open_seconds: float = option(
        60.0,
        "How long an open circuit refuses before one probe may pass.",
        validator=[at_least(0.1), validators.le(86_400)],
        unit="s",
    )
    snapshot_seconds: float = option(
        0.05,
        "How long a process relies on what it last saw of a circuit; 0 asks the store before every attempt and tells "
        "it every result.",
        validator=[at_least(0), validators.le(1)],
        unit="s",
    )
    mode: Mode = option(
        "normal",
        "``normal``; ``force_open`` refuses every call and leaves the circuit as it is; ``force_closed`` admits every "
        "call and counts, and never opens; ``disabled`` takes part in nothing, not even counting; ``shadow`` opens, "
        "probes, closes and tells of it, and refuses nothing.",
        validator=validators.in_(get_args(Mode)),
    )

    @property
    def rules(self) -> Rules:
        """The same for the machine, as plain numbers."""
        return Rules(
            failure_threshold=self.failure_threshold,
            failure_rate=self.failure_rate or 0.0,
            slow_call_rate=self.slow_call_rate or 0.0,
            minimum_calls=self.minimum_calls,
            window_ms=round(self.window_seconds * 1000),
            open_ms=round(self.open_seconds * 1000),
            opens=self.mode != "force_closed",
        )
