"""What a caller gets for an answer: a response, a value, or an error that says where it does not fit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import attrs
import pytest

from nexus_connector import Call, Connector, Endpoint, Outcome, Response, hookimpl
from nexus_connector.errors import NotFoundError, PluginError, ResponseFormatError, VendorError
from nexus_connector.testing.emulator import Answer, VendorEmulator


@attrs.frozen
class Order:
    """What a caller wants."""

    id: str
    total: Decimal


def connect(vendor: VendorEmulator, *hooks: object, only: tuple[str, ...] = ("retry",)) -> Connector:
    """Build a connector of one service."""
    config = {"services": {"vendor": {"base_url": vendor.url}}, "plugins": {"only": list(only)}}
    return Connector.from_config(config, plugins=hooks)


def sync_send(connector: Connector, method: str, path: str, **options: Any) -> Any:
    """Send on the blocking face."""
    return getattr(connector.service("vendor"), method)(path, **options)


def async_send(connector: Connector, method: str, path: str, **options: Any) -> Any:
    """Send on the awaited face."""

    async def send() -> Any:
        return await getattr(connector.as_async().service("vendor"), method)(path, **options)

    return asyncio.run(send())


@pytest.fixture(params=[sync_send, async_send], ids=["sync", "async"])
def send(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Each face in turn."""
    chosen: Callable[..., Any] = request.param
    return chosen


def test_without_any_plugin(send: Callable[..., Any]) -> None:
    """With no plugin at all a call still works, once: a failure is the failure of one attempt."""
    with VendorEmulator() as vendor, connect(vendor, only=()) as connector:
        vendor.on("/thing", Answer(json={"ok": True}))
        vendor.on("/broken", Answer(503, headers={"Retry-After": "0"}))
        assert connector.runtime.plugins == {}
        response = send(connector, "get", "/thing")
        assert (response.status, response.json(), response.attempts) == (200, {"ok": True}, 1)
        with pytest.raises(VendorError) as caught:
            send(connector, "get", "/broken")
        assert (caught.value.attempts, caught.value.retry_after, len(vendor.arrivals)) == (1, 0.0, 2)


@pytest.mark.parametrize("status", [404, 409, 500, 503])
def test_an_allowed_status_is_a_result(send: Callable[..., Any], status: int) -> None:
    """`allow_status` returns what would be raised, at once and once; every other status is still an error."""
    with VendorEmulator() as vendor, connect(vendor) as connector:
        vendor.on("/thing", Answer(status, json={"error": "gone"}))
        response = send(connector, "get", "/thing", allow_status=(status,))
        assert (response.status, response.json(), response.attempts) == (status, {"error": "gone"}, 1)
        with pytest.raises(VendorError) as caught:
            send(connector, "post", "/thing", allow_status={410})
        assert caught.value.status == status


def test_the_error_carries_the_answer(send: Callable[..., Any]) -> None:
    """An error of the vendor gives status, the vendor's request id and the whole answer."""
    with VendorEmulator() as vendor, connect(vendor) as connector:
        vendor.on("/thing", Answer(404, json={"error": "no such order"}, headers={"X-Request-Id": "req_7"}))
        with pytest.raises(NotFoundError) as caught:
            send(connector, "get", "/thing")
    error = caught.value
    assert error.response is not None
    assert (error.status, error.request_id, error.response.json()) == (404, "req_7", {"error": "no such order"})
    assert error.call_id == error.response.call.id


def test_a_value(send: Callable[..., Any]) -> None:
    """`into` gives a typed value, digit by digit, on both faces; a callable gets the JSON."""
    with VendorEmulator() as vendor, connect(vendor) as connector:
        vendor.on("/thing", Answer(body=b'{"id": "o_1", "total": 12.50, "more": true}'))
        assert send(connector, "get", "/thing", into=Order) == Order("o_1", Decimal("12.50"))
        assert send(connector, "post", "/thing", into=lambda parsed: parsed["id"]) == "o_1"
        endpoint = Endpoint.get("/thing", into=Order)
        assert connector.execute("vendor", endpoint) == Order("o_1", Decimal("12.50"))


@pytest.mark.parametrize(
    ("body", "path", "problem"),
    [
        (b'{"id": null, "total": 1}', "id", "expected text, got null"),
        (b'{"id": "o_1"}', "total", "is missing"),
        (b"[]", "", "expected an object, got a list"),
        (b"", "", "the body is empty"),
        (b"<html>canary</html>", "", "the body is no JSON"),
    ],
    ids=["null", "missing", "list", "empty", "html"],
)
def test_an_answer_of_another_form(send: Callable[..., Any], body: bytes, path: str, problem: str) -> None:
    """A POST whose answer does not fit was done: the error says so and where, and it is not sent again."""
    with VendorEmulator() as vendor, connect(vendor) as connector:
        vendor.on("/thing", Answer(body=body))
        with pytest.raises(ResponseFormatError, match=problem) as caught:
            send(connector, "post", "/thing", into=Order)
        assert len(vendor.arrivals) == 1
    error = caught.value
    assert (error.outcome, error.retry_safe, error.path) == (Outcome.DONE, False, path)
    assert (error.service, error.operation, error.attempts) == ("vendor", "POST /thing", 1)
    assert error.response is not None
    assert error.response.body == body
    assert "canary" not in str(error)


@attrs.define
class TooOddError(Exception):
    """What a validator of another library raises; it derives from nothing we know."""


@pytest.mark.parametrize(
    "raised",
    [KeyError("id"), TypeError("x"), InvalidOperation(), TooOddError(), AssertionError()],
    ids=lambda each: type(each).__name__,
)
def test_a_validator_that_raises(send: Callable[..., Any], raised: Exception) -> None:
    """Whatever a callable raises, the caller gets an error of ours, done, with the callable's own as cause."""

    def validate(parsed: Any) -> Any:
        raise raised

    with VendorEmulator() as vendor, connect(vendor) as connector:
        vendor.on("/thing", Answer(json={}))
        with pytest.raises(ResponseFormatError, match=type(raised).__name__) as caught:
            send(connector, "post", "/thing", into=validate)
        assert len(vendor.arrivals) == 1
    assert caught.value.__cause__ is raised
    assert (caught.value.outcome, caught.value.retry_safe) == (Outcome.DONE, False)


class Transform:
    """A hook that does to an answer what the test says."""

    def __init__(self, function: Callable[[Response], Response | None]) -> None:
        self.function = function

    @hookimpl
    def transform_response(self, call: Call, response: Response) -> Response | None:
        return self.function(response)


def test_a_transformed_answer_is_parsed(send: Callable[..., Any]) -> None:
    """A hook may mend an answer before it is read; it never sees one that raises."""
    seen: list[int] = []

    def mend(response: Response) -> Response:
        seen.append(response.status)
        return attrs.evolve(response, body=b'{"id": "o_1", "total": "2"}')

    with VendorEmulator() as vendor, connect(vendor, Transform(mend)) as connector:
        vendor.on("/thing", Answer(json={"ID": "o_1"}), Answer(404))
        assert send(connector, "get", "/thing", into=Order) == Order("o_1", Decimal(2))
        with pytest.raises(NotFoundError):
            send(connector, "get", "/thing")
    assert seen == [200]


def test_a_hook_that_fails_on_an_answer(send: Callable[..., Any]) -> None:
    """A hook that fails after the vendor did it does not make it undone: it is done, and not safe to repeat."""

    def fail(response: Response) -> None:
        raise RuntimeError

    with VendorEmulator() as vendor, connect(vendor, Transform(fail)) as connector:
        vendor.on("/thing", Answer(json={}))
        with pytest.raises(PluginError) as caught:
            send(connector, "post", "/thing")
        assert len(vendor.arrivals) == 1
    assert (caught.value.outcome, caught.value.retry_safe, caught.value.attempts) == (Outcome.DONE, False, 1)


@pytest.mark.parametrize("method", ["head", "delete"])
def test_answers_without_a_body(send: Callable[..., Any], method: str) -> None:
    """A HEAD and a 204 have no body, and are answers all the same."""
    with VendorEmulator() as vendor, connect(vendor) as connector:
        vendor.on("HEAD /thing", Answer(body=b"12345"))
        vendor.on("DELETE /thing", Answer(204))
        response = send(connector, method, "/thing")
        assert response.body == b""
        assert response.status == (204 if method == "delete" else 200)
