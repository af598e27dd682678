"""The adapter keeps what the core asks of every adapter."""

from __future__ import annotations

from datetime import UTC, datetime

from nexus_connector import EmailMessage
from nexus_connector.contracts.email import Period
from nexus_connector.testing import AdapterContract, Fault, Sample
from nexus_connector_sendgrid import SendGridServiceAdapter

MESSAGE = EmailMessage(recipient="ada@example.com", subject="Invoice", body="<p>", sender="billing@example.com")
ACCEPTED = (202, b"", {"X-Message-Id": "14c5d75ce93.dfd.64b469"})
NUMBERS = {"requests": 3, "delivered": 2, "opens": 1, "clicks": 1, "bounces": 1, "spam_reports": 0}


class TestSendGrid(AdapterContract):
    adapter_class = SendGridServiceAdapter
    samples = (
        Sample(
            method="send_transactional_email",
            value=MESSAGE,
            answers=[ACCEPTED],
            result={"message_id": "14c5d75ce93.dfd.64b469"},
            extra={"asm": {"group_id": 42}},
        ),
        Sample(
            method="send_bulk_email",
            value=[MESSAGE, MESSAGE],
            answers=[ACCEPTED],
            result={"message_id": "14c5d75ce93.dfd.64b469"},
        ),
        Sample(
            method="validate_address",
            value="ada@example.com",
            answers=[{"result": {"email": "ada@example.com", "verdict": "Valid", "score": 0.93}}],
            result={"valid": True},
        ),
        Sample(
            method="get_statistics",
            value=Period(start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 1, 2, tzinfo=UTC)),
            answers=[[{"date": "2026-01-01", "stats": [{"metrics": NUMBERS}]}]],
            result={"sent": 3, "delivered": 2, "bounced": 1},
        ),
    )
    faults = (
        Fault(
            method="send_transactional_email",
            answer=(400, {"errors": [{"message": "The from address is not valid.", "field": "from.email"}]}),
            code=None,  # SendGrid has no codes: the field stands in the error's text
        ),
    )
