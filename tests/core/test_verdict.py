"""Verdicts: what an answer or a failure means, and that no hook can make an unsafe call be sent twice."""

from __future__ import annotations

from itertools import product

import pytest

from nexus_connector import Classification, Operation, Outcome, Request, Response
from nexus_connector.verdict import (
    DEFAULT_CLASSIFICATION,
    SAFETY_BY_METHOD,
    Reading,
    Safety,
    is_retry_safe,
    may_repeat,
    read_failure,
    read_status,
)

DONE, REFUSED, NOT_SENT, UNKNOWN = Outcome.DONE, Outcome.REFUSED, Outcome.NOT_SENT, Outcome.UNKNOWN
SAFETIES: tuple[Safety, ...] = ("safe", "idempotent", "keyed", "unsafe")


def test_the_four_words() -> None:
    """Errors, records and events share these words; they are written out in people's dashboards."""
    assert [outcome.value for outcome in Outcome] == ["done", "refused", "not_sent", "unknown"]


def test_safety_of_methods() -> None:
    """GET, HEAD and OPTIONS do nothing, PUT and DELETE do it once however often, POST and PATCH may do it twice."""
    assert SAFETY_BY_METHOD == {
        "GET": "safe",
        "HEAD": "safe",
        "OPTIONS": "safe",
        "PUT": "idempotent",
        "DELETE": "idempotent",
        "POST": "unsafe",
        "PATCH": "unsafe",
    }
    assert Operation(name="x", request=Request(method="PROPFIND"), parse=Response.json).safety == "unsafe"


def expected_reading(status: int, *, retry_after: bool) -> Reading:
    """Say what a status means, written apart from the code."""
    seconds = 7.0 if retry_after else None
    if status < 400:
        return Reading(DONE, "ok", transient=False)
    if status in {408, 425, 429}:
        return Reading(REFUSED, "ignore", transient=True, retry_after=seconds)
    if status < 500:
        return Reading(REFUSED, "ok", transient=False, retry_after=seconds)
    if status == 503 and retry_after:
        return Reading(REFUSED, "fail", transient=True, retry_after=seconds)
    return Reading(UNKNOWN, "fail", transient=status not in {501, 505, 506, 510, 511}, retry_after=seconds)


@pytest.mark.parametrize("retry_after", [True, False], ids=["retry_after", "plain"])
def test_every_status(*, retry_after: bool) -> None:
    """Below 400 it is done, 4xx and 503 with Retry-After are refusals, other 5xx are unknown; a few are transient."""
    header = "7" if retry_after else None
    for status in range(100, 1000):
        found = read_status(status, header, DEFAULT_CLASSIFICATION, now=0.0)
        assert found == expected_reading(status, retry_after=retry_after), status


def test_a_503_with_an_unreadable_time_is_refused() -> None:
    """The presence of Retry-After is the vendor's word that it did not do it; the value only says when to come back."""
    assert read_status(503, "soon", DEFAULT_CLASSIFICATION, now=0.0) == Reading(REFUSED, "fail", transient=True)


@pytest.mark.parametrize(
    ("status", "rules", "reading"),
    [
        (500, Classification(refused=frozenset({500})), Reading(REFUSED, "fail", transient=False)),
        (
            502,
            Classification(refused=frozenset({502}), transient=frozenset({502})),
            Reading(REFUSED, "fail", transient=True),
        ),
        (409, Classification(transient=frozenset({409})), Reading(REFUSED, "ok", transient=True)),
        (
            429,
            Classification(refused=frozenset({429})),
            Reading(REFUSED, "ok", transient=False),
        ),
        (200, Classification(refused=frozenset({200})), Reading(DONE, "ok", transient=False)),
    ],
    ids=["refused", "refused_transient", "transient_4xx", "vendor_knows_better", "a_good_status_stays_good"],
)
def test_what_an_operation_declares(status: int, rules: Classification, reading: Reading) -> None:
    """An operation's own statuses count before the common ones, and never make an error out of a good answer."""
    assert read_status(status, None, rules, now=0.0) == reading


@pytest.mark.parametrize("transient", [True, False])
@pytest.mark.parametrize("wrote", [True, False])
def test_a_lost_answer(*, wrote: bool, transient: bool) -> None:
    """After the first byte nothing is certain; before it nothing was sent."""
    outcome = UNKNOWN if wrote else NOT_SENT
    assert read_failure(wrote=wrote, transient=transient) == Reading(outcome, "fail", transient=transient)
    own = read_failure(wrote=wrote, transient=transient, own=True)
    assert own == Reading(outcome, "ignore", transient=transient), "what this side did accuses no vendor"


def test_the_safety_rule() -> None:
    """Transient and not done; if unknown, only what cannot be done twice, and not where the vendor replays errors."""
    for safety, outcome, transient, replays in product(SAFETIES, Outcome, (True, False), (True, False)):
        allowed = may_repeat(safety, outcome, transient=transient, replays_errors=replays)
        if not transient or outcome is DONE:
            expected = False
        elif outcome in {REFUSED, NOT_SENT}:
            expected = True
        else:
            expected = safety in {"safe", "idempotent"} or (safety == "keyed" and not replays)
        assert allowed is expected, (safety, outcome, transient, replays)


def test_what_the_caller_may_do() -> None:
    """The caller may make a call again if nothing happened, or if it cannot happen twice."""
    for safety, outcome in product(SAFETIES, Outcome):
        expected = outcome in {REFUSED, NOT_SENT} or safety != "unsafe"
        assert is_retry_safe(safety, outcome) is expected, (safety, outcome)
