"""Fakes: a connector whose vendors answer what a test says, in virtual time."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import attrs

from ..background import InlineOutbox
from ..body import encode_json
from ..call import Call
from ..config import SecretRef
from ..errors import ConfigurationError, InvalidRequestError
from ..headers import Headers
from ..io.virtual import VirtualIo
from ..message import Request, Response
from ..runtime import Parts
from ..secret import Secret
from ..transport import Received, SendError

if TYPE_CHECKING:
    from ..async_connector import AsyncConnector
    from ..connector import Connector

Answerable: TypeAlias = object
"""A status, a value for a 200 with JSON, ``(status, value)``, ``(status, value, headers)``, a `Response`, an OSError to
raise (``TimeoutError()``, ``ConnectionRefusedError()``), or a function of the request that returns one of these."""


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


class Clock:
    """The virtual clock of a fake.

    Attributes:
        elapsed_seconds: Virtual seconds since the fake began.
    """

    def __init__(self, io: VirtualIo) -> None:
        self._io = io

    @property
    def elapsed_seconds(self) -> float:
        """Virtual seconds since the fake began."""
        return self._io.elapsed_seconds

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Args:
            seconds: How much.
        """
        self._io.advance(seconds)


class Fake:
    """The vendors of a connector, played by a test.

    Attributes:
        clock: Virtual time; waits take no real time.
    """

    def __init__(self, io: _FakeIo) -> None:
        self._io = io
        self.clock = Clock(io)

    def answer(self, target: str, /, *answers: Answerable) -> None:
        """Say what is answered.

        Args:
            target: An operation (``payments.charge``, ``GET /orders/{id}``), a domain (``email``), a service (``erp``),
                both (``erp GET /orders/{id}``), or ``""`` for everything. The most exact one counts.
            answers: Answers in order; the last one repeats.

        >>> from nexus_connector import Connector
        >>> with Connector.from_config({"services": {"erp": {"base_url": "https://erp.example"}}}) as connector:
        ...     with fake(connector) as vendors:
        ...         vendors.answer("GET /orders/{id}", {"id": "7"})
        ...         connector.service("erp").get("/orders/{id}", path_values={"id": 7}, into=dict)
        {'id': '7'}
        """
        if not answers:
            raise InvalidRequestError(f"answer({target!r}) says no answer.", hint="Give at least one.")
        self._io.answers[target] = list(answers)

    def sent(self, target: str = "") -> list[Sent]:
        """Return the calls that reached a vendor, in order.

        Args:
            target: Only those it names; as for `answer`.
        """
        return [_sent(call, request) for call, request in self._io.calls.values() if target in _names(call)]


class _FakeIo(VirtualIo):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.answers: dict[str, list[Answerable]] = {}
        self.calls: dict[str, tuple[Call, Request]] = {}

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


def _lenient(reference: SecretRef) -> Secret:
    """A test needs no real secrets."""
    try:
        return reference.resolve()
    except ConfigurationError:
        return Secret("secret-of-a-fake")


@contextmanager
def fake(connector: Connector | AsyncConnector, *, seed: int = 0) -> Generator[Fake]:
    """Play the vendors of a connector, in virtual time: waits take none, jitter is the same in every run.

    Hooks, stages, gates and adapters are the real ones; missing secrets are made up; records and events are delivered
    at once.

    Args:
        connector: Either face; the other one of its runtime is faked too.
        seed: Seed of the random sequence.

    >>> from nexus_connector import Connector
    >>> with Connector.from_config({"services": {"erp": {"base_url": "https://erp.example"}}}) as connector:
    ...     with fake(connector) as vendors:
    ...         vendors.answer("erp", {"ok": True})
    ...         connector.service("erp").get("/status").json()
    {'ok': True}
    """
    runtime = connector.runtime
    io = _FakeIo(seed)
    process = runtime.new_process(outbox=InlineOutbox(runtime.delivery), clock=io.now)
    before = runtime.exchange(Parts(io, io, process, {}, _lenient))
    try:
        yield Fake(io)
    finally:
        runtime.exchange(before)
        process.close(0)
