"""Building records: what a call and its attempts left behind becomes a redacted line."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

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
    verdict = result.verdict
    return IntegrationLog(
        id=_record_id(call, started),
        kind="attempt",
        created_at=_moment(call, started),
        attempt_number=number,
        region=region,
        duration_ms=round((ended - started) * 1000, 3),
        status=_status(verdict.error, result.response, verdict.outcome),
        outcome=verdict.outcome,
        error_message=None if verdict.error is None else redactor.text(str(verdict.error)),
        **_common(call, request, result.response, redactor),
    )


def call_record(
    call: Call, request: Request, result: Result | None, error: BaseException | None, ended: float
) -> IntegrationLog:
    """Build the record of a whole call; its bodies stand in the records of its attempts."""
    response = result.response if result is not None else None
    outcome = _outcome(error, result)
    fields = _common(call, request, response, call.redactor)
    fields.update(request_data=None, response_data=None)
    return IntegrationLog(
        id=_record_id(call, call.started),
        kind="call",
        created_at=call.wall_started,
        attempt_number=call.attempts,
        region=call.region,
        duration_ms=round((ended - call.started) * 1000, 3),
        status=_status(error, response, outcome),
        outcome=outcome,
        error_message=None if error is None else call.redactor.text(str(error) or type(error).__name__),
        **fields,
    )


def _common(call: Call, request: Request, response: Response | None, redactor: Redactor) -> dict[str, Any]:
    is_run = call.operation.send is not None
    return {
        "call_id": call.id,
        "parent_id": call.parent_id,
        "tenant_id": call.tenant_id,
        "service_name": call.service,
        "operation": call.operation.name,
        "endpoint": call.operation.name if is_run else redactor.url(request.url),
        "method": "RUN" if is_run else request.method,
        "http_status_code": response.status if response is not None and not is_run else None,
        "request_data": None if is_run else _data(request, redactor),
        "response_data": None if response is None or is_run else _data(response, redactor),
        "vendor_reference": response.call.request_id if response is not None else None,
    }


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


def _moment(call: Call, at: float) -> datetime:
    return call.wall_started + timedelta(seconds=at - call.started)


def _record_id(call: Call, at: float) -> str:
    return ulid(int(_moment(call, at).timestamp() * 1000), call.io.random.getrandbits(80))
