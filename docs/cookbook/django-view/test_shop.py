"""Tests of the shop: the real pipeline, and a CRM that answers what is said here."""

import os
from collections.abc import Iterator

import django
import pytest
from django.test import Client

from nexus_connector import Connector
from nexus_connector.testing import Fake, fake

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
django.setup()

ORDER, HOST = {"id": "7", "total": "12.50"}, {"host": "localhost"}


@pytest.fixture
def vendors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """Put a connector whose vendors are played in the place of the application's."""
    with (
        Connector.from_file("connector.toml", check=False) as connector,
        fake(connector) as vendors,
    ):
        monkeypatch.setattr("shop.views.the_connector", lambda: connector)
        yield vendors


def test_an_order_is_passed_on(vendors: Fake) -> None:
    """What the CRM says of an order is what the caller gets."""
    vendors.answer("crm GET /orders/{order}", {**ORDER, "internal": True})
    assert Client().get("/orders/7", headers=HOST).json() == ORDER


def test_a_busy_crm_is_a_503_with_its_own_time(vendors: Fake) -> None:
    """The wait that the CRM asks for reaches our caller."""
    vendors.answer("crm", (503, b"", {"Retry-After": "60"}))
    answer = Client().get("/orders/7", headers=HOST)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
