"""The door: where a call begins and ends (slots 050 to 150)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn

from .errors import (
    ConnectorError,
    InvalidRequestError,
    OutcomeUnknownError,
    PluginError,
    ResponseFormatError,
    TenantRequiredError,
    with_unknown_outcome,
)
from .events import CallFailed, CallStarted, CallSucceeded, OutcomeUnknown
from .judge import fill, repeatable
from .message import Request, Response
from .verdict import Outcome

if TYPE_CHECKING:
    from .call import Call
    from .pipeline import Next, Result

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


async def perform(call: Call) -> Any:
    """Take a call through its chain and return its result.

    Raises:
        ConnectorError: Whatever went wrong; redacted, with everything known about the call.
    """
    target, operation = call.target, call.operation
    request, result = operation.request, None
    try:
        if target.finds_tenants:
            await _find_tenant(call)
        chain: Next = target.run_chain
        if operation.send is None:
            request, chain = _prepare(call, request), target.chain
        if target.signals.heard[CallStarted]:
            call.emit(CallStarted, operation=operation.name, tenant_id=call.tenant_id)
        result = await chain(call, request)
        response = _answer(result)
        if target.transforms and response is not None and operation.send is None:
            response = await _transform(call, response)
        value = _parse(call, response)
    except BaseException as error:
        _failed(call, request, result, error)
    _succeeded(call, request, result)
    return value


async def _find_tenant(call: Call) -> None:
    """Slot 050: the tenant the caller named, else the first that a hook finds."""
    for hook in call.target.tenants if call.tenant_id is None else ():
        found = await hook(call)
        if found is not None:
            hook.check(call, found, (str,))
            call.tenant_id = found
            break
    if call.tenant_id is None and call.target.config.tenant == "required":
        hint = "Pass tenant_id=, or install a plugin that finds it."
        raise TenantRequiredError(f"{call.service} needs a tenant for every call.", hint=hint)


def _prepare(call: Call, request: Request) -> Request:
    """Slot 050: the headers of the service, and the idempotency key where the vendor honours one."""
    target = call.target
    if target.headers:
        own = request.headers
        request = request.with_headers({name: value for name, value in target.headers.items() if name not in own})
    header, key = target.config.idempotency_header, call.idempotency_key
    if header is None and key is None:
        return request
    if key is not None and not (isinstance(key, str) and _KEY.fullmatch(key)):
        message = f"The idempotency key of a call of {call.service} is not 1 to 255 visible ASCII signs."
        raise InvalidRequestError(message, hint="Use an id of your own, as order-1001; nothing was sent.")
    if header is not None and call.safety in {"unsafe", "keyed"}:
        call.safety = "keyed"
        key = call.idempotency_key = key or call.id
    elif key is not None and header is None and call.safety != "keyed" and target.claims is None:
        message = f"{call.service} does not honour idempotency keys, and nothing here keeps them."
        hint = f"Install the idempotency plugin, or name the header: services.{call.service}.idempotency_header."
        raise InvalidRequestError(message, hint=hint)
    if header is not None and key is not None:
        request = request.with_headers({header: key})
    return request


def _answer(result: Result) -> Response | None:
    """Slot 150: the verdict's error is raised."""
    if result.verdict.error is not None:
        raise result.verdict.error
    return result.response


async def _transform(call: Call, response: Response) -> Response:
    """Slot 150: hooks change an answer that is no error."""
    for hook in call.target.transforms:
        changed = await hook(call, response)
        if changed is not None:
            hook.check(call, changed, (Response,))
            response = changed
    return response


def _parse(call: Call, response: Response | None) -> Any:
    """Slot 150: the answer becomes the result."""
    if call.operation.send is not None:
        return call.value
    if response is None:
        raise PluginError(
            f"A stage of {call.service} returned neither a response nor an error.", hint="Mend the stage."
        )
    try:
        return call.operation.parse(response)
    except ConnectorError:
        raise
    except Exception as error:  # a validator of the caller's own may raise anything
        what = f"{call.service} answered {call.operation.name}"
        message = f"{what} in a form that its adapter does not know ({type(error).__name__})."
        hint = "The call itself was done. response.body has the answer; report it to the adapter's authors."
        raise ResponseFormatError(message, hint=hint, response=response) from error


def _succeeded(call: Call, request: Request, result: Result | None) -> None:
    """Slot 100: tell that the call returned."""
    if call.stream is not None:
        call.stream.on_close(
            lambda error: (
                _tell_success(call, request, result) if error is None else _tell_failure(call, request, result, error)
            )
        )
    else:
        _tell_success(call, request, result)


def _tell_success(call: Call, request: Request, result: Result | None) -> None:
    ended, target = call.io.now(), call.target
    if target.records:
        target.record_call(call, request, result, None, ended)
    if target.signals.heard[CallSucceeded]:
        call.emit(
            CallSucceeded,
            operation=call.operation.name,
            tenant_id=call.tenant_id,
            attempts=call.attempts,
            duration_seconds=ended - call.started,
            status=result.response.status if result is not None and result.response is not None else 0,
        )


def _failed(call: Call, request: Request, result: Result | None, error: BaseException) -> NoReturn:
    """Slot 100: tell that the call raised, and raise it."""
    if isinstance(error, ConnectorError):
        fill(call, error)
        if result is None or error is not result.verdict.error:
            _place(call, error, result)
    if call.stream is not None:
        call.stream.close(error)
    _tell_failure(call, request, result, error)
    raise error


def _place(call: Call, error: ConnectorError, result: Result | None) -> None:
    """Say what is known about the effect when a plugin or parser failed: the answer may be there, or lost with it."""
    if result is not None:
        error.outcome = result.verdict.outcome
    elif call.attempts and error.outcome is Outcome.NOT_SENT:
        error.outcome = Outcome.UNKNOWN
        if call.safety != "safe":
            error.__class__ = with_unknown_outcome(type(error))
    error.retry_safe = repeatable(call, error.outcome)


def _tell_failure(call: Call, request: Request, result: Result | None, error: BaseException) -> None:
    ended = call.io.now()
    if call.target.records:
        call.target.record_call(call, request, result, error, ended)
    outcome = (
        error.outcome if isinstance(error, ConnectorError) else Outcome.UNKNOWN if call.attempts else Outcome.NOT_SENT
    )
    call.emit(
        CallFailed,
        operation=call.operation.name,
        tenant_id=call.tenant_id,
        attempts=call.attempts,
        duration_seconds=ended - call.started,
        error=type(error).__name__,
        message=str(error),
        outcome=outcome,
    )
    if isinstance(error, OutcomeUnknownError) or (outcome is Outcome.UNKNOWN and call.safety == "unsafe"):
        call.emit(
            OutcomeUnknown, operation=call.operation.name, idempotency_key=call.idempotency_key, message=str(error)
        )
