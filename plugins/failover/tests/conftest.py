"""Stand-ins around the stages: a target that nobody listens to but the test, and regions that follow a script."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from nexus_connector.call import Call
from nexus_connector.config import Region
from nexus_connector.errors import CircuitOpenError
from nexus_connector.events import Event
from nexus_connector.headers import Headers
from nexus_connector.io.drive import drive
from nexus_connector.io.virtual import VirtualIo
from nexus_connector.judge import judge_answer, judge_failure, refuse
from nexus_connector.message import Request, Response
from nexus_connector.operation import CallOptions, Operation
from nexus_connector.pipeline import Result
from nexus_connector.redaction import Redactor
from nexus_connector.transport import SendError
from nexus_connector.verdict import Safety
from nexus_connector_failover import FailoverOptions
from nexus_connector_failover._stage import FailoverStage, MovesStage

Step = int | Response | SendError | BaseException | Callable[[Call], Result]
"""What an attempt comes to: a status, an answer, a failed send, an exception, or a result made by hand."""

TIMED_OUT = SendError("no answer in time", phase="read", wrote=True, timed_out=True)
UNCONNECTED = SendError("connection refused", phase="connect", wrote=False)


def groups_of(groups: Mapping[str, str]) -> Callable[[str], str]:
    """Name the group of an operation; empty for those without one."""
    return lambda operation: groups.get(operation, "")


@attrs.define
class Asked:
    """One attempt as the chain behind the stage saw it."""

    region: str
    base_url: str | None


class World:
    """Both stages in virtual time, before regions that follow `script`; the last step of each repeats.

    Attributes:
        circuits: Seconds for which the circuit of a region refuses; ``None``: it does not say how long.
        asked: Attempts that were made, refused ones included.
        sent: Regions of those that were sent.
    """

    def __init__(self, regions: str = "eu us", *, groups: Mapping[str, str] | None = None, **options: Any) -> None:
        self.io = VirtualIo(seed=7)
        self.regions = [Region(name, f"https://{name}.example") for name in regions.split()]
        self.script: dict[str, Sequence[Step]] = {}
        self.circuits: dict[str, float | None] = {}
        self.asked: list[Asked] = []
        self.sent: list[str] = []
        self.events: list[Event] = []
        self.stage = FailoverStage(self.regions, FailoverOptions(**options), groups_of(groups or {}))
        self.moves = MovesStage(self.regions)

    def call(
        self, safety: Safety = "safe", *, operation: str = "GET /x", seconds: float = 30.0, key: str | None = None
    ) -> Call:
        """Return a call that begins now."""
        outbox = SimpleNamespace(event=lambda make: self.events.append(make()))
        target = SimpleNamespace(
            adapter=None,
            name="crm",
            redactor=Redactor(sensitive_keys=frozenset(), secrets=()),
            replays_errors=False,
            signals=SimpleNamespace(hears=lambda kind: True),
            outbox=lambda: outbox,
        )
        return Call(
            id=f"01J{len(self.asked)}",
            target=cast("Any", target),
            operation=Operation(name=operation, request=Request(), parse=Response.json, safety=safety),
            options=CallOptions(idempotency_key=key),
            io=self.io,
            deadline=self.io.now() + seconds,
        )

    def attempt(self, call: Call | None = None) -> Result:
        """Take one attempt of a call through the stages, as the retry stage would."""
        call = call or self.call()
        return drive(self.stage(call, call.operation.request, self.next))

    def attempts(self, count: int, call: Call | None = None) -> str:
        """Make several, each of a fresh call unless one is given; return where they were sent."""
        before = len(self.sent)
        for _ in range(count):
            self.attempt(call)
        return " ".join(self.sent[before:])

    def leave(self) -> None:
        """Let the first region fail until it is left; forget what was seen meanwhile."""
        self.script["eu"] = [500]
        for _ in range(5):
            self.attempt()
        self.script["eu"] = [200]
        self.sent.clear()
        self.events.clear()

    async def next(self, call: Call, request: Request) -> Result:
        """Stand for what is between the two stages: gates, which may refuse."""
        region = call.region or ""
        self.asked.append(Asked(region, request.base_url))
        if region in self.circuits:
            error = CircuitOpenError(f"The circuit of {region} is open.", retry_after=self.circuits[region])
            return refuse(call, error)
        return await self.moves(call, request, self.send)

    async def send(self, call: Call, request: Request) -> Result:
        """Stand for the send."""
        region = call.region or ""
        script = self.script.get(region, [200])
        step = script[0] if len(script) == 1 else cast("list[Step]", script).pop(0)
        call.attempts += 1
        self.sent.append(region)
        if isinstance(step, SendError):
            return judge_failure(call, step)
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, int):
            step = Response(status=step)
        return judge_answer(call, step) if isinstance(step, Response) else step(call)

    @property
    def told(self) -> list[str]:
        """The moves that were told."""
        return [f"{event.old} -> {event.new}: {event.reason}" for event in cast("list[Any]", self.events)]


def answer(status: int, **headers: str) -> Response:
    """Return an answer; ``retry_after="3"`` is the header Retry-After."""
    return Response(status=status, headers=Headers({name.replace("_", "-"): value for name, value in headers.items()}))


@pytest.fixture
def world() -> World:
    """A fresh service with two regions, ``eu`` and ``us``, and default options."""
    return World()


@pytest.fixture
def make_world() -> Callable[..., World]:
    """Makes a service with other regions, groups or options."""
    return World


@pytest.fixture
def put_off() -> Response:
    """An answer that asks for patience."""
    return answer(429, retry_after="1")


@pytest.fixture
def timed_out() -> SendError:
    """A send whose answer did not come in time."""
    return TIMED_OUT


@pytest.fixture
def unconnected() -> SendError:
    """A send that found no connection."""
    return UNCONNECTED
