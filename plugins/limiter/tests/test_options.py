"""The options: defaults, ranges, forms, texts."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest

from nexus_connector.config.reading import read
from nexus_connector.errors import ConfigurationError
from nexus_connector_limiter import LimiterOptions, ResetHeaders, plugin


def test_the_defaults_are_the_documented_ones() -> None:
    """No limit of its own, 50 ms of jitter, fair shares, a quarter without the store."""
    options = LimiterOptions()
    assert (options.limits, options.endpoints, options.budgets, options.max_concurrency) == ((), {}, (), None)
    assert (options.jitter_seconds, options.max_wait_seconds, options.fairness) == (0.05, None, True)
    assert (options.share, options.when_store_down, options.lease) == (0.25, "share", "auto")


BAD: list[tuple[str, dict[str, Any]]] = [
    ("limits", {"limits": ("10",)}),
    ("limits", {"limits": ("10/s", "5/week")}),
    ("endpoints", {"endpoints": {"GET /x": ("5",)}}),
    ("budgets", {"budgets": ("5/s",)}),
    ("jitter_seconds", {"jitter_seconds": -0.1}),
    ("jitter_seconds", {"jitter_seconds": 10.1}),
    ("jitter_seconds", {"jitter_seconds": math.nan}),
    ("max_wait_seconds", {"max_wait_seconds": -1.0}),
    ("max_wait_seconds", {"max_wait_seconds": 3601.0}),
    ("share", {"share": 0.0}),
    ("share", {"share": 1.1}),
    ("when_store_down", {"when_store_down": "ignore"}),
    ("lease", {"lease": "on"}),
    ("max_concurrency", {"max_concurrency": 0}),
    ("max_concurrency", {"max_concurrency": 10_001}),
]


@pytest.mark.parametrize(("name", "fields"), BAD)
def test_a_bad_value_is_refused_by_name(name: str, fields: dict[str, Any]) -> None:
    """A value out of range or of another form is refused in code as in a file; the text names it."""
    with pytest.raises(ValueError, match=f"'{name}' must be"):
        LimiterOptions(**fields)
    with pytest.raises(ConfigurationError, match=rf"plugins\.limiter.*{name}"):
        read(fields, LimiterOptions, "plugins.limiter")


def test_the_refusal_of_a_limit_shows_the_forms() -> None:
    """What was written, and how it should be."""
    with pytest.raises(ConfigurationError, match=r"must be like 10/s, 600/min, 1000/h, 10000/day or 50/30s"):
        read({"limits": ["10 per second"]}, LimiterOptions, "plugins.limiter")
    with pytest.raises(ConfigurationError, match=r"reset_headers.*form"):
        read({"reset_headers": {"form": "date"}}, LimiterOptions, "plugins.limiter")


def test_a_whole_table_is_read() -> None:
    """Everything that a file can say, as the README shows it."""
    table = {
        "limits": ["10/s", "1000/h"],
        "endpoints": {"POST /orders": ["5/s"]},
        "max_concurrency": 20,
        "budgets": ["5000/day"],
        "reset_headers": {"remaining": "X-Left", "form": "epoch"},
    }
    options = read(table, LimiterOptions, "services.crm.limiter")
    assert (options.limits, options.endpoints) == (("10/s", "1000/h"), {"POST /orders": ("5/s",)})
    assert options.reset_headers == ResetHeaders(remaining="X-Left", form="epoch")
    assert (options.max_concurrency, options.budgets) == (20, ("5000/day",))


@pytest.mark.parametrize(
    ("fields", "waits"),
    [
        ({}, True),
        ({"endpoints": {"GET /x": ()}}, True),
        ({"jitter_seconds": 0.0}, True),
        ({"limits": ("1/s",)}, False),
        ({"endpoints": {"GET /x": ("1/s",)}}, False),
        ({"max_concurrency": 1}, False),
        ({"budgets": ("1/day",)}, False),
    ],
)
def test_without_anything_to_limit_it_waits(fields: dict[str, Any], waits: bool) -> None:
    """``nexus plugins`` says what it waits for."""
    assert plugin.waiting is not None
    assert plugin.waiting(LimiterOptions(**fields)) == ("limits" if waits else None)


def test_every_option_is_documented() -> None:
    """Every option has its text for ``nexus schema``, and those in seconds their unit."""
    for kind in (LimiterOptions, ResetHeaders):
        for field in attrs.fields(kind):
            assert field.metadata["text"].endswith(".")
            assert (field.metadata["unit"] == "s") == field.name.endswith("_seconds")
