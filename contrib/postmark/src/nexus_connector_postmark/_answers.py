"""Postmark's answers in the contract's words, and its errors in the core's.

Sources: https://postmarkapp.com/developer/api/overview (statuses and error codes)
https://postmarkapp.com/developer/api/email-api
https://postmarkapp.com/developer/api/stats-api
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from nexus_connector import Classification, EmailReceipt, EmailStatistics, ItemOutcome, Outcome, Response
from nexus_connector.errors import AuthenticationError, NotFoundError, ResponseFormatError
from nexus_connector.redaction import DEFAULT_REDACTOR


def receipt(response: Response) -> EmailReceipt:
    """Read the answer to a message."""
    return _receipt(response.json(), response)


def outcomes(response: Response, count: int) -> Sequence[ItemOutcome[EmailReceipt]]:
    """Read the answer to a batch: one item per message, in their order, each with an error code of its own.

    Args:
        response: The answer.
        count: How many messages were sent.

    Raises:
        ValueError: If it is an answer to another number of messages: nobody knows which is whose.
    """
    items = response.json()
    if not isinstance(items, list) or len(cast("list[object]", items)) != count:
        message = f"expected the outcomes of {count} messages"
        raise ValueError(message)
    return [_outcome(_fields(item), response) for item in cast("list[object]", items)]


def statistics(response: Response) -> EmailStatistics:
    """Read the overview. Postmark does not count deliveries: what was sent and did not bounce was delivered."""
    counts = response.json()
    sent, bounced = counts["Sent"], counts.get("Bounced", 0)
    return EmailStatistics(
        sent=sent,
        delivered=max(sent - bounced, 0),
        opened=counts.get("UniqueOpens", 0),
        clicked=counts.get("UniqueLinksClicked", 0),
        bounced=bounced,
        complained=counts.get("SpamComplaints", 0),
        call=response.info,
    )


def error_code(response: Response) -> str | None:
    """Return Postmark's own error code; ``None`` if there is none, or it says that there is no error."""
    return _code(_body(response))


def error_text(response: Response) -> str | None:
    """Return what Postmark says went wrong; ``None`` if it says nothing."""
    text = _body(response).get("Message")
    return text if isinstance(text, str) else None


def _body(response: Response) -> Mapping[str, object]:
    try:
        return _fields(response.json())
    except ResponseFormatError:
        return {}


def _fields(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _code(fields: Mapping[str, object]) -> str | None:
    code = fields.get("ErrorCode")  # left out of some good answers, with MessageID in its place
    return str(code) if isinstance(code, int) and not isinstance(code, bool) and code != 0 else None


def _receipt(fields: Mapping[str, object], response: Response) -> EmailReceipt:
    """``OK`` means sent; anything else Postmark says (delayed, partly inactive recipients) is handed on as it is."""
    text = fields.get("Message")
    status = text if isinstance(text, str) and text != "OK" else "sent"
    return EmailReceipt(message_id=str(fields["MessageID"]), status=status, call=response.info)


def _outcome(fields: Mapping[str, object], response: Response) -> ItemOutcome[EmailReceipt]:
    code = _code(fields)
    if code is not None:
        text = DEFAULT_REDACTOR.text(f"postmark refused the message ({code}): {fields.get('Message')}")
        return ItemOutcome(outcome=Outcome.REFUSED, error=text)
    if "MessageID" not in fields:
        return ItemOutcome(outcome=Outcome.UNKNOWN, error="postmark did not say what became of the message.")
    return ItemOutcome(outcome=Outcome.DONE, result=_receipt(fields, response))


CLASSIFICATION = Classification(
    errors={
        "10": AuthenticationError,  # bad or missing token
        "12": NotFoundError,  # resource not found
        "405": AuthenticationError,  # not allowed to send
        "412": AuthenticationError,  # account is pending
        "413": AuthenticationError,  # account may not send
        "1235": NotFoundError,  # message stream does not exist on this server
    },
    code=error_code,
    message=error_text,
    fault=error_code,
)
"""Codes are told from statuses by their type: ``"405"`` is Postmark's, 405 would be HTTP's."""
