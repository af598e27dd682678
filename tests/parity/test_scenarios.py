"""Parity: each scenario is written once and does the same on both faces: results, records, events, requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import pytest

from nexus_connector import (
    Bulk,
    Call,
    CallFailed,
    CallOptions,
    CallSucceeded,
    Charge,
    ChargeRequest,
    Credentials,
    EmailMessage,
    EmailReceipt,
    Endpoint,
    Flow,
    ItemOutcome,
    Money,
    Operation,
    Request,
    Response,
    RetryPolicy,
    Secret,
    ServiceAdapter,
    Vendor,
    Verdict,
    hookimpl,
)
from nexus_connector.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectorClosedError,
    DeadlineExceededError,
    InvalidRequestError,
    NotFoundError,
    NotSupportedError,
    OutcomeUnknownError,
    PluginError,
    RateLimitExceededError,
    ResponseFormatError,
    TenantRequiredError,
    VendorError,
)
from nexus_connector.verdict import Outcome

Steps: TypeAlias = "Generator[Callable[[Any], Any], Any, None]"
Trace: TypeAlias = list[Any]
Play: TypeAlias = Callable[["Scenario", str], Trace]


@attrs.frozen(kw_only=True)
class Scenario:
    """What is done, what the vendor answers, and who takes part.

    Attributes:
        script: Yields steps, is sent their results (or errors) and says what they must be.
        answers: Replies by route: a status, a value, ``(status, value, headers)``, ``"lost"`` or ``"slow"``.
        hooks: Makes the application's hooks.
        service: Further options of the service ``crm``.
        services: Further services.
        only_virtual: It waits too long for a real clock.
        concurrent: Its calls overlap, so that in real time their order is open.
    """

    script: Callable[[], Steps]
    answers: Mapping[str, Sequence[Any]] = attrs.field(factory=dict)
    hooks: Callable[[], Sequence[object]] = tuple
    service: Mapping[str, object] = attrs.field(factory=dict)
    services: Callable[[str], Mapping[str, object]] = lambda url: {}
    only_virtual: bool = False
    concurrent: bool = False


SCENARIOS: list[Scenario] = []


def scenario(**options: Any) -> Callable[[Callable[[], Steps]], Callable[[], Steps]]:
    """Add a scenario."""

    def add(script: Callable[[], Steps]) -> Callable[[], Steps]:
        SCENARIOS.append(Scenario(script=script, **options))
        return script

    return add


def named(scenarios: Sequence[Scenario]) -> pytest.MarkDecorator:
    """Run a test once per scenario."""
    return pytest.mark.parametrize("scenario", scenarios, ids=[each.script.__name__ for each in scenarios])


def crm(connector: Any) -> Any:
    """The service of most scenarios."""
    return connector.service("crm")


def send(method: str, path: str, **options: Any) -> Callable[[Any], Any]:
    """A step that calls a method of that service."""
    return lambda connector: getattr(crm(connector), method)(path, **options)


# Calls


@scenario(answers={"GET /x": [{"id": 7}], "POST /x": [(201, {"id": 8})], "PUT /x": [204], "HEAD /x": [200]})
def every_method() -> Steps:
    """Methods with and without bodies."""
    response = yield lambda c: crm(c).get("/x", query={"page": 2, "tag": ["a", "b"]}, headers={"X-A": "1"})
    assert (response.status, response.json()) == (200, {"id": 7})
    for body in ({"json": {"a": 1}}, {"form": {"a": "1"}}, {"content": b"raw"}):
        response = yield send("post", "/x", **body)
        assert response.status == 201
    response = yield lambda c: crm(c).put("/x", json=[1])
    assert response.status == 204
    response = yield lambda c: crm(c).head("/x")
    assert response.body == b""


@attrs.frozen
class Order:
    id: str
    total: int


@scenario(
    answers={
        "GET /orders/a%2Fb": [{"id": "a/b", "total": 7}],
        "GET /orders": [[{"id": "1", "total": 1}, {"id": "2", "total": "two"}]],
        "GET /text": [(200, b"no json")],
        "GET /empty": [204],
    }
)
def answers_into_values() -> Steps:
    """Classes, callables, and answers that do not fit."""
    order = yield lambda c: crm(c).get("/orders/{id}", path_values={"id": "a/b"}, into=Order)
    assert order == Order("a/b", 7)
    count = yield lambda c: crm(c).get("/orders", into=len)
    assert count == 2
    error = yield lambda c: crm(c).get("/orders", into=list[Order])
    assert isinstance(error, ResponseFormatError)
    assert error.path == "[1].total"
    for path in ("/text", "/empty"):
        error = yield send("get", path, into=dict)
        assert isinstance(error, ResponseFormatError)


@scenario(answers={"GET /x": [404], "DELETE /x": [(410, {"gone": True})]})
def statuses_of_errors() -> Steps:
    """404 raises, or is returned where that is allowed."""
    error = yield lambda c: crm(c).get("/x")
    assert isinstance(error, NotFoundError)
    response = yield lambda c: crm(c).get("/x", allow_status=(404,))
    assert response.status == 404
    response = yield lambda c: crm(c).delete("/x", allow_status=[410])
    assert response.json() == {"gone": True}


@scenario(answers={"GET /orders/7": [{"id": "7", "total": 1}], "POST /orders": [503, {"id": "8", "total": 2}]})
def endpoints() -> Steps:
    """Described once, executed by name, with their own retries."""
    order = yield lambda c: c.execute("crm", Endpoint.get("/orders/{id}", into=Order), path_values={"id": 7})
    assert order == Order("7", 1)
    create = Endpoint.post("/orders", into=Order, safety="idempotent", retry=RetryPolicy(max_retries=1, jitter="none"))
    order = yield lambda c: c.execute("crm", create, {"total": 2}, headers={"X-A": "1"}, tenant_id="acme")
    assert order.id == "8"


@scenario(answers={"GET /x": [200]})
def what_cannot_be_sent() -> Steps:
    """Bad paths, headers, options, services: refused before anything is sent."""
    for wrong in (
        lambda c: crm(c).get("//evil.example/x"),
        lambda c: crm(c).get("/x/{id}"),
        lambda c: crm(c).get("/x", headers={"X-A": "a\r\nb"}),
        lambda c: crm(c).get("/x", timeout_seconds=-1),
        lambda c: crm(c).post("/x", json=object()),
        lambda c: crm(c).post("/x", idempotency_key="k-1"),
        lambda c: crm(c).get("/x", tenant_id=""),
    ):
        error = yield wrong
        assert isinstance(error, InvalidRequestError), error
    error = yield lambda c: c.service("cmr")
    assert isinstance(error, ConfigurationError)


@scenario(answers={"GET /x": [200]})
def closing() -> Steps:
    """After the end nothing is sent; closing twice is no error."""
    response = yield lambda c: crm(c).get("/x")
    assert response.status == 200
    yield lambda c: c.close()
    yield lambda c: c.close()
    error = yield lambda c: crm(c).get("/x")
    assert isinstance(error, ConnectorClosedError)


# Failures and retries


@scenario(answers={"GET /x": [503, 503, {"ok": True}], "GET /down": [503]})
def retries() -> Steps:
    """Two failures and a success; then nothing but failures."""
    response = yield lambda c: crm(c).get("/x")
    assert (response.json(), response.attempts) == ({"ok": True}, 3)
    error = yield lambda c: crm(c).get("/down")
    assert isinstance(error, VendorError)
    assert error.attempts == 4


@scenario(
    only_virtual=True,
    answers={"GET /x": [(429, None, {"Retry-After": "3"}), 200], "POST /x": [(429, None, {"Retry-After": "2"}), 201]},
)
def retry_after() -> Steps:
    """The vendor's wait is kept to the second, also for what is unsafe: it was refused."""
    response = yield lambda c: crm(c).get("/x")
    assert response.attempts == 2
    response = yield lambda c: crm(c).post("/x")
    assert response.attempts == 2


@scenario(answers={"GET /x": [(503, None, {"Retry-After": "3600"})]})
def retry_after_beyond_patience() -> Steps:
    """A wait that is too long goes to the caller."""
    error = yield lambda c: crm(c).get("/x")
    assert isinstance(error, VendorError)
    assert (error.retry_after, error.attempts, error.outcome) == (3600, 1, Outcome.REFUSED)


@scenario(answers={"POST /x": ["lost"], "POST /y": [500], "GET /x": ["lost", 200]})
def unknown_outcomes() -> Steps:
    """What may have happened is told, not repeated."""
    for path in ("/x", "/y"):
        error = yield send("post", path, json={})
        assert isinstance(error, OutcomeUnknownError)
        assert (error.attempts, error.retry_safe) == (1, False)
    response = yield lambda c: crm(c).get("/x")
    assert response.attempts == 2


@scenario(answers={"POST /x": ["lost", 500, 201], "GET /x": [200]}, service={"idempotency_header": "Idempotency-Key"})
def idempotency_keys() -> Steps:
    """With a key the vendor honours, a POST is repeated under it; without one the call's id is the key."""
    response = yield lambda c: crm(c).post("/x", idempotency_key="order-1001")
    assert (response.status, response.attempts) == (201, 3)
    response = yield lambda c: crm(c).post("/x")
    assert response.status == 201
    yield lambda c: crm(c).get("/x")
    error = yield lambda c: crm(c).post("/x", idempotency_key="two words")
    assert isinstance(error, InvalidRequestError)


@scenario(answers={"GET /slow": ["slow"], "POST /slow": ["slow"]}, service={"attempt_timeout_seconds": 60})
def timeouts() -> Steps:
    """A call ends by its deadline, whatever the vendor does."""
    error = yield lambda c: crm(c).get("/slow", timeout_seconds=0.4)
    assert isinstance(error, DeadlineExceededError)
    assert isinstance(error, TimeoutError)
    error = yield lambda c: crm(c).post("/slow", timeout_seconds=0.4)
    assert isinstance(error, OutcomeUnknownError)
    assert error.attempts == 1


@scenario(only_virtual=True, answers={"GET /slow": ["slow", "slow", 200]}, service={"attempt_timeout_seconds": 2})
def attempt_timeouts() -> Steps:
    """An attempt that takes too long makes way for another."""
    response = yield lambda c: crm(c).get("/slow")
    assert response.attempts == 3


@scenario(answers={"GET /x": [(429, {"wait": 1})]}, service={"retry": False})
def limits_of_the_vendor() -> Steps:
    """A 429 without a time is an error of two kinds."""
    error = yield lambda c: crm(c).get("/x")
    assert isinstance(error, RateLimitExceededError)
    assert isinstance(error, VendorError)


# Lists and streams


@scenario(
    service={"pagination": {"style": "link"}},
    answers={
        "GET /orders": [
            (200, [1, 2], {"Link": '</orders?page=2>; rel="next"'}),
            (200, [3], {"Link": '</orders?page=3>; rel="next"'}),
            [4],
        ]
    },
)
def pages_by_link() -> Steps:
    """Three pages, three calls."""
    items = yield lambda c: crm(c).paginate("/orders", into=int)
    assert items == [1, 2, 3, 4]


@scenario(
    service={"pagination": {"style": "cursor", "items": "data", "cursor": "meta.next"}},
    answers={"GET /orders": [{"data": [1], "meta": {"next": "c2"}}, {"data": [2], "meta": {"next": None}}]},
)
def pages_by_cursor() -> Steps:
    """A cursor in the answer becomes a parameter of the next page."""
    items = yield lambda c: crm(c).paginate("/orders", into=int, query={"since": "2026-01-01"})
    assert items == [1, 2]


@scenario(
    service={"pagination": {"style": "page", "size_parameter": "per_page", "size": 2}},
    answers={"GET /orders/7/lines": [[1, 2], [3]]},
)
def pages_by_number() -> Steps:
    """A short page is the last one."""
    items = yield lambda c: crm(c).paginate("/orders/{id}/lines", into=int, path_values={"id": 7})
    assert items == [1, 2, 3]


@scenario(
    service={"pagination": {"style": "offset", "size_parameter": "limit", "size": 2}},
    answers={"GET /orders": [[1, 2], [3, 4], [], [1]]},
)
def pages_by_offset() -> Steps:
    """An empty page is the last one; the list may be cut off."""
    items = yield lambda c: crm(c).paginate("/orders", into=int)
    assert items == [1, 2, 3, 4]


@scenario(
    service={"pagination": {"style": "page"}},
    answers={
        "GET /orders": [[1], [2], 404],
        "GET /endless": [[1]],
        "GET /odd": [[1], ["two"]],
        "GET /none": [{"a": 1}],
    },
)
def lists_that_fail() -> Steps:
    """In the middle, without an end, with a wrong item, without a list."""
    error = yield lambda c: crm(c).paginate("/orders", into=int)
    assert isinstance(error, NotFoundError)
    error = yield lambda c: crm(c).paginate("/endless", into=int, max_pages=3)
    assert isinstance(error, InvalidRequestError)
    for path in ("/odd", "/none"):
        error = yield send("paginate", path, into=int)
        assert isinstance(error, ResponseFormatError)


@scenario(answers={"GET /export": [(200, b"x" * 200_000)], "GET /gone": [404], "GET /busy": [503, (200, b"late")]})
def streams() -> Steps:
    """Read to the end; an error has no stream; retries end at the headers."""
    status, body = yield lambda c: crm(c).stream("/export", query={"a": 1})
    assert (status, len(body)) == (200, 200_000)
    error = yield lambda c: crm(c).stream("/gone")
    assert isinstance(error, NotFoundError)
    status, body = yield lambda c: crm(c).stream("/busy")
    assert body == b"late"


# A vendor's own SDK


def broken_sdk() -> int:
    """Fail as an SDK does."""
    message = "the SDK's own"
    raise LookupError(message)


@scenario()
def run() -> Steps:
    """Its result is returned, its exception becomes an error with that as cause."""
    value = yield lambda c: c.run("crm", lambda: [1, 2], operation="GetRates", safety="safe")
    assert value == [1, 2]
    error = yield lambda c: c.run("erp", broken_sdk, operation="Pay")
    assert isinstance(error, OutcomeUnknownError)
    assert isinstance(error.__cause__, LookupError)
    error = yield lambda c: c.run("erp", broken_sdk, operation="GetRates", safety="safe")
    assert not isinstance(error, OutcomeUnknownError)


# Domains


def outcomes(response: Response) -> Sequence[ItemOutcome[EmailReceipt]]:
    """Read the vendor's answer to a chunk of one."""
    return [ItemOutcome(outcome=Outcome.DONE, result=receipt(response))]


def receipt(response: Response) -> EmailReceipt:
    """Read the vendor's answer."""
    return EmailReceipt(message_id=response.json()["id"], status="queued", call=response.info)


class TinyServiceAdapter(ServiceAdapter):
    """An email vendor without address checks."""

    vendor = Vendor(
        name="tiny",
        domain="email",
        base_url=("https://api.tiny.example",),
        documentation="https://docs.tiny.example",
        credentials={"method": "none"},
    )

    def send_transactional_email(self, request: EmailMessage, options: CallOptions, /) -> Operation[EmailReceipt]:
        payload = {"to": list(request.recipients), "from": request.sender, **options.extra_for("tiny")}
        return Operation(
            name="email.send_transactional_email",
            request=Request(method="POST", path="/send").with_json(payload),
            parse=receipt,
        )

    def send_bulk_email(self, request: Sequence[EmailMessage], options: CallOptions, /) -> Bulk[EmailReceipt]:
        chunks = [
            Operation(
                name="email.send_bulk_email",
                request=Request(method="POST", path=f"/bulk/{message.subject}").with_json({"to": message.recipient}),
                parse=outcomes,
            )
            for message in request
        ]
        return Bulk(name="email.send_bulk_email", chunks=chunks, sizes=[1] * len(chunks), concurrency=2)


class TillServiceAdapter(ServiceAdapter):
    """A payments vendor that wants two steps."""

    vendor = attrs.evolve(
        TinyServiceAdapter.vendor, name="till", domain="payments", idempotency_header="Idempotency-Key"
    )

    def charge(self, request: ChargeRequest, options: CallOptions, /) -> Flow[Charge]:
        def steps() -> Generator[Operation[Any], Any, Charge]:
            order = yield Operation(
                name="payments.order", request=Request(method="POST", path="/orders"), parse=Response.json
            )
            try:
                charge: Charge = yield self._pay(order["id"], request.amount)
                return charge
            except VendorError:
                yield Operation(
                    name="payments.void", request=Request(method="DELETE", path="/orders"), parse=Response.json
                )
                raise

        return Flow(name="payments.charge", steps=steps)

    def _pay(self, order: str, amount: Money) -> Operation[Charge]:
        return Operation(
            name="payments.pay",
            request=Request(method="POST", path=f"/orders/{order}/pay"),
            parse=lambda response: Charge(
                id=order, status="paid", amount=amount, authorization_id=None, call=response.info
            ),
        )


def domains(url: str) -> Mapping[str, object]:
    """Services with the adapters of this module."""
    return {
        "mail": {"adapter": f"{__name__}:TinyServiceAdapter", "base_url": url, "retry": False},
        "till": {"adapter": f"{__name__}:TillServiceAdapter", "base_url": url, "retry": False},
    }


@scenario(answers={"POST /send": [{"id": "m1"}, {"id": "m2"}, 400, {"odd": 1}]}, services=domains)
def email() -> Steps:
    """Sending, extra fields, errors, a form the adapter does not know, and what the vendor cannot do."""
    sent = yield lambda c: c.email.send_transactional_email("ada@example.com", "s", "<p>")
    assert (sent.message_id, sent.call.service) == ("m1", "mail")
    extra = {"tiny": {"pool": 7}, "other": {"x": 1}}
    sent = yield lambda c: c.email.via("mail").send_transactional_email(["a@b.c"], "s", text="t", extra=extra)
    assert sent.message_id == "m2"
    error = yield lambda c: c.email.send_transactional_email("ada@example.com", "s", "b", tenant_id="acme")
    assert isinstance(error, VendorError)
    error = yield lambda c: c.email.send_transactional_email("ada@example.com", "s", "b")
    assert isinstance(error, ResponseFormatError)
    assert error.outcome is Outcome.DONE
    error = yield lambda c: c.email.validate_address("ada@example.com")
    assert isinstance(error, NotSupportedError)
    error = yield lambda c: c.email.send_transactional_email("nobody", "s", "b")
    assert isinstance(error, InvalidRequestError)
    error = yield lambda c: c.email.send_transactional_email("ada@example.com", "s", "b", subjct="s")
    assert isinstance(error, TypeError)
    error = yield lambda c: c.email.via("crm").send_transactional_email("ada@example.com", "s", "b")
    assert isinstance(error, ConfigurationError)


@scenario(
    concurrent=True,
    services=domains,
    answers={"POST /bulk/good": [{"id": "m1"}], "POST /bulk/bad": [400], "POST /bulk/lost": ["lost"]},
)
def bulk() -> Steps:
    """One outcome per item, in order, whatever became of the others."""
    messages = [
        EmailMessage(recipient="a@b.c", subject=subject, text="t") for subject in ("good", "bad", "lost", "good")
    ]
    result = yield lambda c: c.email.send_bulk_email(messages)
    outcomes = [item.outcome for item in result.items]
    assert outcomes == [Outcome.DONE, Outcome.REFUSED, Outcome.UNKNOWN, Outcome.DONE]
    assert [done.message_id for done in result.done] == ["m1", "m1"]
    result = yield lambda c: c.email.send_bulk_email([])
    assert result.items == []


@scenario(
    services=domains,
    answers={
        "POST /orders": [{"id": "o1"}],
        "POST /orders/o1/pay": [{}, (402, {"code": "no"})],
        "DELETE /orders": [{}],
    },
)
def flow() -> Steps:
    """Steps are calls of their own under one key; a step that fails is cleaned up after, then raised."""
    charge = yield lambda c: c.payments.via("till").charge(Money("12.50", "EUR"), "pm_1", idempotency_key="order-1")
    assert (charge.id, charge.call.service) == ("o1", "till")
    error = yield lambda c: c.payments.via("till").charge(Money("12.50", "EUR"), "pm_1", idempotency_key="order-2")
    assert isinstance(error, VendorError)
    assert error.status == 402


# Hooks


class EveryKind:
    """A hook of each kind: pure, blocking, async."""

    @hookimpl(tryfirst=True)
    def before_request(self, call: Call, request: Request) -> Request:
        return request.with_headers({"X-Pure": call.operation.name})

    @hookimpl(blocking=True)
    def transform_response(self, call: Call, response: Response) -> Response:
        return attrs.evolve(response, body=response.body + b"!")

    @hookimpl
    async def before_attempt(self, call: Call, request: Request) -> Request:
        await call.io.sleep(0.001)
        return request.with_headers({"X-Attempt": str(call.attempts + 1)})


@scenario(answers={"GET /x": [503, (200, b"hello")]}, hooks=lambda: [EveryKind()])
def hooks_of_every_kind() -> Steps:
    """Pure, blocking and async hooks change the same call."""
    response = yield lambda c: crm(c).get("/x")
    assert (response.body, response.attempts) == (b"hello!", 2)


class AnswersItself:
    """Answers without the vendor."""

    @hookimpl
    def before_request(self, call: Call, request: Request) -> Response | None:
        if request.path == "/cached":
            return Response(status=200, body=b'{"kept": true}')
        return Response(status=404) if request.path == "/blocked" else None


@scenario(answers={"GET /x": [200]}, hooks=lambda: [AnswersItself()])
def hooks_that_answer() -> Steps:
    """A hook's answer is the vendor's: parsed, or raised."""
    value = yield lambda c: crm(c).get("/cached", into=dict)
    assert value == {"kept": True}
    error = yield lambda c: crm(c).get("/blocked")
    assert isinstance(error, NotFoundError)
    assert error.attempts == 0
    status, body = yield lambda c: crm(c).stream("/cached")
    assert (status, body) == (200, b'{"kept": true}')


class Judges:
    """Knows that this vendor hides errors in good answers."""

    @hookimpl
    def classify(self, call: Call, verdict: Verdict, response: Response | None) -> Verdict | None:
        if response is None or b"busy" not in response.body:
            return None
        error = VendorError("busy.", status=200, code="busy")
        return Verdict(outcome=Outcome.REFUSED, health="ok", retry=True, error=error)


@scenario(answers={"POST /x": [{"error": "busy"}, {"ok": 1}], "GET /x": [{"error": "busy"}]}, hooks=lambda: [Judges()])
def classified_answers() -> Steps:
    """A 200 that carries an error is retried, and raised at last."""
    response = yield lambda c: crm(c).post("/x")
    assert (response.json(), response.attempts) == ({"ok": 1}, 2)
    error = yield lambda c: crm(c).get("/x")
    assert isinstance(error, VendorError)
    assert (error.code, error.attempts) == ("busy", 4)


class Breaks:
    """Raises where it is told to."""

    def __init__(self, name: str, error: Exception) -> None:
        self._name, self._error = name, error

    def _break(self, name: str) -> None:
        if name == self._name:
            raise self._error

    @hookimpl
    def before_request(self, call: Call) -> None:
        self._break("before_request")

    @hookimpl
    async def before_attempt(self, call: Call) -> None:
        self._break("before_attempt")

    @hookimpl(blocking=True)
    def transform_response(self, call: Call) -> None:
        self._break("transform_response")


def add_broken_hooks(place: str, broken: Exception) -> None:
    """Add the scenario of a hook that raises in one place."""

    def broken_hook() -> Steps:
        """Its own exception becomes a PluginError, a ConnectorError is the call's."""
        error = yield lambda c: crm(c).post("/x")
        assert isinstance(error, InvalidRequestError if isinstance(broken, InvalidRequestError) else PluginError)

    broken_hook.__name__ = f"{place}_raises_{type(broken).__name__}"
    scenario(answers={"POST /x": [201]}, hooks=lambda: [Breaks(place, broken)])(broken_hook)


for name in ("before_request", "before_attempt", "transform_response"):
    add_broken_hooks(name, LookupError("a bug"))
    add_broken_hooks(name, InvalidRequestError("blocked."))


class Rotates:
    """Finds another token after a rejection."""

    @hookimpl
    async def resolve_credentials(self, call: Call, rejected: Credentials | None) -> Credentials:
        await call.io.sleep(0.001)
        return Credentials.bearer(Secret("second-token" if rejected else "first-token"))


@scenario(answers={"GET /x": [401, 200, 401]}, hooks=lambda: [Rotates()])
def rejected_credentials() -> Steps:
    """A 401 is answered once with other credentials; a second one is the caller's."""
    response = yield lambda c: crm(c).get("/x")
    assert response.attempts == 2
    error = yield lambda c: crm(c).get("/x")
    assert isinstance(error, AuthenticationError)


class FindsTenant:
    """Knows the tenant of some operations."""

    @hookimpl
    def resolve_tenant(self, call: Call) -> str | None:
        return "acme" if call.operation.name == "GET /x" else None


@scenario(answers={"GET /x": [200], "GET /y": [200]}, hooks=lambda: [FindsTenant()], service={"tenant": "required"})
def tenants() -> Steps:
    """Found by a hook, given by the caller, or missing."""
    response = yield lambda c: crm(c).get("/x")
    assert response.call.tenant_id == "acme"
    response = yield lambda c: crm(c).get("/y", tenant_id="other")
    assert response.call.tenant_id == "other"
    error = yield lambda c: crm(c).get("/y")
    assert isinstance(error, TenantRequiredError)
    error = yield lambda c: c.run("crm", lambda: 1, operation="Get")
    assert isinstance(error, TenantRequiredError)


def hearing() -> Callable[[], Steps]:
    """Make a script with receivers of its own."""

    def receivers() -> Steps:
        """By class and service, in order; one that raises harms nobody."""
        heard: list[str] = []

        def broken(event: object) -> None:
            heard.append("broken")
            raise LookupError

        yield lambda c: c.on(CallSucceeded)(broken)
        yield lambda c: c.on(CallSucceeded, service="crm")(lambda event: heard.append(f"crm {event.status}"))
        yield lambda c: c.on(CallSucceeded, service="erp")(lambda event: heard.append("erp"))
        yield lambda c: c.on(CallFailed)(lambda event: heard.append(event.error))
        yield lambda c: crm(c).get("/x")
        yield lambda c: crm(c).get("/missing")
        yield lambda c: c.flush()
        assert heard == ["broken", "crm 200", "NotFoundError"]
        error = yield lambda c: c.on(int)(heard.append)
        assert isinstance(error, ConfigurationError)

    return receivers


scenario(answers={"GET /x": [200], "GET /missing": [404]})(hearing())


# The tests


def same(sync: Trace, on_loop: Trace) -> None:
    """Compare part by part, so that a failure says which one differs."""
    parts = ("steps", "records", "events", "requests")
    for part, left, right in zip(parts, sync, on_loop, strict=True):
        assert left == right, part


@named(SCENARIOS)
def test_both_faces_do_the_same_in_virtual_time(scenario: Scenario, play_fake: Play) -> None:
    """Results, errors, records, events, requests, times and even ids are equal under one seed."""
    same(play_fake(scenario, "sync"), play_fake(scenario, "async"))


@named([each for each in SCENARIOS if not each.only_virtual])
def test_both_faces_do_the_same_over_sockets(scenario: Scenario, play_real: Play) -> None:
    """Results, errors, records, events and what the vendor saw are equal but for times and ids."""
    same(play_real(scenario, "sync"), play_real(scenario, "async"))


def test_a_scenario_that_differs_is_found(play_fake: Play) -> None:
    """The comparison sees a difference in a header, a time or an event."""

    def script() -> Steps:
        yield lambda c: crm(c).get("/x", headers={"X-Face": type(c).__name__})

    scenario = Scenario(script=script, answers={"GET /x": [200]})
    sync, on_loop = play_fake(scenario, "sync"), play_fake(scenario, "async")
    assert sync[3] != on_loop[3]
    assert sync[1] != on_loop[1]
    assert sync[2] == on_loop[2]


def test_async_receivers_belong_to_the_async_face() -> None:
    """The one thing in which the faces differ: only one of them has a loop for an ``async def`` receiver."""
    from nexus_connector import Connector

    heard: asyncio.Queue[str] = asyncio.Queue()

    async def receiver(event: CallSucceeded) -> None:
        await heard.put(event.operation)

    config: dict[str, object] = {"services": {"crm": {"base_url": "https://crm.example"}}}
    with Connector.from_config(config, plugins=[AnswersItself()]) as connector:
        with pytest.raises(ConfigurationError, match="async"):
            connector.on(CallSucceeded)(receiver)

        async def main() -> str:
            aconnector = connector.as_async()
            aconnector.on(CallSucceeded)(receiver)
            await aconnector.service("crm").get("/cached")
            return await asyncio.wait_for(heard.get(), 10)

        assert asyncio.run(main()) == "GET /cached"
