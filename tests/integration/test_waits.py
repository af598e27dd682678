"""Waits that a vendor asks for: never shortened, and handed to the caller when they are long."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from nexus_connector import Connector, Endpoint, Outcome, RetryPolicy
from nexus_connector.errors import ConnectorError, RateLimitExceededError, VendorError
from nexus_connector.io.virtual import EPOCH
from nexus_connector.testing import fake
from nexus_connector.testing.emulator import Answer, VendorEmulator


def retrying(url: str = "https://vendor.example", **options: object) -> Connector:
    """Build a connector with retries whose own delays are short."""
    retry = {"base_delay_seconds": 0.001, "budget_floor_per_second": 1000.0}
    service = {"base_url": url, "retry": retry, **options}
    return Connector.from_config({"services": {"vendor": service}, "plugins": {"only": ["retry"]}})


def in_seconds(seconds: float) -> str:
    """Write the virtual moment so many seconds after the beginning as a date."""
    return datetime.fromtimestamp(EPOCH.timestamp() + seconds, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("value", "seconds"), [("3", 3.0), (in_seconds(4), 4.0), ("2, 4", 4.0), ("1.5", 1.5)], ids=str)
def test_nothing_is_sent_before_it_has_passed(method: str, status: int, value: str, seconds: float) -> None:
    """In virtual time: the retry waits as long as the vendor asked for, however short its own backoff is."""
    times: list[float] = []
    with retrying() as connector, fake(connector) as vendors:

        def answer(_: object) -> object:
            times.append(vendors.clock.elapsed_seconds)
            return (status, None, {"Retry-After": value}) if len(times) == 1 else 200

        vendors.answer("", answer)
        call: Any = getattr(connector.service("vendor"), method)
        assert call("/thing").attempts == 2
        assert times[1] - times[0] >= seconds


@pytest.mark.parametrize("seed", range(20))
def test_jitter_never_shortens_it(seed: int) -> None:
    """Whatever the dice say, the wait is at least the vendor's."""
    with retrying() as connector, fake(connector, seed=seed) as vendors:
        vendors.answer("", (429, None, {"Retry-After": "2"}), 200)
        connector.service("vendor").get("/thing")
        assert vendors.clock.elapsed_seconds >= 2.0


def test_nothing_arrives_before_it_has_passed() -> None:
    """The same on a real wire: the vendor sees the second request no earlier than it asked for."""
    with VendorEmulator() as vendor, retrying(vendor.url) as connector:
        vendor.on("/thing", Answer(503, headers={"Retry-After": "1"}), Answer(json={}))
        connector.service("vendor").post("/thing")
        first, second = vendor.arrivals
        assert second.at - first.at >= 1.0


@pytest.mark.parametrize(("limit", "attempts"), [(5, 4), (2, 1)])
def test_long_waits_are_the_callers(limit: float, attempts: int) -> None:
    """A wait over `max_inline_wait_seconds` is not made inside the call, it comes with the error."""
    config = {"max_inline_wait_seconds": limit, "services": {"vendor": {"base_url": "https://vendor.example"}}}
    with Connector.from_config(config) as connector, fake(connector) as vendors:
        vendors.answer("", (429, None, {"Retry-After": "3"}))
        with pytest.raises(RateLimitExceededError) as caught:
            connector.service("vendor").get("/thing")
        assert (caught.value.attempts, caught.value.retry_after) == (attempts, 3.0)


@pytest.mark.parametrize("value", ["", "-1", "soon", "1e3", "Thu, 1 Jan 2026 00:01:00 GMT"])
@pytest.mark.parametrize("status", [429, 503])
def test_an_unreadable_value_is_still_a_refusal(status: int, value: str) -> None:
    """The header alone says that it was refused; a value that says no time leaves our own backoff, and no exception."""
    with retrying() as connector, fake(connector) as vendors:
        vendors.answer("", (status, None, {"Retry-After": value}))
        with pytest.raises(VendorError) as caught:
            connector.service("vendor").post("/thing")
        error = caught.value
        assert (error.outcome, error.attempts) == (Outcome.REFUSED, 4)
        assert error.retry_after is None


def test_an_operations_own_policy_counts() -> None:
    """An operation that says how it is retried is retried so, whatever the service says."""
    for retries in (0, 1, 5):
        with retrying() as connector, fake(connector) as vendors:
            vendors.answer("", 500)
            endpoint = Endpoint.get("/thing", retry=RetryPolicy(max_retries=retries))
            with pytest.raises(ConnectorError) as caught:
                connector.execute("vendor", endpoint)
            assert caught.value.attempts == 1 + retries
