"""The adapter: SendGrid's Web API v3 as an email service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import ClassVar

from nexus_connector import (
    AddressCheck,
    Bulk,
    CallOptions,
    EmailMessage,
    EmailReceipt,
    EmailStatistics,
    LimitHeaders,
    Operation,
    Request,
    ServiceAdapter,
    Vendor,
)
from nexus_connector.contracts.email import Period
from nexus_connector.message import build_request
from nexus_connector.payload import merge

from ._answers import CLASSIFICATION, address_check, outcomes, receipt, statistics
from ._options import SendGridOptions
from ._payload import message_payload, settings_payload, with_extra

_ACCEPT: Mapping[str, str] = {"Accept": "application/json"}  # without it SendGrid answers 406


class SendGridServiceAdapter(ServiceAdapter):
    """Sends email through SendGrid. It takes no idempotency keys: a message is sent again only if nothing happened.

    >>> SendGridServiceAdapter(SendGridOptions()).vendor.base_url
    ('https://api.sendgrid.com',)
    """

    vendor: ClassVar[Vendor] = Vendor(
        name="sendgrid",
        domain="email",
        base_url=("https://api.sendgrid.com",),
        credentials={"method": "bearer", "token": {"env": "SENDGRID_API_KEY"}},
        request_id_header="X-Message-Id",
        limit_headers=LimitHeaders(form="epoch"),
        documentation="https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send",
    )
    options_class: ClassVar[type] = SendGridOptions
    options: SendGridOptions

    def send_transactional_email(self, request: EmailMessage, options: CallOptions, /) -> Operation[EmailReceipt]:
        """Send one message: ``POST /v3/mail/send``."""
        return Operation(
            name="email.send_transactional_email",
            request=self._send(request, options),
            parse=receipt,
            classification=CLASSIFICATION,
            value=request,
        )

    def send_bulk_email(self, request: Sequence[EmailMessage], options: CallOptions, /) -> Bulk[EmailReceipt]:
        """Send many messages, a request each: SendGrid groups recipients of one message, not messages."""
        name = "email.send_bulk_email"
        chunks = [
            Operation(
                name=name, request=self._send(each, options), parse=outcomes, classification=CLASSIFICATION, value=each
            )
            for each in request
        ]
        return Bulk(name=name, chunks=chunks, sizes=[1] * len(chunks), value=request)

    def validate_address(self, request: str, options: CallOptions, /) -> Operation[AddressCheck]:
        """Ask whether an address takes mail: ``POST /v3/validations/email``. SendGrid wants a key of its own for it.

        Source: https://www.twilio.com/docs/sendgrid/api-reference/e-mail-address-validation/validate-an-email
        """
        body = merge({"email": request}, options.extra_for(self.vendor.name))
        return Operation(
            name="email.validate_address",
            request=build_request("POST", "/v3/validations/email", headers=_ACCEPT, json=body),
            parse=address_check,
            safety="safe",
            classification=CLASSIFICATION,
            value=request,
        )

    def get_statistics(self, request: Period, options: CallOptions, /) -> Operation[EmailStatistics]:
        """Count messages by days: ``GET /v3/stats``. Days are those of the account's time zone.

        Source: https://www.twilio.com/docs/sendgrid/api-reference/stats/retrieve-global-email-statistics
        """
        first, last = _days(request)
        days = {"start_date": first.isoformat(), "end_date": last.isoformat()}
        query = merge(days, options.extra_for(self.vendor.name))
        return Operation(
            name="email.get_statistics",
            request=build_request("GET", "/v3/stats", query=query, headers=_ACCEPT),
            parse=statistics,
            classification=CLASSIFICATION,
            value=request,
        )

    def _send(self, message: EmailMessage, options: CallOptions) -> Request:
        payload = with_extra(message_payload(message, options.reference), options.extra_for(self.vendor.name))
        body = merge(payload, settings_payload(self.options), keep=True)
        return build_request("POST", "/v3/mail/send", headers=_ACCEPT, json=body)


def _days(period: Period) -> tuple[date, date]:
    """Return the first and last day of a period; one that ends at midnight has no part in the day that begins then."""
    last = period.end - timedelta(microseconds=1) if period.end > period.start else period.end
    return period.start.date(), last.date()
