"""One deadline per call: whatever the vendor does, a call ends by `timeout_seconds`, on both faces.

No test measures how exactly. Each vendor here would go on for minutes or for ever, so that a call that is over within
`GENEROUS` seconds was ended by its deadline. What can be held to the second is held in virtual time.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nexus_connector import Call, Connector, Outcome, Response, Verdict, hookimpl
from nexus_connector.errors import (
    ConnectorError,
    DeadlineExceededError,
    NotSentError,
    OutcomeUnknownError,
    RateLimitExceededError,
    TransportError,
)
from nexus_connector.testing import fake
from nexus_connector.testing.emulator import (
    Answer,
    Behaviour,
    Bomb,
    DripBody,
    DripHeaders,
    Hang,
    Infinite,
    Reset,
    VendorEmulator,
)

TIMEOUT = 0.5
"""Of the calls here, seconds."""
GENEROUS = 5.0
MEGABYTE = 1 << 20

Send = Callable[[Connector, str], Response]


def sync_send(connector: Connector, method: str) -> Response:
    """Make the call on the blocking face."""
    service = connector.service("vendor")
    return service.post("/thing") if method == "POST" else service.get("/thing")


def async_send(connector: Connector, method: str) -> Response:
    """Make the call on the awaited face, in a loop of its own."""

    async def send() -> Response:
        service = connector.as_async().service("vendor")
        return await (service.post("/thing") if method == "POST" else service.get("/thing"))

    return asyncio.run(send())


@pytest.fixture(params=[sync_send, async_send], ids=["sync", "async"])
def send(request: pytest.FixtureRequest) -> Send:
    """Each face in turn."""
    chosen: Send = request.param
    return chosen


def connect(url: str, *hooks: object, **options: object) -> Connector:
    """Build a connector whose calls have `TIMEOUT` seconds and more retries than fit into them."""
    retry = {"max_retries": 100, "base_delay_seconds": 0.02, "backoff": "constant", "budget_floor_per_second": 10_000.0}
    service = {"base_url": url, "timeout_seconds": TIMEOUT, "attempt_timeout_seconds": 0.2, "retry": retry, **options}
    return Connector.from_config({"services": {"vendor": service}, "plugins": {"only": ["retry"]}}, plugins=hooks)


def fail(send: Send, connector: Connector, method: str = "GET") -> ConnectorError:
    """Make a call that fails within `GENEROUS` seconds, and return its error."""
    started = time.monotonic()
    with pytest.raises(ConnectorError) as caught:
        send(connector, method)
    assert time.monotonic() - started < GENEROUS
    return caught.value


ENDLESS: dict[str, Behaviour] = {
    "hang": Hang(),
    "body_drip": DripBody(10),
    "header_drip": DripHeaders(10),
    "endless_body": Infinite(b"x"),
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("behaviour", ENDLESS.values(), ids=ENDLESS)
def test_an_answer_that_does_not_end_is_ended(send: Send, behaviour: Behaviour, method: str) -> None:
    """No byte now and then keeps a call alive: neither in the head nor in the body of an answer."""
    with VendorEmulator() as vendor, connect(vendor.url) as connector:
        vendor.on("/thing", behaviour)
        error = fail(send, connector, method)
        assert isinstance(error, DeadlineExceededError)
        assert isinstance(error, TimeoutError)
        assert error.phase == "read"
        assert error.outcome is Outcome.UNKNOWN
        assert isinstance(error, OutcomeUnknownError) is (method == "POST")


def test_retries_end_by_the_deadline(send: Send) -> None:
    """A hundred retries against a vendor that resets every connection: as many as fit, then the error."""
    with VendorEmulator() as vendor, connect(vendor.url) as connector:
        vendor.on("/thing", Reset())
        error = fail(send, connector)
        assert isinstance(error, TransportError)
        assert 1 < error.attempts < 100
        assert error.attempts - len(vendor.arrivals) in {0, 1}  # the last one may have come too late to be sent


def test_a_wait_that_does_not_fit_is_not_begun(send: Send) -> None:
    """Retry-After: 3600 ends the call at once; the wait is handed to the caller whole."""
    with VendorEmulator() as vendor, connect(vendor.url, timeout_seconds=30.0) as connector:
        vendor.on("/thing", Answer(429, headers={"Retry-After": "3600"}))
        error = fail(send, connector)
        assert isinstance(error, RateLimitExceededError)
        assert (error.retry_after, error.outcome, error.attempts) == (3600.0, Outcome.REFUSED, 1)
        assert len(vendor.arrivals) == 1


@contextlib.contextmanager
def blackhole() -> Iterator[tuple[str, int]]:
    """An address that neither accepts nor refuses: its queue of connections is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()


def name_leads_to(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    """Let every name have these addresses."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)


def test_dead_addresses_share_one_deadline(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with many dead addresses costs one timeout, not one each; nothing was sent."""
    with blackhole() as dead, connect("http://localhost") as connector:
        name_leads_to(monkeypatch, *[dead] * 50)
        error = fail(send, connector)
        assert isinstance(error, DeadlineExceededError)
        assert (error.phase, error.outcome, error.retry_safe) == ("connect", Outcome.NOT_SENT, True)


def test_a_live_address_behind_dead_ones_is_reached(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dead addresses leave a live one behind them its share of the time."""
    with blackhole() as dead, VendorEmulator() as vendor:
        vendor.on("/thing", Answer(json={}))
        host, port = vendor.host.split(":")
        with connect("http://localhost", timeout_seconds=1.5, attempt_timeout_seconds=1.5) as connector:
            name_leads_to(monkeypatch, dead, dead, (host, int(port)))
            assert send(connector, "POST").attempts == 1
        assert len(vendor.arrivals) == 1


def test_waiting_for_a_connection_counts(send: Send) -> None:
    """A call that waits for a free connection ends by its deadline too, unsent, gives nothing away, accuses nobody."""
    healths: list[str] = []

    class Healths:
        @hookimpl
        def classify(self, call: Call, verdict: Verdict, response: Response | None) -> None:
            healths.append(verdict.health)

    with VendorEmulator() as vendor, connect(vendor.url, Healths(), max_concurrency=1) as connector:
        vendor.on("/slow", DripBody(10))
        vendor.on("/thing", Answer(json={}))
        with connector.service("vendor").stream("/slow"):
            error = fail(send, connector, "POST")
            assert isinstance(error, DeadlineExceededError)
            assert (error.outcome, error.retry_safe) == (Outcome.NOT_SENT, True)
        assert send(connector, "POST").status == 200
        assert healths == ["ok", "ignore", "ok"]


def test_a_bomb_stops_at_the_limit(send: Send) -> None:
    """A gigabyte of zeros in a small gzip body is inflated up to `max_body_bytes` and not further."""
    with (
        VendorEmulator() as vendor,
        connect(vendor.url, timeout_seconds=30.0, attempt_timeout_seconds=30.0, max_body_bytes=MEGABYTE) as connector,
    ):
        vendor.on("/thing", Bomb(1024))
        tracemalloc.start()
        try:
            error = fail(send, connector, "POST")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert isinstance(error, TransportError)
        assert isinstance(error, OutcomeUnknownError)
        assert "max_body_bytes" in str(error)
        assert len(vendor.arrivals) == 1
        assert peak < 16 * MEGABYTE


@pytest.mark.parametrize("body", [b"x" * (MEGABYTE + 1), b"x" * MEGABYTE], ids=["one_too_many", "just_fits"])
def test_the_limit_is_exact(send: Send, body: bytes) -> None:
    """A body of `max_body_bytes` is taken, one byte more is not; a repeatable call is not sent again for that."""
    with VendorEmulator() as vendor, connect(vendor.url, max_body_bytes=MEGABYTE, timeout_seconds=30.0) as connector:
        vendor.on("/thing", Answer(body=body))
        if len(body) == MEGABYTE:
            assert send(connector, "GET").body == body
        else:
            error = fail(send, connector)
            assert "max_body_bytes" in str(error)
        assert len(vendor.arrivals) == 1


def virtual(**options: object) -> Connector:
    """Build a connector for virtual time."""
    service = {"base_url": "https://vendor.example", **options}
    return Connector.from_config({"services": {"vendor": service}, "plugins": {"only": ["retry"]}})


@pytest.mark.parametrize("timeout", [0.5, 3.0, 30.0, 120.0])
def test_no_call_outlives_its_timeout(timeout: float) -> None:
    """In virtual time to the second: attempts and backoff together never take longer than `timeout_seconds`."""
    with virtual(retry={"max_retries": 20}) as connector, fake(connector) as vendors:
        vendors.answer("", TimeoutError())
        with pytest.raises(DeadlineExceededError):
            connector.service("vendor").get("/thing", timeout_seconds=timeout)
        assert vendors.clock.elapsed_seconds <= timeout


def test_an_unsafe_call_is_not_cut_short() -> None:
    """`attempt_timeout_seconds` cuts an attempt only where another may follow: an unkeyed POST has the whole time."""
    deadlines: dict[str, float] = {}
    with virtual(timeout_seconds=30.0, attempt_timeout_seconds=10.0) as connector, fake(connector) as vendors:
        vendors.answer("", TimeoutError())
        for method in ("get", "post"):
            before = vendors.clock.elapsed_seconds
            call: Any = getattr(connector.service("vendor"), method)
            with pytest.raises(DeadlineExceededError) as caught:
                call("/thing")
            deadlines[method] = vendors.clock.elapsed_seconds - before
            assert (caught.value.attempts == 1) is (method == "post")
    assert deadlines["post"] == pytest.approx(30.0)
    assert deadlines["get"] <= 30.0


@pytest.mark.parametrize("source", ["argument", "endpoint", "service"])
def test_the_nearest_timeout_counts(source: str) -> None:
    """The argument's timeout beats the configured endpoint's, which beats the service's."""
    options: dict[str, object] = {"timeout_seconds": 7.0}
    if source == "endpoint":
        options["endpoints"] = {"POST /thing": {"timeout_seconds": 3.0}}
    arguments: Any = {"timeout_seconds": 2.0} if source == "argument" else {}
    with virtual(**options) as connector, fake(connector) as vendors:
        vendors.answer("", TimeoutError())
        with pytest.raises(DeadlineExceededError):
            connector.service("vendor").post("/thing", **arguments)
        expected = {"argument": 2.0, "endpoint": 3.0, "service": 7.0}[source]
        assert vendors.clock.elapsed_seconds == pytest.approx(expected)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), True, "3"], ids=str)
def test_a_timeout_is_a_number_above_zero(timeout: Any) -> None:
    """A timeout that is none is an error of the caller's, before anything is sent."""
    with virtual() as connector, fake(connector) as vendors:
        vendors.answer("", 200)
        with pytest.raises(ValueError, match="timeout_seconds"):
            connector.service("vendor").get("/thing", timeout_seconds=timeout)
        assert vendors.sent() == []


def test_a_wait_that_fits_no_more_fails_now() -> None:
    """A Retry-After within the inline limit but beyond the deadline is not begun: no virtual second passes."""
    with virtual(timeout_seconds=2.0) as connector, fake(connector) as vendors:
        vendors.answer("", (503, None, {"Retry-After": "4"}))
        with pytest.raises(ConnectorError) as caught:
            connector.service("vendor").get("/thing")
        assert (caught.value.retry_after, vendors.clock.elapsed_seconds) == (4.0, 0.0)
        assert not isinstance(caught.value, NotSentError)
