"""The contracts: facades build checked values, choose the service per call and hand over to its adapter."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any, ClassVar

import attrs
import pytest

from nexus_connector import (
    Attachment,
    CallOptions,
    Charge,
    ChargeRequest,
    Connector,
    EmailMessage,
    EmailReceipt,
    Flow,
    Money,
    Operation,
    PaymentIntent,
    Refund,
    Response,
    ServiceAdapter,
    Vendor,
    build_request,
)
from nexus_connector.contracts.email import Period, check_address, split_address
from nexus_connector.contracts.payments import CaptureRequest, PaymentIntentRequest, RefundRequest
from nexus_connector.errors import ConfigurationError, InvalidRequestError, NotSupportedError
from nexus_connector.testing import fake

EUR = Money("12.50", "EUR")


class PayServiceAdapter(ServiceAdapter):
    """A payments vendor that charges in one step and refunds in two."""

    vendor: ClassVar[Vendor] = Vendor(
        name="pay", domain="payments", base_url=("https://pay.example",), idempotency_header="Idempotency-Key"
    )

    def charge(self, request: ChargeRequest, options: CallOptions, /) -> Operation[Charge]:
        body = {
            "amount": str(request.amount.amount),
            "source": request.source,
            "capture": request.capture,
            **options.extra_for("pay"),
        }
        return Operation(name="payments.charge", request=build_request("POST", "/charges", json=body), parse=_charge)

    def refund(self, request: RefundRequest, options: CallOptions, /) -> Flow[Refund]:
        def steps() -> Generator[Operation[Any], Any, Refund]:
            charge = yield Operation(
                name="payments.refund", request=build_request("GET", f"/charges/{request.charge_id}"), parse=_charge
            )
            done = yield Operation(
                name="payments.refund",
                request=build_request("POST", "/refunds", json={"charge": charge.id}),
                parse=_raw,
            )
            return Refund(id=done.json()["id"], status="done", amount=request.amount or charge.amount, call=done.info)

        return Flow(name="payments.refund", steps=steps)

    def capture_authorization(self, request: CaptureRequest, options: CallOptions, /) -> Operation[Charge]:
        return Operation(
            name="payments.capture_authorization",
            request=build_request("POST", "/captures", json={"of": request.authorization_id}),
            parse=_charge,
        )

    def create_payment_intent(self, request: PaymentIntentRequest, options: CallOptions, /) -> Operation[PaymentIntent]:
        return Operation(
            name="payments.create_payment_intent",
            request=build_request("POST", "/intents", json={"customer": request.customer}),
            parse=lambda response: PaymentIntent(id="pi", client_secret="cs_secret", status="new", call=response.info),
        )

    def get_charge(self, request: str, options: CallOptions, /) -> Operation[Charge]:
        return Operation(name="payments.get_charge", request=build_request("GET", f"/charges/{request}"), parse=_charge)


def _raw(response: Response) -> Response:
    return response


def _charge(response: Response) -> Charge:
    return Charge(id=response.json()["id"], status="paid", amount=EUR, authorization_id=None, call=response.info)


def _config(**domain: object) -> dict[str, object]:
    services = {"pay": {"adapter": f"{__name__}:PayServiceAdapter"}, "plain": {"base_url": "https://plain.example"}}
    return {"services": services, "domains": {"payments": {"service": "pay", **domain}}, "plugins": {"only": []}}


@pytest.fixture
def connector(monkeypatch: pytest.MonkeyPatch) -> Generator[Connector]:
    """A connector whose payments go to the vendor above."""
    monkeypatch.setattr("nexus_connector.adapter._import", lambda name: PayServiceAdapter)
    with Connector.from_config(_config()) as built:
        yield built


def test_every_payments_method_reaches_its_adapter(connector: Connector) -> None:
    """Each method builds its value, checks it and returns what the adapter makes, on both faces."""
    with fake(connector) as vendors:
        vendors.answer("payments", {"id": "x1"})
        payments = connector.payments
        assert payments.charge(EUR, "pm_1", idempotency_key="k1", extra={"pay": {"note": "n"}}).id == "x1"
        assert payments.capture_authorization("a1", EUR).id == "x1"
        assert payments.create_payment_intent(EUR, customer="c1").status == "new"
        assert "cs_secret" not in repr(payments.create_payment_intent(EUR))
        assert payments.get_charge("x1").id == "x1"
        assert payments.refund("x1").amount == EUR
        [first] = vendors.sent("payments.charge")

        async def again() -> None:
            awaited = connector.as_async().payments
            assert (await awaited.charge(EUR, "pm_1", idempotency_key="k2")).id == "x1"
            assert (await awaited.capture_authorization("a1")).id == "x1"
            assert (await awaited.create_payment_intent(EUR)).id == "pi"
            assert (await awaited.get_charge("x1")).id == "x1"
            assert (await awaited.refund("x1", Money(1, "EUR"))).amount == Money(1, "EUR")
            with pytest.raises(NotSupportedError):
                await awaited.find_charge(idempotency_key="k1")

        asyncio.run(again())
    assert first.value == ChargeRequest(amount=EUR, source="pm_1")
    assert first.request.json() == {"amount": "12.50", "source": "pm_1", "capture": True, "note": "n"}
    assert first.request.headers["Idempotency-Key"] == first.idempotency_key == "k1"


def test_steps_of_a_flow_are_children_with_keys_of_their_own(connector: Connector) -> None:
    """Each step is a call of its own under the flow's, with the key KEY/index."""
    with fake(connector) as vendors:
        vendors.answer("payments", {"id": "x1"})
        connector.payments.refund("x1", idempotency_key="r1")
        keys = [sent.idempotency_key for sent in vendors.sent("payments.refund")]
    assert keys == ["r1/0", "r1/1"]


def test_what_a_vendor_cannot_do_is_not_supported(connector: Connector) -> None:
    """A method the adapter leaves out is a NotSupportedError before anything is sent."""
    with fake(connector), pytest.raises(NotSupportedError, match=r"pay cannot do payments\.find_charge"):
        connector.payments.find_charge(idempotency_key="k1")


@pytest.mark.parametrize("amount", [Money(0, "EUR"), Money(-1, "EUR"), 12.5])
def test_amounts_are_money_above_nothing(connector: Connector, amount: Any) -> None:
    """A float, zero or less is refused before anything is sent."""
    with fake(connector) as vendors:
        for act in (
            lambda: connector.payments.charge(amount, "pm_1"),
            lambda: connector.payments.refund("x1", amount),
            lambda: connector.payments.capture_authorization("a1", amount),
            lambda: connector.payments.create_payment_intent(amount),
        ):
            with pytest.raises(InvalidRequestError):
                act()
        assert vendors.sent() == []


def test_a_charge_needs_a_source(connector: Connector) -> None:
    """A charge without a source is refused."""
    with pytest.raises(InvalidRequestError, match="source"):
        connector.payments.charge(EUR, "")


def test_via_names_another_service(connector: Connector) -> None:
    """via() binds one service; one without a fitting adapter says so, one that is not there too."""
    with pytest.raises(ConfigurationError, match=r"'plain' has no adapter.*services\.plain\.adapter"):
        connector.payments.via("plain").get_charge("x")
    with pytest.raises(ConfigurationError, match="'pay'"):
        connector.payments.via("payy")
    with pytest.raises(ConfigurationError, match="speaks payments"):
        connector.email.via("pay").send_transactional_email("a@example.com", "s", "b", sender="b@example.com")


def test_a_domain_without_a_service_says_what_to_write(connector: Connector) -> None:
    """Using a domain that no service serves names the line that is missing."""
    with pytest.raises(ConfigurationError, match='email = "SERVICE"'):
        connector.email.validate_address("ada@example.com")


def test_a_tenant_may_have_another_vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    """[domains.payments] tenants sends single tenants elsewhere, per call."""
    monkeypatch.setattr("nexus_connector.adapter._import", lambda name: PayServiceAdapter)
    config = _config(tenants={"acme": "other"})
    config["services"]["other"] = {"adapter": f"{__name__}:PayServiceAdapter"}  # type: ignore[index]  # made above
    with Connector.from_config(config) as connector, fake(connector) as vendors:
        vendors.answer("payments", {"id": "x1"})
        services = [
            connector.payments.get_charge("x1", tenant_id=tenant).call.service for tenant in (None, "acme", "umbrella")
        ]
    assert services == ["pay", "other", "pay"]


def test_an_unknown_keyword_is_a_type_error(connector: Connector) -> None:
    """A misspelt keyword is an error that names the nearest one, not an option that does nothing."""
    with pytest.raises(TypeError, match="'idempotency_key'"):
        connector.payments.get_charge("x1", idempotency_kye="k")  # type: ignore[call-arg]  # that is what is tried


WRONG_MESSAGES: dict[str, dict[str, Any]] = {
    "no recipient": {"recipient": []},
    "no address": {"recipient": "ada"},
    "empty address": {"recipient": ""},
    "line break in an address": {"recipient": "ada@example.com\r\nBcc: eve@evil.example"},
    "space in an address": {"recipient": "a da@example.com"},
    "two in one": {"recipient": "ada@example.com,eve@example.com"},
    "bad cc": {"cc": ["nobody"]},
    "bad bcc": {"bcc": ["nobody@"]},
    "bad reply_to": {"reply_to": "nobody"},
    "no sender": {"sender": None},
    "bad sender": {"sender": "nobody"},
    "no body": {"body": ""},
    "line break in the subject": {"subject": "Hi\nBcc: eve@evil.example"},
    "path as a file name": {"attachments": [Attachment(name="../a", content=b"")]},
    "line break in a file name": {"attachments": [Attachment(name="a\r\nb", content=b"")]},
}
GOOD_MESSAGE = {"recipient": "Ada <ada@example.com>", "subject": "Hi", "body": "<p>Hi</p>", "sender": "me@example.com"}


@pytest.mark.parametrize("case", WRONG_MESSAGES)
def test_a_message_that_cannot_be_sent_is_refused(case: str) -> None:
    """Bad addresses, missing parts and line breaks are refused before anything is sent."""
    EmailMessage(**GOOD_MESSAGE).check()
    with pytest.raises(InvalidRequestError):
        EmailMessage(**{**GOOD_MESSAGE, **WRONG_MESSAGES[case]}).check()


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("ada@example.com", (None, "ada@example.com")),
        ("Ada Lovelace <ada@example.com>", ("Ada Lovelace", "ada@example.com")),
        ('"Lovelace, Ada" <ada@example.com>', ("Lovelace, Ada", "ada@example.com")),
        ("<ada@example.com>", (None, "ada@example.com")),
    ],
)
def test_addresses_are_split(address: str, parts: tuple[str | None, str]) -> None:
    """A name beside an address is found; the address alone is what is checked."""
    assert split_address(address) == parts
    assert check_address(address, "recipient") == "ada@example.com"


def test_a_period_is_aware_and_forwards() -> None:
    """Naive times and periods that end before they start are refused."""
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    assert Period(start=start, end=end).check().start == start
    with pytest.raises(InvalidRequestError, match="before it starts"):
        Period(start=end, end=start).check()
    with pytest.raises(InvalidRequestError, match="aware"):
        Period(start=start.replace(tzinfo=None), end=end).check()


def test_values_are_plain_and_survive_copying() -> None:
    """Request values are frozen attrs classes of plain data, equal by content."""
    receipt_fields = {field.name for field in attrs.fields(EmailReceipt)}
    assert receipt_fields == {"message_id", "status", "call"}
    assert EmailMessage(**GOOD_MESSAGE) == EmailMessage(**GOOD_MESSAGE)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        EmailMessage(**GOOD_MESSAGE).subject = "x"  # type: ignore[misc]  # that is what is tried
