"""What Postmark answers, in the contract's words: pure, without a network."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nexus_connector import CallInfo, Outcome, Response
from nexus_connector_postmark._answers import error_code, error_text, outcomes, receipt, statistics

CALL = CallInfo(id="01JCALL", service="postmark", operation="email.x")
OK = {
    "To": "ada@example.com",
    "SubmittedAt": "2014-02-17T07:25:01.4178645-05:00",
    "MessageID": "0a129aee-e1cd-480d-b08d-4f48548ff48d",
    "ErrorCode": 0,
    "Message": "OK",
}
INACTIVE = {"ErrorCode": 406, "Message": "You tried to send to recipient(s) that have been marked as inactive."}
OVERVIEW = {
    "Sent": 615,
    "Bounced": 64,
    "SMTPApiErrors": 25,
    "BounceRate": 10.406,
    "SpamComplaints": 10,
    "SpamComplaintsRate": 1.626,
    "Opens": 166,
    "UniqueOpens": 26,
    "Tracked": 111,
    "WithLinkTracking": 90,
    "WithOpenTracking": 51,
    "TotalTrackedLinksSent": 60,
    "UniqueLinksClicked": 30,
    "TotalClicks": 72,
    "WithClientRecorded": 14,
    "WithPlatformRecorded": 10,
}


def answer(value: Any = None, *, body: bytes | None = None) -> Response:
    """An answer of Postmark."""
    return Response(status=200, body=json.dumps(value).encode() if body is None else body, call=CALL)


def test_an_accepted_message_is_sent() -> None:
    """Error code 0 is a receipt under Postmark's id."""
    result = receipt(answer(OK))
    assert (result.message_id, result.status) == ("0a129aee-e1cd-480d-b08d-4f48548ff48d", "sent")
    assert result.call.response is not None


@pytest.mark.parametrize(
    "text",
    [
        "Message accepted, but delivery may be delayed.",
        "Message OK, but will not deliver to these inactive addresses: bob@example.com.",
    ],
)
def test_what_postmark_adds_is_the_status(text: str) -> None:
    """A message that is delayed, or goes to some recipients only, is done; the status says so in Postmark's words."""
    assert receipt(answer({**OK, "Message": text})).status == text


def test_a_missing_error_code_is_no_error() -> None:
    """Delayed messages were seen without an error code (django-anymail issue 392): the id says that it was taken."""
    fields = {name: value for name, value in OK.items() if name != "ErrorCode"}
    response = answer({**fields, "Message": "Message accepted, but delivery may be delayed."})
    assert error_code(response) is None
    assert receipt(response).message_id == OK["MessageID"]
    (item,) = outcomes(answer([fields]), 1)
    assert item.outcome is Outcome.DONE


def test_each_message_of_a_batch_has_its_outcome() -> None:
    """Each item tells by its own error code whether its message was taken; the others are not concerned."""
    items = outcomes(answer([OK, INACTIVE, {**OK, "MessageID": "m3"}, {}, None]), 5)
    assert [item.outcome for item in items] == ["done", "refused", "done", "unknown", "unknown"]
    assert [item.result.message_id for item in items if item.result] == [OK["MessageID"], "m3"]
    assert items[1].error is not None
    assert "(406): You tried to send to recipient(s)" in items[1].error
    assert items[3].error is not None


def test_the_text_of_a_refused_message_is_redacted() -> None:
    """What Postmark repeats in its text may hold a secret, which must not reach the outcome."""
    (item,) = outcomes(answer([{"ErrorCode": 300, "Message": "Invalid 'Subject': password=hunter2hunter2hunter2"}]), 1)
    assert item.error is not None
    assert "hunter2hunter2hunter2" not in item.error


@pytest.mark.parametrize("value", [[], [OK], [OK, OK, OK], OK, None])
def test_an_answer_to_another_number_of_messages_is_no_answer(value: Any) -> None:
    """Outcomes are matched by their place: if the numbers differ, nobody knows which is whose."""
    with pytest.raises(ValueError, match="2 messages"):
        outcomes(answer(value), 2)


def test_statistics_are_read() -> None:
    """Opens and clicks count recipients; what was sent and did not bounce counts as delivered."""
    result = statistics(answer(OVERVIEW))
    counts = (result.sent, result.delivered, result.opened, result.clicked, result.bounced, result.complained)
    assert counts == (615, 551, 26, 30, 64, 10)


def test_deliveries_are_never_negative() -> None:
    """Bounces of earlier days may outnumber what was sent in the period; a count that is left out is zero."""
    result = statistics(answer({"Sent": 1, "Bounced": 3}))
    assert (result.delivered, result.opened, result.clicked, result.complained) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("response", "code", "text"),
    [
        (answer(OK), None, "OK"),
        (answer(INACTIVE), "406", INACTIVE["Message"]),
        (answer({"ErrorCode": 10}), "10", None),
        (answer({"ErrorCode": True, "Message": ["x"]}), None, None),
        (answer({"ErrorCode": "406", "Message": 7}), None, None),
        (answer({"ErrorCode": None, "Message": None}), None, None),
        (answer({"ErrorCode": {}, "Message": {}}), None, None),
        (answer([INACTIVE]), None, None),
        (answer("x"), None, None),
        (answer(7), None, None),
        (answer(body=b"null"), None, None),
        (answer(body=b""), None, None),
        (answer(body=b"<html><title>403 Forbidden</title></html>"), None, None),
        (answer(body=b'{"ErrorCode": 4'), None, None),
        (answer(body=b"\xff\xfe\x00"), None, None),
        (answer(body=b"[" * 100_000), None, None),
    ],
)
def test_code_and_text_of_an_error_are_read_or_left(response: Response, code: str | None, text: str | None) -> None:
    """The readers of errors raise nothing, whatever comes instead of an error; code 0 is none."""
    assert (error_code(response), error_text(response)) == (code, text)
