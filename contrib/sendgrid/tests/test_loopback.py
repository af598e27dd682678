"""The adapter inside a connector, over real HTTP, on both faces."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from nexus_connector import Attachment, Connector, EmailMessage, Outcome
from nexus_connector.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitExceededError,
    ResponseFormatError,
    VendorError,
)
from nexus_connector.retry_after import MAX_SECONDS
from nexus_connector.testing.emulator import Answer, Arrival, Compute, Reset, VendorEmulator
from nexus_connector_sendgrid import SendGridServiceAdapter

SENT = Answer(202, headers={"X-Message-Id": "m1"})


def refusal(status: int, message: str, field: str | None = None) -> Answer:
    """An error in the form of SendGrid."""
    return Answer(status, json={"errors": [{"message": message, "field": field, "help": None}]})


def body(arrival: Arrival) -> Any:
    """What the adapter sent."""
    return arrival.json()


def test_the_entry_point_names_the_adapter() -> None:
    """The adapter is found by the name of the vendor."""
    (entry,) = entry_points(group="nexus_connector.vendors", name="sendgrid")
    assert entry.load() is SendGridServiceAdapter


def test_a_message_is_sent(email: Callable[..., Any], vendor: VendorEmulator) -> None:
    """One POST with the key as bearer token; the receipt has SendGrid's id, also as the id of the request."""
    vendor.on("POST /v3/mail/send", SENT)
    receipt = email(
        "send_transactional_email",
        "Zoë <zoe@example.com>",
        "Rechnung für 🙂",
        "<p>x</p>",
        attachments=[Attachment(name="a.txt", content=b"a")],
        extra={"sendgrid": {"asm": {"group_id": 42}}},
    )
    assert (receipt.message_id, receipt.status) == ("m1", "queued")
    assert (receipt.call.service, receipt.call.request_id, receipt.call.attempts) == ("sendgrid", "m1", 1)
    (arrival,) = vendor.arrivals
    assert arrival.headers["Authorization"] == "Bearer SG.aaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbb"
    assert (arrival.headers["Accept"], arrival.headers["Content-Type"]) == ("application/json", "application/json")
    assert arrival.json() == {
        "personalizations": [{"to": [{"email": "zoe@example.com", "name": "Zoë"}]}],
        "from": {"email": "billing@example.com"},
        "subject": "Rechnung für 🙂",
        "content": [{"type": "text/html", "value": "<p>x</p>"}],
        "attachments": [
            {"content": "YQ==", "filename": "a.txt", "type": "application/octet-stream", "disposition": "attachment"}
        ],
        "asm": {"group_id": 42},
        "custom_args": {"nexus_reference": receipt.call.id},
    }


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (refusal(400, "Does not contain a valid address.", "from.email"), VendorError, "from.email: Does not contain"),
        (refusal(401, "authorization required"), AuthenticationError, "authorization required"),
        (refusal(403, "access forbidden"), AuthenticationError, "access forbidden"),
        (refusal(404, "not found"), NotFoundError, "not found"),
        (refusal(413, "content too large"), VendorError, "content too large"),
        (refusal(429, "too many requests"), RateLimitExceededError, "too many requests"),
        (Answer(400, body=b"<html>"), VendorError, "400"),
    ],
)
def test_a_refusal_says_why(
    email: Callable[..., Any], vendor: VendorEmulator, answer: Answer, kind: type[VendorError], text: str
) -> None:
    """Each refusal is the error of its status, with SendGrid's own words; nothing happened, and it says so."""
    vendor.on("POST /v3/mail/send", answer)
    with pytest.raises(kind, match=text) as caught:
        email("send_transactional_email", "ada@example.com", "Hello", "<p>Hello</p>")
    error = caught.value
    assert isinstance(error, VendorError)
    assert (error.status, error.code, error.outcome, error.retry_safe) == (answer.status, None, Outcome.REFUSED, True)


def test_a_429_says_when_the_limit_starts_afresh(email: Callable[..., Any], vendor: VendorEmulator) -> None:
    """SendGrid sends no Retry-After: the moment of its X-RateLimit-Reset, seconds since the epoch, becomes the wait."""
    reset = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(2**40)}
    vendor.on("POST /v3/mail/send", Answer(429, headers=reset))
    with pytest.raises(RateLimitExceededError) as caught:
        email("send_transactional_email", "ada@example.com", "Hello", "<p>Hello</p>")
    assert caught.value.retry_after == MAX_SECONDS


@pytest.mark.parametrize("behaviour", [refusal(500, "internal server error"), Answer(503), Reset()])
def test_a_lost_answer_is_unknown(email: Callable[..., Any], vendor: VendorEmulator, behaviour: Any) -> None:
    """After a server error or a reset nobody knows whether the message went out: it may not be sent again blindly."""
    vendor.on("POST /v3/mail/send", behaviour)
    with pytest.raises(OutcomeUnknownError) as caught:
        email("send_transactional_email", "ada@example.com", "Hello", "<p>Hello</p>")
    assert (caught.value.outcome, caught.value.retry_safe) == (Outcome.UNKNOWN, False)
    assert len(vendor.arrivals) == 1


def test_an_idempotency_key_is_not_ignored(email: Callable[..., Any], vendor: VendorEmulator) -> None:
    """SendGrid honours no keys: a call with one is an error before anything is sent."""
    with pytest.raises(InvalidRequestError, match="does not honour idempotency keys"):
        email("send_transactional_email", "ada@example.com", "Hello", "<p>Hello</p>", idempotency_key="order-1001")
    assert vendor.arrivals == []


def test_a_contradiction_is_an_error_before_anything_is_sent(email: Callable[..., Any], vendor: VendorEmulator) -> None:
    """Extra fields that would change the sender stop the call; in a bulk, they stop all of it."""
    extra = {"sendgrid": {"from": {"email": "mallory@example.com"}}}
    message = EmailMessage(recipient="ada@example.com", subject="Hello", text="Hello")
    with pytest.raises(InvalidRequestError, match="from"):
        email("send_transactional_email", "ada@example.com", "Hello", "<p>Hello</p>", extra=extra)
    with pytest.raises(InvalidRequestError, match="from"):
        email("send_bulk_email", [message, message], extra=extra)
    assert vendor.arrivals == []


def test_a_bulk_has_an_outcome_for_each_message(email: Callable[..., Any], vendor: VendorEmulator) -> None:
    """Outcomes come in the order of the messages, each with what became of it, whatever became of the others."""

    def function(arrival: Arrival) -> Answer:
        subject = body(arrival)["subject"]
        answers = {"refuse": refusal(400, "bad recipient", "personalizations.0.to"), "lose": Answer(500)}
        return answers.get(subject, Answer(202, headers={"X-Message-Id": f"id-{subject}"}))

    vendor.on("POST /v3/mail/send", Compute(function))
    subjects = ["a", "refuse", "b", "lose", "c"]
    result = email(
        "send_bulk_email",
        [EmailMessage(recipient="ada@example.com", subject=subject, text="x") for subject in subjects],
    )
    assert [item.outcome for item in result.items] == ["done", "refused", "done", "unknown", "done"]
    assert [receipt.message_id for receipt in result.done] == ["id-a", "id-b", "id-c"]
    assert "personalizations.0.to: bad recipient" in result.items[1].error
    assert len(vendor.arrivals) == 5


def test_an_empty_bulk_sends_nothing(email: Callable[..., Any], vendor: VendorEmulator) -> None:
    """No messages, no requests, no outcomes."""
    assert list(email("send_bulk_email", []).items) == []
    assert vendor.arrivals == []


def test_an_address_is_checked(email: Callable[..., Any], vendor: VendorEmulator) -> None:
    """SendGrid's verdict is handed on with its doubts."""
    checks = {"domain": {"has_mx_or_a_record": False}}
    vendor.on("POST /v3/validations/email", Answer(200, json={"result": {"verdict": "Invalid", "checks": checks}}))
    check = email("validate_address", "ada@example.com")
    assert (check.valid, check.reason, check.call.service) == (False, "Invalid: has_mx_or_a_record", "sendgrid")
    assert vendor.arrivals[0].json() == {"email": "ada@example.com"}


def test_another_service_holds_the_key_for_checks(
    config: dict[str, Any], vendor: VendorEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key for checking addresses is another one: a second service with the same adapter holds it."""
    monkeypatch.setenv("SENDGRID_VALIDATION_KEY", "SG.validation")
    config["services"]["checks"] = {
        "adapter": "sendgrid",
        "base_url": vendor.url,
        "credentials": {"token": {"env": "SENDGRID_VALIDATION_KEY"}},
    }
    vendor.on("POST /v3/validations/email", Answer(200, json={"result": {"verdict": "Valid", "checks": {}}}))
    with Connector.from_config(config) as connector:
        assert connector.email.via("checks").validate_address("ada@example.com").valid
    assert vendor.arrivals[0].headers["Authorization"] == "Bearer SG.validation"


def test_statistics_are_counted(email: Callable[..., Any], vendor: VendorEmulator) -> None:
    """The days of a period are asked for and added up."""
    metrics = {"requests": 10, "delivered": 8, "unique_opens": 5, "unique_clicks": 2, "bounces": 1, "spam_reports": 1}
    vendor.on("GET /v3/stats", Answer(200, json=[{"date": "2026-01-01", "stats": [{"metrics": metrics}]}] * 2))
    result = email("get_statistics", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC))
    assert (result.sent, result.delivered, result.bounced, result.complained) == (20, 16, 2, 2)
    assert (result.opened, result.clicked) == (10, 4)
    assert vendor.arrivals[0].query == "start_date=2026-01-01&end_date=2026-01-02"


def test_an_answer_of_another_form_is_no_success(email: Callable[..., Any], vendor: VendorEmulator) -> None:
    """Statistics in a form that is not SendGrid's are an error, not zeros."""
    vendor.on("GET /v3/stats", Answer(200, json={"date": "2026-01-01"}))
    with pytest.raises(ResponseFormatError):
        email("get_statistics", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC))


def test_settings_come_from_the_configuration(config: dict[str, Any], vendor: VendorEmulator) -> None:
    """``[services.sendgrid.options]`` holds for every message of the service."""
    config["services"]["sendgrid"]["options"] = {"sandbox_mode": True}
    vendor.on("POST /v3/mail/send", Answer(200))
    with Connector.from_config(config) as connector:
        receipt = connector.email.send_transactional_email("ada@example.com", "Hello", "<p>Hello</p>")
    assert receipt.status == "validated"
    assert body(vendor.arrivals[0])["mail_settings"] == {"sandbox_mode": {"enable": True}}


def test_an_unknown_setting_is_an_error(config: dict[str, Any]) -> None:
    """A misspelt setting stops the start instead of being ignored."""
    config["services"]["sendgrid"]["options"] = {"sandbox": True}
    with pytest.raises(ConfigurationError, match="sandbox"):
        Connector.from_config(config)


def test_the_configuration_of_the_readme_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the README shows can be copied: all its TOML together makes a connector."""
    for name in ("SENDGRID_API_KEY", "SENDGRID_VALIDATION_KEY"):
        monkeypatch.setenv(name, "SG.x")
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    config = tomllib.loads("\n".join(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)))
    with Connector.from_config({**config, "plugins": {"only": []}}) as connector:
        assert [entry.name for entry in connector.explain("sendgrid")][-1] == "send"
