"""The gate inside a connector, on both faces: waits, refusals, pauses, permits, what is given back, what is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from nexus_connector import ServiceAdapter, Vendor, hookimpl
from nexus_connector.adapter import LimitHeaders
from nexus_connector.call import Call
from nexus_connector.errors import ConnectorError, LocalRateLimitError, VendorRateLimitError
from nexus_connector.message import Request, Response
from nexus_connector.verdict import Verdict
from nexus_connector_limiter import limits

Opens = Callable[..., Any]


@pytest.mark.parametrize("face", ["sync", "async"])
def test_calls_wait_for_their_slot(world: Opens, face: str) -> None:
    """The second call waits until the limit has room; nothing is refused that fits into the wait."""
    crm = world({"limits": ["10/s"], "jitter_seconds": 0})
    if face == "sync":
        for _ in range(3):
            assert crm.call().status == 200
    else:
        service = crm.connector.as_async().service("crm")

        async def three() -> None:
            for _ in range(3):
                await service.get("/x")

        asyncio.run(three())
    assert crm.now == pytest.approx(2 * 1.001 / 9, abs=0.001)


def test_calls_at_once_get_slots_one_after_the_other(world: Opens) -> None:
    """Of a hundred calls at one moment those are sent that fit into the wait, evenly; the rest hears when to come."""
    crm = world({"limits": ["10/s"]})
    service, io = crm.connector.as_async().service("crm"), crm.connector.runtime.loop_io
    sent: list[float] = []

    def answer(request: Request) -> int:
        sent.append(crm.now)
        return 200

    crm.vendors.answer("", answer)

    async def one() -> Any:
        try:
            return (await service.get("/x")).status
        except LocalRateLimitError as error:
            return error

    found = asyncio.run(io.gather([one] * 100, 100))
    refused = [each for each in found if isinstance(each, LocalRateLimitError)]
    assert len(sent) == 43
    assert len(refused) == 57
    assert all(5.0 < (error.retry_after or 0.0) < 5.2 for error in refused)
    assert sum(at <= sent[0] + 1 for at in sent) <= 9
    assert [event.by for event in crm.events] == ["limiter"] * 57


def test_a_refusal_names_the_limit(world: Opens) -> None:
    """Which limit, of which service, and when to come back; nothing was sent."""
    crm = world({"limits": ["10/s"], "endpoints": {"POST /o": ["1/min"]}})
    crm.call("/o", method="post")
    error = crm.call("/o", method="post")
    assert isinstance(error, LocalRateLimitError)
    assert str(error) == (
        "POST /o found no room: the limit POST /o 1/min of crm is used up. "
        "Nothing was sent. Make the call again in 60.1 s, or let it wait longer."
    )
    assert error.retry_after == pytest.approx(60.051, abs=0.001)
    assert crm.events[0].retry_after_seconds == error.retry_after
    assert (crm.sends, crm.call("/x").status) == (1, 200)


def test_max_wait_seconds_bounds_the_wait(world: Opens) -> None:
    """With nothing to wait for the second call is refused at once; a call's own time bounds its wait as well."""
    crm = world({"limits": ["1/s"], "max_wait_seconds": 0})
    crm.call()
    assert isinstance(crm.call(), LocalRateLimitError)
    erp = world({"limits": ["1/s"]})
    erp.call()
    assert isinstance(erp.call(timeout_seconds=0.5), LocalRateLimitError)
    assert erp.now == 0
    assert erp.call(timeout_seconds=2).status == 200


def test_an_operation_has_limits_of_its_own_too(world: Opens) -> None:
    """They come on top of the service's; a slow one holds up nobody else, and its calls come in the end."""
    crm = world({"limits": ["100/s"], "endpoints": {"GET /slow": ["1/s"]}})
    assert [crm.call("/slow").status for _ in range(3)] == [200] * 3
    assert crm.now == pytest.approx(2.1, abs=0.06)
    assert crm.call("/fast").status == 200
    assert crm.now == pytest.approx(2.1, abs=0.06)


def test_the_cost_of_an_operation_counts(world: Opens) -> None:
    """A call takes as many tokens as it costs, in whole ones; more than there ever are is refused by name."""
    crm = world({"limits": ["10/s"], "jitter_seconds": 0})

    crm.do(cost=4.2)
    crm.do()
    assert crm.now == pytest.approx(5 * 1.001 / 9, abs=0.001)
    error = crm.do(cost=11)
    assert isinstance(error, LocalRateLimitError)
    assert "op costs 11, more than 10/s of crm ever allows" in str(error)
    before = crm.now
    crm.do(cost=0)
    assert crm.now == before


@pytest.mark.parametrize(("answer", "seconds"), [((429, None, {"Retry-After": "3"}), 3.0), (429, 1.0)])
def test_a_429_pauses_the_service(world: Opens, answer: object, seconds: float) -> None:
    """For as long as the vendor asks, else for a second; calls wait for its end or are refused."""
    crm = world({"limits": ["100/s"]})
    crm.vendors.answer("", answer, 200)
    assert isinstance(crm.call(), VendorRateLimitError)
    error = crm.call(timeout_seconds=seconds / 2)
    assert isinstance(error, LocalRateLimitError)
    assert "crm asked to be left alone" in str(error)
    assert error.retry_after == pytest.approx(seconds, abs=0.01)
    assert (crm.sends, crm.call().status) == (1, 200)
    assert crm.now == pytest.approx(seconds, abs=0.002)


def test_a_long_pause_refuses_without_asking(world: Opens) -> None:
    """What would wait too long is refused on the spot, and told."""
    crm = world({"limits": ["100/s"]})
    crm.vendors.answer("", (429, None, {"Retry-After": "3600"}), 200)
    crm.call()
    error = crm.call()
    assert error.retry_after == pytest.approx(3600)
    assert crm.now == 0
    assert [event.by for event in crm.events] == ["vendor", "limiter"]


def test_a_pause_stops_those_who_wait_already(world: Opens) -> None:
    """A call that has its slot looks again when its moment comes: it is not sent into the pause."""
    crm = world({"limits": ["2/s"]})
    crm.vendors.answer("", (429, None, {"Retry-After": "30"}), 200)
    service, io = crm.connector.as_async().service("crm"), crm.connector.runtime.loop_io

    async def one() -> Any:
        try:
            return await service.get("/x")
        except ConnectorError as error:
            return error

    found = asyncio.run(io.gather([one] * 3, 3))
    assert [type(each) for each in found] == [VendorRateLimitError, LocalRateLimitError, LocalRateLimitError]
    assert crm.sends == 1


def test_a_classify_hook_can_say_429(world: Opens) -> None:
    """A vendor that hides its limit in another answer pauses the service when a hook says so."""

    class Says:
        @hookimpl
        def classify(self, call: Call, verdict: Verdict, response: Response | None) -> Verdict | None:
            error = VendorRateLimitError("enough.", status=200, retry_after=2.0)
            return Verdict(outcome=verdict.outcome, health="ignore", retry_after=2.0, error=error)

    crm = world({"limits": ["100/s"]}, plugins=[Says()])
    crm.call()
    assert crm.call(timeout_seconds=1).retry_after == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize("form", ["seconds", "epoch", "epoch_ms"])
def test_what_the_vendor_says_is_left_is_heard(world: Opens, form: str) -> None:
    """Headers that an adapter or the options declare: nothing left pauses until the reset, little left counts down."""
    epoch = 1_767_225_600
    reset = {"seconds": "4", "epoch": str(epoch + 4), "epoch_ms": str((epoch + 4) * 1000)}[form]
    headers = {"X-Left": "0", "X-Reset": reset}
    crm = world({"limits": ["100/s"], "reset_headers": {"remaining": "X-Left", "reset": "X-Reset", "form": form}})
    crm.vendors.answer("", (200, None, headers), 200)
    assert crm.call().status == 200
    assert crm.call(timeout_seconds=3).retry_after == pytest.approx(4.0, abs=0.01)
    assert crm.call().status == 200
    assert crm.now == pytest.approx(4.0, abs=0.01)
    crm.vendors.answer("", (200, None, {"X-Left": "2", "X-Reset": "4" if form == "seconds" else "9e99"}), 200)
    if form == "seconds":
        assert [crm.call().status for _ in range(3)] == [200] * 3
        error = crm.call(timeout_seconds=1)
        assert "crm says that nothing is left of its limit" in str(error)


@pytest.mark.parametrize("headers", [{}, {"X-RateLimit-Remaining": "x"}, {"X-RateLimit-Remaining": "-1"}])
def test_headers_that_say_nothing_teach_nothing(world: Opens, headers: dict[str, str]) -> None:
    """Absent, unreadable and negative numbers are no reason to stop."""
    crm = world({"limits": ["100/s"], "reset_headers": {}})
    crm.vendors.answer("", (200, None, {"X-RateLimit-Reset": "60", **headers}))
    assert [crm.call(timeout_seconds=1).status for _ in range(5)] == [200] * 5


class ElsewhereServiceAdapter(ServiceAdapter):
    """A vendor that is known for its limits."""

    vendor = Vendor(
        name="elsewhere",
        domain="crm",
        base_url=("https://elsewhere.example",),
        limits=("1/s",),
        limit_headers=LimitHeaders(),
    )


def test_an_adapter_brings_the_limits_of_its_vendor(world: Opens) -> None:
    """They hold unless the options say others; so do the headers."""
    place = f"{__name__}:ElsewhereServiceAdapter"
    crm = world({}, adapter=place)
    crm.vendors.answer("", (200, None, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "60"}))
    crm.call()
    assert [limit.limit for limit in limits(crm.connector)] == ["1/s", "pause"]
    erp = world({"limits": ["7/s"]}, adapter=place)
    assert [limit.limit for limit in limits(erp.connector)] == ["7/s"]


def test_no_more_calls_at_once_than_allowed(world: Opens) -> None:
    """``max_concurrency``: the third of three waits for one of the others to end, as long as it can."""
    crm = world({"max_concurrency": 2})
    service, io = crm.connector.as_async().service("crm"), crm.connector.runtime.loop_io
    crm.vendors.answer("", TimeoutError())
    began: list[float] = []

    async def one() -> None:
        try:
            await service.get("/x", timeout_seconds=4.0)
        except ConnectorError:
            began.append(io.now())

    asyncio.run(io.gather([one] * 3, 3))
    assert sorted(began) == pytest.approx([3.98, 4.0, 4.0])
    assert crm.sends == 2
    assert [limit.left for limit in limits(crm.connector)] == [2]
    crm.vendors.answer("", 200)
    assert crm.call().status == 200


def test_a_permit_ends_with_its_stream(world: Opens) -> None:
    """A stream is under way until its body is closed."""
    crm = world({"max_concurrency": 1, "max_wait_seconds": 0})
    crm.vendors.answer("", (200, b"x" * 100))
    with crm.connector.service("crm").stream("/x"):
        crm.vendors.clock.advance(100)
        assert isinstance(crm.call(), LocalRateLimitError)
    assert crm.call().status == 200


def test_what_a_hook_stopped_gives_its_slot_back(world: Opens) -> None:
    """A call that was not sent takes nothing from the limit."""

    class Stops:
        on = True

        @hookimpl
        def before_attempt(self, call: Call, request: Request) -> Request | None:
            if self.on:
                raise LocalRateLimitError("no.")
            return None

    stops = Stops()
    crm = world({"limits": ["1/min"]}, plugins=[stops])
    crm.call()
    stops.on = False
    assert crm.call().status == 200


def test_a_call_that_is_late_gives_its_token_up(world: Opens) -> None:
    """A token is good for ``jitter_seconds``: a hook that takes longer costs it, once, then the call is refused."""

    class Slow:
        times = 0

        @hookimpl
        def before_attempt(self, call: Call, request: Request) -> Request | None:
            self.times += 1
            crm.vendors.clock.advance(0.06)
            return None

    slow = Slow()
    crm = world({"limits": ["100/s"]}, plugins=[slow])
    error = crm.call()
    assert isinstance(error, LocalRateLimitError)
    assert (slow.times, crm.sends) == (2, 0)
    never = world({"limits": ["100/s"], "jitter_seconds": 0}, plugins=[Slow()])
    assert never.call().status == 200


def test_switched_off_it_takes_no_part(world: Opens) -> None:
    """``limiter = false``: no gate, no limits."""
    crm = world(False)
    assert limits(crm.connector) == ()
    assert [entry.name for entry in crm.connector.explain("crm") if entry.kind == "gate"] == []
