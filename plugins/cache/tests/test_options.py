"""The options of the cache: ranges, defaults, merging, and what is written wrongly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nexus_connector import Connector
from nexus_connector.errors import ConfigurationError
from nexus_connector_cache import CacheOptions


@pytest.mark.parametrize(
    ("option", "good", "bad"),
    [
        ("enabled", [True, False], ["yes", 1]),
        ("stale_if_error_seconds", [0, 2_592_000], [-1, 2_592_001, float("nan"), float("inf"), "300"]),
        ("keep_seconds", [0, 2_592_000], [-1, 2_592_001, float("nan")]),
        ("default_seconds", [0, 60], [-1, 2_592_001, float("nan")]),
        ("max_stored_bytes", [1, 104_857_600], [0, 104_857_601, 1.5, True]),
        ("max_variants", [1, 64], [0, 65, 1.5]),
        (
            "endpoints",
            [{}, {"GET /x": 0}, {"GET /x": 2_592_000}],
            [{"GET /x": -1}, {"GET /x": 2_592_001}, {"GET /x": "60"}, {"GET /x": True}, {"GET /x": float("nan")}, 60],
        ),
    ],
)
def test_ranges(option: str, good: list[Any], bad: list[Any]) -> None:
    """Both ends of a range are taken; what lies beyond, and what is of another kind, is an error with its path."""
    for value in good:
        Connector.from_config(config({option: value}), check=False).close()
    for value in bad:
        with pytest.raises(ConfigurationError, match=rf"plugins\.cache\.{option}"):
            Connector.from_config(config({option: value}), check=False)


def config(common: object, /, **service: Any) -> dict[str, object]:
    """One service."""
    services = {"crm": {"base_url": "https://crm.example", **service}}
    return {"services": services, "plugins": {"only": ["cache"], "cache": common}}


def stages(common: object, /, **service: Any) -> list[str]:
    """Names of what stands in the chain."""
    with Connector.from_config(config(common, **service)) as connector:
        return [entry.name for entry in connector.explain("crm")]


@pytest.mark.parametrize(
    ("common", "own", "expected"),
    [
        ({}, None, False),
        ({"max_variants": 2}, None, False),
        ({"enabled": True}, None, True),
        ({"enabled": True}, False, False),
        ({"enabled": True}, {"enabled": False}, False),
        ({}, {"enabled": True}, True),
        (True, None, True),
        ({}, True, True),
        (False, True, True),
        (True, {"max_variants": 2}, True),
        (True, False, False),
        (False, {"enabled": True}, True),
        (False, None, False),
    ],
)
def test_it_is_off_until_it_is_switched_on(common: object, own: object, expected: bool) -> None:
    """Installed it does nothing; on for all or for one, off for all or for one."""
    service = {} if own is None else {"cache": own}
    assert ("cache" in stages(common, **service)) is expected


def test_a_service_overrides_the_defaults() -> None:
    """What one service says goes before what all have."""
    with Connector.from_config(
        config({"enabled": True, "default_seconds": 60}, cache={"default_seconds": 5})
    ) as connector:
        options = connector.runtime.tables.read("cache", CacheOptions, "crm")
    assert options == CacheOptions(enabled=True, default_seconds=5)


def test_the_rules_of_an_operation() -> None:
    """Each option gets into the rules; an endpoint's seconds are for that operation alone."""
    options = CacheOptions(
        stale_if_error_seconds=1, keep_seconds=2, default_seconds=3, endpoints={"GET /x": 0.0, "GET /y": 4.0}
    )
    rules = options.rules("GET /y")
    assert (rules.stale_if_error_seconds, rules.keep_seconds, rules.default_seconds) == (1, 2, 3)
    assert [options.rules(name).override_seconds for name in ("GET /x", "GET /y", "GET /z")] == [0, 4, None]


def test_an_unknown_option_is_an_error() -> None:
    """The nearest right one is named."""
    with pytest.raises(ConfigurationError, match="default_seconds"):
        Connector.from_config(config({"default_second": 1}), check=False)


def test_the_defaults(readme: Callable[[], str]) -> None:
    """Off, five minutes of standing in and of waiting for a confirmation, no guess, a MiB, eight variants."""
    options = CacheOptions()
    assert (options.enabled, options.default_seconds, dict(options.endpoints)) == (False, 0, {})
    assert (options.stale_if_error_seconds, options.keep_seconds) == (300, 300)
    assert (options.max_stored_bytes, options.max_variants) == (1_048_576, 8)
    assert "`cache = true`" in readme()
