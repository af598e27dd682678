"""The options: defaults, ranges, texts."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest

from nexus_connector.config.reading import read
from nexus_connector.errors import ConfigurationError
from nexus_connector.policy import RetryPolicy
from nexus_connector_retry import RetryOptions


def test_defaults_are_those_of_the_policy() -> None:
    """Not configured, the plugin follows the policy that the core documents: three retries, full jitter."""
    assert RetryOptions().policy == RetryPolicy()
    assert (RetryOptions().max_retries, RetryOptions().jitter) == (3, "full")


def test_the_policy_takes_every_option() -> None:
    """No option of the policy part gets lost on its way into the policy."""
    fields: dict[str, Any] = {
        "max_retries": 7,
        "base_delay_seconds": 1.5,
        "max_delay_seconds": 9.0,
        "backoff": "fibonacci",
        "jitter": "equal",
    }
    assert RetryOptions(**fields).policy == RetryPolicy(**fields)


BAD: list[tuple[str, dict[str, Any]]] = [
    ("max_retries", {"max_retries": -1}),
    ("max_retries", {"max_retries": 101}),
    ("base_delay_seconds", {"base_delay_seconds": 0.0}),
    ("base_delay_seconds", {"base_delay_seconds": math.nan}),
    ("base_delay_seconds", {"base_delay_seconds": math.inf}),
    ("max_delay_seconds", {"max_delay_seconds": 0.4}),
    ("max_delay_seconds", {"max_delay_seconds": math.nan}),
    ("max_delay_seconds", {"max_delay_seconds": math.inf}),
    ("max_delay_seconds", {"base_delay_seconds": 31.0}),
    ("backoff", {"backoff": "quadratic"}),
    ("jitter", {"jitter": "some"}),
    ("budget_ratio", {"budget_ratio": -0.1}),
    ("budget_ratio", {"budget_ratio": 1.1}),
    ("budget_floor_per_second", {"budget_floor_per_second": -1.0}),
    ("budget_floor_per_second", {"budget_floor_per_second": math.inf}),
]


@pytest.mark.parametrize(("name", "fields"), BAD)
def test_a_bad_value_is_refused_by_name(name: str, fields: dict[str, Any]) -> None:
    """A value out of range is refused when it is given, in code as in a file, and the text names the option."""
    with pytest.raises(ValueError, match=f"'{name}' must be"):
        RetryOptions(**fields)
    with pytest.raises(ConfigurationError, match=rf"plugins\.retry.*{name}"):
        read(fields, RetryOptions, "plugins.retry")


def test_the_limits_themselves_are_allowed() -> None:
    """The ends of every range belong to it."""
    RetryOptions(max_retries=0, base_delay_seconds=2, max_delay_seconds=2, budget_ratio=0, budget_floor_per_second=0)
    RetryOptions(max_retries=100, budget_ratio=1)


def test_every_option_is_documented() -> None:
    """Every option has its text for ``nexus schema``, and those in seconds their unit."""
    for field in attrs.fields(RetryOptions):
        assert field.metadata["text"].endswith(".")
        assert (field.metadata["unit"] == "s") == field.name.endswith("delay_seconds")
