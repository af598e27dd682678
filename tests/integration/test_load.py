"""A vendor that always fails: retries must not multiply the load that made it fail."""

from __future__ import annotations

import pytest

from nexus_connector import Connector
from nexus_connector.errors import ConnectorError
from nexus_connector.testing import fake

CALLS = 1500
RATIO = 0.10


@pytest.mark.parametrize("answer", [500, 429, TimeoutError(), ConnectionRefusedError()], ids=repr)
@pytest.mark.parametrize("floor", [0.0, 10.0])
def test_a_vendor_that_always_fails(floor: float, answer: object) -> None:
    """1,500 calls send at most 1.10 requests each, plus the retry budget's floor for the time they took."""
    sends = 0
    service = {
        "base_url": "https://vendor.example",
        "timeout_seconds": 0.05,
        "attempt_timeout_seconds": 0.005,
        "retry": {"max_retries": 3, "base_delay_seconds": 0.001, "budget_floor_per_second": floor},
    }
    config = {"services": {"vendor": service}, "plugins": {"only": ["retry"]}}
    with Connector.from_config(config) as connector, fake(connector) as vendors:

        def fail(_: object) -> object:
            nonlocal sends
            sends += 1
            return answer

        vendors.answer("", fail)
        get = connector.service("vendor").get
        for _ in range(CALLS):
            with pytest.raises(ConnectorError):
                get("/thing")
        seconds = vendors.clock.elapsed_seconds
    assert sends <= CALLS * (1 + RATIO) + floor * max(1.0, seconds)
    assert sends > CALLS  # retries are made as far as the budget goes
