"""Messages in SendGrid's words: the body of ``POST /v3/mail/send``.

Source: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, cast

from nexus_connector.contracts.email import Attachment, EmailMessage, split_address
from nexus_connector.errors import InvalidRequestError
from nexus_connector.payload import REFERENCE_FIELD, merge

from ._options import SendGridOptions

_OF_THE_MESSAGE = ("to", "cc", "bcc", "from", "subject")


def message_payload(message: EmailMessage, reference: str | None) -> dict[str, Any]:
    """Return a message as SendGrid takes it: one personalization, so that all recipients get the same message.

    Args:
        message: The message.
        reference: Kept with the message, if there is one.
    """
    recipients = {"to": message.recipients, "cc": message.cc, "bcc": message.bcc}
    contents = {"text/plain": message.text, "text/html": message.body}  # SendGrid wants them in this order
    fields: dict[str, Any] = {
        "personalizations": [{name: [_person(each) for each in some] for name, some in recipients.items() if some}],
        "from": _person(message.sender or ""),
        "reply_to": _person(message.reply_to) if message.reply_to else None,
        "subject": message.subject,
        "content": [{"type": kind, "value": value} for kind, value in contents.items() if value],
        "attachments": [_attachment(each) for each in message.attachments],
        "categories": list(message.tags),
        "custom_args": {**message.metadata, **({} if reference is None else {REFERENCE_FIELD: reference})},
    }
    return {name: value for name, value in fields.items() if value}


def settings_payload(options: SendGridOptions) -> dict[str, Any]:
    """Return the fields that the settings of the service stand for."""
    fields: dict[str, Any] = {"mail_settings": {"sandbox_mode": {"enable": True}}} if options.sandbox_mode else {}
    tracking = {"open_tracking": options.track_opens, "click_tracking": options.track_clicks}
    wanted = {name: {"enable": value} for name, value in tracking.items() if value is not None}
    return {**fields, "tracking_settings": wanted} if wanted else fields


def with_extra(payload: Mapping[str, Any], extra: Mapping[str, object]) -> dict[str, Any]:
    """Return a message with the caller's extra fields; the one personalization takes those of its own.

    Raises:
        InvalidRequestError: If the extra fields would change what the message says, or who gets it.
    """
    rest = dict(extra)
    own = rest.pop("personalizations", None)
    if own is None:
        return merge(payload, rest)
    envelope = cast("list[object]", own)[0] if isinstance(own, list) and len(cast("list[object]", own)) == 1 else None
    if not isinstance(envelope, Mapping) or any(name in envelope for name in _OF_THE_MESSAGE):
        message = "The extra field personalizations is not one object without recipients, sender and subject."
        raise InvalidRequestError(message, hint="Pass those as arguments; nothing was sent.")
    merged = merge(payload["personalizations"][0], cast("Mapping[str, object]", envelope), "personalizations.0.")
    return merge({**payload, "personalizations": [merged]}, rest)


def _person(address: str) -> dict[str, str]:
    name, plain = split_address(address)
    return {"email": plain} if name is None else {"email": plain, "name": name}


def _attachment(attachment: Attachment) -> dict[str, str]:
    return {
        "content": b64encode(attachment.content).decode("ascii"),
        "filename": attachment.name,
        "type": attachment.content_type,
        "disposition": "attachment",
    }
