"""Building records: what a call and its attempts left behind becomes a redacted line."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from .errors import CircuitOpenError, ConnectorError, RateLimitExceededError
from .ids import ulid
from .records import IntegrationLog, IntegrationStatus
from .verdict import Outcome

if TYPE_CHECKING:
    from .call import Call
    from .message import Request, Response
    from .pipeline import Result
    from .redaction import Redactor


def attempt_record(
    call: Call,
    number: int,
    region: str | None,
    request: Request,
    result: Result,
    redactor: Redactor,
    started: float,
    ended: float,
) -> IntegrationLog:
    """Build the record of one send on the wire."""
    verdict, response = result.verdict, result.response
    data: tuple[object, object] = (None, None)
    if call.operation.send is None:
        data = _data(request, redactor), None if response is None else _data(response, redactor)
    return _record(
        call,
        request,
        response,
        redactor,
        kind="attempt",
        began=call.wall_started + timedelta(seconds=started - call.started),
        number=number,
        region=region,
        seconds=ended - started,
        error=verdict.error,
        outcome=verdict.outcome,
        data=data,
    )


def call_record(
    call: Call, request: Request, result: Result | None, error: BaseException | None, ended: float
) -> IntegrationLog:
    """Build the record of a whole call; its bodies stand in the records of its attempts."""
    return _record(
        call,
        request,
        result.response if result is not None else None,
        call.redactor,
        kind="call",
        began=call.wall_started,
        number=call.attempts,
        region=call.region,
        seconds=ended - call.started,
        error=error,
        outcome=_outcome(error, result),
    )


def _record(
    call: Call,
    request: Request,
    response: Response | None,
    redactor: Redactor,
    *,
    kind: Literal["attempt", "call"],
    began: datetime,
    number: int,
    region: str | None,
    seconds: float,
    error: BaseException | None,
    outcome: Outcome,
    data: tuple[object, object] = (None, None),
) -> IntegrationLog:
    operation = call.operation
    is_run = operation.send is not None
    record = object.__new__(IntegrationLog)
    # What attrs would do, without passing twenty values by name: there are two records of nearly every call.
    record.__dict__.update(
        {
            "id": ulid(int(began.timestamp() * 1000), call.io.random.getrandbits(80)),
            "kind": kind,
            "call_id": call.id,
            "parent_id": call.parent_id,
            "tenant_id": call.tenant_id,
            "service_name": call.service,
            "operation": operation.name,
            "region": region,
            "endpoint": operation.name if is_run else redactor.url(request.url),
            "method": "RUN" if is_run else request.method,
            "status": _status(error, response, outcome),
            "outcome": outcome,
            "http_status_code": response.status if response is not None and not is_run else None,
            "duration_ms": round(seconds * 1000, 3),
            "request_data": data[0],
            "response_data": data[1],
            "error_message": None if error is None else redactor.text(str(error) or type(error).__name__),
            "attempt_number": number,
            "vendor_reference": response.call.request_id if response is not None else None,
            "created_at": began,
        }
    )
    return record


def _data(message: Request | Response, redactor: Redactor) -> dict[str, object]:
    kind = message.headers.get("content-type") or ""
    body = redactor.body(message.body, kind) if message.body else None
    return {"headers": redactor.headers(message.headers), "body": body}


def _outcome(error: BaseException | None, result: Result | None) -> Outcome:
    if isinstance(error, ConnectorError):
        return error.outcome
    if error is not None:
        return Outcome.UNKNOWN
    return result.verdict.outcome if result is not None else Outcome.NOT_SENT


def _status(error: BaseException | None, response: Response | None, outcome: Outcome) -> IntegrationStatus:
    if error is None:
        return IntegrationStatus.SUCCESS if outcome is Outcome.DONE else IntegrationStatus.FAILED
    if isinstance(error, CircuitOpenError):
        return IntegrationStatus.CIRCUIT_OPEN
    if isinstance(error, RateLimitExceededError) or (response is not None and response.status == 429):
        return IntegrationStatus.RATE_LIMITED
    return IntegrationStatus.TIMEOUT if isinstance(error, TimeoutError) else IntegrationStatus.FAILED
