"""The adapter: Postmark's API as an email service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta, timezone
from functools import partial
from typing import ClassVar

from nexus_connector import (
    Bulk,
    CallOptions,
    EmailMessage,
    EmailReceipt,
    EmailStatistics,
    Operation,
    ServiceAdapter,
    Vendor,
)
from nexus_connector.contracts.email import Period
from nexus_connector.message import build_request
from nexus_connector.payload import merge

from ._answers import CLASSIFICATION, outcomes, receipt, statistics
from ._options import PostmarkOptions
from ._payload import message_payload, settings_payload, with_extra

BATCH_SIZE = 500
"""Messages that ``POST /email/batch`` takes; beside it a batch may have 50 MB."""
_ACCEPT: Mapping[str, str] = {"Accept": "application/json"}  # Postmark requires it
_EASTERN = timezone(timedelta(hours=-5), "EST")


class PostmarkServiceAdapter(ServiceAdapter):
    """Sends email through Postmark. It takes no idempotency keys: a message is sent again only if nothing happened.

    Postmark does not check addresses, so there is no ``validate_address``.

    >>> PostmarkServiceAdapter(PostmarkOptions()).vendor.base_url
    ('https://api.postmarkapp.com',)
    """

    vendor: ClassVar[Vendor] = Vendor(
        name="postmark",
        domain="email",
        base_url=("https://api.postmarkapp.com",),
        credentials={
            "method": "api_key",
            "header": "X-Postmark-Server-Token",
            "key": {"env": "POSTMARK_SERVER_TOKEN"},
        },
        documentation="https://postmarkapp.com/developer/api/email-api",
    )
    options_class: ClassVar[type] = PostmarkOptions
    options: PostmarkOptions

    def send_transactional_email(self, request: EmailMessage, options: CallOptions, /) -> Operation[EmailReceipt]:
        """Send one message: ``POST /email``."""
        return Operation(
            name="email.send_transactional_email",
            request=build_request("POST", "/email", headers=_ACCEPT, json=self._payload(request, options)),
            parse=receipt,
            classification=CLASSIFICATION,
            value=request,
        )

    def send_bulk_email(self, request: Sequence[EmailMessage], options: CallOptions, /) -> Bulk[EmailReceipt]:
        """Send many messages, 500 a request: ``POST /email/batch``."""
        name = "email.send_bulk_email"
        parts = [request[start : start + BATCH_SIZE] for start in range(0, len(request), BATCH_SIZE)]
        chunks = [
            Operation(
                name=name,
                request=build_request(
                    "POST", "/email/batch", headers=_ACCEPT, json=[self._payload(each, options) for each in part]
                ),
                parse=partial(outcomes, count=len(part)),
                classification=CLASSIFICATION,
                value=part,
            )
            for part in parts
        ]
        return Bulk(name=name, chunks=chunks, sizes=[len(part) for part in parts], value=request)

    def get_statistics(self, request: Period, options: CallOptions, /) -> Operation[EmailStatistics]:
        """Count messages by days: ``GET /stats/outbound``. Days are those of Eastern Standard Time, UTC-5.

        Source: https://postmarkapp.com/developer/api/stats-api
        """
        first, last = _days(request)
        days = {"fromdate": first.isoformat(), "todate": last.isoformat()}
        query = merge(days, options.extra_for(self.vendor.name))
        return Operation(
            name="email.get_statistics",
            request=build_request("GET", "/stats/outbound", query=query, headers=_ACCEPT),
            parse=statistics,
            classification=CLASSIFICATION,
            value=request,
        )

    def _payload(self, message: EmailMessage, options: CallOptions) -> dict[str, object]:
        payload = with_extra(message_payload(message, options.reference), options.extra_for(self.vendor.name))
        return merge(payload, settings_payload(self.options), keep=True)


def _days(period: Period) -> tuple[date, date]:
    """Return the first and last day of a period; one that ends at midnight has no part in the day that begins then."""
    last = period.end - timedelta(microseconds=1) if period.end > period.start else period.end
    return period.start.astimezone(_EASTERN).date(), last.astimezone(_EASTERN).date()
