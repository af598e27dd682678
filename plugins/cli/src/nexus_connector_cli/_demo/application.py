"""The application of the demo: what a user of the connector writes. ``nexus demo`` shows this code and runs it."""

from __future__ import annotations

from collections.abc import Callable

from nexus_connector import (
    AttemptFinished,
    Call,
    CallSucceeded,
    CircuitChanged,
    Connector,
    EmailReceipt,
    RateLimited,
    Request,
    Response,
    RetryScheduled,
    hookimpl,
)

from .watch import Watch

RECIPIENT = "ada@example.com"
SUBJECT = "Your invoice 1001"
BODY = "<p>Dear Ada, thank you.</p>"


def send_invoice(connector: Connector) -> EmailReceipt:
    """Send an email: no vendor here, and no word about failure."""
    send = connector.email.send_transactional_email
    return send(RECIPIENT, SUBJECT, BODY)


class MarkSubject:
    """Changes the request of every call, whoever the vendor is."""

    @hookimpl
    def before_request(self, call: Call, request: Request) -> Request:
        """Put a mark before the subject."""
        body = request.json()
        key = "subject" if "subject" in body else "Subject"
        return request.with_json({**body, key: f"[demo] {body[key]}"})


def listen(connector: Connector, watch: Watch) -> None:
    """Hear of every step, off the call's path; this fills the display."""
    connector.on(AttemptFinished)(watch.attempted)
    connector.on(RateLimited)(watch.limited)
    connector.on(RetryScheduled)(watch.waits)
    connector.on(CallSucceeded)(watch.succeeded)


def read_orders(connector: Connector) -> Response:
    """Read from an internal API: no vendor adapter, and no word about failure."""
    return connector.service("crm").get("/orders")


def page_on_call(connector: Connector, page: Callable[[str], None]) -> None:
    """Page somebody when the circuit of crm opens."""

    @connector.on(CircuitChanged, service="crm")
    def changed(event: CircuitChanged) -> None:
        if event.new == "open":
            page(f"{event.service} is down: {event.reason}")
