"""What SendGrid gets: pure, without a network."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest

from nexus_connector import Attachment, CallOptions, EmailMessage, Operation
from nexus_connector.contracts.email import Period
from nexus_connector.errors import InvalidRequestError
from nexus_connector_sendgrid import SendGridOptions, SendGridServiceAdapter

FULL = EmailMessage(
    recipient=["Ada Lovelace <ada@example.com>", "bob@example.com"],
    subject="Invoice 1001",
    body="<p>Dear Ada</p>",
    text="Dear Ada",
    sender="Billing <billing@example.com>",
    reply_to="Help <help@example.com>",
    cc=["carol@example.com"],
    bcc=["audit@example.com"],
    attachments=[Attachment(name="invoice.pdf", content=b"%PDF-1.7", content_type="application/pdf")],
    tags=["invoice", "eu"],
    metadata={"order": "1001"},
)
FULL_PAYLOAD = {
    "personalizations": [
        {
            "to": [{"email": "ada@example.com", "name": "Ada Lovelace"}, {"email": "bob@example.com"}],
            "cc": [{"email": "carol@example.com"}],
            "bcc": [{"email": "audit@example.com"}],
        }
    ],
    "from": {"email": "billing@example.com", "name": "Billing"},
    "reply_to": {"email": "help@example.com", "name": "Help"},
    "subject": "Invoice 1001",
    "content": [{"type": "text/plain", "value": "Dear Ada"}, {"type": "text/html", "value": "<p>Dear Ada</p>"}],
    "attachments": [
        {
            "content": "JVBERi0xLjc=",
            "filename": "invoice.pdf",
            "type": "application/pdf",
            "disposition": "attachment",
        }
    ],
    "categories": ["invoice", "eu"],
    "custom_args": {"order": "1001", "nexus_reference": "01JREFERENCE"},
}
MINIMAL = EmailMessage(recipient="ada@example.com", subject="Hello", text="Hello Ada", sender="us@example.com")
MINIMAL_PAYLOAD = {
    "personalizations": [{"to": [{"email": "ada@example.com"}]}],
    "from": {"email": "us@example.com"},
    "subject": "Hello",
    "content": [{"type": "text/plain", "value": "Hello Ada"}],
}


NO_OPTIONS = CallOptions()


def sending(message: EmailMessage, options: CallOptions = NO_OPTIONS, **settings: Any) -> Operation[Any]:
    """The operation that sends a message."""
    return SendGridServiceAdapter(SendGridOptions(**settings)).send_transactional_email(message, options)


def payload(message: EmailMessage, options: CallOptions = NO_OPTIONS, **settings: Any) -> Any:
    """The body that sends a message."""
    return sending(message, options, **settings).request.json()


def extra(**fields: object) -> CallOptions:
    """Options of a call with extra fields for SendGrid, and for a vendor that is not meant."""
    return CallOptions(extra={"sendgrid": fields, "postmark": {"MessageStream": "broadcast"}})


def test_a_full_message_becomes_the_documented_payload() -> None:
    """Everything a message can say has its place in the documented body of mail/send."""
    operation = sending(FULL, CallOptions(call_id="01JCALL", reference="01JREFERENCE"))
    request = operation.request
    assert (operation.name, request.method, request.path, request.query) == (
        "email.send_transactional_email",
        "POST",
        "/v3/mail/send",
        (),
    )
    assert request.headers["Content-Type"] == "application/json"
    assert request.json() == FULL_PAYLOAD
    assert operation.value is FULL


def test_a_minimal_message_has_no_empty_fields() -> None:
    """What a message leaves out is left out of the payload: SendGrid refuses empty fields."""
    assert payload(MINIMAL) == MINIMAL_PAYLOAD


def test_every_request_asks_for_json() -> None:
    """SendGrid answers 406 to a request without an Accept header."""
    adapter = SendGridServiceAdapter(SendGridOptions())
    period = Period(start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 1, 2, tzinfo=UTC))
    operations = [
        sending(MINIMAL),
        adapter.send_bulk_email([MINIMAL], CallOptions()).chunks[0],
        adapter.validate_address("ada@example.com", CallOptions()),
        adapter.get_statistics(period, CallOptions()),
    ]
    assert {operation.request.headers["Accept"] for operation in operations} == {"application/json"}


def test_all_recipients_share_one_personalization() -> None:
    """Several personalizations would hide recipients from each other: a message is one."""
    message = EmailMessage(recipient=[f"to{n}@example.com" for n in range(3)], text="x", sender="us@example.com")
    (envelope,) = payload(message)["personalizations"]
    assert envelope == {
        "to": [{"email": "to0@example.com"}, {"email": "to1@example.com"}, {"email": "to2@example.com"}]
    }


@pytest.mark.parametrize(
    ("address", "person"),
    [
        ("Ada <ada@example.com>", {"email": "ada@example.com", "name": "Ada"}),
        ('"Lovelace, Ada" <ada@example.com>', {"email": "ada@example.com", "name": "Lovelace, Ada"}),
        ("Zoë Ŝmith <zoe@example.com>", {"email": "zoe@example.com", "name": "Zoë Ŝmith"}),
        ("<ada@example.com>", {"email": "ada@example.com"}),
    ],
)
def test_a_name_goes_beside_the_address(address: str, person: Mapping[str, str]) -> None:
    """A name in an address becomes the name of the person, in every place where an address may stand."""
    message = EmailMessage(
        recipient=address, cc=[address], bcc=[address], reply_to=address, sender=address, subject="x", text="x"
    )
    sent = payload(message)
    assert sent["personalizations"] == [{"to": [person], "cc": [person], "bcc": [person]}]
    assert sent["from"] == sent["reply_to"] == person


def test_plain_text_comes_before_html() -> None:
    """SendGrid wants text/plain before text/html, and neither if it is empty."""
    both = EmailMessage(recipient="ada@example.com", body="<p>x</p>", text="x", sender="us@example.com")
    html = EmailMessage(recipient="ada@example.com", body="<p>x</p>", sender="us@example.com")
    assert [part["type"] for part in payload(both)["content"]] == ["text/plain", "text/html"]
    assert [part["type"] for part in payload(html)["content"]] == ["text/html"]


def test_unicode_arrives_as_it_is() -> None:
    """Subject, bodies, tags and metadata may hold any character."""
    message = EmailMessage(
        recipient="ada@example.com",
        subject="Größe 尺寸 🙂",
        body="<p>🙂</p>",
        text="Größe",
        sender="us@example.com",
        tags=["größe"],
        metadata={"größe": "尺寸"},
    )
    sent = payload(message)
    assert sent["subject"] == "Größe 尺寸 🙂"
    assert [part["value"] for part in sent["content"]] == ["Größe", "<p>🙂</p>"]
    assert (sent["categories"], sent["custom_args"]) == (["größe"], {"größe": "尺寸"})


def test_attachments_are_base64() -> None:
    """Any bytes survive as standard base64; the name and type are the attachment's own."""
    content = bytes(range(256))
    files = [
        Attachment(name="größe.bin", content=content),
        Attachment(name="b.txt", content=b"b", content_type="text/plain"),
    ]
    first, second = payload(
        EmailMessage(recipient="a@example.com", text="x", sender="us@example.com", attachments=files)
    )["attachments"]
    assert b64decode(first["content"], validate=True) == content
    assert (first["filename"], first["type"]) == ("größe.bin", "application/octet-stream")
    assert (second["filename"], second["type"]) == ("b.txt", "text/plain")


def test_a_reference_is_the_only_thing_added_to_the_metadata() -> None:
    """Only the reference of a call goes into the custom arguments, beside the message's own; its id does not."""
    assert payload(MINIMAL, CallOptions(call_id="01JCALL", reference="r1"))["custom_args"] == {"nexus_reference": "r1"}
    assert "custom_args" not in payload(MINIMAL, CallOptions(call_id="01JCALL"))


def test_settings_of_the_service_hold_for_every_message() -> None:
    """The sandbox and tracking are set as configured; what is not configured is left to the account."""
    assert payload(MINIMAL, sandbox_mode=True, track_opens=False, track_clicks=True) == {
        **MINIMAL_PAYLOAD,
        "mail_settings": {"sandbox_mode": {"enable": True}},
        "tracking_settings": {"open_tracking": {"enable": False}, "click_tracking": {"enable": True}},
    }
    assert payload(MINIMAL, track_opens=True)["tracking_settings"] == {"open_tracking": {"enable": True}}


def test_extra_fields_are_merged() -> None:
    """Extra fields are added at the top; objects are merged and lists go on; other vendors' fields are not."""
    options = extra(
        asm={"group_id": 42},
        send_at=1767225600,
        categories=("black-friday",),
        custom_args={"campaign": "7"},
        content=[{"type": "text/x-amp-html", "value": "<html amp4email></html>"}],
    )
    sent = payload(FULL, attrs.evolve(options, reference="01JREFERENCE"))
    assert sent == {
        **FULL_PAYLOAD,
        "asm": {"group_id": 42},
        "send_at": 1767225600,
        "categories": ["invoice", "eu", "black-friday"],
        "custom_args": {"order": "1001", "campaign": "7", "nexus_reference": "01JREFERENCE"},
        "content": [*FULL_PAYLOAD["content"], {"type": "text/x-amp-html", "value": "<html amp4email></html>"}],
    }


def test_extra_fields_reach_into_the_personalization() -> None:
    """Template data belongs into the personalization: one object there is merged into the message's own."""
    options = extra(template_id="d-1", personalizations=[{"dynamic_template_data": {"name": "Ada"}, "send_at": 7}])
    sent = payload(MINIMAL, options)
    assert sent["personalizations"] == [
        {"to": [{"email": "ada@example.com"}], "dynamic_template_data": {"name": "Ada"}, "send_at": 7}
    ]
    assert sent["template_id"] == "d-1"


def test_extra_fields_of_a_call_win_over_settings_of_the_service() -> None:
    """A call may set what the service set otherwise, and setting something beside it leaves the service's setting."""
    options = extra(
        tracking_settings={"open_tracking": {"enable": True}, "ganalytics": {"enable": True}},
        mail_settings={"footer": {"enable": True}},
    )
    sent = payload(MINIMAL, options, sandbox_mode=True, track_opens=False, track_clicks=False)
    assert sent["tracking_settings"] == {
        "open_tracking": {"enable": True},
        "click_tracking": {"enable": False},
        "ganalytics": {"enable": True},
    }
    assert sent["mail_settings"] == {"sandbox_mode": {"enable": True}, "footer": {"enable": True}}


@pytest.mark.parametrize(
    "fields",
    [
        {"from": {"email": "mallory@example.com"}},
        {"subject": "Another"},
        {"custom_args": {"order": "1002"}},
        {"reply_to": {"email": "mallory@example.com"}},
        {"content": "x"},
        {"personalizations": [{"to": [{"email": "mallory@example.com"}]}]},
        {"personalizations": [{"bcc": []}]},
        {"personalizations": [{"from": {"email": "mallory@example.com"}}]},
        {"personalizations": [{}, {}]},
        {"personalizations": {}},
        {"personalizations": ["x"]},
    ],
)
def test_extra_fields_change_nothing_that_the_message_says(fields: Mapping[str, object]) -> None:
    """Sender, recipients and content are the message's: an extra field that differs is an error."""
    with pytest.raises(InvalidRequestError, match="extra field"):
        payload(FULL, extra(**fields))


def test_building_changes_neither_the_message_nor_the_options() -> None:
    """The adapter is pure: the same call gives the same request, and what the caller gave stays as it was."""
    options = extra(mail_settings={"footer": {"enable": True}}, personalizations=[{"headers": {"X-A": "1"}}])
    before = deepcopy(options)
    assert payload(FULL, options, sandbox_mode=True) == payload(FULL, options, sandbox_mode=True)
    assert options == before


def test_a_bulk_is_one_request_per_message() -> None:
    """Messages differ in content, which SendGrid cannot group: each is a request of its own, in order."""
    adapter = SendGridServiceAdapter(SendGridOptions())
    bulk = adapter.send_bulk_email([FULL, MINIMAL], CallOptions(reference="01JREFERENCE"))
    assert [chunk.request.json() for chunk in bulk.chunks] == [
        FULL_PAYLOAD,
        {**MINIMAL_PAYLOAD, "custom_args": {"nexus_reference": "01JREFERENCE"}},
    ]
    assert {chunk.request.path for chunk in bulk.chunks} == {"/v3/mail/send"}
    assert list(bulk.sizes) == [1, 1]


def test_only_reading_is_safe_to_repeat() -> None:
    """SendGrid knows no idempotency keys: sending is unsafe. The check of an address is a POST, but sends nothing."""
    adapter = SendGridServiceAdapter(SendGridOptions())
    period = Period(start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 1, 2, tzinfo=UTC))
    assert adapter.vendor.idempotency_header is None
    assert sending(MINIMAL).safety == "unsafe"
    assert adapter.send_bulk_email([MINIMAL], CallOptions()).chunks[0].safety == "unsafe"
    assert adapter.validate_address("ada@example.com", CallOptions()).safety == "safe"
    assert adapter.get_statistics(period, CallOptions()).safety == "safe"


def test_an_address_is_asked_about() -> None:
    """The question holds the address, and what the caller adds, as where it came from."""
    adapter = SendGridServiceAdapter(SendGridOptions())
    request = adapter.validate_address("ada@example.com", extra(source="signup")).request
    assert (request.method, request.path) == ("POST", "/v3/validations/email")
    assert request.json() == {"email": "ada@example.com", "source": "signup"}


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC), "2026-01-01", "2026-01-31"),
        (datetime(2026, 1, 1, 9, tzinfo=UTC), datetime(2026, 1, 3, 17, tzinfo=UTC), "2026-01-01", "2026-01-03"),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01", "2026-01-01"),
        (
            datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1))),
            datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=1))),
            "2026-01-01",
            "2026-01-01",
        ),
    ],
)
def test_statistics_are_counted_by_days(start: datetime, end: datetime, first: str, last: str) -> None:
    """A period becomes the days it touches, as its own times write them; midnight at its end begins no further day."""
    adapter = SendGridServiceAdapter(SendGridOptions())
    request = adapter.get_statistics(Period(start=start, end=end), extra(aggregated_by="month")).request
    assert (request.method, request.path) == ("GET", "/v3/stats")
    assert dict(request.query) == {"start_date": first, "end_date": last, "aggregated_by": "month"}
