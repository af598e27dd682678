"""Answers: what of a response is kept under its key, and the response that a repeat gets."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from nexus_connector.headers import Headers
from nexus_connector.message import CallInfo, Response

if TYPE_CHECKING:
    from nexus_connector.call import Call
    from nexus_connector.redaction import Redactor
    from nexus_connector.state import Plain

BY_HAND: Final = "by_hand"
"""Kept where a person said that it was done."""
STREAM: Final = "stream"
"""Kept instead of a body that was handed over unread."""
_ANSWER: Final = "answer"
_LARGE: Final = "large"
_SECRET: Final = "secret"  # noqa: S105  # the name of a kind
_ERROR: Final = "error"

WHY_NOT: Final = {
    BY_HAND: "it was settled by hand, and its answer is not known here",
    STREAM: "its answer was a stream, which is not kept",
    _LARGE: "its answer was larger than max_stored_bytes and was not kept",
    _SECRET: "its answer repeated the credentials of the call and was not kept",
    _ERROR: "a classify hook made an error of its answer, which was not kept",
}
"""Why a call that was done has no answer to replay."""

_NEVER: Final = frozenset({"set-cookie2", "authentication-info", "proxy-authentication-info"})
"""Header fields that prove who somebody is, beside those whose names say so."""
_SHORTEST: Final = 6
"""A shorter secret turns up by chance."""


def kept_of(call: Call, response: Response, *, max_bytes: int) -> Plain:
    """Return what is kept of an answer: all of it, or only why there is none.

    Header fields that hold credentials are left out. A body that repeats the credentials of the call is not kept.

    Args:
        call: The call; its redactor knows its credentials by now.
        response: The answer, before hooks have transformed it.
        max_bytes: Largest body.
    """
    if len(response.body) > max_bytes:
        return [_LARGE]
    secrets = [secret for secret in call.redactor.secrets if len(secret) >= _SHORTEST]
    if any(secret.encode() in response.body for secret in secrets):
        return [_SECRET]
    fields = [list(pair) for pair in _harmless(response.headers, call.redactor, secrets)]
    body = b64encode(response.body).decode()
    return [_ANSWER, response.status, fields, body, response.call.request_id]


def error_kept() -> Plain:
    """Return what is kept of an answer that was done and an error at once."""
    return [_ERROR]


def replayed(call: Call, kept: Plain) -> Response | None:
    """Return the response that was kept, as the answer of this call; ``None``: there is only a reason."""
    kind, *rest = cast("Sequence[Any]", kept)
    if kind != _ANSWER:
        return None
    status, fields, body, request_id = rest
    info = CallInfo(
        id=call.id,
        service=call.service,
        operation=call.operation.name,
        tenant_id=call.tenant_id,
        replayed=True,
        request_id=request_id,
    )
    headers = Headers([(name, value) for name, value in fields])
    return Response(status=status, headers=headers, body=b64decode(body), call=info)


def reason_of(kept: Plain) -> str:
    """Say why there is no answer to replay."""
    (kind, *_) = cast("Sequence[str]", kept)
    return WHY_NOT[kind]


def _harmless(headers: Headers, redactor: Redactor, secrets: Sequence[str]) -> list[tuple[str, str]]:
    by_name = attrs.evolve(redactor, secrets=()).headers(dict.fromkeys(headers, "-"))
    return [
        (name, value)
        for name, value in headers.pairs()
        if by_name.get(name) == "-" and name.lower() not in _NEVER and not any(secret in value for secret in secrets)
    ]
