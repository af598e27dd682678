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
    NotSupportedError,
    OutcomeUnknownError,
    RateLimitExceededError,
    ResponseFormatError,
    VendorError,
)
from nexus_connector.testing.emulator import Answer, Arrival, Compute, Reset, VendorEmulator
from nexus_connector_postmark import PostmarkServiceAdapter

SENT = Answer(200, json={"To": "ada@example.com", "MessageID": "m1", "ErrorCode": 0, "Message": "OK"})


def refusal(code: int, message: str, status: int = 422) -> Answer:
    """An error in the form of Postmark."""
    return Answer(status, json={"ErrorCode": code, "Message": message})


def body(arrival: Arrival) -> Any:
    """What the adapter sent."""
    return arrival.json()


def test_the_entry_point_names_the_adapter() -> None:
    """The adapter is found by the name of the vendor."""
    (entry,) = entry_points(group="nexus_connector.vendors", name="postmark")
    assert entry.load() is PostmarkServiceAdapter


def test_a_message_is_sent(email: Callable[..., Any], vendor: VendorEmulator) -> None:
    """One POST with the server token in Postmark's own header; the receipt has Postmark's id."""
    vendor.on(
        "POST /email",
        Answer(200, json={"MessageID": "m1", "ErrorCode": 0, "Message": "OK"}, headers={"X-Request-Id": "r1"}),
    )
    receipt = email(
        "send_transactional_email",
        "Zoë <zoe@example.com>",
        "Rechnung für 🙂",
        "<p>x</p>",
        attachments=[Attachment(name="a.txt", content=b"a")],
        extra={"postmark": {"TrackOpens": True}},
    )
    assert (receipt.message_id, receipt.status) == ("m1", "sent")
    assert (receipt.call.service, receipt.call.request_id, receipt.call.attempts) == ("postmark", "r1", 1)
    (arrival,) = vendor.arrivals
    assert arrival.headers["X-Postmark-Server-Token"] == "4aaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
    assert (arrival.headers["Accept"], arrival.headers["Content-Type"]) == ("application/json", "application/json")
    assert "Authorization" not in arrival.headers
    assert arrival.json() == {
        "Metadata": {"nexus_reference": receipt.call.id},
        "From": "billing@example.com",
        "To": "Zoë <zoe@example.com>",
        "Subject": "Rechnung für 🙂",
        "HtmlBody": "<p>x</p>",
        "Attachments": [{"Name": "a.txt", "Content": "YQ==", "ContentType": "application/octet-stream"}],
        "TrackOpens": True,
    }


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (refusal(300, "Invalid 'To' address"), VendorError, "300"),
        (refusal(406, "Inactive recipient"), VendorError, "406"),
        (refusal(10, "Bad or missing API token", 401), AuthenticationError, "10"),
        (refusal(10, "Bad or missing API token"), AuthenticationError, "10"),
        (refusal(405, "Not allowed to send"), AuthenticationError, "405"),
        (refusal(412, "Account is Pending"), AuthenticationError, "412"),
        (refusal(413, "Account May Not Send"), AuthenticationError, "413"),
        (refusal(1235, "The MessageStream provided does not exist"), NotFoundError, "1235"),
        (refusal(12, "Resource not found"), NotFoundError, "12"),
        (Answer(404), NotFoundError, None),
        (Answer(413, body=b"Payload Too Large"), VendorError, None),
        (Answer(403, body=b"<html><title>403 Forbidden</title></html>"), AuthenticationError, None),
        (refusal(429, "Rate Limit Exceeded", 429), RateLimitExceededError, "429"),
    ],
)
def test_a_refusal_says_why(
    email: Callable[..., Any], vendor: VendorEmulator, answer: Answer, kind: type[VendorError], code: str | None
) -> None:
    """Each refusal is the error of its code, else of its status, with Postmark's own words; nothing happened."""
    vendor.on("POST /email", answer)
    with pytest.raises(kind) as caught:
        email("send_transactional_email", "ada@example.com", "Hello", "<p>Hello</p>")
    error = caught.value
    assert isinstance(error, VendorError)
    assert isinstance(error, AuthenticationError | NotFoundError | RateLimitExceededError) is (kind is not VendorError)
    assert (error.status, error.code, error.outcome, error.retry_safe) == (answer.status, code, Outcome.REFUSED, True)
    assert code is None or f"({code}): " in error.message


def test_a_good_status_may_carry_an_error(email: Callable[..., Any], vendor: VendorEmulator) -> None:
    """200 with an error code is a refusal: a message that was not taken never becomes a receipt."""
    vendor.on("POST /email", refusal(406, "Inactive recipient", 200))
    vendor.on("POST /email/batch", refusal(402, "Invalid JSON", 200))
    with pytest.raises(VendorError, match="Inactive recipient") as caught:
        email("send_transactional_email", "ada@example.com", "Hello", "<p>Hello</p>")
    assert (caught.value.code, caught.value.outcome) == ("406", Outcome.REFUSED)
    result = email("send_bulk_email", [EmailMessage(recipient="ada@example.com", text="x")] * 2)
    assert [item.outcome for item in result.items] == ["refused", "refused"]


@pytest.mark.parametrize("behaviour", [Answer(500), refusal(100, "Maintenance", 503), Reset()])
def test_a_lost_answer_is_unknown(email: Callable[..., Any], vendor: VendorEmulator, behaviour: Any) -> None:
    """After a server error or a reset nobody knows whether the message went out: it may not be sent again blindly."""
    vendor.on("POST /email", behaviour)
    with pytest.raises(OutcomeUnknownError) as caught:
        email("send_transactional_email", "ada@example.com", "Hello", "<p>Hello</p>")
    assert (caught.value.outcome, caught.value.retry_safe) == (Outcome.UNKNOWN, False)
    assert len(vendor.arrivals) == 1


def test_an_answer_without_an_id_is_no_receipt(email: Callable[..., Any], vendor: VendorEmulator) -> None:
    """A good status in a form that is not Postmark's is an error, and says that the message may be out."""
    vendor.on("POST /email", Answer(200, json={}))
    with pytest.raises(ResponseFormatError) as caught:
        email("send_transactional_email", "ada@example.com", "Hello", "<p>Hello</p>")
    assert caught.value.outcome is Outcome.DONE


def test_an_idempotency_key_is_not_ignored(email: Callable[..., Any], vendor: VendorEmulator) -> None:
    """Postmark honours no keys: a call with one is an error before anything is sent."""
    with pytest.raises(InvalidRequestError, match="does not honour idempotency keys"):
        email("send_transactional_email", "ada@example.com", "Hello", "<p>Hello</p>", idempotency_key="order-1001")
    assert vendor.arrivals == []


def test_what_postmark_cannot_do_is_an_error_before_anything_is_sent(
    email: Callable[..., Any], vendor: VendorEmulator
) -> None:
    """A second tag, a template and the check of an address are refused here; one such message stops a whole bulk."""
    good = EmailMessage(recipient="ada@example.com", text="x")
    with pytest.raises(NotSupportedError, match="one tag"):
        email("send_transactional_email", "ada@example.com", "Hello", "<p>Hello</p>", tags=["a", "b"])
    with pytest.raises(NotSupportedError, match="TemplateAlias"):
        email("send_transactional_email", "ada@example.com", "Hello", "x", extra={"postmark": {"TemplateAlias": "x"}})
    with pytest.raises(NotSupportedError, match="one tag"):
        email("send_bulk_email", [good, EmailMessage(recipient="ada@example.com", text="x", tags=["a", "b"])])
    with pytest.raises(NotSupportedError, match="validate_address"):
        email("validate_address", "ada@example.com")
    assert vendor.arrivals == []


def test_a_bulk_has_an_outcome_for_each_message(email: Callable[..., Any], vendor: VendorEmulator) -> None:
    """Outcomes come in the order of the messages over all batches; a batch that fails concerns its own only."""

    def function(arrival: Arrival) -> Answer:
        subjects = [message["Subject"] for message in body(arrival)]
        if "lose" in subjects:
            return Answer(500)
        refused = {"ErrorCode": 406, "Message": "Inactive recipient"}
        taken = {subject: {"MessageID": f"id-{subject}", "ErrorCode": 0, "Message": "OK"} for subject in subjects}
        return Answer(200, json=[refused if subject.startswith("bad") else taken[subject] for subject in subjects])

    vendor.on("POST /email/batch", Compute(function))
    subjects = [f"bad{n}" if n % 100 == 7 else f"n{n}" for n in range(500)] + ["lose", "x"]
    result = email(
        "send_bulk_email",
        [EmailMessage(recipient="ada@example.com", subject=subject, text="x") for subject in subjects],
    )
    expected = ["refused" if subject.startswith("bad") else "done" for subject in subjects[:500]]
    assert [item.outcome for item in result.items] == [*expected, "unknown", "unknown"]
    assert [receipt.message_id for receipt in result.done] == [f"id-{s}" for s in subjects[:500] if s[0] == "n"]
    assert "(406): Inactive recipient" in result.items[7].error
    assert sorted(len(body(arrival)) for arrival in vendor.arrivals) == [2, 500]


def test_an_empty_bulk_sends_nothing(email: Callable[..., Any], vendor: VendorEmulator) -> None:
    """No messages, no requests, no outcomes."""
    assert list(email("send_bulk_email", []).items) == []
    assert vendor.arrivals == []


def test_statistics_are_counted(email: Callable[..., Any], vendor: VendorEmulator) -> None:
    """The days of a period are asked for and read."""
    overview = {"Sent": 10, "Bounced": 1, "SpamComplaints": 2, "UniqueOpens": 5, "UniqueLinksClicked": 4}
    vendor.on("GET /stats/outbound", Answer(200, json=overview))
    result = email("get_statistics", datetime(2026, 1, 1, 5, tzinfo=UTC), datetime(2026, 1, 3, 5, tzinfo=UTC))
    assert (result.sent, result.delivered, result.bounced, result.complained) == (10, 9, 1, 2)
    assert (result.opened, result.clicked) == (5, 4)
    assert vendor.arrivals[0].query == "fromdate=2026-01-01&todate=2026-01-02"


def test_an_answer_of_another_form_is_no_success(email: Callable[..., Any], vendor: VendorEmulator) -> None:
    """Statistics in a form that is not Postmark's are an error, not zeros."""
    vendor.on("GET /stats/outbound", Answer(200, json={"Days": []}))
    with pytest.raises(ResponseFormatError):
        email("get_statistics", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC))


def test_settings_come_from_the_configuration(config: dict[str, Any], vendor: VendorEmulator) -> None:
    """``[services.postmark.options]`` holds for every message of the service."""
    config["services"]["postmark"]["options"] = {"message_stream": "broadcast"}
    vendor.on("POST /email", SENT)
    with Connector.from_config(config) as connector:
        connector.email.send_transactional_email("ada@example.com", "Hello", "<p>Hello</p>")
    assert body(vendor.arrivals[0])["MessageStream"] == "broadcast"


def test_an_unknown_setting_is_an_error(config: dict[str, Any]) -> None:
    """A misspelt setting stops the start instead of being ignored."""
    config["services"]["postmark"]["options"] = {"stream": "broadcast"}
    with pytest.raises(ConfigurationError, match="stream"):
        Connector.from_config(config)


def test_the_configuration_of_the_readme_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the README shows can be copied: all its TOML together makes a connector."""
    monkeypatch.setenv("POSTMARK_SERVER_TOKEN", "token")
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    config = tomllib.loads("\n".join(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)))
    with Connector.from_config({**config, "plugins": {"only": []}}) as connector:
        assert [entry.name for entry in connector.explain("postmark")][-1] == "send"
