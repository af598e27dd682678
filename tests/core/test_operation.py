"""Operations and what is made of several: pure data, and the calls that they become."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any

import attrs
import pytest

from nexus_connector import (
    Bulk,
    BulkResult,
    CallOptions,
    Connector,
    Endpoint,
    Flow,
    HttpMethod,
    ItemOutcome,
    Operation,
    Outcome,
    Page,
    Request,
    Response,
    RetryPolicy,
)
from nexus_connector.errors import ConnectorError, NotFoundError
from nexus_connector.testing import Fake, fake
from nexus_connector.verdict import DEFAULT_CLASSIFICATION

CONFIG = {
    "services": {"shop": {"base_url": "https://shop.example", "idempotency_header": "Idempotency-Key"}},
    "plugins": {"only": []},
}


@pytest.fixture
def connector() -> Iterator[Connector]:
    """A connector of one service."""
    with Connector.from_config(CONFIG) as made:
        yield made


@pytest.fixture
def vendors(connector: Connector) -> Iterator[Fake]:
    """Its vendors, played."""
    with fake(connector) as played:
        yield played


def operation(name: str, method: str = "POST", **fields: Any) -> Operation[Any]:
    """Return an operation that gives its JSON."""
    return Operation(name=name, request=Request(method=method, path=f"/{name}"), parse=Response.json, **fields)


@pytest.mark.parametrize("method", HttpMethod)
def test_the_method_says_how_safe_it_is(method: HttpMethod) -> None:
    """Without a word of the adapter, an operation and an endpoint are as safe as their method; with one, as it says."""
    assert operation("x", method.value).safety == method.safety
    assert operation("x", method.value, safety="keyed").safety == "keyed"
    if method is not HttpMethod.OPTIONS:
        make: Any = getattr(Endpoint, method.value.lower())
        assert make("/x").operation().safety == method.safety
        assert make("/x", safety="unsafe").operation().safety == "unsafe"


def test_defaults() -> None:
    """An operation is data: frozen, with the common rules and the service's policies unless it says otherwise."""
    plain = operation("x")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        plain.name = "y"  # type: ignore[misc]
    assert plain.classification is DEFAULT_CLASSIFICATION
    assert (plain.cost, plain.allow_status, plain.timeout_seconds, plain.retry, plain.stream) == (
        1.0,
        (),
        None,
        None,
        False,
    )


def test_an_endpoint_makes_operations() -> None:
    """What an endpoint says is in each operation it makes; a call's own headers win over its."""
    endpoint = Endpoint.post(
        "/orders/{id}",
        headers={"X-A": "1", "X-B": "1"},
        allow_status=(404,),
        timeout_seconds=3.0,
        retry=RetryPolicy(max_retries=1),
    )
    made = endpoint.operation(payload={"n": 1}, path_values={"id": 7}, query={"q": 1}, headers={"X-B": "2"})
    assert (made.name, made.request.target, made.request.json()) == ("POST /orders/{id}", "/orders/7?q=1", {"n": 1})
    assert (made.request.headers["X-A"], made.request.headers["X-B"]) == ("1", "2")
    assert (made.allow_status, made.timeout_seconds, made.retry) == ((404,), 3.0, RetryPolicy(max_retries=1))
    assert endpoint.operation(path_values={"id": 8}).request.body == b""


def test_options_by_vendor() -> None:
    """An adapter sees only the extra fields that are meant for its vendor."""
    options = CallOptions(extra={"sendgrid": {"ip_pool": "a"}})
    assert (options.extra_for("sendgrid"), options.extra_for("postmark")) == ({"ip_pool": "a"}, {})


def place(log: list[str]) -> Generator[Operation[Any], Any, str]:
    """Order something: create, pay, and take back what was created if it cannot be paid."""
    order = yield operation("create")
    try:
        yield operation("pay")
    except ConnectorError as error:
        log.append(type(error).__name__)
        yield operation("cancel")
        raise
    return str(order["id"])


def perform(connector: Connector, thing: Any, **options: Any) -> Any:
    """Do a flow or bulk, as a facade does."""
    return connector.perform_with("shop", lambda _target, _options: thing, CallOptions(**options))


def test_a_flow(connector: Connector, vendors: Fake) -> None:
    """Each step is a call of its own, with the key of the whole and its index; the flow's result is what it returns."""
    vendors.answer("create", {"id": "o_1"})
    vendors.answer("pay", {})
    flow = Flow(name="orders.place", steps=lambda: place([]))
    assert perform(connector, flow, idempotency_key="k") == "o_1"
    sent = vendors.sent()
    assert [(step.operation, step.idempotency_key) for step in sent] == [("create", "k/0"), ("pay", "k/1")]
    assert [step.request.headers["Idempotency-Key"] for step in sent] == ["k/0", "k/1"]


def test_a_flow_can_clean_up(connector: Connector, vendors: Fake) -> None:
    """A step's error is raised where it was yielded; what the flow then does is done, and the error still arrives."""
    log: list[str] = []
    vendors.answer("create", {"id": "o_1"})
    vendors.answer("pay", 404)
    vendors.answer("cancel", {})
    with pytest.raises(NotFoundError):
        perform(connector, Flow(name="orders.place", steps=lambda: place(log)))
    assert log == ["NotFoundError"]
    assert [step.operation for step in vendors.sent()] == ["create", "pay", "cancel"]


def test_a_flow_has_one_deadline(connector: Connector, vendors: Fake) -> None:
    """The steps share the time of the whole: a slow one leaves the next less."""

    def slowly(_: Request) -> object:
        vendors.clock.advance(4.0)
        return {"id": "o_1"}

    vendors.answer("create", slowly)
    vendors.answer("pay", TimeoutError())
    vendors.answer("cancel", TimeoutError())
    with pytest.raises(TimeoutError):
        perform(connector, Flow(name="orders.place", steps=lambda: place([])), timeout_seconds=10.0)
    assert vendors.clock.elapsed_seconds <= 10.0


def outcomes(response: Response) -> Sequence[ItemOutcome[int]]:
    """Read the outcomes of one chunk."""
    return [ItemOutcome(outcome=Outcome.DONE, result=number) for number in response.json()]


def test_a_bulk(connector: Connector, vendors: Fake) -> None:
    """What fails in one chunk concerns its items only: one outcome per item, in order, with the chunk's outcome."""
    vendors.answer("one", [1, 2])
    vendors.answer("two", 404)
    vendors.answer("three", ConnectionRefusedError())
    vendors.answer("four", [7])
    chunks = [
        Operation(name=name, request=Request(method="POST", path=f"/{name}"), parse=outcomes)
        for name in ("one", "two", "three", "four")
    ]
    result: BulkResult[int] = perform(
        connector, Bulk(name="numbers", chunks=chunks, sizes=[2, 3, 1, 1]), idempotency_key="k"
    )
    assert [item.outcome.value for item in result.items] == [
        *["done", "done"],
        *["refused", "refused", "refused"],
        "not_sent",
        "done",
    ]
    assert result.done == [1, 2, 7]
    assert "404" in (result.items[2].error or "")
    assert {sent.idempotency_key for sent in vendors.sent()} == {"k/0", "k/1", "k/2", "k/3"}


def test_pages_are_data() -> None:
    """A page names the operation of the next one, so that both faces can go on; the last one names none."""
    following: Operation[Page[int]] = operation("next", "GET")
    assert Page(items=[1], next=following).next is following
    assert Page(items=[1]).next is None


def test_done_leaves_out_what_failed() -> None:
    """`done` are the results of what was done, in order."""
    items = [
        ItemOutcome(outcome=Outcome.DONE, result=1),
        ItemOutcome(outcome=Outcome.REFUSED, error="no"),
        ItemOutcome(outcome=Outcome.DONE, result=0),
        ItemOutcome(outcome=Outcome.UNKNOWN),
    ]
    assert BulkResult(items=items).done == [1, 0]
