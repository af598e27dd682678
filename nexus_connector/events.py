"""Events: frozen facts about what happened to calls, one class each; receivers connect to the class."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import attrs

from .verdict import Outcome


@attrs.frozen(kw_only=True)
class Event:
    """Something that happened. Receivers connected to this class hear of every event.

    Attributes:
        service: Service it happened to; empty for what concerns no single service.
        call_id: Id of the call it happened in; ``None`` outside of calls.
        at: When, aware, UTC.
    """

    service: str
    call_id: str | None
    at: datetime


@attrs.frozen(kw_only=True)
class CallStarted(Event):
    """A call was accepted; nothing has been sent yet.

    Attributes:
        operation: Name of the operation.
        tenant_id: Tenant, if there is one.
    """

    operation: str
    tenant_id: str | None


@attrs.frozen(kw_only=True)
class CallSucceeded(Event):
    """A call returned its result.

    Attributes:
        operation: Name of the operation.
        tenant_id: Tenant, if there is one.
        attempts: Sends on the wire.
        duration_seconds: From accepting the call to its result.
        status: HTTP status of the answer.
    """

    operation: str
    tenant_id: str | None
    attempts: int
    duration_seconds: float
    status: int


@attrs.frozen(kw_only=True)
class CallFailed(Event):
    """A call raised.

    Attributes:
        operation: Name of the operation.
        tenant_id: Tenant, if there is one.
        attempts: Sends on the wire.
        duration_seconds: From accepting the call to its error.
        error: Name of the error's class.
        message: Its text, redacted.
        outcome: What is known about the effect.
    """

    operation: str
    tenant_id: str | None
    attempts: int
    duration_seconds: float
    error: str
    message: str
    outcome: Outcome


@attrs.frozen(kw_only=True)
class AttemptFinished(Event):
    """One send on the wire ended.

    Attributes:
        operation: Name of the operation.
        attempt: Its number, from 1.
        region: Region it went to.
        status: HTTP status; ``None`` without an answer.
        outcome: What is known about the effect.
        duration_seconds: From sending to the whole answer.
    """

    operation: str
    attempt: int
    region: str | None
    status: int | None
    outcome: Outcome
    duration_seconds: float


@attrs.frozen(kw_only=True)
class RetryScheduled(Event):
    """An attempt failed and another will follow.

    Attributes:
        operation: Name of the operation.
        attempt: Number of the attempt that failed, from 1.
        delay_seconds: Wait before the next one.
        reason: Why, as ``503`` or ``connect``.
    """

    operation: str
    attempt: int
    delay_seconds: float
    reason: str


@attrs.frozen(kw_only=True)
class RateLimited(Event):
    """The vendor answered 429, or our own limiter refused.

    Attributes:
        by: ``vendor`` or ``limiter``.
        retry_after_seconds: Wait asked for; ``None``: not known.
    """

    by: Literal["vendor", "limiter"]
    retry_after_seconds: float | None


@attrs.frozen(kw_only=True)
class CacheHit(Event):
    """A call was answered from the cache.

    Attributes:
        operation: Name of the operation.
        age_seconds: Age of the stored answer.
        stale: Whether it was past its time, and stood in for a failure.
    """

    operation: str
    age_seconds: float
    stale: bool = False


@attrs.frozen(kw_only=True)
class IdempotentReplay(Event):
    """A call was answered with what an earlier call under its key got.

    Attributes:
        operation: Name of the operation.
        original_call_id: Id of that call.
    """

    operation: str
    original_call_id: str


@attrs.frozen(kw_only=True)
class OutcomeUnknown(Event):
    """A call that is not safe to repeat ended and nobody knows whether it happened.

    Attributes:
        operation: Name of the operation.
        idempotency_key: Key it was made under.
        message: Text of the error, redacted.
    """

    operation: str
    idempotency_key: str | None
    message: str
