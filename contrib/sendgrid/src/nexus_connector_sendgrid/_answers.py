"""SendGrid's answers in the contract's words, and its errors in the core's.

Sources: https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/errors
https://www.twilio.com/docs/sendgrid/glossary/x-message-id
https://www.twilio.com/docs/sendgrid/api-reference/e-mail-address-validation/validate-an-email
https://www.twilio.com/docs/sendgrid/api-reference/stats/retrieve-global-email-statistics
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import cast

from nexus_connector import (
    AddressCheck,
    Classification,
    EmailReceipt,
    EmailStatistics,
    ItemOutcome,
    Outcome,
    Response,
)
from nexus_connector.errors import ResponseFormatError

_GOOD_IF_TRUE = frozenset({"has_valid_address_syntax", "has_mx_or_a_record"})


def receipt(response: Response) -> EmailReceipt:
    """Read the answer to a message: 202 and an id in a header. The sandbox answers 200, and may give no id."""
    status = "queued" if response.status == 202 else "validated"
    return EmailReceipt(message_id=response.headers.get("x-message-id") or "", status=status, call=response.info)


def outcomes(response: Response) -> Sequence[ItemOutcome[EmailReceipt]]:
    """Read the answer to a message of a bulk: each is a request of its own."""
    return [ItemOutcome(outcome=Outcome.DONE, result=receipt(response))]


def address_check(response: Response) -> AddressCheck:
    """Read a verdict. A risky address may take mail: it is valid, with the doubts as reason."""
    result = response.json()["result"]
    verdict: str = result["verdict"]
    checks = [check for group in result.get("checks", {}).values() for check in group.items()]
    doubts = [name for name, value in checks if value is not (name in _GOOD_IF_TRUE)]
    reason = None if verdict == "Valid" else f"{verdict}: {', '.join(doubts)}" if doubts else verdict
    return AddressCheck(valid=verdict != "Invalid", reason=reason, call=response.info)


def statistics(response: Response) -> EmailStatistics:
    """Add up the days. Opens and clicks are counted once per recipient; a block is a refusal like a bounce."""
    totals: Counter[str] = Counter()
    for day in response.json():
        for entry in day["stats"]:
            totals.update(cast("dict[str, int]", entry["metrics"]))
    return EmailStatistics(
        sent=totals["requests"],
        delivered=totals["delivered"],
        opened=totals["unique_opens"],
        clicked=totals["unique_clicks"],
        bounced=totals["bounces"] + totals["blocks"],
        complained=totals["spam_reports"],
        call=response.info,
    )


def error_text(response: Response) -> str | None:
    """Return what SendGrid says went wrong, each text after the field it blames; ``None`` if it says nothing."""
    try:
        errors = _fields(response.json()).get("errors")
    except ResponseFormatError:
        return None
    texts = [_text(_fields(error)) for error in cast("list[object]", errors)] if isinstance(errors, list) else []
    return "; ".join(text for text in texts if text) or None


def _fields(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _text(error: Mapping[str, object]) -> str:
    message, field = error.get("message"), error.get("field")
    if not isinstance(message, str):
        return ""
    return f"{field}: {message}" if isinstance(field, str) and field not in {"", "null"} else message


CLASSIFICATION = Classification(message=error_text)
"""SendGrid publishes no error codes: a status and a text are all there is."""
