"""Records: the audit line of every attempt and call, as sinks get it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

import attrs

from .verdict import Outcome


class IntegrationStatus(StrEnum):
    """How an attempt or call ended.

    >>> IntegrationStatus("rate_limited").name
    'RATE_LIMITED'
    """

    SUCCESS = "success"
    FAILED = "failed"
    TIMEOUT = "timeout"
    RATE_LIMITED = "rate_limited"
    CIRCUIT_OPEN = "circuit_open"


@attrs.frozen(kw_only=True, slots=False)  # from a dict it becomes a dict in a quarter of the time
class IntegrationLog:
    """One record: of a send on the wire (``kind="attempt"``) or of a whole call (``kind="call"``). Redacted.

    Attributes:
        id: ULID of the record.
        kind: ``attempt`` or ``call``.
        call_id: Id of the call.
        parent_id: Id of the call it is a step of.
        tenant_id: Tenant.
        service_name: Service in the configuration.
        operation: Name of the operation.
        region: Region it went to.
        endpoint: Method-less URL with its secrets masked.
        method: HTTP method; ``RUN`` for a call of a vendor's SDK.
        status: How it ended.
        outcome: What is known about the effect.
        http_status_code: Status of the answer, if there was one.
        duration_ms: Milliseconds from start to end.
        request_data: Sanitised headers and body.
        response_data: Sanitised headers and body.
        error_message: Redacted text of the error.
        attempt_number: From 1; for a call, the number of its attempts.
        vendor_reference: The vendor's own id of the request.
        created_at: When it began, aware, UTC.
    """

    id: str
    kind: Literal["attempt", "call"]
    call_id: str
    parent_id: str | None
    tenant_id: str | None
    service_name: str
    operation: str
    region: str | None
    endpoint: str
    method: str
    status: IntegrationStatus
    outcome: Outcome
    http_status_code: int | None
    duration_ms: float
    request_data: object
    response_data: object
    error_message: str | None
    attempt_number: int
    vendor_reference: str | None
    created_at: datetime

    def as_dict(self) -> dict[str, object]:
        """Return the record as plain JSON values, times as ISO 8601."""
        plain = self.__dict__.copy()
        plain["status"], plain["outcome"] = self.status._value_, self.outcome._value_
        plain["created_at"] = self.created_at.isoformat()
        return plain
