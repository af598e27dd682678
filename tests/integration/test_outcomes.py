"""What a caller is told after a fault, and what the vendor saw of it: 8 phases, 7 methods, with and without a key.

The vendor is real and on loopback; the retry plugin is active and allows one retry. The phases, in the order of a send:

1. ``refused``: nothing listens.
2. ``reset_at_accept``: the connection is reset as soon as it is accepted, nothing is read. Whether the first byte was
   written by then is a race, so that either outcome is right; the error, the repetition and the class must agree on it.
3. ``hang``: the request arrives, no answer comes: the attempt's time runs out, then the call's.
4. ``reset_after_request``: the request arrives, the connection is reset instead of an answer.
5. ``reset_in_body``: the connection is reset in the middle of the answer's body. To HEAD no body is sent: the headers
   are the whole answer, which is what this cell holds.
6. ``status_500``: the vendor answers 500.
7. ``status_503``: the vendor answers 503 without Retry-After: nothing says that it did not happen.
8. ``put_off``: the vendor answers 429, then 503, each with ``Retry-After: 0``: refused, and welcome again at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from itertools import product
from typing import Any, Literal, TypeAlias

import attrs
import pytest

from nexus_connector import Connector, Endpoint, HttpMethod, Outcome, Response
from nexus_connector.errors import (
    ConnectorError,
    DeadlineExceededError,
    OutcomeUnknownError,
    RateLimitExceededError,
    TransportError,
    VendorError,
)
from nexus_connector.testing.emulator import Answer, Behaviour, Hang, Reset, VendorEmulator

Phase: TypeAlias = Literal[
    "refused",
    "reset_at_accept",
    "hang",
    "reset_after_request",
    "reset_in_body",
    "status_500",
    "status_503",
    "put_off",
]

SENDS = 2
"""Of a call whose retries are all made."""
HEADER = "Idempotency-Key"
KEY = "order-1001"


@attrs.frozen
class Fault:
    """A phase: what the vendor does, and what is known of the effect afterwards."""

    behaviours: tuple[Behaviour, ...]
    outcomes: frozenset[Outcome]
    kind: type[ConnectorError]
    arrives: bool = True


UNKNOWN, REFUSED, NOT_SENT = frozenset({Outcome.UNKNOWN}), frozenset({Outcome.REFUSED}), frozenset({Outcome.NOT_SENT})
NOW = {"Retry-After": "0"}

FAULTS: dict[Phase, Fault] = {
    "refused": Fault((), NOT_SENT, TransportError, arrives=False),
    "reset_at_accept": Fault((Answer(),), UNKNOWN | NOT_SENT, TransportError, arrives=False),
    "hang": Fault((Hang(),), UNKNOWN, DeadlineExceededError),
    "reset_after_request": Fault((Reset("request"),), UNKNOWN, TransportError),
    "reset_in_body": Fault((Reset("body"),), UNKNOWN, TransportError),
    "status_500": Fault((Answer(500),), UNKNOWN, VendorError),
    "status_503": Fault((Answer(503),), UNKNOWN, VendorError),
    "put_off": Fault((Answer(503, headers=NOW), Answer(429, headers=NOW)), REFUSED, RateLimitExceededError),
}

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
REPEATABLE_WITHOUT_KEY = SAFE | {"PUT", "DELETE"}

CELLS = list(product(FAULTS, HttpMethod, (True, False)))


def cell_id(cell: tuple[Phase, HttpMethod, bool]) -> str:
    """Name a cell of the table."""
    phase, method, keyed = cell
    return f"{phase}-{method}-{'key' if keyed else 'no_key'}"


def endpoint(method: HttpMethod) -> Endpoint[Response]:
    """Return the one path of the vendor under a method, with the safety that the method means."""
    return Endpoint(method=method, path="/thing", parse=lambda response: response, safety=method.safety)


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """A base URL where nothing listens; the port is held, so that nobody else takes it meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def connect(url: str, phase: Phase, *, keyed: bool) -> Connector:
    """Build a connector of one service with one retry; only a hang needs a short time."""
    hangs = phase == "hang"
    service: dict[str, object] = {
        "base_url": url,
        "timeout_seconds": 0.6 if hangs else 30.0,
        "attempt_timeout_seconds": 0.3 if hangs else 30.0,
        "retry": {"max_retries": SENDS - 1, "base_delay_seconds": 0.001},
    }
    if keyed:
        service["idempotency_header"] = HEADER
    return Connector.from_config({"services": {"vendor": service}, "plugins": {"only": ["retry"]}})


@attrs.frozen
class Seen:
    """One call: what it raised or returned, and what the vendor saw."""

    error: ConnectorError | None
    response: Response | None
    keys: list[str | None]
    connections: int


def call(phase: Phase, method: HttpMethod, *, keyed: bool, face: str = "sync") -> Seen:
    """Make one call against a vendor with this fault."""
    fault = FAULTS[phase]
    key = KEY if keyed else None
    with contextlib.ExitStack() as stack:
        vendor = stack.enter_context(VendorEmulator())
        if fault.behaviours:
            vendor.on("/thing", *fault.behaviours)
        if phase == "reset_at_accept":
            vendor.refuse_connections(1000)
        url = stack.enter_context(nobody()) if phase == "refused" else vendor.url
        connector = stack.enter_context(connect(url, phase, keyed=keyed))
        error: ConnectorError | None = None
        response: Response | None = None
        try:
            if face == "sync":
                response = connector.execute("vendor", endpoint(method), idempotency_key=key)
            else:
                response = asyncio.run(connector.as_async().execute("vendor", endpoint(method), idempotency_key=key))
        except ConnectorError as raised:
            error = raised
        return Seen(error, response, [arrival.headers.get(HEADER) for arrival in vendor.arrivals], vendor.connections)


def check(seen: Seen, phase: Phase, method: HttpMethod, *, keyed: bool) -> None:
    """Hold one cell of the table."""
    fault = FAULTS[phase]
    repeatable = keyed or method in REPEATABLE_WITHOUT_KEY
    error = seen.error
    assert error is not None
    assert error.outcome in fault.outcomes
    assert isinstance(error, fault.kind)
    unknown = error.outcome is Outcome.UNKNOWN
    assert isinstance(error, OutcomeUnknownError) is (unknown and method not in SAFE)
    assert error.retry_safe is (repeatable or not unknown)
    if repeatable or not unknown:
        assert error.attempts == SENDS
    elif phase != "reset_at_accept":  # where the first attempt may have been not_sent, and sent again
        assert error.attempts == 1
    assert seen.keys == [KEY if keyed else None] * (error.attempts if fault.arrives else 0)
    if phase == "reset_at_accept":
        assert seen.connections == error.attempts


def test_the_table_is_whole() -> None:
    """Eight phases, seven methods, with a key and without: no cell is left out, none is there twice."""
    assert len(CELLS) == len({cell_id(cell) for cell in CELLS}) == 8 * 7 * 2


@pytest.mark.parametrize("cell", CELLS, ids=cell_id)
def test_cell(cell: tuple[Phase, HttpMethod, bool]) -> None:
    """An unkeyed POST or PATCH is sent again only if nothing was sent or it was put off; everything else with the same
    key again and again. Outcome, `retry_safe`, class and number of sends say the same thing.
    """
    phase, method, keyed = cell
    seen = call(phase, method, keyed=keyed)
    if (phase, method) == ("reset_in_body", HttpMethod.HEAD):
        assert seen.error is None
        assert seen.response is not None
        assert (seen.response.status, seen.response.body, seen.response.attempts) == (200, b"", 1)
        assert seen.keys == [KEY if keyed else None]
        return
    check(seen, phase, method, keyed=keyed)


@pytest.mark.parametrize("keyed", [True, False], ids=["key", "no_key"])
@pytest.mark.parametrize("phase", FAULTS)
def test_the_awaited_face_tells_the_same(phase: Phase, *, keyed: bool) -> None:
    """What is unsafe is unsafe on both faces: the same table for an awaited POST."""
    seen = call(phase, HttpMethod.POST, keyed=keyed, face="async")
    check(seen, phase, HttpMethod.POST, keyed=keyed)


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_call_without_a_key_is_sent_again_under_its_own_id(face: str) -> None:
    """Where the vendor honours keys and the caller gives none, every send carries the id of the call as key."""
    with VendorEmulator() as vendor, connect(vendor.url, "status_500", keyed=True) as connector:
        vendor.on("POST /thing", Answer(500), Answer(201, json={}))
        post = endpoint(HttpMethod.POST)
        response = (
            connector.execute("vendor", post)
            if face == "sync"
            else asyncio.run(connector.as_async().execute("vendor", post))
        )
        assert [arrival.key for arrival in vendor.arrivals] == [response.call.id] * 2


def test_a_made_up_key_is_not_the_callers() -> None:
    """A call keyed by its own id is resent here, but the caller's next call would have another key: not safe."""
    with VendorEmulator() as vendor, connect(vendor.url, "status_500", keyed=True) as connector:
        vendor.on("POST /thing", Answer(500))
        with pytest.raises(OutcomeUnknownError) as caught:
            connector.execute("vendor", endpoint(HttpMethod.POST))
        assert [arrival.key for arrival in vendor.arrivals] == [caught.value.call_id] * SENDS
    assert (caught.value.retry_safe, caught.value.outcome) == (False, Outcome.UNKNOWN)
    assert "It may have happened" in str(caught.value)


def test_a_key_nobody_honours_is_refused() -> None:
    """A key that the vendor does not honour and nothing keeps is an error before sending, not a false promise."""
    with VendorEmulator() as vendor, connect(vendor.url, "status_500", keyed=False) as connector:
        post: Any = endpoint(HttpMethod.POST)
        with pytest.raises(ValueError, match="does not honour idempotency keys"):
            connector.execute("vendor", post, idempotency_key=KEY)
        assert vendor.arrivals == []
