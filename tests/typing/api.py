"""A user's work against the public surface, never run, only checked; each mistake at the end must be caught."""
# pyright: reportUnnecessaryTypeIgnoreComment=error

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import attrs

from nexus_connector import (
    AlertRaised,
    AsyncConnector,
    Call,
    CircuitChanged,
    Connector,
    EmailMessage,
    Endpoint,
    Money,
    Request,
    hookimpl,
)
from nexus_connector.errors import ConnectorError, OutcomeUnknownError, PaymentDeclinedError
from nexus_connector.testing import fake


@attrs.frozen
class Order:
    id: str


connector = Connector.from_file()  # NEXUS_CONFIG, else ./connector.toml; opens nothing yet

# 1, 2: email with the configured sender; a second vendor of one domain; a refund through the vendor that charged
receipt = connector.email.send_transactional_email(
    "ada@example.com", "Invoice 1001", "<p>...</p>", extra={"sendgrid": {"asm": {"group_id": 42}}}
)
charge = connector.payments.via("paypal").charge(Money("12.50", "EUR"), "pp_1", idempotency_key="order-1001")
connector.payments.via(charge.call.service).refund(charge.id)

# 3: typed endpoints, once; low-cardinality names; pages; 404 as a value
ORDER = Endpoint.get("/orders/{order_id}", into=Order)
SEARCH = Endpoint.post("/orders/search", into=list[Order], safety="safe", timeout_seconds=5)
order: Order = connector.execute("erp", ORDER, path_values={"order_id": "42"})
hits: list[Order] = connector.execute("erp", SEARCH, {"text": "bolt"})
for each in connector.service("erp").paginate("/orders", query={"since": "2026-11-01"}, into=Order):
    print(each.id)
maybe = connector.service("erp").get("/orders/{id}", path_values={"id": "43"}, allow_status=(404,))
found = None if maybe.status == 404 else maybe.into(Order)
lengths: int = connector.service("erp").get("/orders", into=len)  # any callable


async def later() -> None:
    aconnector = AsyncConnector.from_file()
    one: Order = await aconnector.execute("erp", ORDER, path_values={"order_id": "42"})
    async for page_item in aconnector.service("erp").paginate("/orders", into=Order):
        print(page_item.id, one.id)
    async with aconnector.service("partner").stream("/exports/77") as stream:
        async for chunk in stream:
            print(len(chunk))


# 6: a Celery task in which nothing can charge twice
def charge_invoice(retry: object, invoice_id: int) -> str:
    try:
        return connector.payments.charge(Money("12.50", "EUR"), "pm_1", idempotency_key=f"invoice-{invoice_id}").id
    except PaymentDeclinedError as error:
        return f"declined {error.code}"
    except OutcomeUnknownError:
        known = connector.payments.find_charge(idempotency_key=f"invoice-{invoice_id}")
        return known.id if known else "unknown"
    except ConnectorError as error:
        if error.retry_safe:
            raise RuntimeError(f"celery retry in {error.retry_after or 60}") from error
        raise


# 7: hooks say where they apply
class SignWarehouse:
    def __init__(self, key: bytes) -> None:
        self._key = key

    @hookimpl(service="warehouse")
    def before_attempt(self, call: Call, request: Request) -> Request:
        stamp = str(int(call.now.timestamp()))
        return request.with_headers(
            {
                "X-Timestamp": stamp,
                "X-Signature": hmac.new(self._key, stamp.encode() + request.body, hashlib.sha256).hexdigest(),
            }
        )


# 8: the class of the event is its name
@connector.on(CircuitChanged, service="stripe")
def page(event: CircuitChanged) -> None:
    print(event.new, event.reason)


connector.on(AlertRaised)(lambda event: print(event.name, event.recovered))

# 11, and the vendor SDK that stays
connector.service("partner").post("/documents", form={"kind": "invoice"}, files={"file": Path("i.pdf")})
rates: list[int] = connector.run("bank", lambda: [1, 2, 3], operation="GetRates", safety="safe")


# 9
def test_reminder() -> None:
    with fake(connector) as vendors:
        vendors.answer("payments.charge", 503, 503, {"id": "pi_1"})
        charge_invoice(None, 7)
        [sent] = vendors.sent("payments.charge")
        assert (sent.idempotency_key, sent.attempts) == ("invoice-7", 3)
        assert vendors.clock.elapsed_seconds > 0  # waits took virtual time only
        assert [m.value for m in vendors.sent("email")] == [EmailMessage()]


# deliberate mistakes: an ignore that ignores nothing is an error, so each must be caught
connector.on(CircuitChanged)(lambda event: event.colour)  # type: ignore[attr-defined]
wrong: str = connector.execute("erp", ORDER, path_values={"order_id": "42"})  # type: ignore[assignment]
connector.payments.charge(12.5, "pm_1", idempotency_key="k")  # type: ignore[arg-type]
connector.email.send_transactional_email("a@b.c", "s", "b", extra={"asm": 1})  # type: ignore[dict-item]
