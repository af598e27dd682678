"""The email contract: its values, and what an email adapter implements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Protocol

import attrs

from ..errors import InvalidRequestError
from ..message import CallInfo
from ..operation import Bulk, CallOptions, Operation

Recipients = str | Sequence[str]


@attrs.frozen(kw_only=True)
class Attachment:
    """A file that goes with a message.

    Attributes:
        name: File name the recipient sees.
        content: Its bytes.
        content_type: Its media type.

    >>> Attachment(name="invoice.pdf", content=b"%PDF", content_type="application/pdf").name
    'invoice.pdf'
    """

    name: str
    content: bytes
    content_type: str = "application/octet-stream"


@attrs.frozen(kw_only=True)
class EmailMessage:
    """One message.

    Attributes:
        recipient: One address or several, as ``ada@example.com`` or ``Ada <ada@example.com>``.
        subject: Subject line.
        body: HTML body.
        text: Plain text body; a message needs at least one of the two.
        sender: Sender's address; default: ``[domains.email] sender``.
        reply_to: Address for answers.
        cc: Addresses that get a copy.
        bcc: Addresses that get one unseen.
        attachments: Files.
        tags: Labels for the vendor's statistics.
        metadata: Values kept with the message at the vendor.

    >>> EmailMessage(recipient="ada@example.com", subject="Hello", text="Hello Ada").recipients
    ('ada@example.com',)
    """

    recipient: Recipients = ""
    subject: str = ""
    body: str = ""
    text: str = ""
    sender: str | None = None
    reply_to: str | None = None
    cc: Sequence[str] = ()
    bcc: Sequence[str] = ()
    attachments: Sequence[Attachment] = ()
    tags: Sequence[str] = ()
    metadata: Mapping[str, str] = attrs.field(factory=dict[str, str])

    @property
    def recipients(self) -> tuple[str, ...]:
        """The recipients, one or several."""
        return (self.recipient,) if isinstance(self.recipient, str) else tuple(self.recipient)

    def check(self) -> EmailMessage:
        """Return the message if it can be sent.

        Raises:
            InvalidRequestError: If an address, the sender, the subject or the body is missing or malformed.
        """
        for name in ("recipients", "cc", "bcc"):
            for address in getattr(self, name):
                check_address(address, name)
        if not self.recipients:
            raise InvalidRequestError("A message needs at least one recipient.", hint="Nothing was sent.")
        if self.sender is None:
            raise InvalidRequestError(
                "A message needs a sender.", hint="Pass sender=, or configure domains.email.sender."
            )
        check_address(self.sender, "sender")
        if self.reply_to is not None:
            check_address(self.reply_to, "reply_to")
        if not self.body and not self.text:
            raise InvalidRequestError("A message needs a body or a text.", hint="Nothing was sent.")
        if "\r" in self.subject or "\n" in self.subject:
            raise InvalidRequestError("The subject of a message holds a line break.", hint="Nothing was sent.")
        for attachment in self.attachments:
            if PurePath(attachment.name).name != attachment.name or any(sign in attachment.name for sign in "\r\n\0"):
                raise InvalidRequestError("The name of an attachment is no plain file name.", hint="Nothing was sent.")
        return self


def split_address(address: str) -> tuple[str | None, str]:
    """Split ``Ada <ada@example.com>`` into name and address.

    >>> split_address("Ada Lovelace <ada@example.com>")
    ('Ada Lovelace', 'ada@example.com')
    >>> split_address("ada@example.com")
    (None, 'ada@example.com')
    """
    name, bracket, rest = address.rpartition("<")
    if not bracket:
        return None, address.strip()
    return name.strip().strip('"') or None, rest.strip().removesuffix(">").strip()


def check_address(address: str, what: str) -> str:
    """Return an address that looks like one; whether it takes mail only its server knows.

    Raises:
        InvalidRequestError: If it holds a line break, or it is not ``local@domain`` (RFC 5322 section 3.4.1).
    """
    plain = split_address(address)[1] if isinstance(address, str) else ""
    local, at, domain = plain.rpartition("@")
    broken = any(sign in address for sign in "\r\n\0") if isinstance(address, str) else True
    if (
        broken
        or not at
        or not local
        or not domain
        or any(sign.isspace() or sign in "<>,;" for sign in plain)
        or ".." in domain
    ):
        raise InvalidRequestError(
            f"An address in {what} is no email address.",
            hint="Write ada@example.com or Ada <ada@example.com>; nothing was sent.",
        )
    return plain


@attrs.frozen(kw_only=True)
class EmailReceipt:
    """The vendor has taken a message.

    Attributes:
        message_id: The vendor's id of the message.
        status: What the vendor says of it, as ``queued`` or ``sent``.
        call: What is known about the call.
    """

    message_id: str
    status: str
    call: CallInfo


@attrs.frozen(kw_only=True)
class AddressCheck:
    """What the vendor says of an address.

    Attributes:
        valid: Whether it takes mail, as far as the vendor can tell.
        reason: Why not.
        call: What is known about the call.
    """

    valid: bool
    reason: str | None
    call: CallInfo


@attrs.frozen(kw_only=True)
class Period:
    """A span of time, for statistics.

    Attributes:
        start: Its beginning, aware.
        end: Its end, aware; not before the beginning.
    """

    start: datetime
    end: datetime

    def check(self) -> Period:
        """Return the period if it is one.

        Raises:
            InvalidRequestError: If a time is naive, or the end lies before the start.
        """
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise InvalidRequestError("A period needs aware times.", hint="Pass datetime(..., tzinfo=UTC).")
        if self.end < self.start:
            raise InvalidRequestError("A period ends before it starts.", hint="Swap start and end.")
        return self


@attrs.frozen(kw_only=True)
class EmailStatistics:
    """Numbers of messages in a period.

    Attributes:
        sent: Taken by the vendor.
        delivered: Taken by the recipients' servers.
        opened: Opened, as far as that can be told.
        clicked: With a link clicked.
        bounced: Refused by the recipients' servers.
        complained: Marked as spam.
        call: What is known about the call.
    """

    sent: int
    delivered: int
    opened: int
    clicked: int
    bounced: int
    complained: int
    call: CallInfo


class EmailAdapter(Protocol):
    """What an email adapter implements. It leaves out what its vendor cannot do: that becomes a NotSupportedError."""

    def send_transactional_email(self, request: EmailMessage, options: CallOptions, /) -> Operation[EmailReceipt]:
        """Send one message."""
        ...

    def send_bulk_email(self, request: Sequence[EmailMessage], options: CallOptions, /) -> Bulk[EmailReceipt]:
        """Send many messages, in chunks of the vendor's own size."""
        ...

    def validate_address(self, request: str, options: CallOptions, /) -> Operation[AddressCheck]:
        """Ask whether an address takes mail."""
        ...

    def get_statistics(self, request: Period, options: CallOptions, /) -> Operation[EmailStatistics]:
        """Count messages of a period."""
        ...
