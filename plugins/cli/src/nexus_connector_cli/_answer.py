"""Answers: what ``nexus call`` shows of a response or a result, without the secrets that the call itself used."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import quote

import attrs

from nexus_connector import CallInfo, Response
from nexus_connector.errors import ConnectorError
from nexus_connector.redaction import Redactor, mask

_SHOWN: Final = (
    "content-type", "location", "retry-after", "link", "etag", "ratelimit", "x-ratelimit"
)  # fmt: skip
_SHORTEST_SECRET: Final = 6
"""A shorter one would be found everywhere."""


def hide(text: str, secrets: Iterable[str]) -> str:
    """Mask secrets by their value alone: what a user asked a vendor for is shown as it is.

    >>> hide('{"token_type": "mac", "you_sent": "hunter22"}', ["hunter22"])
    '{"token_type": "mac", "you_sent": "****"}'
    """
    forms: dict[str, str] = {}
    for secret in secrets:
        raw = secret.encode("utf-8", "surrogatepass")
        encoded = base64.b64encode(raw).decode()
        written = (secret, json.dumps(secret)[1:-1], quote(raw, safe=""), encoded, encoded.rstrip("="))
        forms |= {form: mask(secret) for form in written if len(secret) >= _SHORTEST_SECRET}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, forms[form])
    return text


def body_text(response: Response, secrets: Iterable[str]) -> str:
    """Return the body of a response for people: JSON indented, bytes that are no text by their size."""
    try:
        text = response.body.decode("utf-8")
    except UnicodeDecodeError:
        kind = response.headers.get("content-type") or "no content type"
        return f"<{len(response.body)} bytes of {kind}>"
    with suppress(ValueError, RecursionError):
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return hide(text, secrets)


def body_data(response: Response, secrets: Iterable[str]) -> object:
    """Return the body of a response as a JSON value."""
    text = body_text(response, secrets)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text or None


def status_line(response: Response) -> str:
    """Return status and its usual phrase.

    >>> status_line(Response(status=404)), status_line(Response(status=299))
    ('404 Not Found', '299')
    """
    phrase = next((each.phrase for each in HTTPStatus if each.value == response.status), "")
    return f"{response.status} {phrase}".strip()


def shown_headers(response: Response, redactor: Redactor) -> dict[str, str]:
    """Return the headers that matter to a person, redacted."""
    fields = redactor.headers(response.headers)
    return {name: value for name, value in fields.items() if name.lower().startswith(_SHOWN)}


def fields_of(result: Any) -> dict[str, Any]:
    """Return the fields of a domain's result, without what it says about the call."""
    kind = cast("type[Any]", type(result))
    if not attrs.has(kind):
        return {"result": _plain(result)}
    fields = {field.name: getattr(result, field.name) for field in attrs.fields(kind)}
    return {name: _plain(value) for name, value in fields.items() if not isinstance(value, CallInfo)}


def _plain(value: Any) -> Any:
    if attrs.has(cast("type[Any]", type(value))):
        return fields_of(value)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in cast("Sequence[object]", value)]
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in cast("Mapping[object, object]", value).items()}
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def error_data(error: ConnectorError) -> dict[str, Any]:
    """Return what an error says, as plain JSON values."""
    return {
        "error": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "service": error.service,
        "operation": error.operation,
        "call_id": error.call_id,
        "attempts": error.attempts,
        "outcome": error.outcome.value,
        "retry_safe": error.retry_safe,
        "retry_after": error.retry_after,
        "status": error.response.status if error.response is not None else None,
    }
