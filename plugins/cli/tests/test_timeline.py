from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from nexus_connector.redaction import DEFAULT_REDACTOR
from nexus_connector_cli._output import silent_console
from nexus_connector_cli._timeline import timeline_of
from nexus_connector_cli._timeline_view import timeline_view

CALL = "01KAGW3QY6ZJ8M1V9T0X5R2C4D"
NOON = datetime(2025, 11, 20, 12, tzinfo=UTC)


def record(kind, *, at_ms=0.0, **fields: object):
    """Return a record as a plugin gives it back."""
    return {
        "kind": kind,
        "call_id": CALL,
        "parent_id": None,
        "tenant_id": "acme",
        "service_name": "crm",
        "operation": "GET /orders",
        "endpoint": "https://crm.example/orders",
        "method": "GET",
        "status": "success",
        "outcome": "done",
        "http_status_code": 200,
        "duration_ms": 5.0,
        "error_message": None,
        "attempt_number": 1,
        "vendor_reference": None,
        "created_at": (NOON + timedelta(milliseconds=at_ms)).isoformat(),
        **fields,
    }


def attempt(number, at_ms, **fields: object):
    """Return the record of an attempt."""
    return record("attempt", attempt_number=number, at_ms=at_ms, **fields)


def line_of(*records: object):
    """Return the time line of some records."""
    return timeline_of(CALL, records, DEFAULT_REDACTOR)


def shown(line, width=80):
    """Return what a person sees of a time line."""
    console = silent_console()
    console.quiet = False
    console.width = width
    console.print(timeline_view(line))
    return console.file.getvalue()


def test_waits_stand_between_attempts():
    """Time that passed before an attempt is a wait; the order of the records does not matter."""
    line = line_of(
        attempt(2, 1005, duration_ms=2.0),
        record("call", duration_ms=1010.0, attempt_number=2),
        attempt(1, 0.4, duration_ms=4.6, http_status_code=503, outcome="refused", status="failed"),
    )
    assert [(step.kind, step.offset_ms, step.duration_ms) for step in line.steps] == [
        ("attempt", 0.4, 4.6),
        ("wait", 5.0, 1000.0),
        ("attempt", 1005.0, 2.0),
    ]
    assert (line.attempts, line.outcome, line.duration_ms, line.tenant_id) == (2, "done", 1010.0, "acme")


def test_wait_before_the_first_attempt_is_told():
    """A limiter or a token may hold a call up before anything is sent."""
    line = line_of(record("call"), attempt(1, 250))
    assert [step.kind for step in line.steps] == ["wait", "attempt"]


def test_child_calls_are_steps():
    """Calls that are part of the call stand in its time line, with their own id."""
    child = record("call", at_ms=10, call_id="01KAGW3QY6ZJ8M1V9T0X5R2C4E", parent_id=CALL, operation="POST /lines")
    line = line_of(child)
    assert [(step.kind, step.call_id, step.operation) for step in line.steps] == [
        ("child", "01KAGW3QY6ZJ8M1V9T0X5R2C4E", "POST /lines")
    ]
    assert line.outcome is None
    assert "call 01KAGW3QY6ZJ8M1V9T0X5R2C4E" in shown(line, 120)


def test_foreign_records_make_no_time_line():
    """Without a record of the call there is nothing to tell."""
    assert line_of() is None
    assert line_of(record("call", call_id="another")) is None


def test_unfinished_call_says_so():
    """Attempts without the record of their call: it is under way, or its process is gone."""
    line = line_of(attempt(1, 0))
    assert line.outcome is None
    assert "not recorded" in shown(line)


def test_records_are_redacted_once_more():
    """Whoever kept the records, nothing that looks secret is shown."""
    line = line_of(
        record("call", error_message="token=sk_live_abcdefgh12345678", endpoint="https://u:p@crm.example/?token=abc")
    )
    assert "sk_live_abcdefgh12345678" not in str(line.as_dict())


def test_answer_without_status_shows_how_it_ended():
    """A timeout has no status; its kind and what is known stand there."""
    lost = attempt(1, 0, http_status_code=None, status="timeout", outcome="unknown", error_message="crm did not answer")
    text = shown(line_of(record("call", outcome="unknown", status="timeout", parent_id="P" * 26), lost))
    assert "timeout unknown" in text
    assert "attempt 1  crm did not answer" in text
    assert f"parent     {'P' * 26}" in text


@pytest.mark.parametrize("width", [80, 120])
def test_look(width):
    """The bars are in the order of time, and nothing is wider than the terminal."""
    line = line_of(
        record("call", duration_ms=2000.0, attempt_number=2, vendor_reference="r-1"),
        attempt(1, 0, http_status_code=503, outcome="refused"),
        attempt(2, 1995),
    )
    text = shown(line, width)
    assert "done after 2.00 s, 2 attempts" in text
    assert "2025-11-20 12:00:00.000 UTC" in text
    bars = [row.index("█") for row in text.splitlines() if "█" in row]
    assert bars == sorted(bars)
    assert max(map(len, text.splitlines())) <= width
