"""The email facades: ``connector.email`` on both faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Unpack

import attrs

from ..operation import BulkResult
from .email import (
    AddressCheck,
    Attachment,
    EmailMessage,
    EmailReceipt,
    EmailStatistics,
    Period,
    Recipients,
    check_address,
)
from .facade import CallKeywords, Facade, call_options


class MessageKeywords(CallKeywords, total=False):
    """What a message takes beside recipient, subject and body.

    Attributes:
        text: Plain text body.
        sender: Sender's address; default: ``[domains.email] sender``.
        reply_to: Address for answers.
        cc: Addresses that get a copy.
        bcc: Addresses that get one unseen.
        attachments: Files.
        tags: Labels for the vendor's statistics.
        metadata: Values kept with the message at the vendor.
    """

    text: str
    sender: str | None
    reply_to: str | None
    cc: Sequence[str]
    bcc: Sequence[str]
    attachments: Sequence[Attachment]
    tags: Sequence[str]
    metadata: Mapping[str, str]


_MESSAGE_FIELDS = frozenset(field.name for field in attrs.fields(EmailMessage))


class _EmailFacade(Facade):
    domain: ClassVar[str] = "email"

    def _send(self, recipient: Recipients, subject: str, body: str, options: Mapping[str, Any]) -> Any:
        fields = {name: value for name, value in options.items() if name in _MESSAGE_FIELDS}
        message = self._message(EmailMessage(recipient=recipient, subject=subject, body=body, **fields))
        return self._run("send_transactional_email", message, call_options(options, beside=_MESSAGE_FIELDS))

    def _send_bulk(self, messages: Sequence[EmailMessage], options: Mapping[str, Any]) -> Any:
        return self._run("send_bulk_email", [self._message(each) for each in messages], call_options(options))

    def _validate(self, address: str, options: Mapping[str, Any]) -> Any:
        return self._run("validate_address", check_address(address, "address"), call_options(options))

    def _count(self, start: datetime, end: datetime, options: Mapping[str, Any]) -> Any:
        return self._run("get_statistics", Period(start=start, end=end).check(), call_options(options))

    def _message(self, message: EmailMessage) -> EmailMessage:
        if message.sender is None:
            config = self._connector.runtime.config.domains.get(self.domain)
            message = attrs.evolve(message, sender=config.sender if config is not None else None)
        return message.check()


class EmailFacade(_EmailFacade):
    """``connector.email``."""

    def send_transactional_email(
        self, recipient: Recipients, subject: str, body: str = "", **options: Unpack[MessageKeywords]
    ) -> EmailReceipt:
        """Send one message.

        Args:
            recipient: One address or several, as ``ada@example.com`` or ``Ada <ada@example.com>``.
            subject: Subject line.
            body: HTML body.
            options: See `MessageKeywords` and `CallKeywords`.

        Raises:
            ConnectorError: Whatever went wrong.
        """
        return self._send(recipient, subject, body, options)  # type: ignore[no-any-return]  # the adapter's parser makes it

    def send_bulk_email(
        self, messages: Sequence[EmailMessage], **options: Unpack[CallKeywords]
    ) -> BulkResult[EmailReceipt]:
        """Send many messages, in chunks of the vendor's own size; one outcome per message, in order.

        Args:
            messages: The messages; all are checked before any is sent.
            options: See `CallKeywords`; chunk *i* has the idempotency key ``KEY/i``.

        Raises:
            InvalidRequestError: If a message cannot be sent; then none was.
        """
        return self._send_bulk(messages, options)  # type: ignore[no-any-return]  # the adapter's parser makes it

    def validate_address(self, address: str, **options: Unpack[CallKeywords]) -> AddressCheck:
        """Ask the vendor whether an address takes mail.

        Args:
            address: The address.
            options: See `CallKeywords`.

        Raises:
            NotSupportedError: If this vendor does not tell.
        """
        return self._validate(address, options)  # type: ignore[no-any-return]  # the adapter's parser makes it

    def get_statistics(self, start: datetime, end: datetime, **options: Unpack[CallKeywords]) -> EmailStatistics:
        """Count the messages of a period.

        Args:
            start: Its beginning, aware.
            end: Its end, aware.
            options: See `CallKeywords`.

        Raises:
            NotSupportedError: If this vendor does not tell.
        """
        return self._count(start, end, options)  # type: ignore[no-any-return]  # the adapter's parser makes it


class AsyncEmailFacade(_EmailFacade):
    """``connector.email`` of the async face."""

    async def send_transactional_email(
        self, recipient: Recipients, subject: str, body: str = "", **options: Unpack[MessageKeywords]
    ) -> EmailReceipt:
        """Send one message.

        Args:
            recipient: One address or several, as ``ada@example.com`` or ``Ada <ada@example.com>``.
            subject: Subject line.
            body: HTML body.
            options: See `MessageKeywords` and `CallKeywords`.

        Raises:
            ConnectorError: Whatever went wrong.
        """
        return await self._send(recipient, subject, body, options)  # type: ignore[no-any-return]  # the adapter's parser makes it

    async def send_bulk_email(
        self, messages: Sequence[EmailMessage], **options: Unpack[CallKeywords]
    ) -> BulkResult[EmailReceipt]:
        """Send many messages, in chunks of the vendor's own size; one outcome per message, in order.

        Args:
            messages: The messages; all are checked before any is sent.
            options: See `CallKeywords`; chunk *i* has the idempotency key ``KEY/i``.

        Raises:
            InvalidRequestError: If a message cannot be sent; then none was.
        """
        return await self._send_bulk(messages, options)  # type: ignore[no-any-return]  # the adapter's parser makes it

    async def validate_address(self, address: str, **options: Unpack[CallKeywords]) -> AddressCheck:
        """Ask the vendor whether an address takes mail.

        Args:
            address: The address.
            options: See `CallKeywords`.

        Raises:
            NotSupportedError: If this vendor does not tell.
        """
        return await self._validate(address, options)  # type: ignore[no-any-return]  # the adapter's parser makes it

    async def get_statistics(self, start: datetime, end: datetime, **options: Unpack[CallKeywords]) -> EmailStatistics:
        """Count the messages of a period.

        Args:
            start: Its beginning, aware.
            end: Its end, aware.
            options: See `CallKeywords`.

        Raises:
            NotSupportedError: If this vendor does not tell.
        """
        return await self._count(start, end, options)  # type: ignore[no-any-return]  # the adapter's parser makes it
