"""The adapter keeps what the core asks of every adapter."""

from __future__ import annotations

from datetime import UTC, datetime

from nexus_connector import EmailMessage
from nexus_connector.contracts.email import Period
from nexus_connector.testing import AdapterContract, Fault, Sample
from nexus_connector_postmark import PostmarkServiceAdapter

MESSAGE = EmailMessage(recipient="ada@example.com", subject="Invoice", body="<p>", sender="billing@example.com")
OK = {
    "To": "ada@example.com",
    "SubmittedAt": "2014-02-17T07:25:01.4178645-05:00",
    "MessageID": "0a129aee-e1cd-480d-b08d-4f48548ff48d",
    "ErrorCode": 0,
    "Message": "OK",
}
TAKEN = {"message_id": "0a129aee-e1cd-480d-b08d-4f48548ff48d", "status": "sent"}
OVERVIEW = {"Sent": 615, "Bounced": 64, "SpamComplaints": 10, "UniqueOpens": 26, "UniqueLinksClicked": 30}


class TestPostmark(AdapterContract):
    adapter_class = PostmarkServiceAdapter
    samples = (
        Sample(
            method="send_transactional_email",
            value=MESSAGE,
            answers=[OK],
            result=TAKEN,
            extra={"InlineCss": True},
        ),
        Sample(method="send_bulk_email", value=[MESSAGE, MESSAGE], answers=[[OK, OK]], result=TAKEN),
        Sample(
            method="get_statistics",
            value=Period(start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 1, 31, tzinfo=UTC)),
            answers=[OVERVIEW],
            result={"sent": 615, "bounced": 64, "complained": 10},
        ),
    )
    faults = (
        Fault(
            method="send_transactional_email",
            answer=(422, {"ErrorCode": 300, "Message": "Invalid 'From' address"}),
            code="300",
        ),
    )
