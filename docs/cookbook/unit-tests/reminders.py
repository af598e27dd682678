"""Reminds customers of invoices that are overdue."""

import attrs

from nexus_connector import Connector
from nexus_connector.errors import ConnectorError, OutcomeUnknownError


@attrs.frozen
class Invoice:
    """An invoice, as the CRM tells it."""

    number: str
    customer: str
    days_overdue: int


@attrs.define
class Report:
    """What became of the reminders, by invoice number."""

    sent: list[str] = attrs.field(factory=list[str])
    failed: list[str] = attrs.field(factory=list[str])
    look_up: list[str] = attrs.field(factory=list[str])
    """May have been sent: somebody has to look."""


def remind(connector: Connector, *, after_days: int = 14) -> Report:
    """Remind of every invoice that is overdue for longer."""
    report = Report()
    for invoice in connector.service("crm").paginate(
        "/invoices", query={"state": "open"}, into=Invoice
    ):
        if invoice.days_overdue <= after_days:
            continue
        try:
            connector.email.send_transactional_email(
                invoice.customer,
                f"Reminder: invoice {invoice.number}",
                text="Did you forget it?",
            )
        except OutcomeUnknownError:
            report.look_up.append(invoice.number)
        except ConnectorError:
            report.failed.append(invoice.number)
        else:
            report.sent.append(invoice.number)
    return report
