"""Tests of the tasks: without a worker, a broker, a network or a wait."""

from collections.abc import Iterator

import pytest
import tasks

from nexus_connector import Connector
from nexus_connector.errors import OutcomeUnknownError, VendorError
from nexus_connector.testing import Fake, fake


@pytest.fixture
def vendors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """Put a connector whose vendors are played in the place of the worker's."""
    with Connector.from_file(check=False) as connector, fake(connector) as vendors:
        monkeypatch.setattr(tasks, "the_connector", lambda: connector)
        yield vendors


def test_a_busy_vendor_is_asked_again_under_the_same_key(vendors: Fake) -> None:
    """The task is tried again, not the call; the vendor knows the order by its key."""
    vendors.answer("crm", (503, b"", {"Retry-After": "3"}), (201, {"id": "o-2"}))
    assert tasks.place_order.apply(("b-2", "milk")).get() == "o-2"
    sent = vendors.sent("crm")
    assert [each.idempotency_key for each in sent] == ["order-b-2"] * 2
    assert [each.attempts for each in sent] == [1, 1]


def test_a_refusal_is_not_repeated(vendors: Fake) -> None:
    """What the vendor does not want now it does not want later."""
    vendors.answer("crm", 422)
    with pytest.raises(VendorError):
        tasks.place_order.apply(("b-4", "unicorn")).get()
    assert len(vendors.sent("crm")) == 1


def test_what_may_have_happened_is_not_repeated_without_a_key() -> None:
    """An unknown outcome that no key of ours covers waits for a person."""
    assert tasks.pause_seconds(OutcomeUnknownError("lost"), retries=0) is None
    keyed = OutcomeUnknownError("lost", retry_safe=True, retry_after=7)
    assert tasks.pause_seconds(keyed, retries=0) == 7
