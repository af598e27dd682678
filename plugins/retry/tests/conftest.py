"""Stand-ins around the stage: a target that nobody listens to but the test, and a vendor that follows a script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from nexus_connector.call import Call
from nexus_connector.events import Event
from nexus_connector.headers import Headers
from nexus_connector.io.drive import drive
from nexus_connector.io.virtual import VirtualIo
from nexus_connector.judge import judge_answer, judge_failure
from nexus_connector.message import Request, Response
from nexus_connector.operation import CallOptions, Operation
from nexus_connector.pipeline import Result
from nexus_connector.policy import RetryPolicy
from nexus_connector.redaction import Redactor
from nexus_connector.transport import SendError
from nexus_connector.verdict import Safety
from nexus_connector_retry import RetryOptions
from nexus_connector_retry._stage import RetryStage

Step = int | Response | SendError | BaseException | Callable[[Call], Result]
"""What an attempt comes to: a status, an answer, a failed send, an exception, or a result made by hand."""


@attrs.define
class Sent:
    """One attempt as the vendor saw it."""

    at: float
    deadline: float | None


class World:
    """One stage in virtual time, before a vendor that follows `script`; its last step repeats."""

    def __init__(self, **options: Any) -> None:
        self.io = VirtualIo(seed=7)
        self.script: Sequence[Step] = [200]
        self.attempt_seconds = 0.0
        self.sent: list[Sent] = []
        self.events: list[Event] = []
        self.attempt_timeout_seconds = 10.0
        self.max_inline_wait_seconds = 5.0
        self.use(**options)

    def use(self, **options: Any) -> None:
        """Build the stage anew; delays are the policy's own unless the test asks for jitter."""
        self.stage = RetryStage(
            RetryOptions(**{"jitter": "none", **options}),
            attempt_timeout_seconds=self.attempt_timeout_seconds,
            max_inline_wait_seconds=self.max_inline_wait_seconds,
        )

    def call(
        self,
        *,
        safety: Safety = "safe",
        seconds: float = 30.0,
        retry: RetryPolicy | None = None,
        request: Request | None = None,
    ) -> Call:
        """Return a call that begins now."""
        redactor = Redactor(sensitive_keys=frozenset(), secrets=())
        outbox = SimpleNamespace(event=lambda make: self.events.append(make()))
        target = SimpleNamespace(
            name="stripe",
            redactor=redactor,
            replays_errors=False,
            signals=SimpleNamespace(hears=lambda kind: True),
            outbox=lambda: outbox,
        )
        request = request or Request()
        operation = Operation(name="GET /x", request=request, parse=Response.json, safety=safety, retry=retry)
        return Call(
            id="01J",
            target=cast("Any", target),
            operation=operation,
            options=CallOptions(),
            io=self.io,
            deadline=self.io.now() + seconds,
        )

    async def next(self, call: Call, request: Request) -> Result:
        """Stand for the rest of the chain."""
        step = self.script[min(call.attempts, len(self.script) - 1)]
        call.attempts += 1
        self.sent.append(Sent(self.io.now(), call.attempt_deadline))
        self.io.advance(self.attempt_seconds)
        if isinstance(step, SendError):
            return judge_failure(call, step)
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, int):
            step = Response(status=step)
        return judge_answer(call, step) if isinstance(step, Response) else step(call)

    def run(self, call: Call | None = None, *script: Step) -> Result:
        """Take a call through the stage."""
        self.script = script or self.script
        call = call or self.call()
        return drive(self.stage(call, call.operation.request, self.next))

    @property
    def times(self) -> list[float]:
        """When each attempt was sent, from the first."""
        return [sent.at - self.sent[0].at for sent in self.sent]


def answer(status: int, **headers: str) -> Response:
    """Return an answer; ``retry_after="3"`` is the header Retry-After."""
    return Response(status=status, headers=Headers({name.replace("_", "-"): value for name, value in headers.items()}))


@pytest.fixture
def world() -> World:
    """A fresh service with default options, without jitter."""
    return World()


@pytest.fixture
def retry_after() -> Callable[[int, str], Response]:
    """Makes an answer with a Retry-After header."""
    return lambda status, value: answer(status, retry_after=value)


@pytest.fixture
def timed_out() -> SendError:
    """A send whose answer did not come in time."""
    return SendError("no answer in time", phase="read", wrote=True, timed_out=True)


@pytest.fixture
def unconnected() -> SendError:
    """A send that found no connection."""
    return SendError("connection refused", phase="connect", wrote=False)
