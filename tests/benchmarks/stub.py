"""Stubs: connectors whose sends are answered at once, so that what is left is ours alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from nexus_connector import (
    Call,
    CallOptions,
    Connector,
    Headers,
    Operation,
    Request,
    Response,
    ServiceSetup,
    Stage,
    build_request,
    hookimpl,
)
from nexus_connector.execution import new_call
from nexus_connector.io.blocking import BlockingIo
from nexus_connector.io.looping import LoopIo
from nexus_connector.transport import Received, SendError

from .candidates_ours import SERVICE
from .server import BODY

URL: Final = "https://vendor.example"
"""Base URL of a service that nobody asks."""

REQUEST: Final = build_request("GET", "/x")
"""What those calls send."""

_HEADERS: Final = Headers(
    {"Content-Type": "application/json", "Content-Length": str(len(BODY)), "X-Request-Id": "req_1001"}
)
_ANSWER: Final = Received(200, _HEADERS, BODY)


class AnsweringIo(BlockingIo):
    """The blocking Io; each send is answered at once."""

    async def send(self, call: Call, request: Request, deadline: float) -> Received:
        """Answer."""
        return _ANSWER


class AnsweringLoopIo(LoopIo):
    """The Io of an event loop; each send is answered at once, without a thread."""

    async def send(self, call: Call, request: Request, deadline: float) -> Received:
        """Answer."""
        return _ANSWER


class FailingIo(BlockingIo):
    """The blocking Io; no send gets through."""

    async def send(self, call: Call, request: Request, deadline: float) -> Received:
        """Fail as a port does on which nobody listens.

        Raises:
            SendError: Always.
        """
        text = "nobody listens"
        raise SendError(text, phase="connect", wrote=False)


def answered(connector: Connector) -> Connector:
    """Have every send of a connector answered at once, on both faces; returns the connector."""
    runtime = connector.runtime
    runtime.blocking_io = AnsweringIo(lambda: runtime.process)
    runtime.loop_io = AnsweringLoopIo(lambda: runtime.process)
    return connector


def calls_of(connector: Connector, *, looping: bool = False) -> Callable[[], Call]:
    """Return what makes fresh calls of ``GET /x``, as they come to the chain.

    Args:
        connector: Whose they are.
        looping: Whether they are calls of the awaited face.
    """
    runtime = connector.runtime
    target, io = runtime.target(SERVICE), runtime.loop_io if looping else runtime.blocking_io
    operation: Operation[Response] = Operation(name="GET /x", request=REQUEST, parse=lambda response: response)
    options = CallOptions(call_id="01JZZZZZZZZZZZZZZZZZZZZZZZ")
    return lambda: new_call(target, io, operation, options)


def failing(connector: Connector) -> Connector:
    """Have every send of a connector fail, on the blocking face; returns the connector."""
    runtime = connector.runtime
    runtime.blocking_io = FailingIo(lambda: runtime.process)
    return connector


class PassingStage(Stage):
    """A stage that hands on what it gets, as the base of all stages does.

    Args:
        number: Which one of several.
    """

    slot = 450

    def __init__(self, number: int) -> None:
        self.name = f"passing-{number}"


class PassingStages:
    """A plugin with such stages.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self._count = count

    @hookimpl
    def stages(self, config: ServiceSetup) -> list[PassingStage]:
        """Put them around the calls."""
        return [PassingStage(number) for number in range(self._count)]


class PassingHook:
    """A hook that leaves every request as it is."""

    @hookimpl
    def before_request(self, request: Request) -> Request | Response | None:
        """Look, and change nothing."""
        return None
