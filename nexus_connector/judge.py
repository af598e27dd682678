"""Judging: answers, failures and refusals become results whose verdicts carry the error that would be raised."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from .errors import (
    AuthenticationError,
    ConnectorError,
    DeadlineExceededError,
    NotFoundError,
    TransportError,
    VendorError,
    VendorRateLimitError,
    plain_kind,
    with_unknown_outcome,
)
from .message import Response
from .pipeline import Result
from .retry_after import parse_reset
from .verdict import Outcome, Reading, Safety, Verdict, is_retry_safe, may_repeat, read_failure, read_status

if TYPE_CHECKING:
    from .call import Call
    from .transport import SendError

_KINDS: dict[int, type[VendorError]] = {
    401: AuthenticationError,
    403: AuthenticationError,
    404: NotFoundError,
    410: NotFoundError,
    429: VendorRateLimitError,
}
_NOT_SENT_HINTS = {
    "dns": "Nothing was sent. Check base_url and this machine's name resolution.",
    "connect": "Nothing was sent. Check that the service is up and reachable from here.",
    "tls": "Nothing was sent. Check the certificate; a private authority is named with ca_file.",
    "write": "Nothing was sent.",
    "read": "Nothing was sent.",
}
_UNKNOWN_HINT = "It may have happened: look at the vendor before making the call again."
_REPEATABLE_HINT = "The same call may be made again."


def context(call: Call, **fields: Any) -> dict[str, Any]:
    """Return what every error says about its call."""
    return {
        "service": call.service,
        "operation": call.operation.name,
        "call_id": call.id,
        "tenant_id": call.tenant_id,
        "attempts": call.attempts,
        **fields,
    }


def repeatable(call: Call, outcome: Outcome) -> bool:
    """Say whether the caller may make the call again; a key that was made up here would not be the same then."""
    safety: Safety = "unsafe" if call.safety == "keyed" and call.options.idempotency_key is None else call.safety
    return is_retry_safe(safety, outcome)


def judge_answer(call: Call, response: Response) -> Result:
    """Judge an answer: by the operation's own rules first, then by HTTP's."""
    rules = call.operation.classification
    status = response.status
    fault = _told(rules.fault, response) if status < 400 and rules.fault is not None else None
    if fault is None and (status < 400 or status in call.operation.allow_status):
        return Result(_DONE, response)
    reading = read_status(status, response.headers.get("retry-after"), rules, now=call.io.wall().timestamp())
    if fault is not None:
        reading = Reading(Outcome.REFUSED, "ok", transient=False)
    elif status == 429 and reading.retry_after is None:
        reading = attrs.evolve(reading, retry_after=_until_reset(call, response))
    code = fault or _told(rules.code, response)
    return Result(_verdict(call, reading, _vendor_error(call, response, reading, code)), response)


_DONE = Verdict(outcome=Outcome.DONE, health="ok")


def _told(read: Callable[[Response], str | None] | None, response: Response) -> str | None:
    """Ask an adapter's reader. An answer in a form that it does not know says nothing; its status counts anyway."""
    if read is None:
        return None
    try:
        return read(response)
    except Exception:  # whatever a vendor's error page does to the reader
        return None


def _until_reset(call: Call, response: Response) -> float | None:
    """Return the seconds until the vendor's limit starts afresh, if its adapter knows the header that says so."""
    adapter = call.target.adapter
    headers = adapter.vendor.limit_headers if adapter is not None else None
    value = response.headers.get(headers.reset) if headers is not None else None
    if headers is None or value is None:
        return None
    return parse_reset(value, headers.form, now=call.io.wall().timestamp())


def _verdict(call: Call, reading: Reading, error: ConnectorError) -> Verdict:
    return Verdict(
        outcome=reading.outcome,
        health=reading.health,
        retry=may_repeat(
            call.safety, reading.outcome, transient=reading.transient, replays_errors=call.target.replays_errors
        ),
        retry_after=reading.retry_after,
        error=error,
    )


def _vendor_error(call: Call, response: Response, reading: Reading, code: str | None) -> VendorError:
    rules, status = call.operation.classification, response.status
    kind = rules.errors.get(code) if code is not None else None
    kind = kind or rules.errors.get(status) or _KINDS.get(status, VendorError)
    text = _told(rules.message, response)
    detail = "".join(
        [f" ({code})" if code else "", f": {call.redactor.text(text)[:500].removesuffix('.')}" if text else ""]
    )
    error: VendorError = _of_outcome(kind, call, reading.outcome)(
        f"{call.service} answered {call.operation.name} with {status}{detail}.",
        status=status,
        code=code,
        request_id=response.call.request_id,
        retry_after=reading.retry_after,
        response=response,
        hint=_vendor_hint(call, status, reading),
        outcome=reading.outcome,
        retry_safe=repeatable(call, reading.outcome),
        **context(call),
    )
    error.seal(call.redactor)
    return error


def _vendor_hint(call: Call, status: int, reading: Reading) -> str:
    if reading.outcome is Outcome.UNKNOWN:
        return _UNKNOWN_HINT if not repeatable(call, reading.outcome) else _REPEATABLE_HINT
    if status in {401, 403}:
        return f"Check the credentials of services.{call.service} and what they are allowed."
    if reading.retry_after is not None:
        return f"Make the call again in {reading.retry_after:g} s or later."
    if reading.transient:
        return _REPEATABLE_HINT
    return "Nothing happened there; change the call before making it again."


def _of_outcome(kind: type[Any], call: Call, outcome: Outcome) -> type[Any]:
    return with_unknown_outcome(kind) if outcome is Outcome.UNKNOWN and call.safety != "safe" else kind


def judge_failure(call: Call, failure: SendError) -> Result:
    """Judge a send that ended without an answer: by its phase and by whether anything was written."""
    reading = read_failure(wrote=failure.wrote, transient=failure.transient, own=failure.own)
    kind = DeadlineExceededError if failure.timed_out else TransportError
    if not failure.wrote:
        hint = _NOT_SENT_HINTS[failure.phase]
    else:
        hint = _REPEATABLE_HINT if repeatable(call, reading.outcome) else _UNKNOWN_HINT
    text = call.redactor.text(failure.message)
    error: TransportError = _of_outcome(kind, call, reading.outcome)(
        f"{call.service} did not answer {call.operation.name}: {text.removesuffix('.')}.",
        phase=failure.phase,
        hint=hint,
        outcome=reading.outcome,
        retry_safe=repeatable(call, reading.outcome),
        **context(call),
    )
    error.__cause__ = failure.__cause__
    error.seal(call.redactor)
    return Result(_verdict(call, reading, error))


def refuse(call: Call, error: ConnectorError | None) -> Result:
    """Return the result of what this library itself refused: nothing was sent, nobody's health is touched."""
    if error is not None:
        fill(call, error)
    return Result(
        Verdict(
            outcome=Outcome.NOT_SENT, health="ignore", retry_after=error.retry_after if error else None, error=error
        )
    )


def lost() -> Result:
    """Return the result of a send that was cancelled or broke off: nobody knows, and nobody is to blame."""
    return Result(Verdict(outcome=Outcome.UNKNOWN, health="ignore"))


def fill(call: Call, error: ConnectorError) -> None:
    """Write into an error raised by a hook or gate which call it belongs to, and redact it."""
    for name, value in context(call).items():
        if getattr(error, name, None) in {None, 0}:
            setattr(error, name, value)
    error.seal(call.redactor)


def within_safety(call: Call, core: Verdict, changed: Verdict, *, answered: bool) -> Verdict:
    """Apply the safety rule to what a ``classify`` hook made: it may forbid a retry, never allow an unsafe one.

    Args:
        call: The call.
        core: The core's verdict.
        changed: The hook's.
        answered: Whether there was anything by which a hook could know more than the core.
    """
    replays = call.target.replays_errors
    allowed = may_repeat(call.safety, changed.outcome, transient=True, replays_errors=replays)
    if core.outcome is Outcome.UNKNOWN and (changed.outcome is Outcome.NOT_SENT or not answered):
        allowed = allowed and may_repeat(call.safety, Outcome.UNKNOWN, transient=True, replays_errors=replays)
    _agree(call, core, changed)
    return attrs.evolve(changed, retry=False) if changed.retry and not allowed else changed


def _agree(call: Call, core: Verdict, changed: Verdict) -> None:
    """Let the error of a changed verdict say what the verdict says: the caller sees only the error."""
    error, outcome = changed.error, changed.outcome
    if error is None:
        return
    error.outcome, error.retry_safe = outcome, repeatable(call, outcome)
    if changed.retry_after is not None:
        error.retry_after = changed.retry_after
    if error is core.error and outcome is not core.outcome:
        error.hint = _REPEATABLE_HINT if error.retry_safe else _UNKNOWN_HINT
    error.__class__ = _of_outcome(plain_kind(type(error)), call, outcome)
    fill(call, error)
