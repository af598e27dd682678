"""What SendGrid answers, in the contract's words: pure, without a network."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nexus_connector import CallInfo, Headers, Outcome, Response
from nexus_connector_sendgrid._answers import address_check, error_text, outcomes, receipt, statistics

CALL = CallInfo(id="01JCALL", service="sendgrid", operation="email.x")
METRICS = {
    "blocks": 1,
    "bounce_drops": 0,
    "bounces": 2,
    "clicks": 9,
    "deferred": 0,
    "delivered": 95,
    "invalid_emails": 0,
    "opens": 80,
    "processed": 99,
    "requests": 100,
    "spam_report_drops": 0,
    "spam_reports": 3,
    "unique_clicks": 7,
    "unique_opens": 60,
    "unsubscribe_drops": 0,
    "unsubscribes": 0,
}


def answer(value: Any = None, *, status: int = 200, body: bytes | None = None, **headers: str) -> Response:
    """An answer of SendGrid."""
    fields = Headers({name.replace("_", "-"): text for name, text in headers.items()})
    content = body if body is not None else b"" if value is None else json.dumps(value).encode()
    return Response(status=status, headers=fields, body=content, call=CALL)


def test_an_accepted_message_is_queued() -> None:
    """202 without a body is a receipt: queued, under the id in X-Message-Id."""
    result = receipt(answer(status=202, x_message_id="14c5d75ce93.dfd.64b469"))
    assert (result.message_id, result.status) == ("14c5d75ce93.dfd.64b469", "queued")
    assert result.call.response is not None


def test_the_sandbox_validates() -> None:
    """200 says that the message was checked and not sent; an id may be missing, which is no error."""
    result = receipt(answer(status=200))
    assert (result.message_id, result.status) == ("", "validated")


def test_each_message_of_a_bulk_has_its_outcome() -> None:
    """A request of a bulk carries one message and gives one outcome."""
    (item,) = outcomes(answer(status=202, x_message_id="m1"))
    assert item.outcome is Outcome.DONE
    assert item.result is not None
    assert item.result.message_id == "m1"


def verdict(word: str, **changed: bool) -> Response:
    """A verdict, with the checks that differ from a good address."""
    good = {
        "domain": {
            "has_valid_address_syntax": True,
            "has_mx_or_a_record": True,
            "is_suspected_disposable_address": False,
        },
        "local_part": {"is_suspected_role_address": False},
        "additional": {"has_known_bounces": False, "has_suspected_bounces": False},
    }
    checks = {name: {**group, **{key: changed[key] for key in group if key in changed}} for name, group in good.items()}
    return answer({"result": {"email": "ada@example.com", "verdict": word, "score": 0.5, "checks": checks}})


@pytest.mark.parametrize(
    ("response", "valid", "reason"),
    [
        (verdict("Valid"), True, None),
        (verdict("Risky", is_suspected_role_address=True), True, "Risky: is_suspected_role_address"),
        (
            verdict("Invalid", has_mx_or_a_record=False, has_known_bounces=True),
            False,
            "Invalid: has_mx_or_a_record, has_known_bounces",
        ),
        (answer({"result": {"verdict": "Invalid"}}), False, "Invalid"),
    ],
)
def test_only_an_invalid_address_takes_no_mail(response: Response, valid: bool, reason: str | None) -> None:
    """Risky addresses may take mail: they are valid, and the reason names the checks that raise doubts."""
    result = address_check(response)
    assert (result.valid, result.reason) == (valid, reason)


def test_statistics_add_up_the_days() -> None:
    """All days are summed; opens and clicks count recipients, and what a recipient's server blocked has bounced."""
    days = [{"date": f"2026-01-0{n}", "stats": [{"metrics": METRICS}]} for n in (1, 2)]
    result = statistics(answer([*days, {"date": "2026-01-03", "stats": []}]))
    counts = (result.sent, result.delivered, result.opened, result.clicked, result.bounced, result.complained)
    assert counts == (200, 190, 120, 14, 6, 6)


def test_no_days_are_zeros() -> None:
    """A period without mail has statistics: zeros."""
    assert statistics(answer([])).sent == 0


@pytest.mark.parametrize(
    ("response", "text"),
    [
        (answer({"errors": [{"message": "too many requests", "field": None}]}), "too many requests"),
        (answer({"errors": [{"message": "not found", "field": "null"}]}), "not found"),
        (
            answer(
                {
                    "errors": [
                        {"message": "invalid", "field": "from.email", "help": {}},
                        {"message": "empty", "field": ""},
                    ]
                }
            ),
            "from.email: invalid; empty",
        ),
        (answer({"errors": []}), None),
        (answer({"errors": "x"}), None),
        (answer({"errors": {"message": "x"}}), None),
        (answer({"errors": [None, 1, "x", [], {}, {"message": 1}, {"message": None}]}), None),
        (answer({"errors": [{"message": "x", "field": ["a"]}]}), "x"),
        (answer({"error": "x"}), None),
        (answer(["errors"]), None),
        (answer("errors"), None),
        (answer(7), None),
        (answer(body=b"null"), None),
        (answer(body=b""), None),
        (answer(body=b"<html>502 Bad Gateway</html>"), None),
        (answer(body=b'{"errors": [{"mess'), None),
        (answer(body=b"\xff\xfe\x00"), None),
        (answer(body=b"[" * 100_000), None),
    ],
)
def test_the_text_of_an_error_is_read_or_left(response: Response, text: str | None) -> None:
    """The reader of errors names the field before its text, and raises nothing, whatever comes instead."""
    assert error_text(response) == text
