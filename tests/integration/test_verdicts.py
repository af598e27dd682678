"""Verdicts in a whole call: what hooks, operations and faults make of them."""

from __future__ import annotations

import copy
from typing import Any

import attrs
import pytest

from nexus_connector import Call, Classification, Connector, Operation, Outcome, Request, Response, Verdict, hookimpl
from nexus_connector.errors import (
    AuthenticationError,
    ConnectorError,
    NotFoundError,
    NotSentError,
    OutcomeUnknownError,
    PaymentDeclinedError,
    PluginError,
    RateLimitExceededError,
    TransportError,
    VendorError,
)
from nexus_connector.testing import Fake, fake
from nexus_connector.verdict import (
    DEFAULT_CLASSIFICATION,
)

DONE, REFUSED, NOT_SENT, UNKNOWN = Outcome.DONE, Outcome.REFUSED, Outcome.NOT_SENT, Outcome.UNKNOWN

CONFIG = {
    "services": {"vendor": {"base_url": "https://vendor.example", "retry": {"max_retries": 2}}},
    "plugins": {"only": ["retry"]},
}


class Classify:
    """A hook that answers what the test says, and keeps what it was asked."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes
        self.asked: list[tuple[Verdict, Response | None]] = []

    @hookimpl
    def classify(self, call: Call, verdict: Verdict, response: Response | None) -> Verdict | None:
        self.asked.append((verdict, response))
        return attrs.evolve(verdict, **{name: copy.copy(value) for name, value in self.changes.items()})


def send(hook: Classify, method: str, *answers: object) -> tuple[ConnectorError | Response, int]:
    """Make a call with one classify hook; return its error or response, and the number of sends."""
    sends = 0
    with Connector.from_config(CONFIG, plugins=[hook]) as connector, fake(connector) as vendors:
        left = list(answers)

        def answer(_: Request) -> object:
            nonlocal sends
            sends += 1
            return left.pop(0) if len(left) > 1 else left[0]

        vendors.answer("", answer)
        call: Any = getattr(connector.service("vendor"), method)
        try:
            return call("/thing"), sends
        except ConnectorError as error:
            return error, sends


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("fault", [ConnectionResetError(), TimeoutError()], ids=["reset", "timeout"])
def test_no_hook_sends_an_unsafe_unknown_again(fault: OSError, outcome: Outcome) -> None:
    """A lost answer to an unkeyed POST stays lost: whatever a hook calls it, it is sent once."""
    hook = Classify(outcome=outcome, health="ignore", retry=True)
    _, sends = send(hook, "post", fault)
    assert sends == 1


@pytest.mark.parametrize(("outcome", "sends"), [(UNKNOWN, 1), (NOT_SENT, 1), (REFUSED, 3), (DONE, 1)])
def test_a_hook_that_reads_an_answer_may_know_more(outcome: Outcome, sends: int) -> None:
    """A 500 whose text says that nothing happened may be called a refusal, and a refusal may be sent again.
    That it was not sent, with an answer at hand, is not believed.
    """
    assert send(Classify(outcome=outcome, retry=True), "post", 500)[1] == sends


def test_a_hook_may_forbid() -> None:
    """What the core would send again is not, if a hook says so."""
    error, sends = send(Classify(retry=False), "get", 500)
    assert isinstance(error, VendorError)
    assert sends == 1


def test_a_good_answer_can_be_an_error() -> None:
    """A 200 that carries an error is retried and raised, as what the hook says it is."""
    hook = Classify(outcome=REFUSED, health="fail", retry=True, error=VendorError("out of stock", code="stock"))
    error, sends = send(hook, "post", {"error": "stock"})
    assert isinstance(error, VendorError)
    assert (sends, error.code, error.outcome, error.retry_safe) == (3, "stock", REFUSED, True)
    assert (error.service, error.operation, error.attempts) == ("vendor", "POST /thing", 3)


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("outcome", [REFUSED, UNKNOWN, NOT_SENT])
@pytest.mark.parametrize("status", [200, 404, 500])
def test_the_error_says_what_the_verdict_says(status: int, outcome: Outcome, method: str) -> None:
    """One outcome word everywhere: a changed verdict changes outcome, `retry_safe` and class of its error."""
    changes: dict[str, Any] = {"outcome": outcome, "retry": False}
    if status == 200:
        changes["error"] = VendorError("It is none.")
    error, _ = send(Classify(**changes), method, status)
    assert isinstance(error, VendorError)
    assert error.outcome is outcome
    assert error.retry_safe is (outcome is not UNKNOWN or method == "get")
    assert isinstance(error, OutcomeUnknownError) is (outcome is UNKNOWN and method == "post")


def test_the_hint_follows_a_changed_outcome() -> None:
    """An error that was refused and is now unknown no longer says that nothing happened."""
    error, _ = send(Classify(outcome=UNKNOWN), "post", 409)
    assert "It may have happened" in str(error)
    error, _ = send(Classify(outcome=REFUSED), "post", 500)
    assert "It may have happened" not in str(error)


def test_hooks_are_not_asked_about_our_own_refusals() -> None:
    """What this library did not send is its own affair: classify hears of sends only."""
    hook = Classify()
    with Connector.from_config(CONFIG, plugins=[hook]) as connector, fake(connector) as vendors:
        vendors.answer("", 200)
        with pytest.raises(ValueError, match="header"):
            connector.service("vendor").get("/thing", headers={"X-Bad": "a\r\nb"})
    assert hook.asked == []


def test_a_hook_that_raises_after_a_send() -> None:
    """A hook that fails after a POST was sent leaves its outcome unknown, and the error says so by class."""

    class Broken(Classify):
        @hookimpl
        def classify(self, call: Call, verdict: Verdict, response: Response | None) -> Verdict | None:
            raise RuntimeError

    error, sends = send(Broken(), "post", 200)
    assert isinstance(error, PluginError)
    assert isinstance(error, OutcomeUnknownError)
    assert (sends, error.outcome, error.retry_safe) == (1, UNKNOWN, False)


def perform(vendors: Fake, connector: Connector, rules: Classification, *answers: object, **request: Any) -> Any:
    """Do an operation with its own classification."""
    vendors.answer("", *answers)
    operation = Operation(
        name="shop.buy",
        request=Request(**{"method": "POST", **request}),
        parse=lambda response: response,
        classification=rules,
    )
    return connector.perform("vendor", operation)


@pytest.fixture
def connector() -> Any:
    """A connector of one service."""
    with Connector.from_config(CONFIG) as made:
        yield made


KINDS: list[tuple[int, type[VendorError]]] = [
    (400, VendorError),
    (401, AuthenticationError),
    (403, AuthenticationError),
    (404, NotFoundError),
    (410, NotFoundError),
    (418, VendorError),
    (500, VendorError),
]


@pytest.mark.parametrize(("status", "kind"), KINDS)
def test_the_class_of_a_status(connector: Connector, status: int, kind: type[VendorError]) -> None:
    """401, 403, 404, 410 and 429 have classes of their own; every other error is a VendorError with its status."""
    with fake(connector) as vendors, pytest.raises(VendorError) as caught:
        perform(vendors, connector, DEFAULT_CLASSIFICATION, (status, None, {"X-Request-Id": "req_7"}), method="GET")
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.request_id) == (status, "req_7")


def test_the_vendors_limit(connector: Connector) -> None:
    """A 429 is a RateLimitExceededError and a VendorError, and no NotSentError: it was sent."""
    with fake(connector) as vendors, pytest.raises(RateLimitExceededError) as caught:
        perform(vendors, connector, DEFAULT_CLASSIFICATION, 429)
    assert isinstance(caught.value, VendorError)
    assert not isinstance(caught.value, NotSentError)


def test_the_vendors_own_words(connector: Connector) -> None:
    """An operation's map of errors counts by code before status; code and text of the vendor are in the error."""
    rules = Classification(
        errors={"declined": PaymentDeclinedError, 402: NotFoundError},
        code=lambda response: response.json()["code"],
        message=lambda response: response.json()["text"],
    )
    with fake(connector) as vendors:
        with pytest.raises(PaymentDeclinedError, match=r"402 \(declined\): No funds") as caught:
            perform(vendors, connector, rules, (402, {"code": "declined", "text": "No funds"}))
        assert caught.value.code == "declined"
        with pytest.raises(NotFoundError):
            perform(vendors, connector, rules, (402, {"code": "other", "text": ""}))


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"", b"[]", b'{"code": {}}'], ids=repr)
@pytest.mark.parametrize(("status", "outcome"), [(400, REFUSED), (502, UNKNOWN)])
def test_an_error_page_in_another_form(connector: Connector, status: int, outcome: Outcome, body: bytes) -> None:
    """A reader that cannot read a proxy's error page changes nothing: status and outcome are the answer's."""
    rules = Classification(
        code=lambda response: response.json()["code"]["id"], message=lambda response: response.json()["text"]
    )
    with fake(connector) as vendors, pytest.raises(VendorError) as caught:
        perform(vendors, connector, rules, Response(status=status, body=body))
    assert (caught.value.status, caught.value.outcome, caught.value.code) == (status, outcome, None)


def test_a_fault_in_a_good_answer(connector: Connector) -> None:
    """A vendor that answers 200 with an error inside refused it: the error is raised, with the vendor's code."""
    rules = Classification(
        fault=lambda response: response.json().get("fault"), errors={"declined": PaymentDeclinedError}
    )
    with fake(connector) as vendors:
        with pytest.raises(PaymentDeclinedError) as caught:
            perform(vendors, connector, rules, {"fault": "declined"})
        assert (caught.value.outcome, caught.value.attempts) == (REFUSED, 1)
        assert perform(vendors, connector, rules, {"id": 7}).json() == {"id": 7}
        assert perform(vendors, connector, rules, Response(status=200, body=b"no json")).status == 200


def test_run_is_unknown_unless_a_hook_knows() -> None:
    """What a vendor's SDK raises leaves the outcome unknown, with the exception as cause; a hook may know better."""
    boom = RuntimeError("connection lost")

    def fail() -> None:
        raise boom

    with Connector.from_config(CONFIG) as connector, pytest.raises(OutcomeUnknownError) as caught:
        connector.run("vendor", fail, operation="sdk.buy")
    assert caught.value.__cause__ is boom
    assert (caught.value.attempts, caught.value.retry_safe, caught.value.outcome) == (1, False, UNKNOWN)
    with (
        Connector.from_config(CONFIG, plugins=[Classify(outcome=REFUSED, retry=False)]) as connector,
        pytest.raises(ConnectorError) as caught_again,
    ):
        connector.run("vendor", fail, operation="sdk.buy")
    assert not isinstance(caught_again.value, OutcomeUnknownError)
    assert (caught_again.value.outcome, caught_again.value.retry_safe) == (REFUSED, True)


def test_the_text_of_a_lost_answer(connector: Connector) -> None:
    """The sentence names service and operation, and ends once."""
    with fake(connector) as vendors, pytest.raises(TransportError) as caught:
        perform(vendors, connector, DEFAULT_CLASSIFICATION, ConnectionResetError())
    assert str(caught.value).startswith("vendor did not answer shop.buy: the connection was lost. ")
