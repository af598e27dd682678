"""Credentials: what proves to a vendor who is calling, and how it is put on a request."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import attrs

from .errors import ConfigurationError
from .message import Request
from .secret import Secret


class AuthMethod(StrEnum):
    """How a vendor is shown who is calling.

    >>> AuthMethod("bearer")
    <AuthMethod.BEARER: 'bearer'>
    """

    NONE = "none"
    API_KEY = "api_key"
    BEARER = "bearer"
    BASIC = "basic"
    OAUTH2 = "oauth2"
    HMAC = "hmac"


@attrs.frozen(kw_only=True)
class Credentials:
    """Resolved credentials: header fields and query parameters that are added to every attempt.

    Attributes:
        method: How they were made.
        headers: Secret values by header name.
        query: Secret values by query parameter.
        secrets: Further secret values they were made from; redacted wherever they turn up.
        expires_at: When they stop being valid; ``None``: not known.

    >>> Credentials.bearer(Secret("t0k3n")).apply(Request()).headers["Authorization"]
    'Bearer t0k3n'
    """

    method: AuthMethod
    headers: Mapping[str, Secret] = attrs.field(factory=dict[str, Secret])
    query: Mapping[str, Secret] = attrs.field(factory=dict[str, Secret])
    secrets: tuple[Secret, ...] = ()
    expires_at: datetime | None = None

    @classmethod
    def bearer(
        cls, token: Secret, *, method: AuthMethod = AuthMethod.BEARER, expires_at: datetime | None = None
    ) -> Credentials:
        """A token in the Authorization header (RFC 6750 section 2.1)."""
        headers = {"Authorization": Secret(f"Bearer {token.reveal()}")}
        return cls(method=method, headers=headers, secrets=(token,), expires_at=expires_at)

    @classmethod
    def api_key(cls, key: Secret, *, header: str | None = None, query: str | None = None) -> Credentials:
        """A key in a header, or in a query parameter."""
        if query is not None:
            return cls(method=AuthMethod.API_KEY, query={query: key}, secrets=(key,))
        return cls(method=AuthMethod.API_KEY, headers={header or "X-Api-Key": key}, secrets=(key,))

    @classmethod
    def basic(cls, username: str, password: Secret) -> Credentials:
        """User name and password in the Authorization header (RFC 7617).

        Raises:
            ConfigurationError: If the user name holds a colon, which would begin the password.
        """
        if ":" in username:
            raise ConfigurationError("A user name holds no colon (RFC 7617).", hint="Check the user name.")
        pair = b64encode(f"{username}:{password.reveal()}".encode()).decode()
        headers = {"Authorization": Secret(f"Basic {pair}")}
        return cls(method=AuthMethod.BASIC, headers=headers, secrets=(password, Secret(pair)))

    def apply(self, request: Request) -> Request:
        """Return the request with these credentials on it."""
        if self.headers:
            request = request.with_headers({name: value.reveal() for name, value in self.headers.items()})
        if self.query:
            request = request.with_query({name: value.reveal() for name, value in self.query.items()})
        return request

    def proves_the_same(self, other: Credentials) -> bool:
        """Say whether both put the same on a request, whatever else is known about them."""
        return (self.headers, self.query, self.secrets) == (other.headers, other.query, other.secrets)

    def revealed(self) -> tuple[str, ...]:
        """Return every secret value in clear text, for the redactor."""
        found = (*self.secrets, *self.headers.values(), *self.query.values())
        return tuple(value for value in (secret.reveal() for secret in found) if value)
