"""What counts: one row for each status, failure and exception, each seen through a whole connector."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import attrs
import pytest

from nexus_connector import Connector, Operation, Request, Response, hookimpl
from nexus_connector.call import Attempt, Call
from nexus_connector.errors import (
    CircuitOpenError,
    ConnectorError,
    InvalidRequestError,
    NotSentError,
    OutcomeUnknownError,
    VendorError,
)
from nexus_connector.gates import Gate, Refusal
from nexus_connector.operation import CallOptions
from nexus_connector.setup import ServiceSetup
from nexus_connector.testing import fake
from nexus_connector.transport import SendError
from nexus_connector.verdict import Classification, Verdict

Opens = Callable[..., Any]


def raises(error: BaseException) -> Callable[[Request], object]:
    """An answer that is an exception."""

    def answer(request: Request) -> object:
        raise error

    return answer


def lost(phase: Any, **fields: Any) -> Callable[[Request], object]:
    """An answer that never came."""
    return raises(SendError("lost", phase=phase, **{"wrote": phase in {"write", "read"}, **fields}))


@attrs.frozen
class Answered:
    """A vendor's answer to an operation with rules of its own."""

    answer: object
    rules: Classification = Classification()
    allow_status: frozenset[int] = frozenset()


class Broken:
    """A hook that stops an attempt before it is sent."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    @hookimpl
    def before_attempt(self, call: Call, request: Request) -> Request | None:
        raise self._error


class Judge:
    """A classify hook that has its own idea of the vendor's health."""

    def __init__(self, health: Any) -> None:
        self._health = health

    @hookimpl
    def classify(self, call: Call, verdict: Verdict, response: Response | None) -> Verdict | None:
        if isinstance(self._health, Exception):
            raise self._health
        return attrs.evolve(verdict, health=self._health)


class Refuses(Gate):
    """Another plugin's gate."""

    name = "other"

    def __init__(self, *, at: str, order: int) -> None:
        self._at = at
        self.order = order

    @hookimpl
    def gates(self, config: ServiceSetup) -> Sequence[Gate]:
        return [self]

    def check(self, attempt: Attempt) -> Refusal | None:
        return Refusal(CircuitOpenError("no.")) if self._at == "check" else None

    def ask(self, attempt: Attempt) -> None:
        if self._at == "ask":
            raise NotSentError("no.")


class Speaks:
    """A hook that answers a call itself."""

    @hookimpl
    def before_request(self, call: Call, request: Request) -> Request | Response | None:
        return Response(status=500) if request.path == "/x" and call.operation.name == "GET /row" else None


OK, FAIL, IGNORE = "ok", "fail", "ignore"
FAULT: Final = Classification(fault=lambda response: "declined")

ANSWERS: list[tuple[str, object, str]] = [
    *[(str(status), status, OK) for status in (200, 201, 202, 204, 206, 301, 302, 304, 307)],
    *[(str(status), status, OK) for status in (400, 401, 402, 403, 404, 405, 406, 409, 410, 411, 412, 413, 414, 415)],
    *[(str(status), status, OK) for status in (418, 421, 422, 423, 424, 426, 428, 431, 451, 499)],
    *[(str(status), status, IGNORE) for status in (408, 425, 429)],
    ("429 with Retry-After", (429, None, {"Retry-After": "3600"}), IGNORE),
    *[(str(status), status, FAIL) for status in (500, 501, 502, 503, 504, 505, 507, 508, 510, 511, 520, 522, 529, 599)],
    ("503 with Retry-After", (503, None, {"Retry-After": "3600"}), FAIL),
    ("500 with a body", (500, {"error": "down"}), FAIL),
    ("lost: dns", lost("dns"), FAIL),
    ("lost: dns, too late", lost("dns", timed_out=True), FAIL),
    ("lost: connect", lost("connect"), FAIL),
    ("lost: connect, too late", lost("connect", timed_out=True), FAIL),
    ("lost: tls", lost("tls"), FAIL),
    ("lost: tls, bad certificate", lost("tls", transient=False), FAIL),
    ("lost: write", lost("write"), FAIL),
    ("lost: write, nothing written", lost("write", wrote=False), FAIL),
    ("lost: read", lost("read"), FAIL),
    ("lost: read, too late", lost("read", timed_out=True), FAIL),
    ("refused connection", ConnectionRefusedError(), FAIL),
    ("reset", ConnectionResetError(), FAIL),
    ("timeout", TimeoutError(), FAIL),
    ("own: no permit came free", lost("connect", timed_out=True, own=True), IGNORE),
    ("own: the body is too large", lost("read", transient=False, own=True), IGNORE),
    ("own: the request cannot be read", lost("write", transient=False, own=True), IGNORE),
    ("own: closed from this side", lost("read", own=True), IGNORE),
    ("cancelled", raises(asyncio.CancelledError()), IGNORE),
    ("Ctrl-C", raises(KeyboardInterrupt()), IGNORE),
    ("the end of the process", raises(SystemExit()), IGNORE),
    ("a defect of this library", raises(ZeroDivisionError()), IGNORE),
    ("declared refused: 409", Answered(409, Classification(refused=frozenset({409}))), OK),
    ("declared refused and transient: 423", Answered(423, Classification(transient=frozenset({423}))), OK),
    ("declared refused: 500", Answered(500, Classification(refused=frozenset({500}))), FAIL),
    ("a fault in a 200", Answered((200, {"error": "no"}), FAULT), OK),
    ("allowed: 404", Answered(404, allow_status=frozenset({404})), OK),
    ("allowed: 503", Answered(503, allow_status=frozenset({503})), OK),
]

AROUND: list[tuple[str, object, object, str]] = [
    ("a hook refuses", Broken(InvalidRequestError("no.")), 200, IGNORE),
    ("a hook refuses, as if sent", Broken(VendorError("no.", status=500)), 200, IGNORE),
    ("a hook breaks", Broken(LookupError()), 200, IGNORE),
    ("another gate refuses locally", Refuses(at="check", order=100), 200, IGNORE),
    ("another gate refuses locally before", Refuses(at="check", order=0), 200, IGNORE),
    ("another gate refuses when asked", Refuses(at="ask", order=100), 200, IGNORE),
    ("another gate refuses when asked before", Refuses(at="ask", order=0), 200, IGNORE),
    ("a hook answers itself", Speaks(), 200, IGNORE),
    ("classify blames the vendor for a 404", Judge("fail"), 404, FAIL),
    ("classify excuses a 500", Judge("ok"), 500, OK),
    ("classify ignores a timeout", Judge("ignore"), TimeoutError(), IGNORE),
    ("classify breaks", Judge(LookupError()), 500, IGNORE),
]

ROWS = [*[(name, None, answer, counts) for name, answer, counts in ANSWERS], *AROUND]


class Sometimes:
    """A plugin that is at work only during the call that is looked at."""

    def __init__(self, plugin: Any) -> None:
        self.plugin = plugin
        self.on = False

    @hookimpl
    def before_attempt(self, call: Call, request: Request) -> Request | None:
        return self.plugin.before_attempt(call, request) if self._has("before_attempt") else None

    @hookimpl
    def before_request(self, call: Call, request: Request) -> Request | Response | None:
        return self.plugin.before_request(call, request) if self._has("before_request") else None

    @hookimpl
    def classify(self, call: Call, verdict: Verdict, response: Response | None) -> Verdict | None:
        return self.plugin.classify(call, verdict, response) if self._has("classify") else None

    @hookimpl
    def gates(self, config: ServiceSetup) -> Sequence[Gate]:
        if not isinstance(self.plugin, Refuses):
            return []
        gate, outer = Gate(), self
        gate.name, gate.order = "other", self.plugin.order
        gate.check = lambda attempt: outer.plugin.check(attempt) if outer.on else None
        gate.ask = lambda attempt: outer.plugin.ask(attempt) if outer.on else None
        return [gate]

    def _has(self, hook: str) -> bool:
        return self.on and hasattr(self.plugin, hook)


@pytest.mark.parametrize("awaited", [False, True], ids=["blocking", "awaited"])
@pytest.mark.parametrize(("plugin", "answer", "counts"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_it_counts_as_written(world: Opens, plugin: object, answer: object, counts: str, awaited: bool) -> None:
    """Between two failures, with a threshold of two: fail opens at once, ok ends the row, ignore leaves it."""
    sometimes = Sometimes(plugin)
    crm = world({"failure_threshold": 2}, plugins=[sometimes])

    def call(answer: object) -> None:
        given = answer if isinstance(answer, Answered) else Answered(answer)
        crm.vendors.answer("", given.answer)
        operation = Operation(
            name="GET /row",
            request=Request(path="/x"),
            parse=lambda response: response,
            safety="safe",
            classification=given.rules,
            allow_status=given.allow_status,
        )
        options = CallOptions(timeout_seconds=1)
        with suppress(ConnectorError, asyncio.CancelledError, KeyboardInterrupt, SystemExit, ZeroDivisionError):
            if awaited:
                asyncio.run(crm.connector.as_async().perform("crm", operation, options))
            else:
                crm.connector.perform("crm", operation, options)

    call(500)
    sometimes.on = True
    call(answer)
    sometimes.on = False
    opened_at_once = crm.changes == [("closed", "open")]
    if not opened_at_once:
        call(500)
    found = FAIL if opened_at_once else IGNORE if crm.changes else OK
    assert found == counts


def test_there_are_sixty_rows() -> None:
    """Every kind is there, and no row twice."""
    names = [row[0] for row in ROWS]
    assert len(names) == len(set(names)) >= 60
    print(f"\n{len(names)} rows, each on both faces")


def test_four_hundreds_never_trip() -> None:
    """Twenty answers of each 4xx in a row leave the circuit closed, by count as by share."""
    rules = {"failure_threshold": 1, "failure_rate": 0.01, "minimum_calls": 1}
    config = {
        "services": {"crm": {"base_url": "https://crm.example"}},
        "plugins": {"only": ["breaker"], "breaker": rules},
    }
    with Connector.from_config(config) as connector, fake(connector) as vendors:
        for status in range(400, 500):
            vendors.answer("", status)
            for _ in range(20):
                with pytest.raises(VendorError):
                    connector.service("crm").get("/x")
        assert len(vendors.sent()) == 2_000


@pytest.mark.parametrize("raised", [ValueError("sdk"), TimeoutError(), None], ids=["error", "timeout", "none"])
def test_what_run_raises_says_nothing_of_the_vendor(world: Opens, raised: Exception | None) -> None:
    """An SDK's exception may be the caller's own mistake: only a ``classify`` hook makes it a failure."""
    crm = world({"failure_threshold": 1})

    def function() -> int:
        if raised is not None:
            raise raised
        return 1

    for _ in range(3):
        with suppress(OutcomeUnknownError):
            assert crm.connector.run("crm", function, operation="sdk.do") == 1
    assert crm.changes == []


def test_run_has_a_circuit_of_its_own(world: Opens) -> None:
    """Calls of an SDK go to no base URL: their circuit is the one without region, and it opens and refuses too."""
    crm = world({"failure_threshold": 2}, plugins=[Judge("fail")])
    calls: list[int] = []
    for _ in range(2):
        crm.connector.run("crm", lambda: calls.append(1), operation="sdk.do")
    with pytest.raises(CircuitOpenError, match=r"The circuit of crm is open: 2 consecutive failures\."):
        crm.connector.run("crm", lambda: calls.append(1), operation="sdk.do")
    assert len(calls) == 2
    assert crm.call().status == 200, "requests have another one"
    assert (crm.events[0].region, crm.changes) == (None, [("closed", "open")])
