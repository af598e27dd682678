"""Places: under which keys answers are kept, apart by service, tenant, account and all that selects them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import attrs

from nexus_connector.state import Key, encode_key

if TYPE_CHECKING:
    from nexus_connector.call import Call
    from nexus_connector.headers import Headers
    from nexus_connector.message import Request
    from nexus_connector.target import Target

_ROUNDS: Final = 50_000

_NEGOTIATING: Final = ("accept", "accept-charset", "accept-encoding", "accept-language", "user-agent")
_TRACING: Final = ("b3", "baggage", "traceparent", "tracestate", "x-correlation-id", "x-request-id")
_NOT_SELECTING: Final = frozenset({*_NEGOTIATING, *_TRACING, "cache-control", "pragma"})
"""What a vendor that answers differently names in Vary, and what only follows a call about."""


@attrs.frozen
class Place:
    """Where the answers to one request are kept.

    Attributes:
        answers: Key of the answers, in all their variants.
        path: Key of the token of its path, which all methods and queries of the path share.
    """

    answers: Key
    path: Key


def account_of(target: Target) -> str:
    """Return what tells the accounts of a service apart: a hash of its base URLs, header fields and credentials.

    Keys are no secret, and a password can be guessed: the hash is a slow one (PBKDF2, RFC 8018), made once for a
    service and process.
    """
    credentials = target.credentials
    places = ",".join(target.config.base_url)
    parts = [f"{name.lower()}: {value}" for name, value in sorted(target.headers.items())]
    if credentials is not None:
        parts += [f"{name.lower()}: {value.reveal()}" for name, value in sorted(credentials.headers.items())]
        parts += [f"{name}={value.reveal()}" for name, value in sorted(credentials.query.items())]
        parts += [secret.reveal() for secret in credentials.secrets]
    rounds = _ROUNDS if parts else 1
    return hashlib.pbkdf2_hmac("sha256", _bytes(*parts), _bytes(target.name, places), rounds).hex()


def place_of(call: Call, request: Request, own: Headers, account: str) -> Place:
    """Return where the answers to a request are kept; paths and queries are hashed, for they may be long or personal.

    The request's own header fields are part of it: one like ``X-Account`` selects another's answer, and few vendors
    name it in Vary. Those of content negotiation are left to Vary, those of tracing say nothing.

    Args:
        call: The call; its tenant is part of every key, for credentials may be the tenant's own.
        request: The request.
        own: Header fields that not every request of the service has.
        account: Of its service.
    """
    selecting = sorted((name.lower(), value) for name, value in own.pairs() if name.lower() not in _NOT_SELECTING)
    fields = [part for pair in selecting for part in pair]
    whole = _digest(account, request.method, request.target, *fields)
    return Place(
        answers=(call.service, "cache", _tenant(call), "answers", whole), path=path_of(call, request.path, account)
    )


def path_of(call: Call, path: str, account: str) -> Key:
    """Return the key of the token of a path."""
    return call.service, "cache", _tenant(call), "path", _digest(account, path)


def _tenant(call: Call) -> str:
    # No tenant is another one than any name, an empty one too.
    return "" if call.tenant_id is None else f"={call.tenant_id}"


def _digest(*parts: str) -> str:
    return hashlib.sha256(_bytes(*parts)).hexdigest()


def _bytes(*parts: str) -> bytes:
    return encode_key(parts).encode("utf-8", "surrogatepass")
