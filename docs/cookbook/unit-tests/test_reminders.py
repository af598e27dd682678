"""Tests of the reminders: no network, no account, no waiting."""

from collections.abc import Generator

import pytest
from reminders import remind

from nexus_connector import Connector, RetryScheduled
from nexus_connector.testing import Fake, fake

TAKEN = (202, b"", {"X-Message-Id": "m-1"})


def invoice(number: str, days: int) -> dict[str, object]:
    """Return an invoice as the CRM writes it."""
    return {"number": number, "customer": f"{number}@example.com", "days_overdue": days}


@pytest.fixture
def connector() -> Generator[Connector]:
    """The application's own configuration; no secret is needed for it here."""
    with Connector.from_file(check=False) as connector:
        yield connector


@pytest.fixture
def vendors(connector: Connector) -> Generator[Fake]:
    """The vendors answer what a test says; at first three invoices on two pages."""
    with fake(connector, seed=7) as vendors:
        first, second = invoice("i-1", 20), invoice("i-2", 3)
        vendors.answer("crm", [first, second], [invoice("i-3", 60)])
        yield vendors


def test_only_long_overdue_invoices_are_reminded_of(
    connector: Connector, vendors: Fake
) -> None:
    """Fourteen days are given; all pages are read."""
    vendors.answer("email", TAKEN)
    assert remind(connector).sent == ["i-1", "i-3"]
    assert [sent.value.recipients for sent in vendors.sent("email")] == [
        ("i-1@example.com",),
        ("i-3@example.com",),
    ]
    assert [sent.request.target for sent in vendors.sent("crm")] == [
        "/invoices?size=2&state=open",
        "/invoices?size=2&state=open&page=2",
    ]


def test_a_busy_vendor_is_given_its_time(connector: Connector, vendors: Fake) -> None:
    """A 429 is waited out: four virtual seconds, no real ones."""
    waits: list[float] = []
    connector.on(RetryScheduled)(lambda event: waits.append(event.delay_seconds))
    vendors.answer("email", (429, b"", {"Retry-After": "4"}), TAKEN)
    assert remind(connector).sent == ["i-1", "i-3"]
    assert [sent.attempts for sent in vendors.sent("email")] == [2, 1]
    assert len(waits) == 1
    assert waits[0] >= 4
    assert vendors.clock.elapsed_seconds >= 4


def test_nobody_is_reminded_twice(connector: Connector, vendors: Fake) -> None:
    """After a lost answer the mail is not sent again, and the invoice is on a list."""
    vendors.answer("email", TimeoutError(), TAKEN)
    report = remind(connector)
    assert (report.look_up, report.sent) == (["i-1"], ["i-3"])
    assert [sent.attempts for sent in vendors.sent("email")] == [1, 1]
    assert vendors.clock.elapsed_seconds == pytest.approx(20)  # timeout_seconds


def test_a_refusal_does_not_stop_the_others(
    connector: Connector, vendors: Fake
) -> None:
    """An address that the vendor refuses is on a list; the next one gets the mail."""
    vendors.answer("email", (400, {"errors": [{"message": "no such address"}]}), TAKEN)
    report = remind(connector)
    assert (report.failed, report.sent) == (["i-1"], ["i-3"])


def test_the_other_vendor_does_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one other value of the configuration the same mail goes to Postmark."""
    monkeypatch.setenv("NEXUS__DOMAINS__EMAIL__SERVICE", "postmark")
    with Connector.from_file(check=False) as connector, fake(connector) as vendors:
        vendors.answer("crm", [invoice("i-1", 20)])
        vendors.answer(
            "postmark", {"MessageID": "m-1", "ErrorCode": 0, "Message": "OK"}
        )
        assert remind(connector).sent == ["i-1"]
        [sent] = vendors.sent("postmark")
        assert sent.request.json()["To"] == "i-1@example.com"
