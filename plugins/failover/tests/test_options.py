"""The options: defaults, ranges, texts."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest

from nexus_connector.config.reading import read
from nexus_connector.errors import ConfigurationError
from nexus_connector_failover import FailoverOptions


def test_defaults() -> None:
    """Not configured, a region is left after five failures, tried again after a minute, and keys are its own."""
    assert attrs.asdict(FailoverOptions()) == {"failure_threshold": 5, "return_seconds": 60.0, "shared_keys": False}


BAD: list[tuple[str, dict[str, Any]]] = [
    ("failure_threshold", {"failure_threshold": 0}),
    ("failure_threshold", {"failure_threshold": -1}),
    ("return_seconds", {"return_seconds": 0.0}),
    ("return_seconds", {"return_seconds": -1.0}),
    ("return_seconds", {"return_seconds": math.nan}),
]


@pytest.mark.parametrize(("name", "fields"), BAD)
def test_a_bad_value_is_refused_by_name(name: str, fields: dict[str, Any]) -> None:
    """A value out of range is refused when it is given, in code as in a file, and the text names the option."""
    with pytest.raises(ValueError, match=f"'{name}' must be"):
        FailoverOptions(**fields)
    with pytest.raises(ConfigurationError, match=rf"plugins\.failover.*{name}"):
        read(fields, FailoverOptions, "plugins.failover")


@pytest.mark.parametrize(
    "fields", [{"failure_threshold": 2.5}, {"return_seconds": "60"}, {"shared_keys": 1}, {"return_second": 60.0}]
)
def test_a_value_of_another_form_is_refused(fields: dict[str, Any]) -> None:
    """A file's numbers, booleans and names are taken as they stand, or not at all."""
    with pytest.raises(ConfigurationError, match=r"plugins\.failover"):
        read(fields, FailoverOptions, "plugins.failover")


def test_the_limits_themselves_are_allowed() -> None:
    """One failure may be enough, and the rest may be as short as one likes."""
    FailoverOptions(failure_threshold=1, return_seconds=0.001)


def test_every_option_is_documented() -> None:
    """Every option has its text for ``nexus schema``, and the one in seconds its unit."""
    for field in attrs.fields(FailoverOptions):
        assert field.metadata["text"].endswith(".")
        assert (field.metadata["unit"] == "s") == field.name.endswith("_seconds")
