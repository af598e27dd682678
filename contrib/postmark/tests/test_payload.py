"""What Postmark gets: pure, without a network."""

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
from nexus_connector.errors import InvalidRequestError, NotSupportedError
from nexus_connector_postmark import PostmarkOptions, PostmarkServiceAdapter

FULL = EmailMessage(
    recipient=["Ada Lovelace <ada@example.com>", "bob@example.com"],
    subject="Invoice 1001",
    body="<p>Dear Ada</p>",
    text="Dear Ada",
    sender="Billing <billing@example.com>",
    reply_to="Help <help@example.com>",
    cc=["carol@example.com"],
    bcc=["audit@example.com", "archive@example.com"],
    attachments=[Attachment(name="invoice.pdf", content=b"%PDF-1.7", content_type="application/pdf")],
    tags=["invoice"],
    metadata={"order": "1001"},
)
FULL_PAYLOAD = {
    "From": "Billing <billing@example.com>",
    "To": "Ada Lovelace <ada@example.com>, bob@example.com",
    "Cc": "carol@example.com",
    "Bcc": "audit@example.com, archive@example.com",
    "ReplyTo": "Help <help@example.com>",
    "Subject": "Invoice 1001",
    "TextBody": "Dear Ada",
    "HtmlBody": "<p>Dear Ada</p>",
    "Attachments": [{"Name": "invoice.pdf", "Content": "JVBERi0xLjc=", "ContentType": "application/pdf"}],
    "Tag": "invoice",
    "Metadata": {"order": "1001", "nexus_reference": "01JREFERENCE"},
}
MINIMAL = EmailMessage(recipient="ada@example.com", subject="Hello", text="Hello Ada", sender="us@example.com")
MINIMAL_PAYLOAD = {"From": "us@example.com", "To": "ada@example.com", "Subject": "Hello", "TextBody": "Hello Ada"}
NO_OPTIONS = CallOptions()


def sending(message: EmailMessage, options: CallOptions = NO_OPTIONS, **settings: Any) -> Operation[Any]:
    """The operation that sends a message."""
    return PostmarkServiceAdapter(PostmarkOptions(**settings)).send_transactional_email(message, options)


def payload(message: EmailMessage, options: CallOptions = NO_OPTIONS, **settings: Any) -> Any:
    """The body that sends a message."""
    return sending(message, options, **settings).request.json()


def extra(**fields: object) -> CallOptions:
    """Options of a call with extra fields for Postmark, and for a vendor that is not meant."""
    return CallOptions(extra={"postmark": fields, "sendgrid": {"asm": {"group_id": 42}}})


def test_a_full_message_becomes_the_documented_payload() -> None:
    """Everything a message can say has its place in the documented body of /email."""
    operation = sending(FULL, CallOptions(call_id="01JCALL", reference="01JREFERENCE"))
    request = operation.request
    assert (operation.name, request.method, request.path, request.query) == (
        "email.send_transactional_email",
        "POST",
        "/email",
        (),
    )
    assert request.headers["Content-Type"] == "application/json"
    assert request.json() == FULL_PAYLOAD
    assert operation.value is FULL


def test_a_minimal_message_has_no_empty_fields() -> None:
    """What a message leaves out is left out of the payload, so that Postmark's own defaults hold."""
    assert payload(MINIMAL) == MINIMAL_PAYLOAD


def test_every_request_asks_for_json() -> None:
    """Postmark requires an Accept header with every request."""
    adapter = PostmarkServiceAdapter(PostmarkOptions())
    period = Period(start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 1, 2, tzinfo=UTC))
    operations = [
        sending(MINIMAL),
        adapter.send_bulk_email([MINIMAL], CallOptions()).chunks[0],
        adapter.get_statistics(period, CallOptions()),
    ]
    assert {operation.request.headers["Accept"] for operation in operations} == {"application/json"}


@pytest.mark.parametrize(
    ("address", "mailbox"),
    [
        ("Ada Lovelace <ada@example.com>", "Ada Lovelace <ada@example.com>"),
        ('"Lovelace, Ada" <ada@example.com>', '"Lovelace, Ada" <ada@example.com>'),
        ("Lovelace, Ada <ada@example.com>", '"Lovelace, Ada" <ada@example.com>'),
        ("J. Doe (sales) <j@example.com>", '"J. Doe (sales)" <j@example.com>'),
        ('Ada "Countess" L <ada@example.com>', r'"Ada \"Countess\" L" <ada@example.com>'),
        (r"A\B <ab@example.com>", r'"A\\B" <ab@example.com>'),
        ("Zoë O'Ŝmith <zoe@example.com>", "Zoë O'Ŝmith <zoe@example.com>"),
        ("艾达 <ada@example.com>", "艾达 <ada@example.com>"),
        ("<ada@example.com>", "ada@example.com"),
    ],
)
def test_a_name_goes_before_the_address(address: str, mailbox: str) -> None:
    """A name with punctuation is quoted, or its comma would end the address; in every place where one may stand."""
    message = EmailMessage(
        recipient=address, cc=[address], bcc=[address], reply_to=address, sender=address, subject="x", text="x"
    )
    sent = payload(message)
    assert {sent[field] for field in ("From", "To", "Cc", "Bcc", "ReplyTo")} == {mailbox}


def test_several_recipients_are_separated_by_commas() -> None:
    """One field holds all recipients of a kind."""
    message = EmailMessage(
        recipient=["Ada <a@example.com>", '"B, C" <b@example.com>'], text="x", sender="us@example.com"
    )
    assert payload(message)["To"] == 'Ada <a@example.com>, "B, C" <b@example.com>'


def test_unicode_arrives_as_it_is() -> None:
    """Subject, bodies, tag and metadata may hold any character."""
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
    assert (sent["Subject"], sent["HtmlBody"], sent["TextBody"]) == ("Größe 尺寸 🙂", "<p>🙂</p>", "Größe")
    assert (sent["Tag"], sent["Metadata"]) == ("größe", {"größe": "尺寸"})


def test_attachments_are_base64() -> None:
    """Any bytes survive as standard base64; the name and type are the attachment's own."""
    content = bytes(range(256))
    files = [
        Attachment(name="größe.bin", content=content),
        Attachment(name="b.txt", content=b"b", content_type="text/plain"),
    ]
    message = EmailMessage(recipient="a@example.com", text="x", sender="us@example.com", attachments=files)
    first, second = payload(message)["Attachments"]
    assert b64decode(first["Content"], validate=True) == content
    assert (first["Name"], first["ContentType"]) == ("größe.bin", "application/octet-stream")
    assert (second["Name"], second["ContentType"]) == ("b.txt", "text/plain")


def test_a_second_tag_is_not_supported() -> None:
    """Postmark keeps one tag with a message: more than one is an error, not a silent loss; in a bulk, for all of it."""
    tagged = attrs.evolve(MINIMAL, tags=["a", "b"])
    with pytest.raises(NotSupportedError, match="one tag"):
        payload(tagged)
    with pytest.raises(NotSupportedError, match="one tag"):
        PostmarkServiceAdapter(PostmarkOptions()).send_bulk_email([MINIMAL, tagged], CallOptions())


def test_addresses_cannot_be_checked() -> None:
    """Postmark has nothing that checks an address: the method is left out, so that the facade refuses it."""
    assert not hasattr(PostmarkServiceAdapter, "validate_address")


def test_a_reference_is_the_only_thing_added_to_the_metadata() -> None:
    """Only the reference of a call goes into the metadata, beside the message's own; its id does not."""
    assert payload(MINIMAL, CallOptions(call_id="01JCALL", reference="r1"))["Metadata"] == {"nexus_reference": "r1"}
    assert "Metadata" not in payload(MINIMAL, CallOptions(call_id="01JCALL"))


def test_settings_of_the_service_hold_for_every_message() -> None:
    """Stream and tracking are set as configured; what is not configured is left to the server."""
    assert payload(MINIMAL, message_stream="broadcast", track_opens=False, track_clicks=True) == {
        **MINIMAL_PAYLOAD,
        "MessageStream": "broadcast",
        "TrackOpens": False,
        "TrackLinks": "HtmlAndText",
    }
    assert payload(MINIMAL, track_clicks=False) == {**MINIMAL_PAYLOAD, "TrackLinks": "None"}


def test_extra_fields_are_merged() -> None:
    """Extra fields are added at the top; objects are merged and lists go on; other vendors' fields are not."""
    inline = {"Name": "a.png", "Content": "YQ==", "ContentType": "image/png", "ContentID": "cid:a.png"}
    options = extra(
        Headers=[{"Name": "X-Campaign", "Value": "7"}],
        Metadata={"campaign": "7"},
        Attachments=(inline,),
        InlineCss=True,
    )
    assert payload(FULL, attrs.evolve(options, reference="01JREFERENCE")) == {
        **FULL_PAYLOAD,
        "Headers": [{"Name": "X-Campaign", "Value": "7"}],
        "InlineCss": True,
        "Metadata": {"order": "1001", "campaign": "7", "nexus_reference": "01JREFERENCE"},
        "Attachments": [{"Name": "invoice.pdf", "Content": "JVBERi0xLjc=", "ContentType": "application/pdf"}, inline],
    }


def test_extra_fields_of_a_call_win_over_settings_of_the_service() -> None:
    """A call may go through another stream than the service's own."""
    sent = payload(MINIMAL, extra(MessageStream="broadcast"), message_stream="receipts", track_opens=True)
    assert sent == {**MINIMAL_PAYLOAD, "MessageStream": "broadcast", "TrackOpens": True}


@pytest.mark.parametrize(
    "fields",
    [
        {"From": "mallory@example.com"},
        {"To": "mallory@example.com"},
        {"Bcc": "mallory@example.com"},
        {"Subject": "Another"},
        {"Tag": "another"},
        {"Metadata": {"order": "1002"}},
        {"Metadata": "x"},
        {"Attachments": {}},
    ],
)
def test_extra_fields_change_nothing_that_the_message_says(fields: Mapping[str, object]) -> None:
    """Sender, recipients and content are the message's: an extra field that differs is an error."""
    with pytest.raises(InvalidRequestError, match="extra field"):
        payload(FULL, extra(**fields))


@pytest.mark.parametrize("name", ["TemplateId", "TemplateAlias", "TemplateModel"])
def test_a_template_is_not_supported(name: str) -> None:
    """/email ignores a template and would send the message without it: naming one is an error."""
    with pytest.raises(NotSupportedError, match=name):
        payload(MINIMAL, extra(**{name: "welcome"}))


def test_building_changes_neither_the_message_nor_the_options() -> None:
    """The adapter is pure: the same call gives the same request, and what the caller gave stays as it was."""
    options = extra(Metadata={"campaign": "7"}, Headers=[{"Name": "X-A", "Value": "1"}])
    before = deepcopy(options)
    assert payload(FULL, options, track_opens=True) == payload(FULL, options, track_opens=True)
    assert options == before


def test_a_bulk_goes_in_batches_of_500() -> None:
    """A batch takes 500 messages; each has the form of a single one, and all keep their order."""
    adapter = PostmarkServiceAdapter(PostmarkOptions(message_stream="broadcast"))
    messages = [attrs.evolve(MINIMAL, subject=str(number)) for number in range(1001)]
    bulk = adapter.send_bulk_email(messages, CallOptions(reference="r1"))
    assert list(bulk.sizes) == [500, 500, 1]
    assert {(chunk.request.method, chunk.request.path) for chunk in bulk.chunks} == {("POST", "/email/batch")}
    sent = [item for chunk in bulk.chunks for item in chunk.request.json()]
    assert [item["Subject"] for item in sent] == [str(number) for number in range(1001)]
    assert sent[1000] == {
        **MINIMAL_PAYLOAD,
        "Subject": "1000",
        "Metadata": {"nexus_reference": "r1"},
        "MessageStream": "broadcast",
    }


def test_only_reading_is_safe_to_repeat() -> None:
    """Postmark knows no idempotency keys: sending is unsafe."""
    adapter = PostmarkServiceAdapter(PostmarkOptions())
    period = Period(start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 1, 2, tzinfo=UTC))
    assert adapter.vendor.idempotency_header is None
    assert sending(MINIMAL).safety == "unsafe"
    assert adapter.send_bulk_email([MINIMAL], CallOptions()).chunks[0].safety == "unsafe"
    assert adapter.get_statistics(period, CallOptions()).safety == "safe"


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        (datetime(2026, 1, 1, 5, tzinfo=UTC), datetime(2026, 2, 1, 5, tzinfo=UTC), "2026-01-01", "2026-01-31"),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC), "2025-12-31", "2026-01-31"),
        (datetime(2026, 1, 1, 5, tzinfo=UTC), datetime(2026, 1, 1, 5, tzinfo=UTC), "2026-01-01", "2026-01-01"),
        (
            datetime(2026, 1, 1, 6, tzinfo=timezone(timedelta(hours=1))),
            datetime(2026, 1, 2, 6, tzinfo=timezone(timedelta(hours=1))),
            "2026-01-01",
            "2026-01-01",
        ),
    ],
)
def test_statistics_are_counted_by_days(start: datetime, end: datetime, first: str, last: str) -> None:
    """A period becomes the days it touches in Eastern Standard Time; midnight at its end begins no further day."""
    adapter = PostmarkServiceAdapter(PostmarkOptions())
    request = adapter.get_statistics(Period(start=start, end=end), extra(tag="invoice")).request
    assert (request.method, request.path) == ("GET", "/stats/outbound")
    assert dict(request.query) == {"fromdate": first, "todate": last, "tag": "invoice"}
