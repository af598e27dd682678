"""An adapter: lets Pigeon, the mail relay of this company, serve the domain email."""

from collections.abc import Sequence
from typing import Any, ClassVar

import attrs

from nexus_connector import (
    Bulk,
    CallOptions,
    Classification,
    EmailMessage,
    EmailReceipt,
    ItemOutcome,
    Operation,
    Outcome,
    Response,
    ServiceAdapter,
    Vendor,
    build_request,
    option,
)
from nexus_connector.errors import NotFoundError, NotSupportedError
from nexus_connector.payload import REFERENCE_FIELD, merge

BATCH_SIZE = 50
"""Messages that ``POST /batches`` takes."""


@attrs.frozen(kw_only=True)
class PigeonOptions:
    """``[services.NAME.options]``: what holds for every message of the service."""

    lane: str = option("main", "Lane that sends.")


def code_of(response: Response) -> str:
    """Read Pigeon's own error code."""
    code: str = response.json()["error"]
    return code


CLASSIFICATION = Classification(code=code_of, errors={"no_such_lane": NotFoundError})
"""How Pigeon's answers are read where they say more than HTTP does."""


class PigeonServiceAdapter(ServiceAdapter):
    """Sends email through Pigeon, which honours idempotency keys."""

    vendor: ClassVar[Vendor] = Vendor(
        name="pigeon",
        domain="email",
        base_url=("https://mail.internal.example",),
        credentials={
            "method": "api_key",
            "header": "X-Pigeon-Key",
            "key": {"env": "PIGEON_KEY"},
        },
        idempotency_header="Idempotency-Key",
        request_id_header="X-Pigeon-Request",
        documentation="https://wiki.internal.example/pigeon",
    )
    options_class: ClassVar[type] = PigeonOptions
    options: PigeonOptions

    def send_transactional_email(
        self, request: EmailMessage, options: CallOptions, /
    ) -> Operation[EmailReceipt]:
        """Send one message: ``POST /messages``."""
        payload = self._payload(request, options)
        return Operation(
            name="email.send_transactional_email",
            request=build_request("POST", "/messages", json=payload),
            parse=receipt,
            classification=CLASSIFICATION,
            value=request,
        )

    def send_bulk_email(
        self, request: Sequence[EmailMessage], options: CallOptions, /
    ) -> Bulk[EmailReceipt]:
        """Send many messages, 50 a request: ``POST /batches``."""
        starts = range(0, len(request), BATCH_SIZE)
        parts = [request[start : start + BATCH_SIZE] for start in starts]
        return Bulk(
            name="email.send_bulk_email",
            chunks=[self._batch(part, options) for part in parts],
            sizes=[len(part) for part in parts],
            value=request,
        )

    def _batch(
        self, messages: Sequence[EmailMessage], options: CallOptions
    ) -> Operation[Sequence[ItemOutcome[EmailReceipt]]]:
        payload = [self._payload(each, options) for each in messages]
        return Operation(
            name="email.send_bulk_email",
            request=build_request("POST", "/batches", json=payload),
            parse=outcomes,
            classification=CLASSIFICATION,
            value=messages,
        )

    def _payload(self, message: EmailMessage, options: CallOptions) -> dict[str, Any]:
        if message.attachments:
            hint = "Send a link, or use another vendor."
            raise NotSupportedError("Pigeon carries no attachments.", hint=hint)
        body = {
            "from": message.sender,
            "to": list(message.recipients),
            "subject": message.subject,
            "html": message.body,
            "text": message.text,
            "lane": self.options.lane,
            "metadata": {**message.metadata, REFERENCE_FIELD: options.reference},
        }
        return merge(body, options.extra_for(self.vendor.name))


def receipt(response: Response) -> EmailReceipt:
    """Read the answer to one message."""
    return receipt_of(response.json(), response)


def receipt_of(item: dict[str, str], response: Response) -> EmailReceipt:
    """Read what Pigeon says of a message that it took."""
    message_id, status = item["id"], item["state"]
    return EmailReceipt(message_id=message_id, status=status, call=response.info)


def outcomes(response: Response) -> Sequence[ItemOutcome[EmailReceipt]]:
    """Read the answer to a batch: one outcome per message, in order."""
    return [outcome(each, response) for each in response.json()]


def outcome(item: dict[str, str], response: Response) -> ItemOutcome[EmailReceipt]:
    """Read one item of a batch."""
    if item["state"] == "rejected":
        return ItemOutcome(outcome=Outcome.REFUSED, error=item["reason"])
    return ItemOutcome(outcome=Outcome.DONE, result=receipt_of(item, response))
