"""The Io of the fakes: it answers what a test says, in virtual time, and remembers what was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import attrs

from ..body import encode_json
from ..errors import ConfigurationError, InvalidRequestError
from ..headers import Headers
from ..io.virtual import VirtualIo
from ..message import Request, Response
from ..secret import Secret
from ..transport import Received, SendError

if TYPE_CHECKING:
    from ..call import Call
    from ..config import SecretRef
    from .fake import Answerable


@attrs.frozen(kw_only=True)
class Sent:
    """One call that reached a vendor.

    Attributes:
        value: The domain value (`EmailMessage` ...), or the `Request` of a plain service.
        request: The request of its last attempt.
        service: Service it went to.
        operation: Name of the operation.
        idempotency_key: Key it was sent under.
        tenant_id: Tenant.
        attempts: Sends on the wire.
    """

    value: Any
    request: Request
    service: str
    operation: str
    idempotency_key: str | None
    tenant_id: str | None
    attempts: int


class FakeIo(VirtualIo):
    """Answers instead of the vendors, and keeps what reached them.

    Args:
        seed: Seed of the random sequence.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.answers: dict[str, list[Answerable]] = {}
        self.calls: dict[str, tuple[Call, Request]] = {}

    def answer(self, target: str, answers: Sequence[Answerable]) -> None:
        """Say what is answered; see `Fake.answer`."""
        if not answers:
            raise InvalidRequestError(f"answer({target!r}) says no answer.", hint="Give at least one.")
        self.answers[target] = list(answers)

    def sent(self, target: str) -> list[Sent]:
        """Return the calls that reached a vendor, in order; see `Fake.sent`."""
        return [_sent(call, request) for call, request in self.calls.values() if target in _names(call)]

    async def send(self, call: Call, request: Request, deadline: float) -> Received:
        """Answer what the test said."""
        self.calls[call.id] = (call, request)
        try:
            received = self._received(self._next(call), request)
        except SendError as failure:
            if failure.timed_out:
                await self.sleep(deadline - self.now())  # among gathered calls the others go on meanwhile
            raise
        if not call.operation.stream:
            return received
        return Received(received.status, received.headers, b"", _Body(received.body))

    def _next(self, call: Call) -> Answerable:
        for name in _names(call):
            answers = self.answers.get(name)
            if answers:
                return answers.pop(0) if len(answers) > 1 else answers[0]
        message = f"The fake has no answer for {call.operation.name} of {call.service}."
        raise InvalidRequestError(message, hint=f"Say one: vendors.answer({call.operation.name!r}, ...).")

    def _received(self, answer: Answerable, request: Request) -> Received:
        if isinstance(answer, OSError):
            raise _failure(answer)
        if isinstance(answer, Response):
            return Received(answer.status, answer.headers, answer.body)
        if callable(answer):
            return self._received(answer(request), request)
        if isinstance(answer, int) and not isinstance(answer, bool):
            return Received(answer, Headers())
        status, value, headers = _parts(answer)
        fields = Headers({"Content-Type": "application/json"}).with_fields(headers)
        return Received(status, fields, value if isinstance(value, bytes) else encode_json(value))


def _failure(error: OSError) -> SendError:
    if isinstance(error, TimeoutError):
        return SendError("it did not answer in time", phase="read", wrote=True, timed_out=True)
    if isinstance(error, ConnectionRefusedError):
        return SendError("the connection was refused", phase="connect", wrote=False)
    return SendError("the connection was lost", phase="read", wrote=True)


class _Body:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def read(self, deadline: float) -> bytes:  # it never waits
        piece, self._body = self._body[:65_536], self._body[65_536:]
        return piece

    def close(self) -> None:
        self._body = b""


def _parts(answer: object) -> tuple[int, Any, Mapping[str, str]]:
    given = _as_tuple(answer)
    if given and isinstance(given[0], int):
        parts: list[Any] = [*given, None, None]
        return parts[0], parts[1], parts[2] or {}
    return 200, answer, {}


def _as_tuple(answer: object) -> tuple[object, ...]:
    return cast("tuple[object, ...]", answer) if isinstance(answer, tuple) else ()


def _names(call: Call) -> tuple[str, ...]:
    name = call.operation.name
    return f"{call.service} {name}", name, call.service, name.partition(".")[0], ""


def _sent(call: Call, request: Request) -> Sent:
    value = call.operation.value
    return Sent(
        value=request if value is None else value,
        request=request,
        service=call.service,
        operation=call.operation.name,
        idempotency_key=call.idempotency_key,
        tenant_id=call.tenant_id,
        attempts=call.attempts,
    )


def lenient(reference: SecretRef) -> Secret:
    """Return a secret, or one that is made up: a test needs no real ones."""
    try:
        return reference.resolve()
    except ConfigurationError:
        return Secret("secret-of-a-fake")
