"""Calls and attempts: the state that travels through the pipeline."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

if TYPE_CHECKING:
    from .credentials import Credentials
    from .events import Event
    from .io import Io
    from .message import Request, Response
    from .operation import CallOptions, Operation
    from .redaction import Redactor
    from .stream import StreamBody
    from .target import Target
    from .verdict import Safety

T = TypeVar("T")


class Call:
    """One logical operation: one id, one deadline, as many attempts as it takes.

    Attributes:
        id: ULID.
        parent_id: Id of the call it is a step, chunk or page of.
        operation: What is done.
        options: What the caller said.
        tenant_id: Tenant, once resolved.
        idempotency_key: Key sent to the vendor, or claimed.
        safety: Whether sending it twice can do it twice, with what the service says about keys.
        started: When it began, seconds of `io`'s clock.
        deadline: When it must have ended, on the same clock.
        attempt_deadline: When the next attempt must have ended; ``None``: the call's deadline.
        send_by: When the next send must have begun, or its admission is void; ``None``: it has no such end.
        attempts: Sends on the wire so far.
        region: Name of the region of the last attempt.
        credentials: Those of the last attempt.
        io: The only thing that may wait.
        state: Free for hooks and stages; keys should begin with the plugin's name.
    """

    __slots__ = (
        "attempt_deadline",
        "attempts",
        "credentials",
        "deadline",
        "id",
        "idempotency_key",
        "io",
        "operation",
        "options",
        "parent_id",
        "redactor",
        "region",
        "rejected",
        "safety",
        "send_by",
        "service",
        "started",
        "state",
        "stream",
        "target",
        "tenant_id",
        "value",
        "wall_started",
    )

    def __init__(
        self,
        *,
        id: str,  # the word for it everywhere
        target: Target,
        operation: Operation[Any],
        options: CallOptions,
        io: Io,
        deadline: float,
        parent_id: str | None = None,
        wall_started: datetime | None = None,
    ) -> None:
        self.id = id
        self.parent_id = parent_id
        self.target = target
        self.service: str = target.name
        self.operation = operation
        self.options = options
        self.tenant_id: str | None = options.tenant_id
        self.idempotency_key: str | None = options.idempotency_key
        self.io = io
        self.safety: Safety = operation.safety
        self.value: Any = None
        self.stream: StreamBody | None = None
        self.started = io.now()
        self.wall_started = io.wall() if wall_started is None else wall_started
        self.deadline = deadline
        self.attempt_deadline: float | None = None
        self.send_by: float | None = None
        self.attempts = 0
        self.region: str | None = None
        self.credentials: Credentials | None = None
        self.rejected: Credentials | None = None
        self.redactor: Redactor = target.redactor
        self.state: dict[str, Any] = {}

    @property
    def now(self) -> datetime:
        """The time, aware, in UTC; virtual time in tests."""
        return self.io.wall()

    @property
    def remaining_seconds(self) -> float:
        """Seconds left until the deadline; negative when it has passed."""
        return self.deadline - self.io.now()

    def emit(self, kind: type[Event], **fields: object) -> None:
        """Tell receivers what happened in this call; texts are redacted. Costs nothing if nobody listens.

        Args:
            kind: Class of the event.
            fields: Its fields beside service, call_id and at.
        """
        if self.target.signals.hears(kind):
            self.target.outbox().event(partial(self._event, kind, self.io.wall(), fields))

    def _event(self, kind: type[Event], at: datetime, fields: dict[str, object]) -> Event:
        """Make an event, off the call's path."""
        redact = self.redactor.text
        for name, value in fields.items():
            if isinstance(value, str) and not isinstance(value, StrEnum):
                fields[name] = redact(str(value))
        made: Any = kind
        return made(service=self.service, call_id=self.id, at=at, **fields)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"Call({self.id}, {self.service}, {self.operation.name}, attempts={self.attempts})"


@attrs.define(kw_only=True)
class Attempt:
    """One send on the wire inside a call, as gates see it.

    Attributes:
        call: The call.
        number: From 1.
        region: Name of the region it goes to.
        request: What will be sent.
        max_wait_seconds: Longest wait that a gate may impose.
        send_by: When the send must have begun, seconds of ``call.io.now()``; a gate whose admission expires sets it.
        response: The answer, once there is one; gates find it in `Gate.settle`.
        state: What each gate keeps about this attempt, by the gate's name.
    """

    call: Call
    number: int
    region: str | None
    request: Request
    max_wait_seconds: float = 0.0
    send_by: float | None = None
    response: Response | None = None
    state: dict[str, Any] = attrs.field(factory=dict[str, Any])
