"""Tests of the service: the real pipeline, and a CRM that answers what is said here."""

from collections.abc import Iterator

import flask_app
import pytest

from nexus_connector import Connector
from nexus_connector.testing import Fake, fake

ORDER = {"id": "7", "total": "12.50"}


@pytest.fixture
def vendors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """Put a connector whose vendors are played in the place of the application's."""
    with Connector.from_file(check=False) as connector, fake(connector) as vendors:
        monkeypatch.setattr(flask_app, "the_connector", lambda: connector)
        yield vendors


def test_an_order_is_passed_on(vendors: Fake) -> None:
    """What the CRM says of an order is what the caller gets."""
    vendors.answer("crm GET /orders/{order}", {**ORDER, "internal": True})
    assert flask_app.app.test_client().get("/orders/7").json == ORDER


def test_a_busy_crm_is_a_503_with_its_own_time(vendors: Fake) -> None:
    """The wait that the CRM asks for reaches our caller."""
    vendors.answer("crm", (503, b"", {"Retry-After": "60"}))
    answer = flask_app.app.test_client().get("/orders/7")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
