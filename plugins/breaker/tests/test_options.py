"""The options: defaults, ranges, contradictions, texts."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest

from nexus_connector.config.reading import read
from nexus_connector.errors import ConfigurationError
from nexus_connector_breaker import BreakerOptions
from nexus_connector_breaker._machine import Rules


def test_the_defaults_are_the_documented_ones() -> None:
    """Five consecutive failures, a minute, no shares."""
    options = BreakerOptions()
    assert (options.failure_threshold, options.open_seconds, options.mode) == (5, 60.0, "normal")
    assert (options.failure_rate, options.slow_call_rate, options.slow_call_seconds) == (None, None, None)
    assert (options.window_seconds, options.minimum_calls, options.snapshot_seconds) == (60.0, 20, 0.05)


def test_the_rules_take_every_option() -> None:
    """No option that decides gets lost on its way to the machine; seconds become milliseconds."""
    options = BreakerOptions(
        failure_threshold=7,
        failure_rate=0.25,
        slow_call_rate=0.75,
        slow_call_seconds=2.5,
        window_seconds=30.5,
        minimum_calls=9,
        open_seconds=1.25,
    )
    expected = Rules(
        failure_threshold=7,
        failure_rate=0.25,
        slow_call_rate=0.75,
        minimum_calls=9,
        window_ms=30_500,
        open_ms=1_250,
        opens=True,
    )
    assert options.rules == expected
    assert BreakerOptions().rules.failure_rate == 0.0
    assert not BreakerOptions(mode="force_closed").rules.opens


BAD: list[tuple[str, dict[str, Any]]] = [
    ("failure_threshold", {"failure_threshold": -1}),
    ("failure_threshold", {"failure_threshold": 0}),
    ("failure_rate", {"failure_rate": 0.0}),
    ("failure_rate", {"failure_rate": 1.01}),
    ("failure_rate", {"failure_rate": math.nan}),
    ("slow_call_rate", {"slow_call_rate": 0.0, "slow_call_seconds": 1.0}),
    ("slow_call_rate", {"slow_call_rate": 1.01, "slow_call_seconds": 1.0}),
    ("slow_call_rate", {"slow_call_seconds": 1.0}),
    ("slow_call_seconds", {"slow_call_rate": 0.5}),
    ("slow_call_seconds", {"slow_call_rate": 0.5, "slow_call_seconds": 0.0}),
    ("slow_call_seconds", {"slow_call_rate": 0.5, "slow_call_seconds": math.inf}),
    ("window_seconds", {"window_seconds": 0.9}),
    ("window_seconds", {"window_seconds": 3601.0}),
    ("minimum_calls", {"minimum_calls": 0}),
    ("minimum_calls", {"minimum_calls": 1_000_001}),
    ("open_seconds", {"open_seconds": 0.09}),
    ("open_seconds", {"open_seconds": 86_401.0}),
    ("open_seconds", {"open_seconds": math.nan}),
    ("snapshot_seconds", {"snapshot_seconds": -0.01}),
    ("snapshot_seconds", {"snapshot_seconds": 1.01}),
    ("mode", {"mode": "off"}),
]


@pytest.mark.parametrize(("name", "fields"), BAD)
def test_a_bad_value_is_refused_by_name(name: str, fields: dict[str, Any]) -> None:
    """A value out of range, or without what it goes with, is refused in code as in a file; the text names it."""
    with pytest.raises(ValueError, match=f"'{name}' must be"):
        BreakerOptions(**fields)
    with pytest.raises(ConfigurationError, match=rf"plugins\.breaker.*{name}"):
        read(fields, BreakerOptions, "plugins.breaker")


def test_the_refusal_of_a_contradiction_says_what_is_missing() -> None:
    """A breaker that nothing could open, and half a rule, are told with the option that would make them whole."""
    with pytest.raises(ConfigurationError, match="without failure_rate and slow_call_rate, or nothing opens"):
        read({"failure_threshold": 0}, BreakerOptions, "plugins.breaker")
    with pytest.raises(ConfigurationError, match=r"breaker\.slow_call_seconds: must be given with slow_call_rate\."):
        read({"slow_call_rate": 0.5}, BreakerOptions, "plugins.breaker")


def test_the_limits_themselves_are_allowed() -> None:
    """The ends of every range belong to it."""
    BreakerOptions(failure_threshold=0, failure_rate=1, window_seconds=1, minimum_calls=1, open_seconds=0.1)
    BreakerOptions(failure_threshold=0, slow_call_rate=1, slow_call_seconds=86_400, window_seconds=3600)
    BreakerOptions(snapshot_seconds=0, open_seconds=86_400, minimum_calls=1_000_000)
    BreakerOptions(snapshot_seconds=1)


def test_every_option_is_documented() -> None:
    """Every option has its text for ``nexus schema``, and those in seconds their unit."""
    for field in attrs.fields(BreakerOptions):
        assert field.metadata["text"].endswith(".")
        assert (field.metadata["unit"] == "s") == field.name.endswith("_seconds")
