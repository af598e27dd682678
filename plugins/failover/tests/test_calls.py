"""Whole calls through the compiled chain, on both faces, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from nexus_connector import Call, Connector, Credentials, FailedOver, Next, Request, Result, Secret, Stage, hookimpl
from nexus_connector.call import Attempt
from nexus_connector.errors import CircuitOpenError, ConnectorError, OutcomeUnknownError, VendorError
from nexus_connector.gates import Gate, Refusal
from nexus_connector.setup import ServiceSetup
from nexus_connector.testing import Fake, fake
from nexus_connector.transport import Received, SendError

EU, US = "https://eu.crm.example", "https://us.crm.example"
ATTEMPTS = 4


class Again(Stage):
    """Sends again what may be sent again, at once and at most three times: stands for the retry plugin."""

    name, slot = "again", 400

    async def __call__(self, call: Call, request: Request, next: Next) -> Result:
        for _ in range(ATTEMPTS - 1):
            result = await next(call, request)
            if not result.verdict.retry:
                return result
        return await next(call, request)


class Circuits(Gate):
    """Refuses regions for the seconds that the test says."""

    name = "circuits"

    def __init__(self) -> None:
        self.open: dict[str, float] = {}

    def check(self, attempt: Attempt) -> Refusal | None:
        seconds = self.open.get(attempt.region or "")
        if seconds is None:
            return None
        return Refusal(CircuitOpenError(f"The circuit of {attempt.region} is open.", retry_after=seconds))


class Application:
    """What the tests bring along."""

    def __init__(self, *, again: bool) -> None:
        self.circuits = Circuits()
        self._stages = [Again()] if again else []

    @hookimpl
    def stages(self, config: ServiceSetup) -> Sequence[Stage]:
        return self._stages

    @hookimpl
    def gates(self, config: ServiceSetup) -> Sequence[Gate]:
        return [self.circuits]


class Vendor:
    """A service with two regions.

    Attributes:
        steps: What a region answers; 200 where nothing is said.
        sent: Where requests went.
        told: The moves that were told.
    """

    def __init__(self, connector: Connector, vendors: Fake, circuits: Circuits, *, on_loop: bool) -> None:
        self.connector = connector
        self.fake = vendors
        self.clock = vendors.clock
        self.circuits = circuits
        self.steps: dict[str, object] = {}
        self.sent: list[str] = []
        self.told: list[str] = []
        self._on_loop = on_loop
        vendors.answer("crm", self._answer)
        connector.on(FailedOver)(lambda event: self.told.append(f"{event.old} -> {event.new}: {event.reason}"))

    def _answer(self, request: Request) -> object:
        region = "eu" if request.base_url == EU else "us"
        self.sent.append(region)
        return self.steps.get(region, 200)

    def call(self, method: str = "GET", path: str = "/orders", **options: Any) -> Any:
        """Make one call."""
        if self._on_loop:
            return asyncio.run(self._call(method, path, **options))
        return getattr(self.connector.service("crm"), method.lower())(path, **options)

    async def _call(self, method: str, path: str, **options: Any) -> Any:
        return await getattr(self.connector.as_async().service("crm"), method.lower())(path, **options)

    def calls(self, count: int = 1, method: str = "GET", **options: Any) -> str:
        """Make calls that may fail; return where they were sent."""
        before = len(self.sent)
        for _ in range(count):
            with suppress(ConnectorError):
                self.call(method, **options)
        return " ".join(self.sent[before:])


@contextmanager
def opened(*, on_loop: bool = False, again: bool = True, seed: int = 0, **service: object) -> Iterator[Vendor]:
    """Play a service with two regions."""
    application = Application(again=again)
    services = {"crm": {"base_url": [EU, f"{US}/"], **service}}
    config = {"services": services, "plugins": {"only": ["failover"]}}
    with Connector.from_config(config, plugins=[application]) as connector, fake(connector, seed=seed) as vendors:
        yield Vendor(connector, vendors, application.circuits, on_loop=on_loop)


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def vendor(request: pytest.FixtureRequest) -> Iterator[Vendor]:
    """The service on either face."""
    with opened(on_loop=request.param) as vendor:
        yield vendor


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def keyed(request: pytest.FixtureRequest) -> Iterator[Vendor]:
    """The same, where the vendor honours keys."""
    with opened(on_loop=request.param, idempotency_header="Idempotency-Key") as vendor:
        yield vendor


LEFT = "eu.crm.example -> us.crm.example"
BACK = "us.crm.example -> eu.crm.example"


def test_an_outage_and_its_end(vendor: Vendor) -> None:
    """Calls are served by the second region while the first is down, and by the first again after a trial; each move
    is told once, with its reason.
    """
    vendor.steps["eu"] = 500
    assert [vendor.call().status for _ in range(7)] == [200] * 7
    assert vendor.sent == ["eu", "us"] * 5 + ["us"] * 2
    assert vendor.told == [f"{LEFT}: status 500"] * 5
    vendor.clock.advance(60)
    assert vendor.calls(2) == "eu us us"
    vendor.steps.clear()
    vendor.clock.advance(60)
    assert vendor.calls(3) == "eu eu eu"
    assert vendor.told[5:] == [f"{BACK}: it is tried again", f"{LEFT}: status 500", f"{BACK}: it is tried again"]


def test_a_region_that_asks_for_patience_gets_it(vendor: Vendor) -> None:
    """A 503 with Retry-After, however long, costs the call nothing where another region is in use; nobody goes there
    before that time.
    """
    vendor.steps["eu"] = (503, None, {"Retry-After": "3600"})
    assert vendor.call().attempts == 2
    assert vendor.calls(3) == "us us us"
    vendor.steps.clear()
    vendor.clock.advance(3599)
    assert vendor.calls(2) == "us us"
    vendor.clock.advance(1.1)
    assert vendor.calls(2) == "eu eu"
    assert vendor.told == [f"{LEFT}: status 503", f"{BACK}: it is tried again"]


def test_with_nowhere_to_go_the_wait_is_the_calls(vendor: Vendor) -> None:
    """A wait is never shortened: without another region in use it reaches the caller."""
    vendor.steps = {"eu": 500, "us": 500}
    vendor.calls(6)
    vendor.steps = {"eu": (503, None, {"Retry-After": "3600"}), "us": (503, None, {"Retry-After": "3600"})}
    with pytest.raises(VendorError) as caught:
        vendor.call()
    assert caught.value.retry_after == 3600


def test_a_limit_moves_nothing(vendor: Vendor) -> None:
    """A 429 is about the account: its wait holds in every region."""
    vendor.steps["eu"] = (429, None, {"Retry-After": "3600"})
    with pytest.raises(VendorError) as caught:
        vendor.call()
    assert caught.value.retry_after == 3600
    assert set(vendor.sent) == {"eu"}


def test_attempts_never_multiply(vendor: Vendor) -> None:
    """With both regions down a call has its attempts, not that many in each region; every one is counted."""
    vendor.steps = {"eu": 500, "us": 503}
    for _ in range(5):
        vendor.sent.clear()
        with pytest.raises(VendorError) as caught:
            vendor.call()
        assert caught.value.attempts == len(vendor.sent) == ATTEMPTS
        assert sorted(vendor.sent) == ["eu", "eu", "us", "us"]


@pytest.mark.parametrize("step", [500, TimeoutError(), ConnectionResetError()], ids=repr)
def test_an_unsafe_call_never_leaves_what_may_have_happened(vendor: Vendor, step: object) -> None:
    """A POST whose answer is lost is sent once, to one region, and the caller is told."""
    vendor.steps["eu"] = step
    with pytest.raises(OutcomeUnknownError) as caught:
        vendor.call("POST")
    assert vendor.sent == ["eu"]
    assert caught.value.retry_safe is False


@pytest.mark.parametrize("step", [ConnectionRefusedError(), (503, b"", {"Retry-After": "0"})], ids=repr)
def test_an_unsafe_call_leaves_what_did_not_happen(vendor: Vendor, step: object) -> None:
    """Not sent, or refused for now: another region may do it."""
    vendor.steps["eu"] = step
    assert vendor.call("POST").status == 200
    assert vendor.sent == ["eu", "us"]


def test_a_keyed_call_stays_where_it_may_have_happened(keyed: Vendor) -> None:
    """Its region alone knows the key; calls after it go elsewhere once that region is left."""
    keyed.steps["eu"] = 500
    assert keyed.calls(1, "POST") == "eu eu eu eu"
    assert keyed.calls(1, "POST") == "eu eu eu eu"
    assert keyed.calls(1, "POST") == "us"
    keys = [sent.idempotency_key for sent in keyed.fake.sent("crm")]
    assert len(set(keys)) == 3


def test_a_callers_key_does_not_promise_more_than_the_region(keyed: Vendor) -> None:
    """The same call made again could go to a region that does not know its key: it is not safe to make it again."""
    keyed.steps["eu"] = 500
    with pytest.raises(OutcomeUnknownError, match=r"happened at eu\.crm\.example") as caught:
        keyed.call("POST", idempotency_key="order-1001")
    assert caught.value.retry_safe is False


def test_shared_keys_are_an_option() -> None:
    """``shared_keys = true``: the call goes on in the other region under the same key, and so may the caller."""
    with opened(idempotency_header="Idempotency-Key", failover={"shared_keys": True}) as vendor:
        vendor.steps["eu"] = 500
        assert vendor.calls(1, "POST") == "eu us"
        vendor.steps["us"] = 500
        with pytest.raises(OutcomeUnknownError) as caught:
            vendor.call("POST", idempotency_key="order-1001")
        assert caught.value.retry_safe is True


def test_an_open_circuit_costs_no_attempt(vendor: Vendor) -> None:
    """The other region serves the same attempt, and the move is told."""
    vendor.circuits.open["eu.crm.example"] = 9.0
    assert vendor.call().attempts == 1
    assert vendor.calls(2) == "us us"
    assert vendor.told == [f"{LEFT}: circuit open"]


def test_with_all_circuits_open_nothing_is_sent_or_told(vendor: Vendor) -> None:
    """The caller gets the refusal that ends first; a thousand refused calls are not a thousand moves."""
    vendor.circuits.open = {"eu.crm.example": 9.0, "us.crm.example": 4.0}
    for _ in range(20):
        with pytest.raises(CircuitOpenError, match=r"us\.crm\.example") as caught:
            vendor.call()
        assert (caught.value.retry_after, caught.value.attempts) == (4.0, 0)
    assert vendor.sent == vendor.told == []
    vendor.circuits.open.clear()
    assert vendor.calls(1) == "us"
    assert vendor.told == [f"{LEFT}: circuit open"]


TROUBLE: list[dict[str, object]] = [
    {},
    {"eu": 500},
    {"us": 503},
    {"eu": 500, "us": ConnectionRefusedError()},
    {"eu": (429, b"", {})},
    {"us": (429, b"", {}), "eu": ConnectionResetError()},
]


def wander(vendor: Vendor, seed: int) -> Iterator[list[str]]:
    """Make calls one after another, through changing trouble; yield where each was sent."""
    chance = Random(seed)
    for _ in range(300):
        if chance.random() < 0.2:
            vendor.steps = chance.choice(TROUBLE)
            regions = ["eu.crm.example", "us.crm.example"]
            vendor.circuits.open = {region: 30 * chance.random() for region in regions if chance.random() < 0.2}
        yield vendor.calls(1, chance.choice(["GET", "POST"])).split()
        vendor.clock.advance(chance.choice([0.0, 1.0, 30.0]))


def pairs(regions: Sequence[str]) -> list[str]:
    """The moves that a sequence of regions makes."""
    return [f"{old}.crm.example -> {new}.crm.example" for old, new in pairwise(regions) if old != new]


@pytest.mark.parametrize("seed", range(5))
def test_every_move_is_told_and_no_other(seed: int) -> None:
    """Calls of one attempt each, through outages, trials and open circuits: the told moves are exactly those from the
    region of one send to that of the next.
    """
    with opened(again=False) as vendor:
        sent = ["eu", *(region for call in wander(vendor, seed) for region in call)]
        assert [told.partition(":")[0] for told in vendor.told] == pairs(sent)
        assert len(vendor.told) > 20


@pytest.mark.parametrize("seed", range(5))
def test_every_move_within_a_call_is_told(seed: int) -> None:
    """Between the attempts of a call each move is told once, and before the first one at most the move of all."""
    with opened() as vendor:
        for call in wander(vendor, seed):
            told, vendor.told[:] = [told.partition(":")[0] for told in vendor.told], []
            within = pairs(call)
            before = told[: len(told) - len(within)]
            assert told == before + within
            assert [move.partition(" -> ")[2] for move in before] in ([], [f"{call[0]}.crm.example"] if call else [])


def test_a_child_begins_afresh() -> None:
    """After a fork nothing of the parent is left: neither what it knew of regions, nor a lock that it held."""
    with opened() as vendor:
        vendor.steps["eu"] = 500
        vendor.calls(5)
        assert vendor.calls(1) == "us"
        process = vendor.connector.runtime.process
        vendor.connector.runtime.renew()
        assert vendor.calls(1) == "eu us"
        vendor.connector.runtime.process.close(0)
        vendor.connector.runtime.process = process


def test_groups_are_those_of_the_endpoints() -> None:
    """``endpoints.NAME.group``: an operation that fails in a region takes only its group along."""
    endpoints = {"GET /report": {"group": "reports"}}
    with opened(endpoints=endpoints, failover={"failure_threshold": 1}) as vendor:
        vendor.steps["eu"] = 500
        assert vendor.calls(1, path="/report") == "eu us"
        vendor.steps.clear()
        assert vendor.calls(1, path="/report") == "us"
        assert vendor.calls(1) == "eu"


def test_other_credentials_go_to_the_same_region() -> None:
    """The second send after a 401 belongs to the attempt: same region, no move."""
    tokens = ["old", "new"]

    class Vault:
        @hookimpl
        def resolve_credentials(self, call: Call, rejected: Credentials | None) -> Credentials:
            return Credentials.bearer(Secret(tokens[rejected is not None]))

    config = {"services": {"crm": {"base_url": [EU, US]}}, "plugins": {"only": ["failover"]}}
    with Connector.from_config(config, plugins=[Vault()]) as connector, fake(connector) as vendors:
        vendor = Vendor(connector, vendors, Circuits(), on_loop=False)
        vendors.answer("crm", 401, vendor._answer)
        assert vendor.call().attempts == 2
        assert vendor.sent == ["eu"]
        assert vendor.told == []


# Streams


@pytest.mark.parametrize("on_loop", [False, True], ids=["sync", "async"])
def test_streams_that_break_off_make_a_region_left(monkeypatch: pytest.MonkeyPatch, *, on_loop: bool) -> None:
    """Five bodies of the first region that break off: the next stream comes from the second, whole."""
    with opened(on_loop=on_loop) as vendor:
        vendor.steps = {"eu": (200, b"x"), "us": (200, b"whole")}
        real = type(vendor.connector.runtime.blocking_io).send

        async def breaking(io: Any, call: Call, request: Request, deadline: float) -> Received:
            received = await real(io, call, request, deadline)
            return received if call.region != "eu.crm.example" else Received(200, received.headers, b"", Broken())

        monkeypatch.setattr(type(vendor.connector.runtime.blocking_io), "send", breaking)
        read = read_awaited if on_loop else read_blocking
        for _ in range(5):
            with pytest.raises(ConnectorError, match="broke off"):
                read(vendor.connector)
        assert read(vendor.connector) == b"whole"
        assert vendor.told == [f"{LEFT}: 5 failures in a row"]


class Broken:
    """A body that breaks off."""

    def read(self, deadline: float) -> bytes:
        message = "the body broke off"
        raise SendError(message, phase="read", wrote=True)

    def close(self) -> None:
        """Nothing is open."""


def read_blocking(connector: Connector) -> bytes:
    """Read a stream."""
    with connector.service("crm").stream("/file") as stream:
        return b"".join(stream)


def read_awaited(connector: Connector) -> bytes:
    """The same on the other face."""

    async def read() -> bytes:
        async with connector.as_async().service("crm").stream("/file") as stream:
            return b"".join([piece async for piece in stream])

    return asyncio.run(read())


def test_cancelling_an_awaited_trial_frees_it() -> None:
    """A task that is cancelled while it tries the first region leaves the trial to the next call."""
    with opened(on_loop=True) as vendor:
        vendor.steps["eu"] = 500
        vendor.calls(5)
        vendor.clock.advance(60)
        vendor.steps["eu"] = CancelsIt()
        with pytest.raises(asyncio.CancelledError):
            vendor.call()
        vendor.steps.clear()
        assert vendor.calls(1) == "eu"


class CancelsIt:
    """An answer during which the call is cancelled."""

    def __call__(self, request: Request) -> object:
        raise asyncio.CancelledError
