"""Attempts: the core's stages from choosing the base URL to the send on the wire (slots 500 to 1000)."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING

import attrs

from .admission import late
from .credentials import Credentials
from .errors import ConnectorError, CredentialNotFoundError, InvalidRequestError, PluginError
from .events import AttemptFinished, RateLimited
from .hooks import Hook, failure
from .judge import judge_answer, judge_failure, lost, refuse, within_safety
from .message import CallInfo, Request, Response, response_of
from .pipeline import Next, Result, Stage
from .sendable import check_wire
from .stream import BodyStream, StreamBody
from .transport import SendError, TooLateError
from .verdict import Verdict

if TYPE_CHECKING:
    from .call import Call
    from .config import Region
    from .target import Target


class BeforeRequest(Stage):
    """Slot 250: hooks change the request of a call, or answer it."""

    name = "before_request"
    slot = 250

    def __init__(self, hooks: Sequence[Hook]) -> None:
        self._hooks = tuple((hook, hook.at_once) for hook in hooks)

    async def __call__(self, call: Call, request: Request, next: Next) -> Result:
        """Take part in a call; see the class."""
        for hook, at_once in self._hooks:
            try:
                changed = await hook(call, request) if at_once is None else at_once(call, request)
            except PluginError:
                raise
            except ConnectorError as error:
                return refuse(call, error)
            except Exception as error:
                raise hook.foreign(error, call) from error
            if changed is None:
                continue
            hook.check(call, changed, (Request, Response))
            if isinstance(changed, Response):
                info = CallInfo(
                    id=call.id, service=call.service, operation=call.operation.name, tenant_id=call.tenant_id
                )
                return judge_answer(call, attrs.evolve(changed, call=info))
            request = changed
        return await next(call, request)


class PickRegion(Stage):
    """Slot 500: the base URL of the attempt. Without failover it is the first one."""

    name = "region"
    slot = 500

    def __init__(self, region: Region) -> None:
        self._region = region

    def __call__(self, call: Call, request: Request, next: Next) -> Awaitable[Result]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # it has nothing to wait for
        """Take part in a call; see the class."""
        call.region = self._region.name
        return next(call, request.at(self._region.base_url))


class Reauthenticate(Stage):
    """Slot 550: a 401 is answered once with other credentials, if anybody has some; everything behind it runs again."""

    name = "reauthenticate"
    slot = 550

    async def __call__(self, call: Call, request: Request, next: Next) -> Result:
        """Take part in a call; see the class."""
        call.rejected = None
        result = await next(call, request)
        if result.response is None or result.response.status != 401 or call.credentials is None:
            return result
        if request.source is not None and not request.source.repeatable:
            return result
        call.rejected = call.credentials
        again = await next(call, request)
        nobody = again.response is None and isinstance(again.verdict.error, CredentialNotFoundError)
        return result if nobody else again


class Authenticate(Stage):
    """Slot 700: credentials, found by the resolve_credentials hook and put on the request."""

    name = "credentials"
    slot = 700

    def __init__(self, hooks: Sequence[Hook], static: Credentials | None) -> None:
        self._hooks = tuple(hooks)
        # Where only the configuration knows any, nobody is asked, and the service's redactor knows the values already.
        self._static = static if len(self._hooks) == 1 else None

    def __call__(self, call: Call, request: Request, next: Next) -> Awaitable[Result]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # mostly it has nothing to wait for
        """Take part in a call; see the class."""
        static = self._static
        if static is None or call.rejected is not None:
            return self._ask(call, request, next)
        call.credentials = static
        return next(call, static.apply(request))

    async def _ask(self, call: Call, request: Request, next: Next) -> Result:
        try:
            credentials = await self._resolve(call)
        except PluginError:
            raise
        except ConnectorError as error:
            return refuse(call, error)
        if credentials is None:
            if call.rejected is None:
                return await next(call, request)
            hint = f"Configure services.{call.service}.credentials, or install a plugin that knows them."
            return refuse(call, CredentialNotFoundError(f"No credentials were found for {call.service}.", hint=hint))
        call.credentials = credentials
        call.redactor = call.redactor.with_secrets(credentials.revealed())
        return await next(call, credentials.apply(request))

    async def _resolve(self, call: Call) -> Credentials | None:
        for hook in self._hooks:
            found = await hook(call, call.rejected)
            if found is not None:
                hook.check(call, found, (Credentials,))
                if call.rejected is not None and found.proves_the_same(call.rejected):
                    continue  # it has nothing newer; to send these again would be rejected again
                return found  # type: ignore[no-any-return]  # checked on the line above
        return None


class BeforeAttempt(Stage):
    """Slot 850: hooks change the request of one attempt, last of all."""

    name = "before_attempt"
    slot = 850

    def __init__(self, hooks: Sequence[Hook]) -> None:
        self._hooks = tuple((hook, hook.at_once) for hook in hooks)

    async def __call__(self, call: Call, request: Request, next: Next) -> Result:
        """Take part in a call; see the class."""
        for hook, at_once in self._hooks:
            try:
                changed = await hook(call, request) if at_once is None else at_once(call, request)
            except PluginError:
                raise
            except ConnectorError as error:
                return refuse(call, error)
            except Exception as error:
                raise hook.foreign(error, call) from error
            if changed is not None:
                hook.check(call, changed, (Request,))
                request = changed
        return await next(call, request)


class Send(Stage):
    """Slots 960 and 1000: one send on the wire, its verdict, its record."""

    name = "send"
    slot = 1000

    def __init__(self, target: Target, classify: Sequence[Hook]) -> None:
        self._target = target
        self._classify = tuple(classify)

    async def __call__(self, call: Call, request: Request, next: Next) -> Result:
        """Take part in a call; see the class."""
        try:
            check_wire(request)
        except InvalidRequestError as error:
            return refuse(call, error)
        started = call.io.now()
        if call.send_by is not None and started > call.send_by:
            return late(call)
        call.attempts += 1
        deadline, sooner = call.deadline, call.attempt_deadline
        if sooner is not None and sooner < deadline:
            deadline = sooner
        try:
            result = await self._send(call, request, deadline)
            if self._classify:
                result = await self._reclassify(call, result)
        except TooLateError:  # while it waited for a connection
            call.attempts -= 1
            return late(call)
        except BaseException:
            self._finish(call, request, lost(), started)
            raise
        if call.stream is None:
            self._finish(call, request, result, started)
        else:
            call.stream.on_close(
                lambda error: self._finish(call, request, result if error is None else lost(), started)
            )
        return result

    async def _send(self, call: Call, request: Request, deadline: float) -> Result:
        try:
            received = await call.io.send(call, request, deadline)
        except SendError as failure:
            return judge_failure(call, failure)
        response = response_of(call, received, received.headers.get(self._target.request_id_header))
        if received.stream is not None:
            response = self._open_stream(call, response, received.stream, deadline)
        return judge_answer(call, response)

    def _open_stream(self, call: Call, response: Response, body: BodyStream, deadline: float) -> Response:
        """Hand a good answer over unread; the body of an error is small, and its text is needed."""
        if response.status < 400 or response.status in call.operation.allow_status:
            idle = call.operation.idle_timeout_seconds
            call.stream = StreamBody(body, call.io, idle_timeout_seconds=idle, fail=lambda error: _broken(call, error))
            return attrs.evolve(response, stream=call.stream)
        try:
            return attrs.evolve(response, body=body.read(deadline))
        except SendError:
            return response
        finally:
            body.close()

    async def _reclassify(self, call: Call, result: Result) -> Result:
        verdict = core = result.verdict
        answered = result.response is not None or call.operation.send is not None
        for hook in self._classify:
            try:
                changed = await hook(call, verdict, result.response)
            except PluginError:
                raise
            except ConnectorError as error:  # it has a verdict to say such things with
                raise failure(hook, error, call) from error
            if changed is not None:
                hook.check(call, changed, (Verdict,))
                verdict = within_safety(call, core, changed, answered=answered)
        return result if verdict is core else Result(verdict, result.response)

    def _finish(self, call: Call, request: Request, result: Result, started: float) -> None:
        ended, target = call.io.now(), self._target
        if target.records:
            target.record_attempt(call, request, result, started, ended)
        response, verdict = result.response, result.verdict
        status = response.status if response is not None else None
        if status == 429:
            call.emit(RateLimited, by="vendor", retry_after_seconds=verdict.retry_after)
        if target.signals.heard[AttemptFinished]:
            call.emit(
                AttemptFinished,
                operation=call.operation.name,
                attempt=call.attempts,
                region=call.region,
                status=status,
                outcome=verdict.outcome,
                duration_seconds=ended - started,
            )


def _broken(call: Call, error: BaseException) -> BaseException:
    if not isinstance(error, SendError):
        return error
    verdict = judge_failure(call, error).verdict
    if call.stream is not None:
        call.stream.broken = verdict
    return verdict.error if verdict.error is not None else error
