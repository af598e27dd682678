"""The fake: a real connector whose vendors say what a test says, in virtual time, on both faces."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from nexus_connector import (
    AttemptFinished,
    CallSucceeded,
    Connector,
    EmailMessage,
    EmailReceipt,
    IntegrationLog,
    Next,
    Operation,
    Request,
    Response,
    Result,
    ServiceAdapter,
    ServiceSetup,
    Stage,
    Vendor,
    hookimpl,
)
from nexus_connector.call import Call
from nexus_connector.errors import (
    ConfigurationError,
    ConnectorError,
    DeadlineExceededError,
    InvalidRequestError,
    OutcomeUnknownError,
    TransportError,
)
from nexus_connector.headers import Headers
from nexus_connector.io.drive import drive
from nexus_connector.operation import CallOptions
from nexus_connector.testing import Fake, fake
from nexus_connector.verdict import Outcome


class TinyServiceAdapter(ServiceAdapter):
    """An email vendor in ten lines."""

    vendor = Vendor(
        name="tiny",
        domain="email",
        base_url=("https://api.tiny.example",),
        credentials={"method": "bearer", "token": {"env": "TINY_TOKEN_OF_A_TEST"}},
    )

    def send_transactional_email(self, request: EmailMessage, options: CallOptions, /) -> Operation[EmailReceipt]:
        return Operation(
            name="email.send_transactional_email",
            request=Request(method="POST", path="/send").with_json(
                {"to": request.recipients, "ref": options.reference}
            ),
            parse=lambda response: EmailReceipt(message_id=response.json()["id"], status="sent", call=response.info),
        )


class Again(Stage):
    """A stage that tries again after waiting by lot, as a retry plugin would."""

    name, slot = "again", 400

    async def __call__(self, call: Call, request: Request, next: Next) -> Result:
        result = await next(call, request)
        while result.verdict.retry and call.attempts < 4:
            await call.io.sleep(60 * call.io.random.random())
            result = await next(call, request)
        return result


class Hooks:
    """Brings the stage, and keeps records."""

    def __init__(self) -> None:
        self.records: list[IntegrationLog] = []

    @hookimpl
    def stages(self, config: ServiceSetup) -> Sequence[Stage]:
        return [Again()]

    @hookimpl
    def store_log(self, records: Sequence[IntegrationLog]) -> None:
        self.records.extend(records)


CONFIG: Mapping[str, object] = {
    "services": {
        "erp": {"base_url": "https://erp.example/v1", "tenant": "optional", "idempotency_header": "Idempotency-Key"},
        "crm": {"base_url": "https://crm.example"},
        "mail": {"adapter": f"{__name__}:TinyServiceAdapter"},
    },
    "domains": {"email": {"service": "mail", "sender": "billing@example.com"}},
    "plugins": {"only": []},
}


@pytest.fixture
def hooks() -> Hooks:
    """The application's hooks."""
    return Hooks()


@pytest.fixture
def connector(hooks: Hooks) -> Iterator[Connector]:
    """A connector with three services, none of which exists, and no secret set."""
    with Connector.from_config(CONFIG, plugins=[hooks], check=False) as connector:
        yield connector


@pytest.fixture
def vendors(connector: Connector) -> Iterator[Fake]:
    """Its vendors, faked."""
    with fake(connector) as vendors:
        yield vendors


# Answers


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (204, 204, b""),
        ({"id": "7"}, 200, b'{"id":"7"}'),
        ([1, 2], 200, b"[1,2]"),
        ("text", 200, b'"text"'),
        (None, 200, b"null"),
        (True, 200, b"true"),
        (b"raw", 200, b"raw"),
        ((201, {"id": 1}), 201, b'{"id":1}'),
        ((202, b""), 202, b""),
        (Response(status=203, body=b"made"), 203, b"made"),
        (lambda request: {"path": request.path}, 200, b'{"path":"/x"}'),
        (lambda request: (201, request.method), 201, b'"GET"'),
    ],
    ids=lambda value: "function" if callable(value) else str(value),
)
def test_what_can_be_answered(connector: Connector, vendors: Fake, answer: object, status: int, body: bytes) -> None:
    """A status, a value, both, bytes, a whole response, or a function of the request."""
    vendors.answer("erp", answer)
    response = connector.service("erp").get("/x")
    assert (response.status, response.body) == (status, body)


def test_headers_are_answered_too(connector: Connector, vendors: Fake) -> None:
    """A third part are header fields; JSON says that it is JSON."""
    vendors.answer("erp", (200, {}, {"X-Request-Id": "r1"}))
    response = connector.service("erp").get("/x")
    assert response.headers["X-Request-Id"] == response.call.request_id == "r1"
    assert response.headers["content-type"] == "application/json"


def test_answers_come_in_order_and_the_last_one_repeats(connector: Connector, vendors: Fake) -> None:
    """Said anew, they begin anew."""
    vendors.answer("erp", 201, 202, 203)
    get = partial(connector.service("erp").get, "/x")
    assert [get().status for _ in range(5)] == [201, 202, 203, 203, 203]
    vendors.answer("erp", 204)
    assert get().status == 204


def test_the_most_exact_target_counts(connector: Connector, vendors: Fake) -> None:
    """Service and operation, then the operation, the service, everything."""
    vendors.answer("", 200)
    vendors.answer("erp", 201)
    vendors.answer("GET /x/{id}", 202)
    vendors.answer("erp GET /x/{id}", 203)

    def get(service: str, path: str) -> int:
        values = {"id": 1} if "{" in path else {}
        return connector.service(service).get(path, path_values=values).status

    assert [get("crm", "/y"), get("erp", "/y"), get("crm", "/x/{id}"), get("erp", "/x/{id}")] == [200, 201, 202, 203]


def test_a_domain_is_a_target(connector: Connector, vendors: Fake) -> None:
    """As is one operation of it; the adapter is the real one."""
    vendors.answer("email", {"id": "m1"})
    assert connector.email.send_transactional_email("ada@example.com", "s", "b").message_id == "m1"
    vendors.answer("email.send_transactional_email", {"id": "m2"})
    receipt = connector.email.send_transactional_email("ada@example.com", "s", "b")
    assert (receipt.message_id, receipt.call.service) == ("m2", "mail")


@pytest.mark.parametrize(
    ("answer", "kind", "phase", "outcome"),
    [
        (TimeoutError(), DeadlineExceededError, "read", Outcome.UNKNOWN),
        (ConnectionRefusedError(), TransportError, "connect", Outcome.NOT_SENT),
        (ConnectionResetError(), TransportError, "read", Outcome.UNKNOWN),
        (OSError(), TransportError, "read", Outcome.UNKNOWN),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, OSError) else str(value),
)
def test_failures_can_be_answered(
    connector: Connector, vendors: Fake, answer: OSError, kind: type[TransportError], phase: str, outcome: Outcome
) -> None:
    """An OSError is how a send ends without an answer: refused is not sent, everything else nobody knows."""
    vendors.answer("crm", answer)
    with pytest.raises(kind) as caught:
        connector.service("crm").post("/x", timeout_seconds=3)
    assert (caught.value.phase, caught.value.outcome) == (phase, outcome)
    assert isinstance(caught.value, OutcomeUnknownError) is (outcome is Outcome.UNKNOWN)


def test_functions_may_answer_failures(connector: Connector, vendors: Fake) -> None:
    """What a function returns is read like any answer."""
    vendors.answer("crm", lambda request: ConnectionRefusedError())
    with pytest.raises(TransportError):
        connector.service("crm").post("/x", timeout_seconds=1)


def test_a_timeout_takes_until_the_deadline(connector: Connector, vendors: Fake) -> None:
    """In virtual time, of this call alone: gathered siblings go on meanwhile."""
    vendors.answer("POST /slow", TimeoutError())
    vendors.answer("POST /fast", 200)
    seen: list[tuple[str, float]] = []

    async def post(path: str) -> None:
        try:
            await connector.as_async().service("crm").post(path, timeout_seconds=3)
        except DeadlineExceededError:
            seen.append((path, vendors.clock.elapsed_seconds))
        else:
            await connector.runtime.loop_io.sleep(1)
            seen.append((path, vendors.clock.elapsed_seconds))

    asyncio.run(connector.runtime.loop_io.gather([partial(post, "/slow"), partial(post, "/fast")], 2))
    assert seen == [("/fast", 1), ("/slow", 3)]


def test_a_missing_answer_says_what_to_say(connector: Connector, vendors: Fake) -> None:
    """It names the operation and the line that would answer it."""
    with pytest.raises(InvalidRequestError, match=r"vendors\.answer\('GET /x', \.\.\.\)"):
        connector.service("erp").get("/x")


def test_no_answer_is_no_answer(vendors: Fake) -> None:
    """``answer`` without answers is a slip of the test."""
    with pytest.raises(InvalidRequestError, match="says no answer"):
        vendors.answer("erp")


def test_streams_are_answered(connector: Connector, vendors: Fake) -> None:
    """In pieces, as from the wire."""
    vendors.answer("GET /x", (200, b"x" * 100_000))
    with connector.service("erp").stream("/x") as stream:
        assert [len(piece) for piece in stream] == [65_536, 34_464]


# What was sent


def test_sent_says_what_reached_the_vendor(connector: Connector, vendors: Fake) -> None:
    """One line per call, in order, with the last request, key, tenant and attempts."""
    vendors.answer("", 503, 200)
    connector.service("erp").post("/x", json={"a": 1}, idempotency_key="k-1", tenant_id="acme")
    connector.service("crm").get("/y")
    first, second = vendors.sent()
    assert (first.service, first.operation, first.idempotency_key, first.tenant_id) == ("erp", "POST /x", "k-1", "acme")
    assert (first.attempts, second.attempts) == (2, 1)
    assert first.value is first.request
    assert first.request.json() == {"a": 1}
    assert first.request.headers["Idempotency-Key"] == "k-1"
    assert first.request.url == "https://erp.example/v1/x"
    assert second.idempotency_key is None


@pytest.mark.parametrize("target", ["", "erp", "GET /x", "erp GET /x"])
def test_sent_takes_the_targets_of_answer(connector: Connector, vendors: Fake, target: str) -> None:
    """The same names mean the same calls."""
    vendors.answer("", 200)
    connector.service("crm").get("/y")
    connector.service("erp").get("/x")
    assert vendors.sent(target)[-1].service == "erp"
    assert len(vendors.sent(target)) == (2 if not target else 1)


def test_domain_values_are_shown_as_they_are(connector: Connector, vendors: Fake) -> None:
    """For a domain the value is the message that was sent, whoever the vendor is."""
    vendors.answer("email", {"id": "m1"})
    connector.email.send_transactional_email("ada@example.com", "Hello", "<p>", tags=["t"])
    (sent,) = vendors.sent("email")
    assert sent.value == EmailMessage(
        recipient="ada@example.com", subject="Hello", body="<p>", tags=["t"], sender="billing@example.com"
    )
    assert sent.request.path == "/send"


def test_what_was_refused_was_not_sent(connector: Connector, vendors: Fake) -> None:
    """Only calls that reached a vendor are listed."""
    vendors.answer("", 200)
    with pytest.raises(InvalidRequestError):
        connector.service("crm").post("/x", headers={"X-Bad": "a\r\nb"})
    assert vendors.sent() == []


# Time, chance, delivery


def test_waits_take_virtual_time_only(connector: Connector, vendors: Fake) -> None:
    """Minutes of backoff pass on the fake's clock, also the time of day."""
    started = connector.runtime.blocking_io.wall()
    vendors.answer("erp", 503, 503, 200)
    connector.service("erp").get("/x", timeout_seconds=600)
    assert 1 < vendors.clock.elapsed_seconds < 120
    vendors.clock.advance(3600)
    assert connector.runtime.blocking_io.wall() - started > timedelta(hours=1)


def test_memory_and_deadlines_go_by_the_same_clock(connector: Connector, vendors: Fake) -> None:
    """What the memory store keeps expires in virtual time."""
    store = connector.runtime.process.stores.shared
    store.put(("k",), b"v", ttl_ms=1000)
    vendors.clock.advance(0.999)
    assert store.get(("k",)) == b"v"
    vendors.clock.advance(0.001)
    assert store.get(("k",)) is None


def traced(seed: int) -> list[Any]:
    """Ids, records, events and times of some calls under a seed."""
    hooks, events = Hooks(), list[AttemptFinished]()
    with (
        Connector.from_config(CONFIG, plugins=[hooks], check=False) as connector,
        fake(connector, seed=seed) as vendors,
    ):
        connector.on(AttemptFinished)(events.append)
        vendors.answer("", 503, 503, 200, 503, 200)
        ids = [connector.service("erp").get("/x", timeout_seconds=600).call.id for _ in range(2)]
        return [ids, [record.as_dict() for record in hooks.records], events, vendors.clock.elapsed_seconds]


def test_one_seed_one_trace() -> None:
    """Even ids and jitter are the same in every run; another seed gives others."""
    assert traced(1) == traced(1)
    assert traced(1)[0] != traced(2)[0]
    assert traced(1)[3] != traced(2)[3]


def test_records_and_events_are_delivered_at_once(connector: Connector, vendors: Fake, hooks: Hooks) -> None:
    """No flush is needed, and no thread is started."""
    events: list[CallSucceeded] = []
    connector.on(CallSucceeded)(events.append)
    before = threading.active_count()
    vendors.answer("erp", 200)
    connector.service("erp").get("/x")
    assert threading.active_count() == before
    assert [record.kind for record in hooks.records] == ["attempt", "call"]
    assert [event.status for event in events] == [200]


# What is faked, and for how long


def test_both_faces_are_faked(connector: Connector, vendors: Fake) -> None:
    """One fake, one clock, one list, whichever face it was given."""
    vendors.answer("erp", 200)
    assert connector.service("erp").get("/x").status == 200
    assert asyncio.run(connector.as_async().service("erp").get("/x")).status == 200
    assert len(vendors.sent()) == 2
    with fake(connector.as_async()) as inner:
        inner.answer("erp", 201)
        assert connector.service("erp").get("/x").status == 201


def test_afterwards_everything_is_as_before(connector: Connector) -> None:
    """Clock, process, compiled services and secrets are the connector's own again, also after an error."""
    runtime = connector.runtime
    before = (runtime.blocking_io, runtime.loop_io, runtime.process, runtime.resolve_secret)

    def fail() -> None:
        with fake(connector):
            assert runtime.process is not before[2]
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert (runtime.blocking_io, runtime.loop_io, runtime.process, runtime.resolve_secret) == before
    assert drive(runtime.blocking_io.run(lambda: 7)) == 7


def test_a_fake_inside_a_fake_gives_back_the_outer_one(connector: Connector, vendors: Fake) -> None:
    """Each has its own answers."""
    vendors.answer("erp", 201)
    with fake(connector) as inner:
        inner.answer("erp", 202)
        assert connector.service("erp").get("/x").status == 202
        assert len(inner.sent()) == 1
    assert connector.service("erp").get("/x").status == 201
    assert len(vendors.sent()) == 1


def test_missing_secrets_are_made_up(connector: Connector, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test needs none; one that is set is used; outside of the fake a missing one is an error as ever."""
    monkeypatch.delenv("TINY_TOKEN_OF_A_TEST", raising=False)
    send = partial(connector.email.send_transactional_email, "ada@example.com", "s", "b")
    with fake(connector) as vendors:
        vendors.answer("email", {"id": "m"})
        send()
        assert vendors.sent()[0].request.headers["Authorization"].startswith("Bearer secret")
    monkeypatch.setenv("TINY_TOKEN_OF_A_TEST", "real-token-of-a-test")
    with fake(connector) as vendors:
        vendors.answer("email", {"id": "m"})
        send()
        assert vendors.sent()[0].request.headers["Authorization"] == "Bearer real-token-of-a-test"
    monkeypatch.delenv("TINY_TOKEN_OF_A_TEST")
    with pytest.raises(ConfigurationError, match="TINY_TOKEN_OF_A_TEST"):
        send()


def test_requests_are_held_to_the_wires_rules(connector: Connector, vendors: Fake) -> None:
    """A fake is no reason to send what no transport would."""
    vendors.answer("", 200)
    operation = Operation(name="x", request=Request(path="/a b"), parse=Response.json)
    with pytest.raises(ConnectorError, match="space, a line break or NUL"):
        connector.perform("crm", operation)


def test_headers_of_a_response_are_kept(connector: Connector, vendors: Fake) -> None:
    """A `Response` is answered with its own fields and nothing else."""
    vendors.answer("erp", Response(status=200, headers=Headers({"X-A": "1"})))
    assert dict(connector.service("erp").get("/x").headers) == {"X-A": "1"}
