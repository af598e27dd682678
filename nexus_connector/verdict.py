"""Verdicts: what one answer or failure means for the outcome, the vendor's health and a further attempt.

Everything here is pure: statuses, phases and the wall clock come in as arguments. The rules are the table of
``docs/explanation/safety.md``; retry, gates and records read nothing but the `Verdict`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from .retry_after import parse_retry_after

if TYPE_CHECKING:
    from .errors import ConnectorError, VendorError
    from .message import Response

Safety: TypeAlias = Literal["safe", "idempotent", "keyed", "unsafe"]
"""Whether sending it twice can do it twice: it changes nothing, changes it once, is known by its key, or can."""
Health: TypeAlias = Literal["ok", "fail", "ignore"]
Phase: TypeAlias = Literal["dns", "connect", "tls", "write", "read"]


class Outcome(StrEnum):
    """What is known about the effect of a call at the vendor.

    >>> Outcome("unknown") is Outcome.UNKNOWN
    True
    """

    DONE = "done"
    """The vendor did it."""
    REFUSED = "refused"
    """The vendor answered that nothing happened."""
    NOT_SENT = "not_sent"
    """Nothing left this process."""
    UNKNOWN = "unknown"
    """It may have happened: the answer was lost, or says nothing."""


SAFETY_BY_METHOD: Mapping[str, Safety] = {
    "GET": "safe",
    "HEAD": "safe",
    "OPTIONS": "safe",
    "PUT": "idempotent",
    "DELETE": "idempotent",
    "POST": "unsafe",
    "PATCH": "unsafe",
}

TRANSIENT_REFUSALS = frozenset({408, 425, 429})
"""Refused now, welcome later (RFC 9110 section 15.5.9, RFC 8470 section 5.2, RFC 6585 section 4)."""
PERMANENT_FAILURES = frozenset({501, 505, 506, 510, 511})
"""Server errors that a further attempt meets again."""
REPEATABLE: frozenset[Safety] = frozenset({"safe", "idempotent", "keyed"})


@attrs.frozen(kw_only=True)
class Verdict:
    """What one attempt came to, computed by the core and possibly changed by a ``classify`` hook.

    Attributes:
        outcome: What is known about the effect at the vendor.
        health: Whether it counts for (``ok``), against (``fail``) or not at all (``ignore``) in breakers and failover.
        retry: Whether the same call may be sent again now: transient, and safe to repeat.
        retry_after: Seconds the vendor or a gate asked to wait before that; ``None``: nothing was asked.
        error: What is raised if nothing follows; ``None`` for an answer that is a result.

    >>> Verdict(outcome=Outcome.DONE, health="ok").retry
    False
    """

    outcome: Outcome
    health: Health
    retry: bool = False
    retry_after: float | None = None
    error: ConnectorError | None = None


@attrs.frozen(kw_only=True)
class Classification:
    """How the answers of one operation are read where they differ from HTTP's own meaning. Pure data and functions.

    Attributes:
        refused: Statuses by which this vendor says that nothing happened, beyond the common ones.
        transient: Those of them that are worth another attempt.
        errors: Error class by vendor code or by status; a code wins.
        code: Reads the vendor's own error code out of an answer.
        message: Reads the vendor's own error text out of an answer.
        fault: Reads the error code out of an answer with a good status; ``None``: it is no error.

    >>> Classification(refused=frozenset({409})).refused
    frozenset({409})
    """

    refused: frozenset[int] = frozenset()
    transient: frozenset[int] = frozenset()
    errors: Mapping[int | str, type[VendorError]] = attrs.field(factory=dict[int | str, "type[VendorError]"])
    code: Callable[[Response], str | None] | None = None
    message: Callable[[Response], str | None] | None = None
    fault: Callable[[Response], str | None] | None = None


DEFAULT_CLASSIFICATION = Classification()


@attrs.frozen
class Reading:
    """What a status or a lost answer means before it becomes an error: outcome, health, transient, seconds asked for.

    >>> read_status(503, None, DEFAULT_CLASSIFICATION, now=0.0).outcome
    <Outcome.UNKNOWN: 'unknown'>
    """

    outcome: Outcome
    health: Health
    transient: bool
    retry_after: float | None = None


_DONE = Reading(Outcome.DONE, "ok", transient=False)


def read_status(status: int, retry_after: str | None, classification: Classification, *, now: float) -> Reading:
    """Read an HTTP status by the common rules and the operation's own.

    Args:
        status: HTTP status of the final answer.
        retry_after: The raw Retry-After header, if there was one.
        classification: The operation's own rules.
        now: Wall clock, seconds since the epoch; for Retry-After given as a date.

    >>> read_status(429, "3", DEFAULT_CLASSIFICATION, now=0.0)
    Reading(outcome=<Outcome.REFUSED: 'refused'>, health='ignore', transient=True, retry_after=3.0)
    """
    if status < 400:
        return _DONE
    seconds = None if retry_after is None else parse_retry_after(retry_after, now=now)
    if status in classification.refused:
        health: Health = "fail" if status >= 500 else "ok"
        return Reading(Outcome.REFUSED, health, status in classification.transient, seconds)
    if status in TRANSIENT_REFUSALS:
        return Reading(Outcome.REFUSED, "ignore", transient=True, retry_after=seconds)
    if status < 500:
        return Reading(Outcome.REFUSED, "ok", status in classification.transient, seconds)
    if status == 503 and retry_after is not None:
        return Reading(Outcome.REFUSED, "fail", transient=True, retry_after=seconds)
    return Reading(Outcome.UNKNOWN, "fail", status not in PERMANENT_FAILURES, seconds)


def read_failure(*, wrote: bool, transient: bool = True, own: bool = False) -> Reading:
    """Read a send that ended without an answer.

    Args:
        wrote: Whether the first byte of the request was written: from there on nothing is certain.
        transient: ``False`` for what a further attempt meets again (a certificate that does not verify).
        own: Whether this side is the reason: then it says nothing about the vendor's health.
    """
    return Reading(Outcome.UNKNOWN if wrote else Outcome.NOT_SENT, "ignore" if own else "fail", transient)


def may_repeat(safety: Safety, outcome: Outcome, *, transient: bool, replays_errors: bool = False) -> bool:
    """Say whether the same call may be sent again: the one safety rule, applied again after every hook.

    Args:
        safety: Safety of the operation.
        outcome: What is known so far.
        transient: Whether another attempt could end differently.
        replays_errors: The vendor replays stored errors under a key, so that asking again teaches nothing.

    >>> may_repeat("unsafe", Outcome.UNKNOWN, transient=True)
    False
    >>> may_repeat("keyed", Outcome.UNKNOWN, transient=True)
    True
    """
    if not transient or outcome is Outcome.DONE:
        return False
    if outcome is Outcome.UNKNOWN:
        return safety in REPEATABLE and not (safety == "keyed" and replays_errors)
    return True


def is_retry_safe(safety: Safety, outcome: Outcome) -> bool:
    """Say whether the caller may make the same call again: nothing happened, or repeating cannot do it twice.

    >>> is_retry_safe("unsafe", Outcome.REFUSED), is_retry_safe("unsafe", Outcome.UNKNOWN)
    (True, False)
    """
    return outcome in {Outcome.NOT_SENT, Outcome.REFUSED} or safety in REPEATABLE
