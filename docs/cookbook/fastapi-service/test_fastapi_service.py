"""Tests of the service: the real pipeline, and a CRM that answers what is said here."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from fastapi_service import app, the_connector

from nexus_connector import AsyncConnector
from nexus_connector.testing import Fake, fake

ORDER = {"id": "7", "total": "12.50"}


@pytest.fixture
def vendors() -> Iterator[Fake]:
    """Put a connector whose vendors are played in the place of the application's."""
    connector = AsyncConnector.from_file(check=False)
    app.dependency_overrides[the_connector] = lambda: connector
    with fake(connector) as vendors:
        yield vendors
    app.dependency_overrides.clear()


def test_an_order_is_passed_on(vendors: Fake) -> None:
    """What the CRM says of an order is what the caller gets."""
    vendors.answer("crm GET /orders/{order}", {**ORDER, "internal": True})
    assert TestClient(app).get("/orders/7").json() == ORDER


def test_a_busy_crm_is_a_503_with_its_own_time(vendors: Fake) -> None:
    """The wait that the CRM asks for reaches our caller."""
    vendors.answer("crm", (503, b"", {"Retry-After": "60"}))
    answer = TestClient(app).get("/orders/7")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")


def test_a_reminder_is_not_sent_twice(vendors: Fake) -> None:
    """A lost answer to a POST is told as unknown, and the POST is not repeated."""
    vendors.answer("crm", TimeoutError())
    answer = TestClient(app).post("/orders/7/reminders")
    assert (answer.status_code, answer.json()["outcome"]) == (504, "unknown")
    assert [sent.attempts for sent in vendors.sent("crm")] == [1]


def test_nobody_is_told_to_come_again_with_a_reminder(vendors: Fake) -> None:
    """A wait is passed on only where coming again cannot do it twice."""
    vendors.answer("crm", (500, b"", {"Retry-After": "60"}))
    answer = TestClient(app).post("/orders/7/reminders")
    assert (answer.status_code, answer.headers.get("Retry-After")) == (502, None)
