"""Messages in Postmark's words: the body of ``POST /email``, and an item of ``POST /email/batch``.

Source: https://postmarkapp.com/developer/api/email-api
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from nexus_connector.contracts.email import Attachment, EmailMessage, split_address
from nexus_connector.errors import NotSupportedError
from nexus_connector.payload import REFERENCE_FIELD, merge

from ._options import PostmarkOptions

_TEMPLATE_FIELDS = ("TemplateId", "TemplateAlias", "TemplateModel")
_PLAIN_NAME = re.compile(r"[\w !#$%&'*+/=?^`{|}~-]+")  # the words of RFC 5322 section 3.2.3, and letters of any script


def message_payload(message: EmailMessage, reference: str | None) -> dict[str, Any]:
    """Return a message as Postmark takes it.

    Args:
        message: The message.
        reference: Kept with the message, if there is one.

    Raises:
        NotSupportedError: If it has several tags: Postmark keeps one.
    """
    if len(message.tags) > 1:
        text = f"postmark keeps one tag with a message, not {len(message.tags)}."
        raise NotSupportedError(text, hint="Keep one, and put the others into metadata; nothing was sent.")
    fields: dict[str, Any] = {
        "From": _mailbox(message.sender or ""),
        "To": _mailboxes(message.recipients),
        "Cc": _mailboxes(message.cc),
        "Bcc": _mailboxes(message.bcc),
        "ReplyTo": _mailbox(message.reply_to or ""),
        "Subject": message.subject,
        "TextBody": message.text,
        "HtmlBody": message.body,
        "Attachments": [_attachment(each) for each in message.attachments],
        "Tag": "".join(message.tags),
        "Metadata": {**message.metadata, **({} if reference is None else {REFERENCE_FIELD: reference})},
    }
    return {name: value for name, value in fields.items() if value}


def settings_payload(options: PostmarkOptions) -> dict[str, Any]:
    """Return the fields that the settings of the service stand for."""
    links = None if options.track_clicks is None else "HtmlAndText" if options.track_clicks else "None"
    fields = {"MessageStream": options.message_stream, "TrackOpens": options.track_opens, "TrackLinks": links}
    return {name: value for name, value in fields.items() if value is not None}


def with_extra(payload: Mapping[str, Any], extra: Mapping[str, object]) -> dict[str, Any]:
    """Return a message with the caller's extra fields.

    Raises:
        InvalidRequestError: If the extra fields would change what the message says, or who gets it.
        NotSupportedError: If they name a template: this endpoint ignores it and would send the message without.
    """
    for name in _TEMPLATE_FIELDS:
        if name in extra:
            text = f"postmark takes {name} at another endpoint."
            hint = "Post it yourself: connector.service(NAME).post('/email/withTemplate', json=...)."
            raise NotSupportedError(text, hint=hint)
    return merge(payload, extra)


def _mailboxes(addresses: Iterable[str]) -> str:
    return ", ".join(_mailbox(each) for each in addresses)


def _mailbox(address: str) -> str:
    """Return an address as a mailbox of RFC 5322: a name with punctuation has to be quoted, or Postmark refuses it."""
    name, plain = split_address(address)
    if name is None:
        return plain
    if not _PLAIN_NAME.fullmatch(name):
        name = '"' + name.replace("\\", r"\\").replace('"', r"\"") + '"'
    return f"{name} <{plain}>"


def _attachment(attachment: Attachment) -> dict[str, str]:
    return {
        "Name": attachment.name,
        "Content": b64encode(attachment.content).decode("ascii"),
        "ContentType": attachment.content_type,
    }
